"""An HTTP server that invokes the handler: the worker's process if it runs without the Lambda emulator.

Run it as a script with a port and the name of a handler. It answers like the emulator, one invocation at a
time, with the handler in the main thread. Nothing outside the worker limits its memory or ends an invocation;
the worker itself observes the remaining time of its context.
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
    """The context that Lambda passes to a function, from the environment variables of the function."""

    function_name: str = field(default_factory=lambda: _variable("NAME"))
    function_version: str = field(default_factory=lambda: _variable("VERSION"))
    memory_limit_in_mb: int = field(default_factory=lambda: int(_variable("MEMORY_SIZE")))
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """Return an ARN with the name of the function."""
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the timeout of the function."""
        return max(0, int((self.started + float(_variable("TIMEOUT")) - time.monotonic()) * 1000))


def _variable(name: str) -> str:
    return os.environ[f"AWS_LAMBDA_FUNCTION_{name}"]


class _Invocation(BaseHTTPRequestHandler):
    """One request, which is one invocation. Like the emulator, it answers 200 even if the function fails."""

    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = json.dumps(_answer(self.server.handler, body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log nothing: the log is the function's."""


class _Server(HTTPServer):
    def __init__(self, port: int, handler: str) -> None:
        super().__init__(("127.0.0.1", port), _Invocation)
        self.handler = handler


def _answer(handler: str, body: bytes) -> Any:
    """Import and invoke the function, and return its answer, or its error in Lambda's form."""
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
