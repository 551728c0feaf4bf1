"""Every error of the worker, classed by its remedy.

    MetricsWorkerError
    ├── PermanentError               the same input would fail again: publish FAILURE, the message is done
    │   ├── ConfigError              CONFIG_ERROR               mend the settings, or the request
    │   ├── ExpressionError          EXPRESSION_EVAL_ERROR      mend the metric's expression
    │   ├── InputReadError           INPUT_READ_ERROR           mend the dataset, its manifest or the role
    │   ├── OutputWriteError         OUTPUT_WRITE_ERROR         correct the permissions on the metrics prefix
    │   │   └── UnusableMarker       OUTPUT_WRITE_ERROR         look at the marker named
    │   ├── ManifestValidationError  MANIFEST_VALIDATION_ERROR  look at the version named: it is not published
    │   ├── GaveUp                   INTERNAL_ERROR             it should have passed: read the log, redrive
    │   └── InternalError            INTERNAL_ERROR             a defect of the worker: read its log
    ├── TransientError               it may pass: publish nothing, give the message back
    │   ├── StoreUnavailable         S3 throttles, fails, or does not answer
    │   ├── StatusUnavailable        SNS does not take a status event
    │   ├── QueueUnavailable         SQS does not take a new visibility time
    │   ├── OutOfTime                the invocation's time is used up
    │   ├── OutOfMemory              other runs of the batch hold the memory that it needs
    │   ├── DecoderUnavailable       the process that decodes unusual part files cannot be started
    │   └── CommittedRunError        the run is committed; what follows the commit did not succeed yet
    ├── UnanswerableError            nobody to answer: to the dead-letter queue, kept for a person
    └── StoreRefusal                 what S3 said for good; the room that asked turns it into its own error
        ├── ObjectNotFound           404
        ├── AccessDenied             403
        ├── UnusableKey              a listed key has an empty segment, `.`, `..` or a control character
        ├── ObjectArchived           403, and S3 says that the object is archived
        └── ObjectTaken              412 or 409, and what stands there is another's

The wire `code` is a class attribute; nobody branches on a message's text.
"""

from typing import Any, ClassVar


class MetricsWorkerError(Exception):
    """The root: a subject at fault (a series, a key, a path within the request) and its problem."""

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(subject, problem)
        self.subject = subject
        self.problem = problem

    @property
    def message(self) -> str:
        """What is wrong, and where: one sentence for the control plane's table."""
        return f"{self.subject}: {self.problem}"

    def __str__(self) -> str:
        return self.message


class PermanentError(MetricsWorkerError):
    """The same input would fail again. FAILURE is published and the message is done."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ConfigError(PermanentError):
    """The settings, or the request beside its expression, are not valid. The subject names the field."""

    code = "CONFIG_ERROR"


class ExpressionError(PermanentError):
    """The expression is not valid, or can't be evaluated. The subject is its JSON path."""

    code = "EXPRESSION_EVAL_ERROR"


class InputReadError(PermanentError):
    """A manifest, part file or series is missing, unreadable or of the wrong type."""

    code = "INPUT_READ_ERROR"

    @classmethod
    def of_series(cls, series_code: str, problem: str) -> "InputReadError":
        """The error of one input series, as the control plane's table shows it."""
        return cls(f"Failed to read input series: {series_code}", problem)


class OutputWriteError(PermanentError):
    """The output could not be written, for a reason that stays."""

    code = "OUTPUT_WRITE_ERROR"


class UnusableMarker(OutputWriteError):
    """The object at the key of a run's marker is no commit record of the run, or names no version of it."""

    @classmethod
    def at(cls, key: str, problem: str) -> "UnusableMarker":
        """Return the error of the marker at a key."""
        remedy = "request a new run, or remove this object and send the request of this run again"
        return cls(key, f"{problem}; {remedy}")


class ManifestValidationError(PermanentError):
    """What was written is not what was to be written. Nothing was committed; look at the object named."""

    code = "MANIFEST_VALIDATION_ERROR"


class GaveUp(PermanentError):
    """No attempt came to an outcome: the log says why. Where that is mended, `make redrive` sends it back."""

    @classmethod
    def after(cls, attempts: int, asked_for: str, since: str) -> "GaveUp":
        """The error of a run whose message was received so often, and then became a dead letter.

        Times in ISO 8601, both the message's own: however often it is delivered, the error says the same.
        """
        problem = f"no outcome, the log says why; asked for at {asked_for}, a dead letter since {since}"
        return cls(f"gave up after {attempts} attempts", problem)


class InternalError(PermanentError):
    """Anything else: a defect of the worker. The log line of the run has the traceback."""


def as_permanent(error: Exception) -> PermanentError:
    """The error itself, or the INTERNAL_ERROR that stands for one that is none of ours."""
    if isinstance(error, PermanentError):
        return error
    return InternalError(type(error).__name__, "a defect of the worker; its log has the traceback")


class TransientError(MetricsWorkerError):
    """It may pass. Nothing is published and the message goes back to the queue.

    Attributes:
        may_arrive: a request left and was not answered, so it may still take effect.
    """

    may_arrive: bool = False


class StoreUnavailable(TransientError):
    """S3 throttled, failed or did not answer, after the bounded retries. Nothing to do unless it lasts."""


class StatusUnavailable(TransientError):
    """SNS did not take a status event. If it lasts: the topic's ARN, its policy, the role's sns:Publish."""


class QueueUnavailable(TransientError):
    """SQS did not take a new visibility time. If it lasts: the role's sqs:ChangeMessageVisibility."""


class OutOfTime(TransientError):
    """The invocation's time is used up. If it recurs: a longer timeout, or fewer and larger part files."""


class OutOfMemory(TransientError):
    """Other runs of the batch hold the memory that it needs. If it recurs: more memory, smaller batches."""


class DecoderUnavailable(TransientError):
    """No process could be started to decode a part file. If it recurs: more memory for the function."""


class CommittedRunError(TransientError):
    """The run is committed, but `current` or the announcement is not done: the next attempt rolls forward."""


class UnanswerableError(MetricsWorkerError):
    """No run to answer for: not JSON, no usable runId or metricCode, another type. A person must look."""


class StoreRefusal(MetricsWorkerError):
    """S3's last word about a key. The room that asked turns it into its own error."""


class ObjectNotFound(StoreRefusal):
    """There is no object at the key."""


class AccessDenied(StoreRefusal):
    """The worker's role may not do that to the key."""


class UnusableKey(StoreRefusal):
    """A listed key that the client cannot request, such as one with an empty segment."""


class ObjectArchived(StoreRefusal):
    """The object is in an archive storage class: it can't be read before somebody restores it."""


class ObjectTaken(StoreRefusal):
    """A conditional write met an object of another writer."""


def cause[E: BaseException](error: E) -> E:
    """Return an error to raise another one from, without its traceback: that of the other one continues it.

    A context manager that translates an error has it in its own variables, and the S3 client holds its errors
    until its next request. A traceback leads to the variables of all callers, so they would be kept as well.
    """
    return error.with_traceback(None)


def without_traceback[E: BaseException](error: E) -> E:
    """Remove the tracebacks of an error and of its causes, and return the error.

    A traceback's frames lead to all callers, and one of them has the error itself in its variables: a cycle,
    which keeps everything else that those frames have.
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


def first_problem(errors: list[Any], path: str) -> tuple[str, str]:
    """The first of pydantic's errors as (JSON path, problem), for a message that names the culprit.

    Args:
        errors: what `ValidationError.errors()` returns, of any model.
        path: the JSON path of the validated value itself.
    """
    first = errors[0]
    for part in first["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith("<"):  # the tag of a union's branch is no part of the JSON
            path += f".{part}" if path else part
    problem = first["msg"].removeprefix("Value error, ")
    found = first.get("input")
    if isinstance(found, str | int | float) or (found is None and first["type"] != "missing"):
        problem += f", found {found!r:.80}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return path, problem + more
