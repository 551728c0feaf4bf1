"""The comparison of a run with the current version: which losses of rows are reported, and in which words."""

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from metrics_worker.errors import InputReadError
from metrics_worker.observability.report import RunReport
from metrics_worker.publication.commit import Draft
from metrics_worker.publication.records import InputSummary, Keys
from metrics_worker.publication.shrink import check_shrink, find_shrink
from metrics_worker.request import Run
from metrics_worker.s3.bucket import StoredObject
from metrics_worker.series import Series
from metrics_worker.settings import Settings
from tests.builders import NOW

EXPRESSION = {"op": "sma", "series": {"series_code": "A"}, "window": 2}
INCREMENTAL = "an incremental manifest lists only the part files that its version touched"


def summary(code, observations, part_files=1):
    return InputSummary(
        dataset_id="fx",
        dataset_version="v1",
        series_code=code,
        part_files=part_files,
        rows=observations,
        observations=observations,
        null=0,
        nan=0,
        infinite=0,
        duplicate=0,
    )


def draft(rows, *inputs, expression=EXPRESSION):
    run = Run("run-2", "m", v1=False, requested_at=NOW, event={})
    result = Series(np.arange(rows), np.ones(rows))
    return Draft(run, Keys("metrics/m/"), result, expression, list(inputs), "snappy")


def current(rows: int, *inputs: InputSummary, **fields: Any) -> StoredObject:
    """Return the object `current/manifest.json` of a version that was requested a day before the run.

    Args:
        rows: the number of rows of the version.
        inputs: the summaries of its inputs.
        fields: changed fields of the manifest; None removes a field.
    """
    body = {
        "version_ts": "2026-10-29T12-00-00",
        "created_at": (NOW - timedelta(days=1)).isoformat(),
        "requested_at": (NOW - timedelta(days=1)).isoformat(),
        "row_count": rows,
        "expression": EXPRESSION,
        "inputs": [found.model_dump() for found in inputs],
    } | fields
    return stored(json.dumps({name: value for name, value in body.items() if value is not None}).encode())


def stored(body: bytes) -> StoredObject:
    return StoredObject("metrics/m/current/manifest.json", memoryview(body), len(body), "etag")


def shrunk(now, before, ratio=0.1, *, by_listing=False):
    return find_shrink(now, before, ratio, by_listing=by_listing)


def test_a_series_that_lost_most_of_its_part_files_is_named_with_the_counts_of_both_versions():
    found = shrunk(draft(6, summary("A", 6)), current(5720, summary("A", 5720, 275)))
    assert found.series == ("A",)
    assert found.text.startswith(
        "6 rows, 5,720 in version 2026-10-29T12-00-00; "
        "A has 6 observations in 1 part file, before 5,720 in 275 part files; "
    )
    assert found.text.endswith(f"{INCREMENTAL}: for such an ingestor set WORKER_SERIES_FILES=listing")


def test_the_cause_for_a_run_that_listed_its_files_does_not_suggest_listing():
    found = shrunk(draft(6, summary("A", 6)), current(20, summary("A", 20)), by_listing=True)
    assert "WORKER_SERIES_FILES" not in found.text
    assert "below the series' prefix" in found.text


@pytest.mark.parametrize(
    ("before", "now", "ratio", "is_lost"),
    [
        (100, 91, 0.1, False),
        (100, 90, 0.1, True),
        (70, 63, 0.1, True),
        (30, 27, 0.1, True),
        (1_000_000, 900_001, 0.1, False),
        (10, 10, 0.0, False),
        (10, 9, 0.0, True),
        (10, 11, 0.0, False),
        (10, 1, 1.0, False),
        (10, 0, 1.0, True),
        (0, 0, 0.1, False),
        (0, 5, 0.1, False),
    ],
)
def test_a_loss_counts_if_it_reaches_the_ratio_of_the_settings(before, now, ratio, is_lost):
    assert (shrunk(draft(now), current(before), ratio) is not None) == is_lost
    by_input = shrunk(draft(7, summary("A", now)), current(7, summary("A", before)), ratio)
    assert (by_input is not None) == is_lost


def test_an_input_that_shrank_is_found_although_the_version_has_as_many_rows_as_before():
    found = shrunk(
        draft(50, summary("A", 50), summary("B", 2)), current(50, summary("A", 50), summary("B", 50))
    )
    assert found.series == ("B",)


def test_the_series_with_the_largest_losses_come_first_and_the_others_are_counted():
    codes = {"A": 90, "B": 10, "C": 50, "D": 20, "E": 99}
    now = [summary(code, count) for code, count in codes.items()]
    before = [summary(code, 100) for code in codes]
    found = shrunk(draft(9, *now), current(9, *before))
    assert found.series == ("B", "D", "C", "A")
    assert (
        "C has 50 observations in 1 part file, before 100 in 1 part file; and 1 more series; " in found.text
    )
    assert "A has" not in found.text


def test_a_version_that_shrank_while_its_inputs_did_not_has_another_cause():
    found = shrunk(draft(2, summary("A", 50)), current(40, summary("A", 50)))
    assert found.series == ()
    assert "no input series shrank" in found.text


def test_rows_are_not_compared_across_different_expressions_but_inputs_are():
    longer = EXPRESSION | {"window": 200}
    now = draft(2, summary("A", 201), expression=longer)
    assert shrunk(now, current(200, summary("A", 201))) is None
    assert shrunk(now, current(200, summary("A", 2010))).series == ("A",)


def test_an_expression_is_the_same_if_its_numbers_are():
    now = draft(2, expression=EXPRESSION | {"scale": 1.0})
    assert shrunk(now, current(40, expression=EXPRESSION | {"scale": 1})) is not None


def test_a_manifest_of_the_predecessor_has_only_a_row_count():
    before = current(5720, expression=None, inputs=None, requested_at=None)
    assert shrunk(draft(6, summary("A", 6)), before) is not None
    assert shrunk(draft(5720, summary("A", 6)), before) is None


def test_a_series_that_the_version_before_did_not_read_is_not_compared():
    assert shrunk(draft(40, summary("C", 1)), current(40, summary("A", 50))) is None


def test_a_run_that_was_requested_before_the_current_version_is_not_compared():
    later = (NOW + timedelta(seconds=1)).isoformat()
    assert shrunk(draft(2), current(40, requested_at=later)) is None
    assert shrunk(draft(2), current(40, requested_at=NOW.isoformat())) is not None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"row_count": "many"}', b'{"version_ts": "x"}', b"\xff"]
)
def test_a_current_that_cannot_be_understood_is_not_compared(body):
    assert shrunk(draft(2), stored(body)) is None
    assert shrunk(draft(2), None) is None


@pytest.mark.parametrize(
    "fields", [{"inputs": [{"series_code": "A"}]}, {"inputs": "A"}, {"row_count": None}, {"expression": 7}]
)
def test_a_manifest_with_fields_of_unexpected_types_is_not_compared(fields):
    assert shrunk(draft(2), current(40, **fields)) is None


def test_a_current_with_an_invalid_time_counts_as_the_oldest():
    assert shrunk(draft(2), current(40, requested_at="yesterday", created_at="before")) is not None


# Settings


def checked(**settings):
    report = RunReport(run_id="run-2", metric_code="m", attempt=1)
    check_shrink(
        draft(6, summary("A", 6)), current(5720, summary("A", 5720, 275)), Settings(**settings), report
    )
    return report


def test_a_loss_is_noted_in_the_report_by_default():
    assert checked().shrunk.startswith("6 rows, 5,720 in version")


def test_nothing_is_compared_if_the_setting_is_off():
    assert checked(WORKER_SHRINK="off").shrunk is None


def test_a_loss_below_the_ratio_is_not_noted():
    assert checked(WORKER_SHRINK="refuse", WORKER_SHRINK_RATIO="1").shrunk is None


def test_a_refusal_names_the_series_and_the_remedy():
    with pytest.raises(InputReadError) as raised:
        checked(WORKER_SHRINK="refuse")
    said = str(raised.value)
    assert said.startswith("INPUT_READ_ERROR: Failed to read input series: A: 6 rows, 5,720 in version ")
    assert "set WORKER_SERIES_FILES=listing; if fewer rows are intended, set WORKER_SHRINK=warn" in said
    assert len(said) < 1000, "events cut it off there"


def test_a_refusal_without_an_input_that_shrank_names_the_inputs():
    report = RunReport(run_id="run-2", metric_code="m", attempt=1)
    with pytest.raises(InputReadError, match="inputs: 2 rows, 40 in version"):
        check_shrink(draft(2), current(40), Settings(WORKER_SHRINK="refuse"), report)
    assert report.shrunk
