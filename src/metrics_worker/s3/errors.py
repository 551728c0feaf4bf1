"""The one place that reads obstore's errors, and turns each into an error that is classed by its remedy.

obstore tells "not found" and "denied" by the exception's type, and everything else by its text alone, which
quotes the HTTP status and S3's own XML. So this module reads the status and the error code from the text,
and a test pins the text against a real HTTP server. The texts hold addresses: they stay in the cause, for the
log.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
)

from metrics_worker.errors import (
    AccessDenied,
    ObjectArchived,
    ObjectNotFound,
    StoreUnavailable,
    UnusableKey,
    cause,
)
from metrics_worker.s3.listing import UNUSABLE, unusable_key

_ANSWER = re.compile(
    r"returned non-2xx status code: (\d{3})"
    r"(?: [A-Za-z ]*: \s*(?:<\?xml[^>]*\?>)?\s*<Error[^>]*>\s*<Code>([A-Za-z0-9.]+)</Code>)?"
)
"""The status, and S3's error code if the answer had a body: the answer to a HEAD request never has one."""
_ANOTHER_REGION = "Received redirect without LOCATION"
_NO_RANGE = "non-partial response"


class _Reason(Protocol):
    def __call__(self, subject: str, problem: str) -> Exception: ...


class _Kind(NamedTuple):
    error: _Reason
    problem: str


_UNAVAILABLE = _Kind(StoreUnavailable, "S3 failed or did not answer")
_DENIED = _Kind(AccessDenied, "access denied")
_NOT_FOUND = _Kind(ObjectNotFound, "there is no such object")
_CLOCK = _Kind(StoreUnavailable, "S3 refused the time of the request")
_CREDENTIALS = _Kind(StoreUnavailable, "S3 refused the worker's credentials, which expire and are renewed")
_KMS_KEY = _Kind(AccessDenied, "the KMS key that encrypts the object can't be used")
_REGION = _Kind(StoreUnavailable, "the bucket is in another region than AWS_REGION says")
_BY_CODE: dict[str, _Kind] = {
    # 403 or 400. A process that was frozen signs with its old clock for a moment, or with old credentials.
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    # 403, although the role may read the object.
    "InvalidObjectState": _Kind(ObjectArchived, "the object is archived and must be restored first"),
    # 400, and each of them stays.
    "KMS.DisabledException": _KMS_KEY,
    "KMS.NotFoundException": _KMS_KEY,
    "KMS.KMSInvalidStateException": _KMS_KEY,
    "KeyTooLongError": _NOT_FOUND,
    # 404 too, but it does not say of any run that it is not committed.
    "NoSuchBucket": _Kind(StoreUnavailable, "there is no such bucket"),
    "AuthorizationHeaderMalformed": _REGION,
}


@contextmanager
def refusals(key: str, operation: str) -> Iterator[None]:
    """Turn obstore's errors about a key into the worker's.

    A conditional PUT that S3 refused passes as it is: the caller has to find out whose object it met.

    Raises:
        ObjectNotFound, AccessDenied, ObjectArchived, UnusableKey: S3 or the client refused for good.
        StoreUnavailable: the request may succeed later.
    """
    try:
        yield
    except (FileNotFoundError, BaseError, OSError) as error:
        if operation == "PUT" and isinstance(error, (AlreadyExistsError, PreconditionError)):
            raise
        if operation == "LIST" and (unusable := unusable_key(str(error))) is not None:
            raise UnusableKey(unusable, f"LIST: {UNUSABLE}") from cause(error)
        kind = _kind(error, operation)
        raise kind.error(key, f"{operation}: {kind.problem}") from cause(error)


def lacks_range(error: BaseException | None) -> bool:
    """Tell whether the object lacks the range: S3 answers 416 for an empty object, others send it whole."""
    text = str(error)
    return _answer(text)[0] == 416 or _NO_RANGE in text  # noqa: PLR2004 - an HTTP status


def problem_of(error: Exception, operation: str) -> str:
    """Return what is wrong, in words that hold no address."""
    return _kind(error, operation).problem


def _kind(error: Exception, operation: str) -> _Kind:
    text = str(error)
    status, code = _answer(text)
    if code in _BY_CODE:
        return _BY_CODE[code]
    if isinstance(error, FileNotFoundError):  # a PUT needs no object to be there
        return _UNAVAILABLE if operation == "PUT" else _NOT_FOUND
    # obstore tells the refusal of a listing by its text alone. A 401 is no refusal: S3 answers 403, so it is
    # our own credentials' endpoint that failed. Nor is a HEAD's 403: it has no body that says why, and the
    # GET that went before it was allowed.
    if operation != "HEAD" and (isinstance(error, PermissionDeniedError) or status == 403):  # noqa: PLR2004
        return _DENIED
    return _REGION if _ANOTHER_REGION in text else _UNAVAILABLE


def _answer(text: str) -> tuple[int, str]:
    """Return the HTTP status and S3's error code that the text quotes; 0 and "" if it quotes none."""
    found = _ANSWER.search(text)
    return (int(found[1]), found[2] or "") if found else (0, "")
