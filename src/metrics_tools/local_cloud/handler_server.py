"""An HTTP server that calls the handler. It replaces the Lambda emulator on systems without the emulator.

Run this file as a script with a port and the name of a handler. The server answers like the emulator, one
invocation at a time, and calls the handler in the main thread. Unlike Lambda, the server does not limit the
memory of the worker and does not end an invocation at its timeout; the worker itself stops in time, because
the handler's `context` argument (`Context`) shows the remaining time.
"""

import json
import os
import pkgutil
import sys
import time
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4


class Context:
    """A substitute for Lambda's context object, built from the environment variables of the function."""

    def __init__(self) -> None:
        name, version, memory, timeout = (
            os.environ[f"AWS_LAMBDA_FUNCTION_{field}"]
            for field in ("NAME", "VERSION", "MEMORY_SIZE", "TIMEOUT")
        )
        self.function_name = name
        self.function_version = version
        self.memory_limit_in_mb = int(memory)
        self.aws_request_id = str(uuid4())
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        self._end = time.monotonic() + float(timeout)

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout of the function; 0 after the timeout."""
        return max(0, int((self._end - time.monotonic()) * 1000))


class _Invocation(BaseHTTPRequestHandler):
    """The handler of one HTTP request, which is one invocation of the function.

    Like the emulator, it answers with the status 200 even if the function fails.
    """

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = json.dumps(_answer(sys.argv[2], body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Do nothing, so that the log contains only lines of the function and none about HTTP requests."""


def _answer(handler: str, body: bytes) -> Any:
    """Import the handler, call it with the JSON event in the body, and return its result.

    If the import or the call raises an exception, return Lambda's description of an error instead: a dict
    with `errorType` and `errorMessage`.
    """
    kind = ""
    try:
        try:
            function = pkgutil.resolve_name(handler)
        except (ImportError, AttributeError):
            kind = "Runtime.ImportModuleError"
            raise
        return function(json.loads(body), Context())
    except Exception as error:  # noqa: BLE001 - like Lambda, it reports every error of the function
        traceback.print_exc()  # into the function's log
        text = f"Unable to import {handler.rpartition('.')[0]!r}: {error}" if kind else str(error)
        return {"errorType": kind or type(error).__name__, "errorMessage": text}


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), _Invocation).serve_forever()
