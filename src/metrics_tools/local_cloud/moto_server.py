"""moto's server, which throttles all requests for the keys below one prefix of a bucket.

Run this module with a host and a port. The server answers like S3 when S3 throttles a client, so that a local
run can show what happens to a run if all of its attempts fail.
"""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

from metrics_tools.local_cloud import THROTTLED_PREFIX

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class Application(DomainDispatcherApplication):
    """The WSGI application of moto's server, in which requests for the keys below `THROTTLED_PREFIX` fail."""

    debug = True  # as in moto's own program: an internal error is answered with its text

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer 503 SlowDown for a key below `THROTTLED_PREFIX`, and any other request as moto does."""
        if f"/{THROTTLED_PREFIX}" not in environ["PATH_INFO"]:
            answer: Iterable[bytes] = super().__call__(environ, start_response)
            return answer
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(_SLOW_DOWN)))]
        start_response("503 Slow Down", headers)
        return [_SLOW_DOWN]


if __name__ == "__main__":
    host, port = sys.argv[1:]
    os.environ["MOTO_PORT"] = port
    run_simple(
        host, int(port), Application(create_backend_app), threaded=True, request_handler=MotoRequestHandler
    )
