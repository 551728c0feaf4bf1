"""The child process that decodes unusual part files: its limits, its death, and reads after its death."""

import os
import sys

import obstore
import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.part_file import USUAL_ROWS, read_usual
from metrics_worker.dataset.reading import read_part_file
from metrics_worker.deadline import RESERVED_SECONDS, Deadline
from metrics_worker.errors import DecoderUnavailable, InputReadError, OutOfMemory, OutOfTime, StoreUnavailable
from metrics_worker.s3.bucket import StoredObject
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET, day, parquet, rows
from tests.decoding import KEY, admit, child, stored
from tests.parquet_bytes import parquet_bytes, series_columns

GOOD = stored(parquet(rows("A", [day(1)], [1.0]), compression="zstd"))
NOWHERE = S3Bucket(MemoryStore(), BUCKET)


def read(decoder, file=GOOD, bucket=NOWHERE, **options):
    return decoder.read(file, bucket, ["A"], options.get("admit", admit))


def test_only_files_with_few_rows_and_few_bytes_are_decoded_in_this_process():
    few = rows("A", [day(1)], [1.0])
    for codec in ("none", "snappy", "lz4", "zstd", "gzip", "brotli"):
        assert read_usual(stored(parquet(few, compression=codec)), None, admit) is not None
    bulky = few.append_column("payload", pa.array(["x" * 20_000_000]))
    assert read_usual(stored(parquet(bulky, compression="snappy")), None, admit) is not None
    assert read_usual(stored(parquet(bulky, compression="zstd")), None, admit) is None
    unstated = parquet_bytes(series_columns(10), codec="zstd", uncompressed_size=0)
    assert read_usual(stored(unstated), None, admit) is None
    many = stored(parquet_bytes(series_columns(USUAL_ROWS + 1)))
    assert read_usual(many, None, admit) is None


def test_usual_files_start_no_process():
    with Decoder(command=("/no/such/program",)) as decoder:
        file = stored(parquet(rows("A", [day(1)], [1.0])))
        assert read_part_file(file, NOWHERE, decoder).num_rows == 1


@pytest.mark.parametrize(
    ("then", "how"),
    [
        ("os.abort()", "signal SIGABRT"),
        ("os.kill(os.getpid(), 9)", "signal SIGKILL"),
        ("sys.exit(3)", "exit status 3"),
    ],
)
def test_a_file_that_ends_the_child_is_an_error_with_its_key_and_the_exit_status(then, how):
    with Decoder(command=child(then)) as decoder, pytest.raises(InputReadError) as raised:
        read(decoder)
    assert raised.value.subject == KEY
    assert raised.value.problem.endswith(f"it ended the decoding process with {how}")


@pytest.mark.parametrize("command", [("/no/such/program",), (sys.executable, "-c", "")])
def test_a_child_that_does_not_start_is_a_transient_error(command):
    with Decoder(command=command) as decoder, pytest.raises(DecoderUnavailable, match="did not start"):
        read(decoder)


def test_a_child_that_does_not_answer_is_ended_at_the_deadline():
    left = iter([RESERVED_SECONDS + 60] + [RESERVED_SECONDS + 0.05] * 9)
    decoder = Decoder(Deadline(lambda: int(1000 * next(left))), child("time.sleep(60)"))
    with decoder, pytest.raises(OutOfTime):
        read(decoder)
    assert decoder._child is None


def test_the_child_has_no_credentials(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    then = 'import json; answers.send_bytes(json.dumps({"error": " ".join(os.environ)}).encode())'
    with Decoder(command=child(then)) as decoder, pytest.raises(InputReadError) as raised:
        read(decoder)
    assert "AWS" not in raised.value.problem
    assert "PYTHONPATH" in raised.value.problem


def test_the_child_ends_with_the_decoder():
    with Decoder() as decoder:
        read(decoder)
        process = decoder._started().process
        assert process.poll() is None
    assert process.returncode is not None


def ends_by_error(decoder):
    with pytest.raises(InputReadError, match="no column"):
        read(decoder, stored(parquet(pa.table({"x": [1]}))))


def ends_by_damage(decoder):
    body = bytearray(bytes(GOOD.body))
    body[4:40] = b"\xff" * 36
    with pytest.raises(InputReadError, match="a page is damaged"):
        read(decoder, stored(bytes(body)))


def ends_by_refusal(decoder):
    def refuse(*_):
        raise OutOfMemory("A", "there is too little")

    with pytest.raises(OutOfMemory):
        read(decoder, admit=refuse)


def ends_by_death(decoder):
    def kill(*_):
        os.kill(decoder._child.process.pid, 9)

    with pytest.raises(InputReadError, match="SIGKILL"):
        read(decoder, admit=kill)


def ends_by_a_failing_store(decoder):
    class Failing(S3Bucket):
        def get_ranges(self, found, _):
            raise StoreUnavailable(found.key, "S3 failed")

    body = parquet(rows("A", [day(1)], [1.0]), compression="zstd")
    last = StoredObject(KEY, memoryview(body)[-100:], len(body), "")
    with pytest.raises(StoreUnavailable):
        read(decoder, last, Failing(MemoryStore(), BUCKET))


def ends_by_too_much_memory(decoder):
    table = rows("A", [day(1)] * 20_000, [1.0] * 20_000)
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000), pa.array(["x" * 200_000]))
    table = table.set_column(1, "internal_series_code", codes)  # Decoded as text, the codes would need 4 GB.
    with pytest.raises(InputReadError, match="memory"):
        decoder.read(stored(parquet(table, compression="zstd")), NOWHERE, None, admit)


@pytest.mark.parametrize(
    "end",
    [
        ends_by_error,
        ends_by_damage,
        ends_by_refusal,
        ends_by_death,
        ends_by_a_failing_store,
        ends_by_too_much_memory,
    ],
)
def test_a_read_succeeds_after_a_read_that_ended_early(end):
    with Decoder() as decoder:
        end(decoder)
        assert read(decoder)["value"].to_pylist() == [1.0]
        end(decoder)
        assert read(decoder)["value"].to_pylist() == [1.0]


def test_the_ranges_of_a_file_are_read_with_the_etag_of_its_tail():
    store = MemoryStore()
    bucket = S3Bucket(store, BUCKET)
    body = parquet(rows("A", [day(1)], [1.0]), compression="zstd")
    obstore.put(store, KEY, body, use_multipart=False)
    found = StoredObject(KEY, memoryview(body)[-100:], len(body), bucket.get(KEY).etag)
    with Decoder() as decoder:
        assert read(decoder, found, bucket).num_rows == 1
        obstore.put(store, KEY, body + b" ", use_multipart=False)
        with pytest.raises(StoreUnavailable):
            read(decoder, found, bucket)


def test_memory_is_claimed_for_the_rows_that_are_read_and_not_for_others():
    claims = []
    table = pa.concat_tables([rows(code, [day(1)] * 1000, [1.0] * 1000) for code in ("A", "B", "C")])
    body = parquet(table, compression="zstd", row_group_size=500)
    with Decoder() as decoder:
        read(decoder, stored(body), admit=lambda *claim: claims.append(claim))
    ((key, count, size),) = claims
    assert (key, count) == (KEY, 1000)
    assert 0 < size < len(body)
