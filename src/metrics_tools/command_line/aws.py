"""The AWS clients of the commands that send or receive messages, and the handling of errors of AWS."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from metrics_tools.buckets.places import aws_session
from metrics_tools.console import impossible
from metrics_worker.errors import MetricsWorkerError

QUEUE_URL = re.compile(r"https?://\S+/\S+")
_QUEUE_REGION = re.compile(r"//sqs\.([a-z0-9-]+)\.amazonaws")


def sqs_client(queue: str | None) -> Any:
    """Return a boto3 SQS client for the region in the URL of a queue.

    If the URL contains no region, the region comes from the environment or the AWS profile.
    """
    found = _QUEUE_REGION.search(queue or "")
    return aws_client("sqs", found[1] if found else None)


def aws_client(service: str, region: str | None) -> Any:
    """Return a boto3 client of an AWS service, such as `sns`.

    Args:
        service: the name of the service.
        region: the AWS region; None for the region of the environment or the AWS profile.
    """
    session = aws_session()
    region = region or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    return session.client(service, region_name=region)


@contextmanager
def aws_errors() -> Iterator[None]:
    """Print the error and end the command with exit code 2 if AWS fails within the `with` block.

    The errors are those of boto3 (no credentials, a refused request, no answer) and each MetricsWorkerError.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415 - slow to import

    try:
        yield
    except NoCredentialsError as error:
        raise impossible("No AWS credentials: set AWS_PROFILE, or run `aws sso login`.") from error
    except ClientError as error:
        answer = error.response.get("Error", {})
        raise impossible(f"AWS refused ({answer.get('Code')}): {answer.get('Message')}") from error
    except BotoCoreError as error:
        raise impossible(f"AWS did not answer: {error}") from error
    except MetricsWorkerError as error:
        raise impossible(str(error)) from error
