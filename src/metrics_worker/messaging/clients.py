"""boto3 clients for SNS and SQS, and the time limits of their calls.

A client is created when it is first used. Importing botocore would take most of the import time of a cold
start, so it is imported only when the first client is created, and only by this module and `limited_http`.
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
"""The maximum time of a call in seconds: two attempts and the pause between them."""
CONNECT_SECONDS = 2
READ_SECONDS = 2

making = Lock()
"""The lock for creating a client: runs are threads, and boto3's default session is not thread-safe."""


def client(service: Literal["sns", "sqs"], settings: "Settings") -> Any:
    """Return a boto3 client for the region and the endpoint in the settings. Threads can share the client."""
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
    """Limit the time of the one call to AWS in the `with` block, and translate exceptions of the call.

    botocore's exception, whose text is only for the log, becomes the cause of the raised error. `may_arrive`
    of the raised error is true if a request was sent but not answered.

    Args:
        kind: The class of the error for a failed call.
        subject: The ARN of the topic or the URL of the queue.
        within: The time limit in seconds. `CALL_SECONDS` applies if `within` is None or longer.

    Raises:
        kind: The service refused the call, failed, or did not answer.
        OutOfTime: The call did not end within `within` seconds, or `within` is not positive.
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
    """Return a description, without network addresses, of the exception that ended a call to AWS."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see the module's docstring

    if isinstance(error, ClientError):
        return f"AWS answered {error.response.get('Error', {}).get('Code', 'an error')}"
    if isinstance(error, CutOffError):
        return f"AWS did not answer within {CALL_SECONDS:.0f} s"
    if isinstance(error, BotoCoreError):
        return f"AWS did not answer ({type(error).__name__})"
    # For example, a proxy answered with a page of its own. botocore's parsers raise errors of any class.
    return f"the response is not from AWS ({type(error).__name__})"


def _noting(translated: "TransientError", error: Exception, limit: CallLimit) -> "TransientError":
    """Set `may_arrive` of the translated error, and return the translated error.

    `may_arrive` becomes true if a request was sent but not answered, so that the call may still take effect.

    Args:
        translated: the worker's error, which is raised.
        error: botocore's exception.
        limit: the state of the call's requests.
    """
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError  # noqa: PLC0415 - as above

    lost = isinstance(error, (ReadTimeoutError, ConnectionClosedError))
    translated.may_arrive = lost or limit.unanswered > 0
    return translated
