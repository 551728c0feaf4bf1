"""The benchmarks: their S3 server, the metrics that they compute, their timing, and their tables."""

from concurrent.futures import ThreadPoolExecutor

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from benchmarks import s3, workload
from benchmarks.measure import Spread, in_turn, number, ratios, table


@pytest.fixture(scope="module")
def server():
    with s3.running() as running:
        yield running


@pytest.fixture(scope="module")
def store(server):
    return S3Store(
        "bucket",
        config={
            "endpoint": server.url,
            "region": "us-east-1",
            "access_key_id": "bench",
            "secret_access_key": "bench",
        },
        client_options={"allow_http": True},
    )


def test_the_server_checks_the_conditions_of_a_put_as_s3_does(store):
    etag = obstore.put(store, "taken", b"first", mode="create")["e_tag"]
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "taken", b"second", mode="create")
    obstore.put(store, "taken", b"third", mode={"e_tag": etag})
    with pytest.raises(PreconditionError):
        obstore.put(store, "taken", b"fourth", mode={"e_tag": etag})
    assert obstore.get(store, "taken").bytes() == b"third"


def test_the_server_returns_ranges_and_counts_requests(server, store):
    obstore.put(store, "letters", b"abcdef", use_multipart=False)
    server.counts()
    assert obstore.get(store, "letters", options={"range": (1, 3)}).bytes() == b"bc"
    assert obstore.get(store, "letters", options={"range": {"suffix": 2}}).bytes() == b"ef"
    assert obstore.get(store, "letters").bytes() == b"abcdef"
    assert server.counts() == {"GET range": 2, "GET": 1, "bytes out": 10}


@pytest.mark.parametrize("multipart", [True, False])
def test_the_server_stores_a_large_body(store, multipart):
    body = bytes(range(256)) * 65536
    obstore.put(store, "large", body, use_multipart=multipart, chunk_size=5 * 2**20)
    assert obstore.get(store, "large").bytes() == body


def test_the_server_lists_more_than_one_page_of_keys(store):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: obstore.put(store, f"many/{n:04d}", b""), range(1001)))
    assert len(obstore.list(store, "many/").collect()) == 1001


def test_the_six_metrics_use_five_series():
    assert workload.codes_of(workload.EXPRESSIONS) == set(workload.SERIES)
    assert workload.codes_of(["high"]) == {workload.SERIES[4]}


def test_a_series_has_one_part_file_for_each_month():
    names = list(workload.dataset(["A", "B"], months=14))
    assert len(names) == 28
    assert names[13] == "A/year=2004/month=02/data.parquet"


def test_contestants_alternate_and_slow_ones_can_have_fewer_rounds():
    turns: list[str] = []
    contestants = {"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}
    times = in_turn(contestants, {"a": 3, "b": 1})
    assert turns == ["a", "b", "a", "a"]
    assert [len(times[name].wall) for name in "ab"] == [3, 1]
    assert ratios([2, 9, 9], [4]) == Spread(0.5, 0.5, 0.5)


def test_a_number_is_printed_with_three_significant_digits():
    assert [number(n) for n in (0, 0.01234, 1.234, 12.34, 1234.5)] == ["0", "0.0123", "1.23", "12.3", "1,234"]


def test_a_table_is_printed_as_markdown():
    assert table("T", ["a", "b"], [[1, Spread(2, 1, 3)]]).splitlines() == [
        "### T",
        "",
        "| a   | b                   |",
        "| --- | ------------------- |",
        "| 1   | 2.00 (1.00 to 3.00) |",
    ]
