"""moto's server, with keys that are throttled, a request that loads many objects, and times of dead letters.

Run this module with a host and a port. For the keys below `THROTTLED_PREFIX`, the server answers like S3
when S3 throttles a client, so that a local run can show what happens to a run if all of its attempts fail.
When SQS moves a message from a FIFO queue to its dead-letter queue, SQS resets the time at which the message
was sent (the attribute `SentTimestamp`); moto by itself does not.
"""

import os
import sys
import zipfile
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from moto.sqs.models import Message, Queue
from werkzeug.serving import run_simple

from metrics_tools.local_cloud import LOADING_PATH, THROTTLED_PREFIX

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class Application(DomainDispatcherApplication):
    """The WSGI application of moto's server, with the additions that the module's docstring names."""

    debug = True  # as in moto's own program: an internal error is answered with its text

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Load objects, or answer 503 SlowDown for a key below `THROTTLED_PREFIX`, or answer as moto does."""
        if environ["PATH_INFO"].startswith(LOADING_PATH):
            archive = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            _put_objects(environ["PATH_INFO"].removeprefix(LOADING_PATH), archive)
            start_response("204 No Content", [])
            return []
        if f"/{THROTTLED_PREFIX}" not in environ["PATH_INFO"]:
            answer: Iterable[bytes] = super().__call__(environ, start_response)
            return answer
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(_SLOW_DOWN)))]
        start_response("503 Slow Down", headers)
        return [_SLOW_DOWN]


def _put_objects(bucket: str, archive: bytes) -> None:
    """Put the files of a ZIP archive into a bucket; the name of a file is the key of its object."""
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    with zipfile.ZipFile(BytesIO(archive)) as files:
        for key in files.namelist():
            backend.put_object(bucket, key, files.read(key))


_add_message = Queue.add_message


def add_message(queue: Queue, message: Message) -> None:
    """Add a message to a queue of moto, as a replacement for `Queue.add_message`.

    A message that was received before is moved to a dead-letter queue, so the time of the message is reset.
    """
    if queue.fifo_queue and message.approximate_receive_count:
        message.mark_sent()
    _add_message(queue, message)


if __name__ == "__main__":
    Queue.add_message = add_message  # type: ignore[assignment, method-assign]
    host, port = sys.argv[1:]
    os.environ["MOTO_PORT"] = port
    run_simple(
        host, int(port), Application(create_backend_app), threaded=True, request_handler=MotoRequestHandler
    )
