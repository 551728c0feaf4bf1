"""An HTTP server that invokes the handler. It runs the worker where the Lambda emulator is not used.

Run this file as a script with a port and the name of a handler. The server answers like the emulator, one
invocation at a time, and calls the handler in the main thread. Other than Lambda, the server does not limit
the memory of the worker and does not end an invocation at its timeout; the worker itself stops in time,
because the context shows the remaining time.
"""

import importlib
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Context:
    """A substitute for Lambda's context object, built from the environment variables of the function.

    Attributes:
        started: the start of the invocation, in seconds of the monotonic clock.
    """

    function_name: str = field(default_factory=lambda: _variable("NAME"))
    function_version: str = field(default_factory=lambda: _variable("VERSION"))
    memory_limit_in_mb: int = field(default_factory=lambda: int(_variable("MEMORY_SIZE")))
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """Return a fictitious ARN that contains the name of the function."""
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout of the function; 0 after the timeout."""
        return max(0, int((self.started + float(_variable("TIMEOUT")) - time.monotonic()) * 1000))


def _variable(name: str) -> str:
    return os.environ[f"AWS_LAMBDA_FUNCTION_{name}"]


class _Invocation(BaseHTTPRequestHandler):
    """The handler of one HTTP request, which is one invocation of the function.

    Like the emulator, it answers with the status 200 even if the function fails.
    """

    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = json.dumps(_answer(self.server.handler, body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Do nothing, so that the log contains only lines of the function and none about HTTP requests."""


class _Server(HTTPServer):
    def __init__(self, port: int, handler: str) -> None:
        super().__init__(("127.0.0.1", port), _Invocation)
        self.handler = handler


def _answer(handler: str, body: bytes) -> Any:
    """Import the handler, call it with the JSON event in the body, and return its result.

    If the import or the call raises an exception, return Lambda's description of an error instead: a dict
    with `errorType` and `errorMessage`.
    """
    module, _, name = handler.rpartition(".")
    try:
        try:
            function: Any = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            traceback.print_exc()
            text = f"Unable to import {module!r}: {error}"
            return {"errorType": "Runtime.ImportModuleError", "errorMessage": text}
        return function(json.loads(body), Context())
    except Exception as error:  # noqa: BLE001 - like Lambda, it reports every error of the function
        traceback.print_exc()  # into the function's log
        return {"errorType": type(error).__name__, "errorMessage": str(error)}


if __name__ == "__main__":
    _Server(int(sys.argv[1]), sys.argv[2]).serve_forever()
