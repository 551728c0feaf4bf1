"""The errors of the object store client, as errors of the worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError

from metrics_worker.errors import AccessDenied, ObjectNotFound, StoreUnavailable, UnusableKey
from metrics_worker.listing import UNUSABLE, unusable_key


class _Reason(Protocol):
    def __call__(self, subject: str, problem: str) -> Exception: ...


# An UnauthenticatedError is not among them: S3 says 403, so it is our own credentials' endpoint that failed.
_KINDS: dict[type[BaseException], tuple[_Reason, str]] = {
    FileNotFoundError: (ObjectNotFound, "there is no such object"),
    PermissionDeniedError: (AccessDenied, "access denied"),
}


@contextmanager
def refusals(key: str, operation: str) -> Iterator[None]:
    """Turn obstore's errors into ours. The texts of the former hold addresses, so they go no further."""
    try:
        yield
    except (FileNotFoundError, BaseError, OSError) as error:
        if operation == "PUT" and isinstance(error, (AlreadyExistsError, PreconditionError)):
            raise  # a conditional write was refused: `_put` settles why
        kind, problem = _KINDS.get(type(error), (StoreUnavailable, "S3 failed or did not answer"))
        if operation == "LIST" and "status code: 403" in str(error):  # the client tells it by its text alone
            kind, problem = _KINDS[PermissionDeniedError]
        if operation == "LIST" and (unusable := unusable_key(str(error))) is not None:
            raise UnusableKey(unusable, f"LIST: {UNUSABLE}") from error
        if "NoSuchBucket" in str(error):  # a 404 too, but it says of no run that it is not committed
            kind, problem = StoreUnavailable, "there is no such bucket"
        raise kind(key, f"{operation}: {problem}") from error
