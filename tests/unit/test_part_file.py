"""Part files with every common type, codec and encoding are read correctly by both ways of decoding.

The worker decodes a usual part file in its own process, and any other part file in a child process.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from metrics_worker.dataset.rows import to_series
from tests.builders import day, parquet, rows
from tests.decoding import BOTH_WAYS, KEY

pytestmark = BOTH_WAYS


def table_of(read, table, codes=None, **options):
    return read(parquet(table, **options), codes)


def cleaned(read, table, code="A"):
    return to_series([(KEY, table_of(read, table))], code)


def observations(read, table, code="A"):
    series = cleaned(read, table, code).series
    return list(zip(series.times.tolist(), series.values.tolist(), strict=True))


def microseconds(moment):
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000


FIRST = microseconds(day(1))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/Argentina/Buenos_Aires", "+05:30"])
def test_times_of_any_unit_and_zone_are_instants_in_utc(read, unit, zone):
    times = pa.array([day(1), day(2)], pa.timestamp(unit)).cast(pa.int64()).cast(pa.timestamp(unit, zone))
    assert [time for time, _ in observations(read, rows("A", times, [1.0, 2.0]))] == [
        FIRST,
        microseconds(day(2)),
    ]


def test_local_midnight_with_a_zone_is_three_in_the_morning_in_utc(read):
    midnight = datetime(2026, 1, 5, tzinfo=ZoneInfo("America/Argentina/Buenos_Aires"))
    times = pa.array([midnight], pa.timestamp("ms", "America/Argentina/Buenos_Aires"))
    expected = microseconds(datetime(2026, 1, 5, 3, tzinfo=UTC))
    assert observations(read, rows("A", times, [1.0])) == [(expected, 1.0)]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_a_date_is_its_midnight_in_utc(read, kind):
    times = pa.array([date(2026, 1, 1), date(1969, 12, 31)], kind)
    assert observations(read, rows("A", times, [1.0, 2.0])) == [(-86_400_000_000, 2.0), (FIRST, 1.0)]


def test_int96_times_are_read(read):
    body = parquet(rows("A", [day(1)], [1.0]), use_deprecated_int96_timestamps=True)
    series = to_series([(KEY, read(body))], "A").series
    assert series.times.tolist() == [FIRST]


def test_nanoseconds_are_rounded_down_before_and_after_1970(read):
    times = pa.array([-1, -1000, -1001, 0, 999, 1999], pa.timestamp("ns"))
    series = cleaned(read, rows("A", times, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).series
    assert series.times.tolist() == [-2, -1, 0, 1]
    assert series.values.tolist() == [3.0, 2.0, 5.0, 6.0], "of two times that floor to one the later row wins"


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.decimal256(40, 10)),
        *(pa.decimal32(5, 1), pa.decimal64(12, 3)),
    ],
)
def test_values_of_any_numeric_type_become_float64(read, kind):
    values = (
        pa.array([Decimal(0), None, Decimal(100)]) if pa.types.is_decimal(kind) else pa.array([0, None, 100])
    )
    found = cleaned(read, rows("A", [day(1), day(2), day(3)], values.cast(kind)))
    assert found.series.values.tolist() == [0.0, 100.0]
    assert found.series.values.dtype == np.float64
    assert (found.rows, found.null) == (3, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([2**64 - 1], pa.uint64()), float(2**64 - 1)),
        (pa.array([2**53 + 1], pa.int64()), float(2**53 + 1)),
        (pa.array([-(2**63)], pa.int64()), -(2.0**63)),
        (pa.array([Decimal("1234567.89")], pa.decimal128(9, 2)), 1234567.89),
        (pa.array([Decimal("-0.1")], pa.decimal128(3, 1)), -0.1),
        (pa.array([0.1], pa.float32()), float(np.float32(0.1))),
    ],
)
def test_a_number_is_rounded_to_the_nearest_float64(read, values, expected):
    assert observations(read, rows("A", [day(1)], values)) == [(FIRST, expected)]


def test_rows_without_an_observation_are_counted_by_reason(read):
    values = [1.0, None, float("nan"), float("inf"), float("-inf"), 2.0, 3.0]
    times = [day(1), day(2), day(3), day(4), day(5), day(6), day(6)]
    found = cleaned(read, rows("A", times, values))
    assert found.series.values.tolist() == [1.0, 3.0]
    assert (found.rows, found.null, found.nan, found.infinite, found.duplicate) == (7, 1, 1, 2, 1)


def test_a_row_without_a_time_is_no_observation(read):
    found = cleaned(read, rows("A", [day(1), None], [1.0, 2.0]))
    assert (len(found.series), found.null) == (1, 1)


def test_a_null_or_nan_does_not_replace_an_earlier_value_of_the_same_time(read):
    found = cleaned(read, rows("A", [day(1), day(1), day(1)], [1.0, None, float("nan")]))
    assert found.series.values.tolist() == [1.0]
    assert (found.null, found.nan, found.duplicate) == (1, 1, 0)


def test_a_column_that_has_only_nulls_has_no_observation(read):
    found = cleaned(read, rows("A", [day(1), day(2)], pa.nulls(2)))
    assert (len(found.series), found.rows, found.null) == (0, 2, 2)


def test_a_file_without_rows_has_no_observation(read):
    assert cleaned(read, rows("A", [], [])).rows == 0


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
)
def test_series_are_distinguished_whatever_the_encoding_of_their_codes(read, kind):
    table = rows("A", [day(1), day(2), day(3)], [1.0, 2.0, 3.0])
    codes = pa.array(["A_B", "A", None]).cast(pa.string()).cast(kind)
    table = table.set_column(1, "internal_series_code", codes)
    assert observations(read, table) == [(microseconds(day(2)), 2.0)]
    assert observations(read, table, "A_B") == [(FIRST, 1.0)]
    assert table_of(read, table, ["A"]).num_rows == 1


def test_a_file_without_the_code_column_is_read_whole(read):
    table = table_of(read, rows(None, [day(1), day(2)], [1.0, 2.0]), ["B"])
    assert table.column_names == ["obs_time", "value"]
    assert table.num_rows == 2


def test_only_the_needed_columns_are_read_in_the_order_of_the_file(read):
    table = rows("A", [day(1)], [1.0]).append_column("unit", pa.array(["USD"])).select([3, 2, 1, 0])
    assert table_of(read, table).column_names == ["value", "internal_series_code", "obs_time"]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_a_file_of_any_codec_is_read(read, codec):
    assert table_of(read, rows("A", [day(1)], [1.0]), compression=codec).num_rows == 1


def test_files_of_different_kinds_make_one_series_in_their_order(read):
    first = table_of(read, rows("A", pa.array([day(1), day(2)], pa.timestamp("ns")), [1.0, 2.0]))
    second = table_of(
        read, rows("A", pa.array([day(2)], pa.timestamp("s", "UTC")), pa.array([3], pa.int32()))
    )
    third = table_of(read, rows(None, pa.array([date(2026, 1, 2)]), pa.array([Decimal(4)])))
    for order, wins in (
        ([first, second, third], 4.0),
        ([third, first, second], 3.0),
        ([second, third, first], 2.0),
    ):
        found = to_series([(KEY, table) for table in order], "A")
        assert found.series.values.tolist() == [1.0, wins]
        assert found.duplicate == 2
