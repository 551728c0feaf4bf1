"""Functions that read a part file in each way that the worker uses, so that tests can compare the results."""

import atexit
import sys
from collections.abc import Iterable

import obstore
import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.part_file import read_usual, with_text_codes
from metrics_worker.s3.bucket import StoredObject
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET

KEY = "datasets/fx/projections/A/data.parquet"

DECODER = Decoder()
"""One child process for all tests of a pytest worker: starting a process takes a third of a second."""
atexit.register(DECODER.close)


def admit(key: str, rows: int, size: int) -> None:
    """Accept a part file of any number of rows and bytes; the worker's own function enforces limits here."""


def stored(body: bytes) -> StoredObject:
    """Return a part file as the bucket returns it if one request reads the whole file."""
    return StoredObject(KEY, memoryview(body), len(body), "etag")


def in_this_process(body: bytes, codes: Iterable[str] | None = None) -> pa.Table:
    """Return the rows of a part file, decoded in the process that the worker would choose.

    That is this process if the file is usual (see `read_usual`), otherwise the child process.

    Args:
        body: the content of the part file.
        codes: the codes of the series whose rows are returned; None returns all rows.
    """
    table = read_usual(stored(body), codes, admit)
    return in_the_child(body, codes) if table is None else with_text_codes(table)


def in_the_child(body: bytes, codes: Iterable[str] | None = None) -> pa.Table:
    """Return the rows of a part file, decoded in the child process, which gets all bytes of the file at once.

    Args:
        body: the content of the part file.
        codes: the codes of the series whose rows are returned; None returns all rows.
    """
    return DECODER.read(stored(body), S3Bucket(MemoryStore(), BUCKET), codes, admit)


def in_the_child_by_range(body: bytes, codes: Iterable[str] | None = None) -> pa.Table:
    """Return the rows of a part file, decoded in the child process by requests for ranges of bytes.

    The child process gets only the last twelve bytes of the file at first, and then requests the other ranges
    that it needs.

    Args:
        body: the content of the part file.
        codes: the codes of the series whose rows are returned; None returns all rows.
    """
    store = MemoryStore()
    bucket = S3Bucket(store, BUCKET)
    obstore.put(store, KEY, body, use_multipart=False)
    etag = bucket.get(KEY).etag
    last = StoredObject(KEY, memoryview(body)[-min(len(body), 12) :], len(body), etag)
    return DECODER.read(last, bucket, codes, admit)


A_CHILD = """
import os, sys, time
from multiprocessing.connection import Connection
requests, answers = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
answers.send_bytes(b"{}")
requests.recv_bytes()
requests.recv_bytes()
"""


def child(then: str) -> tuple[str, ...]:
    """Return the command of a substitute for the child process that decodes part files.

    The substitute receives the request to decode one file, does not decode the file, and runs the Python code
    in `then` instead.
    """
    return (sys.executable, "-c", A_CHILD + then)


BOTH_WAYS = pytest.mark.parametrize("read", [in_this_process, in_the_child, in_the_child_by_range])
