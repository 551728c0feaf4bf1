#!/usr/bin/env bash
# botocore 1.44.8: put_object(IfNoneMatch="*") reports 412 PreconditionFailed although its own write succeeded.
#
# Input: an S3 endpoint (a small server on loopback) that stores the first PUT of a key and then loses the connection
# before it answers, as a load balancer or a network can do. A later PUT of the key is answered as S3 documents it:
# 412, because the object exists.
#
# Behaviour: botocore's default retries treat the lost answer as retriable and send the conditional PUT again. The
# second request meets the object that the first one wrote, and the caller gets PreconditionFailed. Nothing in
# the exception says that there was a first attempt, except `ResponseMetadata.RetryAttempts`, which is 1.
#
# Output seen:
#
#     ClientError PreconditionFailed, HTTP 412, RetryAttempts 1
#     stored by the server: b'mine' after 2 PUT requests
#
# Why it matters: `If-None-Match: *` is the usual way to build a lock or a commit record on S3. Code that reads 412 as
# "another writer won" gives up a lock that it holds, or discards a commit that took effect. Either switch the
# retries off for conditional writes, or write a unique id with the object and read it back after a 412.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5 botocore==1.44.8
"$folder/venv/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

objects = {}
puts = []
EXISTS = b"<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions did not hold</Message></Error>"


class LosesTheFirstAnswer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        assert self.headers["If-None-Match"] == "*"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        puts.append(self.path)
        if self.path in objects:
            self.send_response(412)
            self.send_header("Content-Length", str(len(EXISTS)))
            self.end_headers()
            self.wfile.write(EXISTS)
            return
        objects[self.path] = body
        self.close_connection = True  # the write took effect; its answer is lost

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), LosesTheFirstAnswer)
threading.Thread(target=server.serve_forever, daemon=True).start()
s3 = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    region_name="us-east-1",
    aws_access_key_id="none",
    aws_secret_access_key="none",
    config=Config(
        s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
    ),
)
try:
    s3.put_object(Bucket="bucket", Key="lock", Body=b"mine", IfNoneMatch="*")
except ClientError as error:
    metadata = error.response["ResponseMetadata"]
    code = error.response["Error"]["Code"]
    print(f"ClientError {code}, HTTP {metadata['HTTPStatusCode']}, RetryAttempts {metadata['RetryAttempts']}")
    assert code == "PreconditionFailed"
    assert metadata["RetryAttempts"] == 1
else:
    raise SystemExit("botocore no longer retries the conditional PUT, or settles the 412 by itself")
print(f"stored by the server: {objects['/bucket/lock']!r} after {len(puts)} PUT requests")
assert objects == {"/bucket/lock": b"mine"}
PYTHON
echo "As described."
