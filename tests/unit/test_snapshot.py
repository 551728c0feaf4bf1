"""The format of a snapshot: decoding restores the encoded rows exactly, and rejects all other bytes."""

import json
import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from metrics_worker.dataset.snapshot import (
    MAGIC,
    PartFiles,
    Snapshot,
    Subject,
    UnusableSnapshot,
    decode,
    encode,
    plain_etag,
    splice,
    unchanged,
)

SUBJECT = Subject("datasets/fx/projections/", "A", by_path=True)
HEAD = 56
"""The offset of the head."""


def snapshot(*files: tuple[str, str, int, Sequence[int], int]) -> Snapshot:
    """Return a snapshot of part files, in which the value of each observation is half of its time.

    Args:
        files: (key, ETag, size in bytes, times of the observations, number of nulls) of each part file.
    """
    times = np.array([time for file in files for time in file[3]], np.int64)
    columns = PartFiles(
        keys=[file[0] for file in files],
        etags=[file[1] for file in files],
        sizes=[file[2] for file in files],
        rows=[len(file[3]) for file in files],
        nulls=[file[4] for file in files],
    )
    return Snapshot(columns, times, times / 2)


THREE = snapshot(
    ("A/1.parquet", "e1", 10, (1, 2), 0), ("A/2.parquet", "e2", 20, (), 3), ("A/3.parquet", "e3", 30, (5,), 1)
)


def same(found, expected):
    assert found.files == expected.files
    assert found.times.tobytes() == expected.times.tobytes()
    assert found.values.tobytes() == expected.values.tobytes()


def altered(body: bytes, **changes: Any) -> bytes:
    """Return a copy of an encoded snapshot whose JSON head has other values in some fields.

    The checksum of the copy is correct.

    Args:
        body: the encoded snapshot.
        changes: the new values, by the names of the fields.
    """
    length, rows = struct.unpack_from("<QQ", body, 40)
    head = json.loads(body[HEAD : HEAD + length]) | changes
    return with_head(json.dumps(head).encode(), rows, body[HEAD + length :])


def with_head(head: bytes, rows: int, arrays: bytes) -> bytes:
    head += b" " * (-len(head) % 8)
    checked = struct.pack("<QQ", len(head), rows) + head + arrays
    return MAGIC + sha256(checked).digest() + checked


@pytest.mark.parametrize("kept", [THREE, snapshot(), snapshot(("A/1", "e", 0, (), 0))])
def test_a_snapshot_is_read_as_it_was_written(kept):
    same(decode(memoryview(encode(kept, SUBJECT)), SUBJECT), kept)


def test_every_value_keeps_its_bits():
    bits = np.array(
        [0, 1, 1 << 63, 0x7FF0000000000000, 0x7FF8000000000001, 0xFFF8DEADBEEF0000, 0x3FB999999999999A],
        np.uint64,
    )
    times = np.array([-(2**63), 2**63 - 1, 0, -1, 1, 7, 8])
    kept = Snapshot(PartFiles(["k"], ["e"], [1], [7], [0]), times, bits.view(np.float64))
    same(decode(memoryview(encode(kept, SUBJECT)), SUBJECT), kept)


def test_names_of_any_text_are_kept():
    kept = snapshot(('A/ü"\\\n雪=1.parquet', "e", 1, (1,), 0))
    subject = Subject("datasets/ü/", "ä ö", by_path=False)
    same(decode(memoryview(encode(kept, subject)), subject), kept)


def test_a_document_at_an_odd_address_is_read():
    body = memoryview(b"x" + encode(THREE, SUBJECT))[1:]
    found = decode(body, SUBJECT)
    same(found, THREE)
    assert found.times.flags.aligned


def test_the_arrays_of_a_document_cannot_be_written_to():
    assert not decode(memoryview(encode(THREE, SUBJECT)), SUBJECT).values.flags.writeable


def test_every_cut_and_every_changed_byte_is_noticed():
    body = encode(THREE, SUBJECT)
    for end in range(len(body)):
        with pytest.raises(UnusableSnapshot):
            decode(memoryview(body[:end]), SUBJECT)
    for at in range(len(body)):
        for bit in (1, 128):
            damaged = bytearray(body)
            damaged[at] ^= bit
            with pytest.raises(UnusableSnapshot):
                decode(memoryview(damaged), SUBJECT)
    with pytest.raises(UnusableSnapshot):
        decode(memoryview(body + b"\0"), SUBJECT)


@pytest.mark.parametrize(
    "subject",
    [
        SUBJECT._replace(projections="datasets/gx/projections/"),
        SUBJECT._replace(code="B"),
        SUBJECT._replace(by_path=False),
    ],
)
def test_the_snapshot_of_another_series_is_refused(subject):
    with pytest.raises(UnusableSnapshot, match="another series"):
        decode(memoryview(encode(THREE, SUBJECT)), subject)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": [3, 0, 1]},
        {"rows": [2, 0, 0]},
        {"rows": [4, -2, 1]},
        {"rows": [2**62, -(2**62) + 2, 1]},
        {"rows": [2.0, 0, 1]},
        {"rows": [True, 1, 1]},
        {"rows": ["2", 0, 1]},
        {"rows": [2, 1]},
        {"rows": {"0": 3}},
        {"rows": None},
        {"rows": "201"},
        {"nulls": [0, -3, 1]},
        {"sizes": [10, 20, -30]},
        {"etags": ["e1", "e2"]},
        {"etags": [1, 2, 3]},
        {"keys": ["A/1.parquet", "A/1.parquet", "A/3.parquet"]},
        {"keys": [["A/1.parquet"], "A/2.parquet", "A/3.parquet"]},
        {"code": ["A"]},
        {"by_path": None},
    ],
)
def test_a_forged_head_with_a_correct_checksum_is_refused(changes):
    with pytest.raises(UnusableSnapshot):
        decode(memoryview(altered(encode(THREE, SUBJECT), **changes)), SUBJECT)


@pytest.mark.parametrize("head", [b"", b"[]", b"7", b'"text"', b"{}", b"{", b"\xff", b"[" * 100_000])
def test_a_head_that_is_not_one_is_refused(head):
    with pytest.raises(UnusableSnapshot):
        decode(memoryview(with_head(head, 0, b"")), SUBJECT)


@pytest.mark.parametrize(("length", "rows"), [(2**64 - 8, 0), (0, 2**60), (2**63, 2**63), (2**64 - 1, 1)])
def test_stated_sizes_beyond_the_document_allocate_nothing(length, rows):
    checked = struct.pack("<QQ", length, rows) + b"{}      "
    with pytest.raises(UnusableSnapshot, match="size"):
        decode(memoryview(MAGIC + sha256(checked).digest() + checked), SUBJECT)


def test_a_part_file_is_unchanged_if_its_etag_and_size_are():
    current = {"A/1.parquet": ("e1", 10), "A/2.parquet": ("e2", 21), "A/3.parquet": ("new", 30)}
    assert unchanged(THREE, current) == {"A/1.parquet"}
    assert unchanged(THREE, {}) == set()


def test_an_empty_etag_identifies_nothing():
    assert unchanged(snapshot(("k", "", 1, (1,), 0)), {"k": ("", 1)}) == set()


@pytest.mark.parametrize(("etag", "expected"), [('"abc"', "abc"), ("abc", "abc"), ('W/"abc"', ""), ("", "")])
def test_etags_are_compared_without_quotation_marks_and_weak_ones_not_at_all(etag, expected):
    assert plain_etag(etag) == expected


def test_a_part_file_that_was_read_replaces_the_stored_one():
    read = snapshot(("A/2.parquet", "new", 22, (3, 4), 0))
    found = splice(THREE.files.keys, THREE, read)
    assert found.times.tolist() == [1, 2, 3, 4, 5]
    assert found.values.tolist() == [0.5, 1, 1.5, 2, 2.5]
    assert found.files == PartFiles(
        ["A/1.parquet", "A/2.parquet", "A/3.parquet"],
        ["e1", "new", "e3"],
        [10, 22, 30],
        [2, 2, 1],
        [0, 0, 1],
    )


@pytest.mark.parametrize(
    ("keys", "times"),
    [
        ("123", [1, 2, 5]),
        ("321", [5, 1, 2]),
        ("13", [1, 2, 5]),
        ("31", [5, 1, 2]),
        ("0132", [9, 1, 2, 5]),
        ("1230", [1, 2, 5, 9]),
        ("103", [1, 2, 9, 5]),
        ("2", []),
        ("0", [9]),
        ("", []),
    ],
)
def test_the_rows_have_the_order_of_the_keys(keys, times):
    read = snapshot(("A/0.parquet", "e0", 1, (9,), 0))
    names = [f"A/{key}.parquet" for key in keys]
    found = splice(names, THREE, read)
    assert found.times.tolist() == times
    assert found.files.keys == names
    assert found.files.rows == [{"0": 1, "1": 2, "2": 0, "3": 1}[key] for key in keys]
