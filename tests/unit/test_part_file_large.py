"""If a part file is too large for one request, only the needed row groups and columns are requested."""

from typing import Any

import numpy as np
import obstore
import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from metrics_worker.dataset.reading import read_part_file
from metrics_worker.dataset.rows import to_series
from metrics_worker.errors import InputReadError, StoreUnavailable
from metrics_worker.s3.bucket import WHOLE_BYTES, StoredObject
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET, parquet
from tests.decoding import DECODER

KEY = "datasets/fx/projections/A/data.parquet"


def large_file(store: MemoryStore, *, dictionary: bool = False) -> tuple[Any, bytes]:
    """Write a part file that is too large for one request, with ten row groups for each of two series.

    Args:
        store: the store to which the file is written.
        dictionary: whether the column of series codes is dictionary-encoded.

    Returns:
        (values, body): the values of the series A, and the content of the file.
    """
    count = 200_000
    noise = np.random.default_rng(7).normal(size=2 * count)
    times = (
        np.concatenate([np.arange(count), np.arange(count)]).astype("datetime64[s]").astype("datetime64[ns]")
    )
    codes = pa.array(["A"] * count + ["A_B"] * count)
    table = pa.table(
        {
            "obs_time": times,
            "internal_series_code": codes.dictionary_encode() if dictionary else codes,
            "value": noise,
            "collection_date": np.random.default_rng(8).integers(0, 2**60, 2 * count),
        }
    )
    body = parquet(table, row_group_size=count // 10)
    assert len(body) > 2 * WHOLE_BYTES
    obstore.put(store, KEY, body, use_multipart=False)
    return noise[:count], body


def read_large(codes: list[str] | None, *, dictionary: bool = False) -> tuple[pa.Table, float, int]:
    """Read a large part file, and assert that the values of the series A are correct.

    Args:
        codes: the codes of the series to read; None reads all rows.
        dictionary: whether the column of series codes is dictionary-encoded.

    Returns:
        The table, the fraction of the file's bytes that was read, and the number of GETs. The first GET,
        which reads the end of the file, is not counted.
    """
    store = MemoryStore()
    bucket = S3Bucket(store, BUCKET)
    values, body = large_file(store, dictionary=dictionary)
    found: list[StoredObject] = []
    bucket.get_many([KEY], found.append)
    assert (bucket.traffic.gets, bucket.traffic.bytes_read) == (1, WHOLE_BYTES)
    table = read_part_file(found[0], bucket, DECODER, codes)
    assert np.array_equal(to_series([(KEY, table)], "A").series.values, values)
    return table, (bucket.traffic.bytes_read - WHOLE_BYTES) / len(body), bucket.traffic.gets - 1


def test_only_the_row_groups_and_columns_of_the_series_are_read_from_a_large_file():
    table, part, gets = read_large(["A"])
    assert table.num_rows == 200_000
    assert part < 0.5, "of its bytes: half are another series', and half of those another column's"
    assert gets <= 10 * 3, "a row group's columns by a request each, at most"


def test_series_of_a_large_file_are_distinguished_whatever_the_encoding_of_their_codes():
    table, _, _ = read_large(["A", "Z"], dictionary=True)
    assert table.num_rows == 200_000
    assert table.schema.field("internal_series_code").type == pa.string()


def test_every_row_group_of_a_large_file_of_one_series_is_read():
    table, part, _ = read_large(None)
    assert table.num_rows == 400_000
    assert part < 1


def test_a_large_file_that_is_not_parquet_is_an_error():
    store = MemoryStore()
    bucket = S3Bucket(store, BUCKET)
    obstore.put(store, KEY, b"x" * (WHOLE_BYTES + 1), use_multipart=False)
    found: list[StoredObject] = []
    bucket.get_many([KEY], found.append)
    with pytest.raises(InputReadError, match=f"{KEY}: not readable as Parquet"):
        read_part_file(found[0], bucket, DECODER, ["A"])


def test_a_large_file_that_is_replaced_during_a_read_is_a_transient_error():
    store = MemoryStore()
    bucket = S3Bucket(store, BUCKET)
    _, body = large_file(store)
    found: list[StoredObject] = []
    bucket.get_many([KEY], found.append)
    obstore.put(store, KEY, body[::-1], use_multipart=False)
    with pytest.raises(StoreUnavailable) as failure:
        read_part_file(found[0], bucket, DECODER, ["A"])
    assert failure.value.subject == KEY
