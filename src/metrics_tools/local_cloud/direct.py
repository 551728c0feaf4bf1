"""The process of the worker without the Lambda emulator: the real handler, invoked over HTTP on loopback.

Run as a script with a port and a handler. It answers as the emulator does, one invocation at a time, with the
handler in the main thread. There is no sandbox: nothing limits the memory, and nothing ends an invocation but
the worker itself, which watches the time left in its context.
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
    """The context that Lambda hands to a function, from the function's environment."""

    function_name: str
    function_version: str
    memory_limit_in_mb: int
    timeout: float
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def now(cls) -> "Context":
        """Return the context of an invocation that begins now."""
        given = {
            name: os.environ[f"AWS_LAMBDA_FUNCTION_{name}"]
            for name in ("NAME", "VERSION", "MEMORY_SIZE", "TIMEOUT")
        }
        return cls(given["NAME"], given["VERSION"], int(given["MEMORY_SIZE"]), float(given["TIMEOUT"]))

    @property
    def invoked_function_arn(self) -> str:
        """Return an ARN of the function's name."""
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the function's timeout."""
        return max(0, int((self.began + self.timeout - time.monotonic()) * 1000))


class _Server(HTTPServer):
    """Holds the function, which is loaded at the first invocation as in the emulator."""

    def __init__(self, port: int, handler: str) -> None:
        super().__init__(("127.0.0.1", port), _Invocation)
        self.module, _, self.name = handler.rpartition(".")

    def answer(self, body: bytes) -> Any:
        """Invoke the function; return its answer, or Lambda's form of an error."""
        try:
            function: Any = getattr(importlib.import_module(self.module), self.name)
        except (ImportError, AttributeError) as error:
            return _error("Runtime.ImportModuleError", f"Unable to import {self.module!r}: {error}")
        except Exception as error:  # noqa: BLE001 - as Lambda does: whatever it raises is the answer
            return _error(type(error).__name__, str(error))
        try:
            return function(json.loads(body), Context.now())
        except Exception as error:  # noqa: BLE001 - as above
            return _error(type(error).__name__, str(error))


class _Invocation(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        answer = self.server.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Write no line for a request: the log is the function's."""


def _error(kind: str, message: str) -> dict[str, str]:
    traceback.print_exc()  # into the function's log
    return {"errorType": kind, "errorMessage": message}


if __name__ == "__main__":
    _Server(int(sys.argv[1]), sys.argv[2]).serve_forever()
