"""`S3Bucket` raises the right error for each error response of S3.

A real HTTP server sends the responses to the real client. obstore distinguishes most of these errors only in
the text of its messages. These tests fail if a new version of obstore changes these texts.
"""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from metrics_worker.errors import AccessDenied, ObjectArchived, ObjectNotFound, StoreUnavailable
from metrics_worker.s3.bucket import StoredObject
from metrics_worker.s3.connection import connect
from metrics_worker.s3.s3_bucket import S3Bucket

KEY = "metrics/m/runs/r.ok"
XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>{}</Code><Message>In words.</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"
)


class Answering(BaseHTTPRequestHandler):
    """The request handler of the server; it sends an error response to each request.

    `server.answers` has the (status, error code) of the responses by HTTP method; the default is 403
    AccessDenied.
    """

    protocol_version = "HTTP/1.1"

    def handle_request_of_any_method(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, code = self.server.answers.get(self.command, (403, "AccessDenied"))  # type: ignore[attr-defined]
        body = XML.format(code).encode() if code and self.command != "HEAD" else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = handle_request_of_any_method  # noqa: N815 - names of the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base class
        """Suppress the log of requests."""


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def connected(server):
    url = f"http://127.0.0.1:{server.server_port}"
    return connect("data-bucket", region="us-east-1", endpoint_url=url)


@pytest.fixture
def answers(server: Any) -> Callable[..., None]:
    """Return `answers(status, code, methods=…)`, which sets the response to further requests.

    `status` is the HTTP status, and `code` the S3 error code. The response applies to the HTTP methods in
    `methods`, by default GET, HEAD and PUT.
    """

    def answer(status, code, methods=("GET", "HEAD", "PUT")):
        server.answers = dict.fromkeys(methods, (status, code))

    server.answers = {}
    return answer


@pytest.fixture
def bucket(connected):
    return S3Bucket(connected, "data-bucket", pause=lambda _: None)


CALLS = {
    "GET": lambda bucket: bucket.get(KEY),
    "GET-many": lambda bucket: bucket.get_many([KEY], lambda _: None),
    "GET-range": lambda bucket: bucket.get_ranges(StoredObject(KEY, memoryview(b""), 9, '"e"'), [(0, 9)]),
    "GET-few": lambda bucket: bucket.find_many([KEY]),
    "LIST": lambda bucket: bucket.list("metrics/m/"),
    "PUT-create": lambda bucket: bucket.create(KEY, b"body"),
    "PUT-swap": lambda bucket: bucket.swap(KEY, b"body", etag='"e"'),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
GETS = [call for name, call in CALLS.items() if name.startswith("GET")]


@each_call
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "RequestTimeTooSkewed"),
        (403, "RequestExpired"),
        (400, "RequestExpired"),
        (403, "ExpiredToken"),
        (400, "ExpiredToken"),
        (403, "ExpiredTokenException"),
        (400, "TokenRefreshRequired"),
        (400, "InvalidToken"),
        (403, "InvalidAccessKeyId"),
    ],
)
def test_a_rejected_clock_or_rejected_credentials_are_a_transient_error(bucket, answers, call, status, code):
    answers(status, code)
    with pytest.raises(StoreUnavailable, match=r"S3 refused the (time of the request|worker's credentials)"):
        call(bucket)


@each_call
@pytest.mark.parametrize("code", ["AccessDenied", "AllAccessDisabled", "SignatureDoesNotMatch", None])
def test_any_other_status_403_is_a_permanent_denial(bucket, answers, call, code):
    answers(403, code)
    with pytest.raises(AccessDenied, match=r"metrics/m/.*: (GET|LIST|PUT): access denied$"):
        call(bucket)


@pytest.mark.parametrize("call", GETS)
def test_the_error_for_an_archived_object_names_it_and_the_need_to_restore_it(bucket, answers, call):
    answers(403, "InvalidObjectState")
    with pytest.raises(ObjectArchived, match=f"^{KEY}: GET: the object is archived and must be restored"):
        call(bucket)


@pytest.mark.parametrize("call", GETS)
@pytest.mark.parametrize(
    "code", ["KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"]
)
def test_an_unusable_kms_key_is_a_permanent_denial_although_the_status_is_400(bucket, answers, call, code):
    answers(400, code)
    with pytest.raises(AccessDenied, match="the KMS key that encrypts the object can't be used"):
        call(bucket)


def test_an_object_with_a_key_that_is_too_long_does_not_exist(bucket, answers):
    answers(400, "KeyTooLongError")
    assert bucket.find(KEY) is None


@each_call
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "RequestTimeout"),
        (400, "BadDigest"),
        (400, "NoSuchThing"),
        (405, "MethodNotAllowed"),
        (500, "InternalError"),
    ],
)
def test_any_other_error_response_is_a_transient_error(bucket, answers, call, status, code):
    answers(status, code)
    with pytest.raises(StoreUnavailable):
        call(bucket)


@each_call
def test_a_missing_bucket_is_a_transient_error_and_not_a_missing_object(bucket, answers, call):
    answers(404, "NoSuchBucket")
    with pytest.raises(StoreUnavailable, match="there is no such bucket"):
        call(bucket)


@pytest.mark.parametrize(
    ("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")]
)
@each_call
def test_the_error_for_a_bucket_in_another_region_names_the_reason(bucket, answers, call, status, code):
    answers(status, code)
    with pytest.raises(StoreUnavailable, match="the bucket is in another region"):
        call(bucket)


@pytest.mark.parametrize("call", GETS[:3])
def test_a_missing_object_is_not_found(bucket, answers, call):
    answers(404, "NoSuchKey")
    with pytest.raises(ObjectNotFound, match=f"^{KEY}: GET: there is no such object"):
        call(bucket)


def test_a_create_with_the_response_not_found_is_a_transient_error(bucket, answers):
    answers(404, "NoSuchUpload")
    with pytest.raises(StoreUnavailable, match="PUT: S3 failed"):
        bucket.create(KEY, b"body")


def test_an_error_code_within_a_key_or_a_message_is_ignored(bucket, answers):
    answers(403, "AccessDenied</Code><Code>ExpiredToken")
    with pytest.raises(AccessDenied):
        bucket.get("datasets/<Code>ExpiredToken</Code>/NoSuchBucket")


def test_a_rejected_head_is_a_transient_error_because_it_has_no_body_with_a_reason(bucket, answers, server):
    answers(403, None, ["HEAD"])
    server.answers["GET"] = (
        416,
        "InvalidRange",
    )  # the response to a range of an empty object, after which the client requests the size
    with pytest.raises(StoreUnavailable, match="HEAD: S3 failed or did not answer"):
        bucket.get_many([KEY], lambda _: None)


@each_call
def test_error_messages_contain_no_address_and_no_message_of_s3(bucket, answers, call):
    answers(403, "ExpiredToken")
    with pytest.raises(StoreUnavailable) as raised:
        call(bucket)
    assert "127.0.0.1" not in str(raised.value)
    assert "In words" not in str(raised.value)
