"""The translation of obstore's exceptions to the worker's errors, which are classified by their remedy.

obstore has exception types for "not found" and "denied". For all other errors, only the text of the exception
contains the HTTP status and S3's error code. Therefore this module parses the text, and a test compares the
text with responses of a real HTTP server. The texts contain network addresses, so they appear only in the
cause of the worker's error, which is logged but not sent to the control plane.
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
"""The HTTP status, and S3's error code if the response has a body; a response to a HEAD request has none."""
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
    # 403 or 400. A process that was frozen may sign a request with an old clock or with old credentials.
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    # 403, although the role may read the object.
    "InvalidObjectState": _Kind(ObjectArchived, "the object is archived and must be restored first"),
    # 400, and a later attempt fails in the same way.
    "KMS.DisabledException": _KMS_KEY,
    "KMS.NotFoundException": _KMS_KEY,
    "KMS.KMSInvalidStateException": _KMS_KEY,
    "KeyTooLongError": _NOT_FOUND,
    # Also a 404, but not for a missing object: it does not prove that a run's marker does not exist.
    "NoSuchBucket": _Kind(StoreUnavailable, "there is no such bucket"),
    "AuthorizationHeaderMalformed": _REGION,
}


@contextmanager
def refusals(key: str, *, operation: str) -> Iterator[None]:
    """Translate the exceptions that obstore raises in the `with` block to the worker's errors about this key.

    The refusal of a conditional PUT is raised unchanged, because the caller has to determine which writer
    wrote the existing object.

    Args:
        key: the key or the prefix of the request.
        operation: GET, HEAD, PUT or LIST.

    Raises:
        ObjectNotFound, AccessDenied, ObjectArchived, UnusableKey: the same request would fail again.
        StoreUnavailable: a later request may succeed.
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
    """Return whether an obstore exception means that the object is empty, so that it has no requested range.

    S3 answers such a request with the HTTP status 416; other stores send a response without a range.
    """
    text = str(error)
    return _answer(text)[0] == 416 or _NO_RANGE in text  # noqa: PLR2004 - an HTTP status


def _kind(error: Exception, operation: str) -> _Kind:
    text = str(error)
    status, code = _answer(text)
    if code in _BY_CODE:
        return _BY_CODE[code]
    if isinstance(error, FileNotFoundError):  # a PUT cannot fail because an object is missing
        return _UNAVAILABLE if operation == "PUT" else _NOT_FOUND
    # The 403 of a listing has no exception type of its own. A 401 does not mean "denied", because only the
    # endpoint of the credentials sends it. The 403 of a HEAD request does not mean "denied" either, because
    # its response has no body with a reason, and the GET before the HEAD was allowed.
    if operation != "HEAD" and (isinstance(error, PermissionDeniedError) or status == 403):  # noqa: PLR2004
        return _DENIED
    return _REGION if _ANOTHER_REGION in text else _UNAVAILABLE


def _answer(text: str) -> tuple[int, str]:
    """Return (HTTP status, S3 error code) from the text of an obstore exception; (0, "") if missing."""
    found = _ANSWER.search(text)
    return (int(found[1]), found[2] or "") if found else (0, "")
