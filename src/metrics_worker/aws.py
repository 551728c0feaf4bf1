"""boto3 clients for SNS and SQS, made when they are first needed, with short timeouts and few retries.

botocore takes most of a cold start's import time, so it is imported here and nowhere else, at first use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from metrics_worker.errors import TransientError
    from metrics_worker.settings import Settings


CALL_SECONDS = 9
"""The longest that a call takes: two attempts of 2 s to connect and 2 s to answer, with 1 s between them."""

making = Lock()
"""Held while a client is made: runs are threads, which boto3's default session is not safe for."""


def client(service: Literal["sns", "sqs"], settings: "Settings") -> Any:
    """A client of the settings' region and endpoint. Clients may be shared by threads."""
    import boto3  # noqa: PLC0415 - see the module's docstring
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        service,
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        config=Config(
            connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}
        ),
    )


@contextmanager
def failures(kind: "type[TransientError]", subject: str) -> Iterator[None]:
    """Turn whatever botocore raises into `kind`. Its texts stay in the cause, for the log."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see the module's docstring

    try:
        yield
    except ClientError as error:
        raise kind(
            subject, f"AWS answered {error.response.get('Error', {}).get('Code', 'an error')}"
        ) from error
    except BotoCoreError as error:
        raise kind(subject, f"AWS did not answer ({type(error).__name__})") from error
    except Exception as error:  # as at a proxy's page: botocore's parsers raise what they stumble over
        raise kind(subject, f"what answered is not AWS ({type(error).__name__})") from error
