"""The checks after a local run: status events, published objects, and a second computation of the metric.

The second computation uses the rates in the ECB's file.
"""

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_tools.ecb import BUCKET
from metrics_tools.local_cloud.outcome import check_run, stored_dead_letters
from metrics_tools.local_cloud.recompute import compare, recompute
from metrics_tools.local_cloud.status_listener import RunEvents
from metrics_tools.published.status_event import StatusEvent
from metrics_tools.request_files import Sample
from metrics_worker.publication.dead_letter import DeadLetter

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
RATES = {
    "USD": {date(2025, 1, day): float(day) for day in range(1, 6)},
    "BRL": {date(2025, 1, 2): 2.0, date(2025, 1, 4): 0.0, date(2025, 1, 5): 10.0},
}
USD, BRL = {"series_code": "ECB_USD_EUR_D"}, {"seriesCode": "ECB_BRL_EUR_D"}
BASE = "metrics/m.x/"
VERSION = f"{BASE}v1/"


def at(*days):
    return [date(2025, 1, day) for day in days]


def sample(name="x.json", **fields):
    expression = {"op": "ratio", "left": USD, "right": BRL}
    return Sample(
        Path(name), "", {"runId": "r-1", "metricCode": "m.x", "expressionJson": expression, **fields}
    )


def published(values=(1.0, 0.5)):
    sink = io.BytesIO()
    times = [datetime(2025, 1, day, tzinfo=UTC) for day in (2, 5)]
    pq.write_table(pa.table({"obs_time": times, "value": list(values)}), sink)
    manifest = json.dumps(
        {"row_count": 2, "outputs": {"data_prefix": f"{VERSION}data/", "files": ["metrics.parquet"]}}
    ).encode()
    return {
        f"{VERSION}data/metrics.parquet": sink.getvalue(),
        f"{VERSION}manifest.json": manifest,
        f"{BASE}current/manifest.json": manifest,
        f"{BASE}runs/r-1.ok": b"{}",
    }


def run_events(*completed, started=True):
    events = [StatusEvent(AT, {"type": "metric_run_started", "runId": "r-1"})] if started else []
    events += [
        StatusEvent(AT + timedelta(seconds=2), {"type": "metric_run_completed", "runId": "r-1", **event})
        for event in completed
    ]
    return RunEvents(events)


SUCCESS = {
    "status": "SUCCESS",
    "versionTs": "v1",
    "outputManifest": f"{VERSION}manifest.json",
    "rowCount": 2,
}
FAILURE = {"status": "FAILURE", "error": "INPUT_READ_ERROR: no such series"}


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Any]:
    """Return `checked(requested, events, objects)`, which checks a run and returns its `Outcome`.

    `requested` is the `Sample` with the request, `events` are the `RunEvents` with the status events, and
    `objects` is a dict from the keys of the published objects to their bodies, by default of a correct
    version.
    """

    def check(requested, events, objects=None):
        for key, body in (published() if objects is None else objects).items():
            (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / key).write_bytes(body)
        return check_run(requested, events, tmp_path, RATES)

    return check


def test_a_run_as_expected_has_no_violation(checked):
    found = checked(sample(), run_events(SUCCESS))
    assert found.violations == []
    assert (found.values, found.seconds, found.check.checked) == ([1.0, 0.5], 2.0, 2)
    assert len(found.keys) == 4


def test_the_uri_of_the_v1_form_names_the_same_manifest(checked):
    events = run_events({**SUCCESS, "outputManifest": f"s3://{BUCKET}/{VERSION}manifest.json"})
    assert checked(sample(), events).violations == []


def without(key):
    return {name: body for name, body in published().items() if name != key}


@pytest.mark.parametrize(
    ("events", "objects", "violation"),
    [
        (run_events(), None, "no metric_run_completed"),
        (run_events(SUCCESS, SUCCESS), None, "arrived 2 times"),
        (run_events(SUCCESS, started=False), None, "no metric_run_started"),
        (run_events(FAILURE), None, "FAILURE instead of the expected SUCCESS: INPUT_READ_ERROR"),
        (run_events({**SUCCESS, "rowCount": 3}), None, "row counts differ: event 3, manifest 2, file 2"),
        (run_events({**SUCCESS, "versionTs": "v2"}), None, "does not have the key of its version"),
        (run_events(SUCCESS), {**published(), f"{BASE}current/manifest.json": b"{}"}, "does not name"),
        (run_events(SUCCESS), without(f"{BASE}runs/r-1.ok"), "no marker"),
        (run_events(SUCCESS), without(f"{VERSION}data/metrics.parquet"), "the version cannot be read"),
        (run_events(SUCCESS), published((1.0, 0.6)), "different from the recomputation: 0.6 instead of 0.5"),
    ],
)
def test_each_difference_from_the_expected_outcome_is_a_violation(checked, events, objects, violation):
    found = checked(sample(), events, objects)
    assert any(violation in text for text in found.violations), found.violations


def test_a_sample_that_must_fail_has_no_violation_if_it_fails_with_its_code(checked):
    requested = sample("fails-x.json", expectedError="INPUT_READ_ERROR")
    assert checked(requested, run_events(FAILURE)).violations == []
    v1 = {"status": "FAILURE", "error": {"code": "INPUT_READ_ERROR", "message": "no such series"}}
    assert checked(requested, run_events(v1)).violations == []


@pytest.mark.parametrize(
    ("events", "violation"),
    [
        (run_events(SUCCESS), "SUCCESS instead of the expected FAILURE"),
        (
            run_events({**FAILURE, "error": "CONFIG_ERROR: x"}),
            "CONFIG_ERROR instead of the expected INPUT_READ_ERROR",
        ),
    ],
)
def test_a_sample_that_must_fail_and_ends_otherwise_has_a_violation(checked, events, violation):
    requested = sample("fails-x.json", expectedError="INPUT_READ_ERROR")
    found = checked(requested, events)
    assert any(violation in text for text in found.violations)


def test_stored_dead_letters_are_read_from_the_copies(tmp_path):
    attributes = {"MessageGroupId": "m.x", "SentTimestamp": "1793613600000"}
    letter = DeadLetter(
        message_id="1",
        outcome="FAILURE",
        why="gave up",
        run_id="r-1",
        kept_at="",
        attributes=attributes,
        body="",
    )
    assert stored_dead_letters(tmp_path, "metrics/") == {}
    key = "metrics/_dead-letters/2026-11-02/1.json"
    (tmp_path / key).parent.mkdir(parents=True)
    (tmp_path / key).write_bytes(letter.encode())
    assert stored_dead_letters(tmp_path, "metrics/") == {key: letter}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (USD, dict(zip(at(1, 2, 3, 4, 5), [1, 2, 3, 4, 5], strict=True))),
        ({"op": "ratio", "left": USD, "right": BRL, "scale": 10}, dict(zip(at(2, 5), [10, 5], strict=True))),
        ({"op": "subtract", "left": USD, "right": BRL}, dict(zip(at(2, 4, 5), [0, 4, -5], strict=True))),
        ({"op": "sma", "series": USD, "window": 3}, dict(zip(at(3, 4, 5), [2, 3, 4], strict=True))),
        ({"op": "sum", "series": BRL, "window": 2}, dict(zip(at(4, 5), [2, 10], strict=True))),
        ({"op": "max", "series": BRL, "window": 2}, dict(zip(at(4, 5), [2, 10], strict=True))),
        ({"op": "lag", "series": BRL, "window": 1}, dict(zip(at(4, 5), [2, 0], strict=True))),
        ({"op": "lag", "series": BRL, "window": 9}, {}),
        ({"op": "ema", "series": BRL, "window": 3}, dict(zip(at(2, 4, 5), [2, 1, 5.5], strict=True))),
        ({"op": "avg", "operands": [USD, BRL]}, dict(zip(at(1, 2, 3, 4, 5), [1, 2, 3, 2, 7.5], strict=True))),
        ({"op": "min", "operands": [USD, BRL]}, dict(zip(at(1, 2, 3, 4, 5), [1, 2, 3, 0, 5], strict=True))),
        (
            {"op": "subtract", "left": {"const": 1}, "right": BRL},
            dict(zip(at(2, 4, 5), [-1, 1, -9], strict=True)),
        ),
        (
            {"op": "multiply", "left": BRL, "right": {"const": 3}},
            dict(zip(at(2, 4, 5), [6, 0, 30], strict=True)),
        ),
        (
            {"op": "sum", "series": BRL, "window": 2, "min_periods": 1},
            dict(zip(at(2, 4, 5), [2, 2, 10], strict=True)),
        ),
        (
            {"op": "sum", "series": BRL, "window": 2, "unit": "days"},
            dict(zip(at(2, 4, 5), [2, 0, 10], strict=True)),
        ),
        (
            {"op": "max", "series": BRL, "window": 3, "unit": "days", "min_periods": 2},
            dict(zip(at(4, 5), [2, 10], strict=True)),
        ),
        ({"op": "zscore", "series": USD, "window": 3}, dict(zip(at(3, 4, 5), [1, 1, 1], strict=True))),
        ({"op": "lag", "series": BRL, "window": 1, "unit": "days"}, dict(zip(at(4, 5), [2, 0], strict=True))),
        (
            {"op": "lag", "series": BRL, "window": 1, "unit": "days", "max_age_days": 0},
            dict(zip(at(5), [0], strict=True)),
        ),
        ({"op": "diff", "series": USD, "window": 1}, dict(zip(at(2, 3, 4, 5), [1, 1, 1, 1], strict=True))),
        ({"op": "pct_change", "series": BRL, "window": 1}, dict(zip(at(4), [-1], strict=True))),
        (
            {"op": "rebase", "series": USD, "at": "2025-01-04"},
            dict(zip(at(4, 5), [100, 125], strict=True)),
        ),
        ({"op": "rebase", "series": BRL, "at": "2025-01-03"}, {}),
        ({"op": "resample", "series": USD, "to": "month", "how": "mean"}, {}),
        (
            {"op": "resample", "series": USD, "to": "month", "how": "mean", "partial": True},
            dict(zip(at(5), [3], strict=True)),
        ),
        (
            {
                "op": "resample",
                "series": USD,
                "to": "month",
                "how": "mean",
                "tz": "America/Argentina/Buenos_Aires",
            },
            {date(2025, 1, 1): 1},
        ),
    ],
)
def test_the_recomputation_follows_the_algebra(node, expected):
    assert recompute(node, RATES) == expected


@pytest.mark.parametrize(
    ("day", "unit", "expected"),
    [
        (date(2024, 3, 31), "months", date(2024, 2, 29)),
        (date(2025, 3, 31), "quarters", date(2024, 12, 31)),
        (date(2024, 2, 29), "years", date(2023, 2, 28)),
        (date(2025, 1, 1), "weeks", date(2024, 12, 25)),
    ],
)
def test_the_recomputation_finds_earlier_dates_by_the_calendar(day, unit, expected):
    rates = {"USD": {expected: 1.0, day: 2.0}}
    node = {"op": "lag", "series": USD, "window": 1, "unit": unit, "max_age_days": 0}
    assert recompute(node, rates) == {day: 1.0}


@pytest.mark.parametrize(
    "node",
    [
        {"series_code": "BCRA_RESERVAS_USD_M_D"},
        {"op": "abs", "series": USD, "window": 1},
        {"op": "median", "series": USD, "window": 9},
        {"op": "corr", "left": USD, "right": BRL, "window": 2},
        {"op": "fill", "series": BRL, "like": USD, "method": "previous"},
        {"op": "resample", "series": USD, "to": "week", "how": "mean"},
        {"op": "resample", "series": USD, "to": "year", "how": "mean", "stamp": "start"},
        {"op": "max", "operands": [USD, {"const": 0}]},
    ],
)
def test_other_series_and_operations_are_not_recomputed(node):
    with pytest.raises(KeyError):
        recompute(node, RATES)


ONE_DAY_AND_NEXT = dict(zip(at(1, 2), [1.0, 200.0], strict=True))


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (ONE_DAY_AND_NEXT, None),
        (dict(zip(at(1, 2), [1.0, 200.0000001], strict=True)), None),
        (dict(zip(at(1, 2), [1.0, 200.001], strict=True)), "200.001 instead of 200.0 on 2025-01-02"),
        (dict(zip(at(1), [1.0], strict=True)), "1 observations instead of 2"),
        (dict(zip(at(1, 3), [1.0, 200.0], strict=True)), "no observation on 2025-01-02"),
    ],
)
def test_a_difference_beyond_rounding_is_a_problem(found, problem):
    assert compare(found=found, expected=ONE_DAY_AND_NEXT).problem == problem
