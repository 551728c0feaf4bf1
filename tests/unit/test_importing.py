"""The import of CSV files: errors name the line, and readers see a whole import or nothing of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from metrics_tools.buckets.folder import FolderBucket
from metrics_tools.importing.cells import rewritten
from metrics_tools.importing.dataset import ForeignDatasetError, import_series
from metrics_tools.importing.observations import read_observations
from metrics_tools.importing.table import FileRefusedError
from metrics_tools.part_files import Description
from metrics_tools.validate.discovery import newest
from metrics_worker.errors import StoreUnavailable
from metrics_worker.s3.s3_bucket import S3Bucket
from metrics_worker.series import Series
from tests.builders import BUCKET, NOW, day, parquet, put_dataset, rows
from tests.docs.pages import ROOT

BASE = "datasets/mine/"


def read(tmp_path, text, *, name="my.csv", time=None, value=None):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_observations(path, time=time, value=value)


def as_list(found):
    times = found.cleaned.series.times.astype("datetime64[us]").tolist()
    return list(zip(times, found.cleaned.series.values.tolist(), strict=True))


def utc(*numbers):
    return datetime(*numbers)  # noqa: DTZ001 - numpy's times are naive


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("date,price\n2025-01-31,1.5\n2025-02-03,-2e3\n", ("date", "price")),
        ("\ufeffdate;name;price\r\n2025-01-31;a;1.5\r\n2025-02-03;b;-2000\r\n", ("date", "price")),
        (
            'id\tprice\t"when, exactly"\n\t1.5\t2025-01-31\n\n\t-2000\t2025-02-03T00:00:00Z\n',
            ("when, exactly", "price"),
        ),
        ("day,price\n2025-02-03,-2000\n2025-01-31 03:00+03:00,1.5\n", ("day", "price")),
    ],
)
def test_the_columns_are_guessed_and_rows_are_sorted(tmp_path, text, columns):
    found = read(tmp_path, text)
    assert (found.time_column, found.value_column) == columns
    assert as_list(found) == [(utc(2025, 1, 31), 1.5), (utc(2025, 2, 3), -2000.0)]


def test_columns_can_be_named(tmp_path):
    text = "made,obs,low,high\n2020-01-01,20250131,1,2\n"
    assert as_list(read(tmp_path, text, time="obs", value="high")) == [(utc(2025, 1, 31), 2.0)]


def test_empty_cells_and_repeated_times_are_counted(tmp_path):
    text = "t,v\n2025-01-01,1\n2025-01-02,\n2025-01-03,N/A\n,5\n2025-01-01,7\n2025-01-04,.\n"
    found = read(tmp_path, text)
    assert as_list(found) == [(utc(2025, 1, 1), 7.0)]
    assert (found.cleaned.rows, found.cleaned.null, found.cleaned.duplicate) == (6, 4, 1)


def test_a_parquet_file_is_accepted(tmp_path):
    body = parquet(rows(None, [day(1), day(2)], [1.0, 2.0]))
    assert len(as_list(read(tmp_path, body, name="my.parquet"))) == 2
    with pytest.raises(FileRefusedError, match="not readable as Parquet"):
        read(tmp_path, b"nothing", name="my.parquet")
    with pytest.raises(FileRefusedError, match="are for CSV"):
        read(tmp_path, body, name="my.parquet", time="t")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("t,v\n2025-01-01,1\n\n2025-01-02,1.x\n", "line 4, column v: expected a number, found '1.x'."),
        (
            "t;v\n2025-01-01;1\n2025-01-02;1,5\n",
            "line 3, column v: expected a number, found '1,5': write 1.5.",
        ),
        ("t,v\n2025-01-01,1\n2025-01-02,inf\n", "line 3, column v: expected a finite number"),
        ("t,v\n2025-01-01,1\n31/01/2025,1\n", "line 3, column t: expected a date or time such as 2025-01-31"),
        ("t,v\n2025-Q1,1\n2025-T2,1\n", "line 3, column t: expected a date or time such as 2025-01-31"),
        ("t,v\n2025-01-01,1\n1066-10-14,1\n", "line 3, column t: expected a year from 1678 to 2261"),
        (
            "t,v\n2025-01-01,1\n2025-13,1\n",
            "line 3, column t: expected a date or time such as 2025-01-31 or a month",
        ),
        (
            "t,v\n2025-01-01,1,2\n",
            "line 2: 3 cells, but the header has 2: 2025-01-01, 1, 2. Write numbers as 1.5",
        ),
        ("t;v\n2025-01-01;1;2\n", "line 2: 3 cells, but the header has 2: 2025-01-01, 1, 2."),
        ('t,v\n2025-01-01,"1\n', "line 2: not CSV"),
        ("2025-01-01,1\n", "line 1: expected the names of the columns"),
        (
            "t,v\n31/01/2025,1\n",
            "or quarters such as 2025-Q1. Line 2 is 31/01/2025, 1. Write the year first.",
        ),
        ("year,v\n2025,1\n", "For years such as 2025, or dates such as 20250131 or 202501, add --time NAME."),
        (
            "Price, USD\nt,v\n2025-01-01,1\n",
            "Line 2 is t, v. If line 1 is a title above the header, delete it.",
        ),
        ("t,v\n2025-01-01,x\n", "no column has numbers such as 1.5. Line 2 is 2025-01-01, x."),
        ("t,v\n2025-01-01,\n", "no column has numbers"),
        ("t;v\n2025-01-01;6,0\n", "line 2, column v: expected a number, found '6,0': write 6.0."),
        (
            "t,v\n2025-01,n.a.\n2025-02,1\n",
            "column v: expected a number, found 'n.a.': if there is no value, ",
        ),
        ("t,v\n2025-01,:\n", "line 2, column v: expected a number, found ':': if there is no value, empty"),
        ("t,v\n2025-01,1\n2025-02,2.5p\n", "line 3, column v: expected a number, found '2.5p': write 2.5."),
        ("t,v\n2025-01,2.5 (p)\n", "line 2, column v: expected a number, found '2.5 (p)': write 2.5."),
        ("t,v\n2025-01,1\n2025-02,..\n", "found '..': if there is no value, empty the cell."),
        (
            "t,v\n2025-01,1\nSource: NSO\n",
            "line 3: 1 cell, but the header has 2: Source: NSO. If the line is a",
        ),
        ("t,v\n", "line 1: no row is below the header t, v."),
        (
            "t,v\n2023-02-30,1\n",
            "line 2, column t: expected a date or time such as 2025-01-31 or a month such ",
        ),
        ("t,v\n2023-02-30,1\n", "found '2023-02-30': there is no such day or time."),
        (
            "t,v\n44927,1\n",
            "Line 2 is 44927, 1. If 44927 is a spreadsheet's number of a day, format the column",
        ),
        ("year,v\n2025,45000\n", "Line 2 is 2025, 45000. For years such as 2025"),
        (
            "t,v\nunit,index\n2025-01,1\n",
            "Line 2 is unit, index. If line 1 is a title above the header, delete",
        ),
        ("t,v\nunit,index\n2025-01,1\n", "If line 2 has units, delete that line."),
        (
            ",t\n1.5,2025-01\n",
            "no column has numbers such as 1.5. Line 2 is 1.5, 2025-01. The first column has",
        ),
        ("year,month,v\n2025,1,3\n", "Join the columns year and month into one column with months such as"),
        (
            "who,2023M01,2023M02\nDE,1,2\n",
            "found who, 2023M01, 2023M02. The file needs one row for each time",
        ),
        ("", "the file is empty"),
        (b"t,v\n2025-01-01,\xe9\n", "line 2: not UTF-8"),
    ],
)
def test_a_fault_is_reported_with_its_line(tmp_path, text, problem):
    with pytest.raises(FileRefusedError) as refused:
        read(tmp_path, text)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("202313", "found '202313'."),
        ("44927", "found '44927': if it is a spreadsheet's number of a day, format the column as dates."),
    ],
)
def test_a_named_column_of_digits_must_have_times(tmp_path, cell, problem):
    with pytest.raises(FileRefusedError) as refused:
        read(tmp_path, f"t,v\n{cell},1\n", time="t")
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("date;cpi;year\n2023-01-01;100,1;2023\n", "cpi (100,1), year (2023)"),
        ("date;cpi;year\n2023-01-01;:;2023\n", "cpi (:), year (2023)"),
        ("date;cpi;year\n2023-01-01;n.a.;2023\n2023-02-01;1.5;2023\n", "cpi (n.a.), year (2023)"),
        ("date;cpi;year\n2023-01-01;EUR;2023\n2023-02-01;1.5;2023\n", "cpi (EUR), year (2023)"),
        ("date,year,cpi\n2023-01,2023,2.5 (p)\n", "year (2023), cpi (2.5 (p))"),
        (
            "KEY,FREQ,DECIMALS,TIME_PERIOD,OBS_VALUE\nA.B,M,2,2013-01,2.1\n",
            "DECIMALS (2), OBS_VALUE (2.1)",
        ),
        ("date,a,b\n2025-01-01,1,2\n", "a (1), b (2)"),
    ],
)
def test_a_column_is_not_chosen_if_several_can_have_the_values(tmp_path, text, listed):
    with pytest.raises(FileRefusedError) as refused:
        read(tmp_path, text)
    assert f"2 columns can have the values: {listed}. Choose one with --value NAME." in str(refused.value)


def test_a_column_is_not_chosen_if_several_can_have_the_times(tmp_path):
    text = "realtime_start,date,value\n2025-03-01,2025-01-01,1.5\n"
    with pytest.raises(FileRefusedError) as refused:
        read(tmp_path, text)
    listed = "realtime_start (2025-03-01), date (2025-01-01)"
    assert f"2 columns can have the times: {listed}. Choose one with --time NAME." in str(refused.value)
    assert as_list(read(tmp_path, text, time="date")) == [(utc(2025, 1, 1), 1.5)]


def test_a_column_for_each_month_is_reported(tmp_path):
    with pytest.raises(FileRefusedError, match="one row for each month, not one column"):
        read(tmp_path, "Year,Jan,Feb\n2023,1,2\n2024,3,4\n", time="Year")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("updated,date,cpi\n11/06/26 11:00:00,2010-01,90.4\n11/06/26 11:00:00,2010-02,90.8\n", [90.4, 90.8]),
        (",CPI,date\n0,90.4,2010-01-31\n1,90.8,2010-02-28\n", [90.4, 90.8]),
        ("date;cpi;flag\n2010-01-31;90.4;p\n2010-02-28;90.8;\n", [90.4, 90.8]),
        ("date;unit;cpi;\n2010-01-31;EUR;90.4;\n2010-02-28;EUR;90.8;\n", [90.4, 90.8]),
        ("date,cpi\n,2015=100\n2010-01-31,90.4\n2010-02-28,90.8\n", [90.4, 90.8]),
    ],
)
def test_the_only_column_with_numbers_has_the_values(tmp_path, text, values):
    assert read(tmp_path, text).cleaned.series.values.tolist() == values


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("6,0", ["6.0"]),
        ("1,234.5", ["1234.5"]),
        ("1,234,567", ["1234567"]),
        ("1,234", ["1234", "1.234"]),
        ("-1.234,5", ["-1234.5"]),
        ("1\N{NO-BREAK SPACE}234,5", ["1234.5"]),
        ("\N{MINUS SIGN}1.5", ["-1.5"]),
        ("$1,234.50", ["1234.50"]),
        ("5 %", ["5"]),
        ("2.5p", ["2.5"]),
        ("100,1 (p)", ["100.1"]),
        ("1 234,5*", ["1234.5"]),
        ("2.5k", []),
        ("2.5M", []),
        ("1,2,3", []),
        ("x", []),
        ("", []),
    ],
)
def test_the_hint_for_a_refused_number_has_the_numbers_that_it_can_mean(cell, numbers):
    assert rewritten(cell) == numbers


@pytest.mark.parametrize(
    ("cells", "month", "named"),
    [
        (("2023-01", "2023-12"), 12, False),
        (("2023M01", "2023-M2"), 2, False),
        (("202301", "202312"), 12, True),
        (("2023-Q1", "2023Q4"), 10, False),
        (("2023-S1", "2023-h2"), 7, False),
        (("2023", "2023"), 1, True),
    ],
)
def test_a_period_is_its_first_day(tmp_path, cells, month, named):
    text = "period,v\n{},1\n{},2\n".format(*cells)
    found = as_list(read(tmp_path, text, time="period" if named else None))
    assert dict(found) == {utc(2023, 1, 1): 1.0} | {utc(2023, month, 1): 2.0}


@pytest.mark.parametrize(
    ("title", "line"),
    [("", 1), ("Consumer prices\n\n", 3), ("Consumer prices;\nUpdated 2025-02-01;\n", 3), ("sep=;\n", 2)],
)
def test_a_title_above_the_header_is_left_out(tmp_path, title, line):
    found = read(tmp_path, f"{title}date;v\n2025-01-31;1.5\n")
    assert (found.header_line, found.time_column, as_list(found)) == (line, "date", [(utc(2025, 1, 31), 1.5)])


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("Source: Office; downloaded 2025-02-01", 2),
        ("Price, in USD, 2015 = 100", 2),
        ("Source: Office; all items\nUpdated: 1 February, 10:00, by mail", 3),
        ("Prices|2015", 2),
        ("Prices, all items\nSource: Office", 3),
    ],
)
def test_a_title_may_contain_delimiters(tmp_path, title, line):
    found = read(tmp_path, f"{title}\nMonth,CPI\n2025-01,1.5\n")
    assert (found.header_line, found.time_column, as_list(found)) == (line, "Month", [(utc(2025, 1, 1), 1.5)])
    found = read(tmp_path, "Price, USD\nt;v\n2025-01-01;1\n")
    assert (found.header_line, as_list(found)) == (2, [(utc(2025, 1, 1), 1.0)])


def test_observations_without_a_header_are_not_taken_for_a_title(tmp_path):
    with pytest.raises(FileRefusedError, match="line 1: expected the names of the columns"):
        read(tmp_path, "2025-01-01,1\n2025-01-02,2\nt,v\n2025-01-03,3\n")


@pytest.mark.parametrize(("header", "columns"), [(",v", ("", "v")), ("date,", ("date", ""))])
def test_a_header_may_name_only_one_column(tmp_path, header, columns):
    found = read(tmp_path, f"{header}\n2025-01-31,1.5\n")
    assert (found.header_line, found.time_column, found.value_column) == (1, *columns)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"value": "pric"}, "no column 'pric'. Did you mean price?"),
        ({"time": "zzzzz"}, "The columns are date, price, x, x"),
        ({"value": "x"}, "2 columns have the name 'x'"),
    ],
)
def test_a_wrong_name_is_reported_with_the_existing_names(tmp_path, options, problem):
    with pytest.raises(FileRefusedError) as refused:
        read(tmp_path, "date,price,x,x\n2025-01-01,1,2,3\n", **options)
    assert problem in str(refused.value)


def test_a_file_without_observations_or_without_a_file_is_refused(tmp_path):
    with pytest.raises(FileRefusedError, match="no observation in 1 row"):
        read(tmp_path, "t,v\n2025-01-01,\n", value="v")
    with pytest.raises(FileRefusedError, match="No such file"):
        read_observations(tmp_path / "none.csv", time=None, value=None)


# The dataset


def daily(first: int, last: int, factor: Any = 1.0) -> Series:
    """Return a series with one observation at midnight UTC of each day from `first` to `last` - 1.

    The value of an observation is its time, in microseconds since 1970, multiplied by `factor`.

    Args:
        first: the first day; day 1 is 1 January 2026.
        last: the day after the last day.
        factor: the factor.
    """
    days = np.array([day(n) for n in range(first, last)], "datetime64[us]").astype(np.int64)
    return Series(days, days * factor)


def imported(bucket, code, series):
    return import_series(
        bucket, BASE, series, Description(code, None, None, NOW), now=lambda: datetime.now(UTC)
    )


def visible(bucket: S3Bucket) -> dict[str, list[float]]:
    """Return the values of each series in the newest version of the imported dataset `mine`, by series code.

    The result is empty if the dataset has no version.
    """
    manifest = newest(S3Bucket(bucket.store, BUCKET), "datasets/").manifests.get("mine")
    found = {}
    for code in sorted(manifest.series_codes or ()) if manifest else ():
        assert manifest
        bodies = [bucket.get(BASE + "projections/" + file).body for file in manifest.files_of(code)]
        tables = [pa.parquet.read_table(pa.BufferReader(body)) for body in bodies]
        found[code] = [row for table in tables for row in table["value"].to_pylist()]
    return found


@pytest.fixture
def bucket():
    return S3Bucket(MemoryStore(), BUCKET)


def test_a_second_series_is_added_and_a_second_import_replaces_only_changed_months(bucket):
    assert imported(bucket, "A", daily(1, 60)).part_files_written == 2
    assert imported(bucket, "B", daily(1, 10)).series == 2
    done = imported(bucket, "A", daily(1, 61))
    assert (done.part_files, done.part_files_written, done.version) == (3, 1, "v00000003")
    assert done.replaced
    assert done.replaced.observations == 59
    assert visible(bucket) == {"A": daily(1, 61).values.tolist(), "B": daily(1, 10).values.tolist()}
    imported(bucket, "A", daily(5, 8, factor=2.0))
    assert visible(bucket)["A"] == daily(5, 8, factor=2.0).values.tolist()


def test_the_manifest_has_the_form_of_the_contract(bucket):
    key = imported(bucket, "A", daily(1, 60)).manifest
    schema = json.loads((ROOT / "docs/contracts/schemas/dataset_manifest.json").read_text())
    jsonschema.validate(json.loads(bytes(bucket.get(key).body)), schema)


def test_a_dataset_of_another_program_is_never_changed(bucket):
    put_dataset(bucket.store, {"A/m.parquet": rows("A", [day(1)], [1.0])}, dataset="mine")
    before = [found.key for found in bucket.list("")]
    with pytest.raises(ForeignDatasetError, match="version v1 of datasets/mine/ was not created"):
        imported(bucket, "A", daily(1, 5))
    assert [found.key for found in bucket.list("")] == before


class Interrupted(S3Bucket):
    """A bucket that calls the function `hook` with the key of an object before it creates the object."""

    hook: ClassVar[Callable[[str], None]]

    def create(self, key, body):
        type(self).hook(key)
        return super().create(key, body)


@pytest.mark.parametrize("writes", range(3))
def test_an_interrupted_import_changes_nothing_that_readers_see_and_can_be_repeated(bucket, writes):
    imported(bucket, "A", daily(1, 60))
    made = []

    def hook(key):
        made.append(key)
        if len(made) > writes:
            raise StoreUnavailable(key, "interrupted")

    Interrupted.hook = staticmethod(hook)
    before = visible(bucket)
    with pytest.raises(StoreUnavailable):
        imported(Interrupted(bucket.store, BUCKET), "A", daily(1, 60, factor=3.0))
    assert visible(bucket) == before
    imported(bucket, "A", daily(1, 60, factor=3.0))
    assert visible(bucket) == {"A": daily(1, 60, factor=3.0).values.tolist()}


@pytest.mark.parametrize("first", [True, False])
def test_two_imports_at_the_same_time_lose_no_series(bucket, first):
    """Let another import commit just before this import creates its manifest.

    If `first` is true, the dataset does not exist before these imports.
    """
    if not first:
        imported(bucket, "C", daily(1, 3))
    others = [lambda: imported(bucket, "B", daily(1, 4)), lambda: imported(bucket, "D", daily(1, 5))]

    def hook(key):
        if key.endswith("manifest.json") and others:
            others.pop()()

    Interrupted.hook = staticmethod(hook)
    done = imported(Interrupted(bucket.store, BUCKET), "A", daily(1, 6))
    assert set(visible(bucket)) == {"A", "B", "D"} | (set() if first else {"C"})
    assert done.series == len(visible(bucket))


@pytest.mark.parametrize("first", [True, False])
def test_in_a_folder_a_version_without_a_manifest_is_not_a_version(tmp_path, first):
    """Leave the folder of a version without a manifest, as an import does that is in progress or was killed.

    If `first` is true, the dataset has no other version.
    """
    bucket = FolderBucket(tmp_path, BUCKET)
    if not first:
        imported(bucket, "A", daily(1, 3))
    (tmp_path / BASE / "versions" / "v00000005").mkdir(parents=True)
    assert imported(bucket, "B", daily(1, 4)).version == ("v00000001" if first else "v00000002")
    assert set(visible(bucket)) == ({"B"} if first else {"A", "B"})
