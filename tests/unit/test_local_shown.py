"""A local run as its page shows it: outcome, inputs, events, and the requests that the worker's log has."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from metrics_tools.local_cloud.events_heard import Heard, Story
from metrics_tools.local_cloud.outcome import Outcome
from metrics_tools.local_cloud.recomputed import Difference
from metrics_tools.local_cloud.samples import Sample
from metrics_tools.local_cloud.shown import shown
from metrics_tools.local_cloud.worker_log import traces
from metrics_worker.observability.traffic import Timed, Trace

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
RATES = {
    "USD": {date(2025, 1, day): float(day) for day in range(1, 6)},
    "BRL": {date(2025, 1, 2): 2.0, date(2025, 1, 4): 0.0, date(2025, 1, 5): 10.0},
}
USD, BRL, XAU = ({"series_code": f"ECB_{currency}_EUR_D"} for currency in ("USD", "BRL", "XAU"))


def outcome_of(right, **fields):
    request = {
        "runId": "r-1",
        "metricCode": "m.x",
        "description": "X",
        "unit": "per cent",
        "expressionJson": {"op": "ratio", "left": USD, "right": right},
    }
    return Outcome(Sample(Path("x.json"), "", request), **fields)


def heard(kind, **fields):
    return Heard(AT, {"type": f"metric_run_{kind}", "runId": "r-1", **fields})


def test_a_run_is_shown_with_its_inputs_its_counts_and_what_it_left():
    outcome = outcome_of(
        BRL,
        status="SUCCESS",
        version="v1",
        seconds=1.25,
        keys=["metrics/m.x/runs/r-1.ok"],
        times=[datetime(2025, 1, day, tzinfo=UTC) for day in (2, 5)],
        values=[1.0, 0.5],
        manifest={"row_count": 2},
        check=Difference(2, 0.0, None),
    )
    found = shown(outcome, Story(), RATES, None)
    assert (found.metric_code, found.run_id, found.title, found.unit) == ("m.x", "r-1", "X", "per cent")
    assert found.metric is not None
    assert found.metric.times.tolist() == [int(time.timestamp()) * 1_000_000 for time in outcome.times]
    assert found.metric.values.tolist() == [1.0, 0.5]
    assert {code: series.values.tolist() for code, series in found.inputs.items()} == {
        "ECB_USD_EUR_D": [1.0, 2.0, 3.0, 4.0, 5.0],
        "ECB_BRL_EUR_D": [2.0, 0.0, 10.0],
    }
    assert found.expression is not None
    assert found.expression.counts is not None
    assert found.expression.counts.observations == 2
    assert found.facts == [
        ("Version", "v1"),
        ("Time taken", "1.25 s"),
        ("Checked", "every row as recomputed from the source"),
    ]
    assert (found.keys, found.manifest, found.is_right) == (outcome.keys, {"row_count": 2}, True)


def test_of_a_series_that_is_not_there_nothing_is_counted_or_drawn():
    found = shown(outcome_of(XAU, status="FAILURE", error="E: none"), Story(), RATES, None)
    assert list(found.inputs) == ["ECB_USD_EUR_D"]
    assert found.expression is not None
    assert found.expression.counts is None
    assert (found.metric, found.error) == (None, "E: none")


def test_an_expression_that_is_none_is_left_out():
    found = shown(outcome_of({"series_code": 1}), Story(), RATES, None)
    assert (found.expression, found.inputs) == (None, {})


def test_a_run_with_complaints_is_not_right():
    assert not shown(outcome_of(BRL, complaints=["row counts differ"]), Story(), RATES, None).is_right


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (heard("started"), ""),
        (heard("heartbeat", progress=0.5), "50%"),
        (
            heard("completed", status="SUCCESS", rowCount=1234, versionTs="v1"),
            "SUCCESS, 1,234 rows, version v1",
        ),
        (heard("completed", status="FAILURE", error="E: none"), "FAILURE, E: none"),
        (heard("completed", status="FAILURE", error={"code": "E", "message": "none"}), "FAILURE, E: none"),
    ],
)
def test_status_events_say_what_they_said(event, detail):
    (found,) = shown(outcome_of(BRL), Story([event]), RATES, None).events
    assert (found.at, found.type, found.detail) == (AT, event.type, detail)


def test_the_requests_of_a_run_are_read_from_the_log_as_they_were_written(tmp_path):
    asked = [Timed("GET", "k", 0.5, 0.25, 7), Timed("PUT", "l", 1.0, 0.125, 0, "ObjectTaken")]
    trace = Trace(0.0, AT.timestamp(), asked, [("read", 0.25, 1.0)], left_out=3)
    closed = {"event_type": "metric_run_closed", "trace": trace.line()}
    log = tmp_path / "worker.log"
    lines = [
        "START RequestId: 1",
        json.dumps({**closed, "run_id": "r-1", "trace": Trace().line()}),
        json.dumps({**closed, "run_id": "r-1"}),
        json.dumps({"event_type": "metric_run_closed", "run_id": "r-2"}),
        "[1, 2]",
    ]
    log.write_text("\n".join(lines))
    assert traces(log) == {"r-1": trace}
