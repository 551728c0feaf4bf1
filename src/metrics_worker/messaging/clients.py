"""boto3 clients for SNS and SQS, made when they are first needed, and the limits of their calls.

botocore takes most of a cold start's import time, so it is imported here and in `limited_http` alone, at
first use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from metrics_worker.errors import OutOfTime, cause
from metrics_worker.messaging.call_limit import CallLimit, CutOffError, limited

if TYPE_CHECKING:
    from metrics_worker.errors import TransientError
    from metrics_worker.settings import Settings


CALL_SECONDS = 9.0
"""The longest that a call takes, whatever the service does: two attempts with a pause between them."""
CONNECT_SECONDS = 2
READ_SECONDS = 2

making = Lock()
"""Held while a client is made: runs are threads, which boto3's default session is not safe for."""


def client(service: Literal["sns", "sqs"], settings: "Settings") -> Any:
    """Return a client of the settings' region and endpoint. Threads may share it."""
    import boto3  # noqa: PLC0415 - see the module's docstring
    from botocore.config import Config  # noqa: PLC0415

    from metrics_worker.messaging.limited_http import limit_calls  # noqa: PLC0415 - it imports botocore

    made = boto3.client(
        service,
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
    )
    limit_calls(made, connect=CONNECT_SECONDS, read=READ_SECONDS)
    return made


@contextmanager
def service_call(kind: "type[TransientError]", subject: str, within: float | None = None) -> Iterator[None]:
    """Limit one call in time, and turn whatever botocore raises into `kind`.

    botocore's texts stay in the cause, for the log. The error's `may_arrive` says whether a request left and
    was not answered.

    Args:
        kind: the error of the service.
        subject: the topic or queue.
        within: seconds until the call is cut off, if that is sooner than `CALL_SECONDS`.

    Raises:
        kind: the service refused, failed, or did not answer.
        OutOfTime: the call was cut off after `within`.
    """
    if within is not None and within <= 0:
        raise OutOfTime("invocation", f"its time is used up, so {subject} was not called")
    seconds = CALL_SECONDS if within is None else min(CALL_SECONDS, within)
    with limited(seconds) as limit:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - ruff does not see that both ways raise
            if isinstance(error, CutOffError) and seconds < CALL_SECONDS:
                problem = f"its time is used up, and {subject} had not answered yet"
                raise _noting(OutOfTime("invocation", problem), error, limit) from cause(error)
            raise _noting(kind(subject, _problem(error)), error, limit) from cause(error)


def _problem(error: Exception) -> str:
    """Return what a call failed with, in words without addresses."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see the module's docstring

    if isinstance(error, ClientError):
        return f"AWS answered {error.response.get('Error', {}).get('Code', 'an error')}"
    if isinstance(error, CutOffError):
        return f"AWS did not answer within {CALL_SECONDS:.0f} s"
    if isinstance(error, BotoCoreError):
        return f"AWS did not answer ({type(error).__name__})"
    # As at a proxy's page: botocore's parsers raise what they stumble over.
    return f"what answered is not AWS ({type(error).__name__})"


def _noting(translated: "TransientError", error: Exception, limit: CallLimit) -> "TransientError":
    """Note on the translated error whether a request left and was not answered."""
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError  # noqa: PLC0415 - as above

    lost = isinstance(error, (ReadTimeoutError, ConnectionClosedError))
    translated.may_arrive = lost or limit.unanswered > 0
    return translated
