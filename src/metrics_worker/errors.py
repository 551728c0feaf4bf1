"""Every error of the worker, classified by its remedy.

    MetricsWorkerError
    ├── PermanentError               the same input would fail again: publish FAILURE, delete the message
    │   ├── ConfigError              CONFIG_ERROR               correct the settings, or the request
    │   ├── ExpressionError          EXPRESSION_EVAL_ERROR      correct the metric's expression
    │   ├── InputReadError           INPUT_READ_ERROR           correct the dataset, its manifest or the role
    │   ├── OutputWriteError         OUTPUT_WRITE_ERROR         correct the permissions on the metrics prefix
    │   │   └── UnusableMarker       OUTPUT_WRITE_ERROR         examine the marker whose key is in the error
    │   ├── ManifestValidationError  MANIFEST_VALIDATION_ERROR  examine the version, which is not published
    │   ├── GaveUp                   INTERNAL_ERROR             no attempt succeeded: read the log, redrive
    │   └── InternalError            INTERNAL_ERROR             a defect of the worker: read its log
    ├── TransientError               a retry may succeed: publish nothing, return the message to the queue
    │   ├── StoreUnavailable         S3 throttles, fails, or does not answer
    │   ├── StatusUnavailable        SNS does not accept a status event
    │   ├── QueueUnavailable         SQS does not change a visibility timeout
    │   ├── OutOfTime                the invocation's time is used up
    │   ├── OutOfMemory              other runs of the batch hold the memory
    │   ├── DecoderUnavailable       the process that decodes unusual part files cannot be started
    │   └── CommittedRunError        the run is committed; a later step failed
    ├── UnanswerableError            the message identifies no run: it goes to the dead-letter queue
    └── StoreRefusal                 S3 refused; the calling module raises its own error
        ├── ObjectNotFound           404
        ├── AccessDenied             403
        ├── UnusableKey              a listed key has an empty segment, `.`, `..` or a control character
        ├── ObjectArchived           403, and S3 says that the object is archived
        └── ObjectTaken              412 or 409, and another writer has written the object

The wire `code` is a class attribute. No module depends on the text of an error.
"""

from typing import ClassVar


class MetricsWorkerError(Exception):
    """An error of the worker.

    Attributes:
        subject: the object at fault: a series, a key, or a JSON path in the request.
        problem: the description of the fault, without the subject.
    """

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(subject, problem)
        self.subject = subject
        self.problem = problem

    @property
    def message(self) -> str:
        """The text for the control plane: the subject, a colon and the problem."""
        return f"{self.subject}: {self.problem}"

    def __str__(self) -> str:
        return self.message


class PermanentError(MetricsWorkerError):
    """An error that the same request would cause again. FAILURE is published and the message is deleted."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ConfigError(PermanentError):
    """A setting, or a field of the request outside the expression, is not valid.

    The subject is the environment variable or the JSON path of the field.
    """

    code = "CONFIG_ERROR"


class ExpressionError(PermanentError):
    """The expression is not valid, disagrees with `expressionType`, or needs too much memory.

    The subject is the JSON path of the invalid field, such as `expressionJson.operands[0].window`.
    """

    code = "EXPRESSION_EVAL_ERROR"


class InputReadError(PermanentError):
    """A manifest, part file or series is missing, unreadable or of the wrong type."""

    code = "INPUT_READ_ERROR"

    @classmethod
    def of_series(cls, series_code: str, problem: str) -> "InputReadError":
        """Return an error whose subject is "Failed to read input series: " followed by the series code."""
        return cls(f"Failed to read input series: {series_code}", problem)


class OutputWriteError(PermanentError):
    """The output cannot be written, for a permanent reason such as a missing permission."""

    code = "OUTPUT_WRITE_ERROR"


class UnusableMarker(OutputWriteError):
    """The object at a marker's key is not the run's commit record, or names a version that does not exist."""

    @classmethod
    def at(cls, key: str, problem: str) -> "UnusableMarker":
        """Return the error for the marker with this key; its text is `problem`, followed by the remedy."""
        remedy = "request a new run, or remove this object and send the request of this run again"
        return cls(key, f"{problem}; {remedy}")


class ManifestValidationError(PermanentError):
    """The data in S3 differs from the computed data. Nothing was committed. The subject is the data's key."""

    code = "MANIFEST_VALIDATION_ERROR"


class GaveUp(PermanentError):
    """No attempt at the run reached an outcome. After correcting the logged cause, run `metrics redrive`."""

    @classmethod
    def after(cls, attempts: int, *, requested_at: str, since: str) -> "GaveUp":
        """Return the error of a run whose message became a dead letter.

        The text contains no other time than the two arguments, so it is the same at every delivery of the
        dead letter.

        Args:
            attempts: the number of times that the worker received the message.
            requested_at: the time of the request, in ISO 8601.
            since: the time at which the message became a dead letter, in ISO 8601.
        """
        problem = f"no outcome, the log says why; asked for at {requested_at}, a dead letter since {since}"
        return cls(f"gave up after {attempts} attempts", problem)


class InternalError(PermanentError):
    """A defect of the worker. The closing log line of the run contains the traceback."""


def as_permanent(error: Exception) -> PermanentError:
    """Return the error itself if it is a PermanentError, otherwise an InternalError.

    The subject of the InternalError is the name of the exception's class.
    """
    if isinstance(error, PermanentError):
        return error
    return InternalError(type(error).__name__, "a defect of the worker; its log has the traceback")


class TransientError(MetricsWorkerError):
    """An error that a retry can overcome. No outcome is published; the message is returned to the queue.

    Attributes:
        may_arrive: whether a request was sent but not answered, so that it may still take effect.
    """

    may_arrive: bool = False


class StoreUnavailable(TransientError):
    """S3 throttled, failed or did not answer, despite retries. Act only if this error persists."""


class StatusUnavailable(TransientError):
    """SNS did not accept a status event. If this error persists, check the topic's ARN and policy."""


class QueueUnavailable(TransientError):
    """SQS did not change a visibility timeout. If this error persists, check sqs:ChangeMessageVisibility."""


class OutOfTime(TransientError):
    """The invocation's time is used up. If this recurs, increase the timeout or use fewer part files."""


class OutOfMemory(TransientError):
    """Other runs of the batch hold the memory. If this error recurs, add memory or use smaller batches."""


class DecoderUnavailable(TransientError):
    """The process that decodes part files cannot be started. If this error recurs, add memory."""


class CommittedRunError(TransientError):
    """The run is committed, but a later step failed. The next attempt repeats the steps after the commit."""


class UnanswerableError(MetricsWorkerError):
    """The message identifies no run: it is not JSON, has no usable runId, or is another type of event."""


class StoreRefusal(MetricsWorkerError):
    """S3 refused a request for a key, and would refuse a repetition of the request.

    Calling modules translate a refusal to an error with a wire code, such as InputReadError.
    """


class ObjectNotFound(StoreRefusal):
    """The requested key has no object."""


class AccessDenied(StoreRefusal):
    """The worker's role does not have the permission for the request."""


class UnusableKey(StoreRefusal):
    """A listing contains a key that the S3 client cannot request, for instance with an empty segment."""


class ObjectArchived(StoreRefusal):
    """The requested object is in an archive storage class; it cannot be read until somebody restores it."""


class ObjectTaken(StoreRefusal):
    """A conditional write failed because another writer has written the object."""


def cause[E: BaseException](error: E) -> E:
    """Return an error without its traceback, so that it can be the cause of another error.

    A context manager that translates an error keeps a reference to the error, and the S3 client keeps its
    last error until its next request. The traceback would keep the variables of all callers in memory. No
    information is lost, because the traceback of the new error contains the same frames.
    """
    return error.with_traceback(None)


def without_traceback[E: BaseException](error: E) -> E:
    """Remove the tracebacks of an error and of all its causes and contexts, and return the error.

    A traceback refers to the frames of all callers. If one of these frames refers to the error, frame and
    error form a reference cycle, which keeps the frames' variables in memory until a garbage collection.
    """
    waiting: list[BaseException] = [error]
    seen = set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
            waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
    return error
