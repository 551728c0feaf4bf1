"""The values that the page of a local run shows: outcome, inputs, events, and the requests of the worker."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from metrics_tools.local_cloud.outcome import Outcome
from metrics_tools.local_cloud.page import shown_run
from metrics_tools.local_cloud.recompute import Comparison
from metrics_tools.local_cloud.status_listener import RunEvents
from metrics_tools.local_cloud.worker_log import traces
from metrics_tools.published.status_event import StatusEvent
from metrics_tools.request_files import Sample
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


def status_event(kind, **fields):
    return StatusEvent(AT, {"type": f"metric_run_{kind}", "runId": "r-1", **fields})


def test_a_run_is_shown_with_its_inputs_counts_and_objects():
    outcome = outcome_of(
        BRL,
        status="SUCCESS",
        version="v1",
        seconds=1.25,
        keys=["metrics/m.x/runs/r-1.ok"],
        times=[datetime(2025, 1, day, tzinfo=UTC) for day in (2, 5)],
        values=[1.0, 0.5],
        manifest={"row_count": 2},
        check=Comparison(2, 0.0, None),
    )
    found = shown_run(outcome, RunEvents(), RATES, None)
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
        ("Checked", "every row equals a recomputation from the source"),
    ]
    assert (found.keys, found.manifest, found.is_right) == (outcome.keys, {"row_count": 2}, True)


def test_a_missing_series_is_not_drawn_and_the_expression_has_no_counts():
    found = shown_run(outcome_of(XAU, status="FAILURE", error="E: none"), RunEvents(), RATES, None)
    assert list(found.inputs) == ["ECB_USD_EUR_D"]
    assert found.expression is not None
    assert found.expression.counts is None
    assert (found.metric, found.error) == (None, "E: none")


def test_the_key_of_a_dead_letter_is_shown():
    outcome = outcome_of(
        USD, status="FAILURE", error="INTERNAL_ERROR: gave up", dead_letter="metrics/_dead-letters/x"
    )
    assert shown_run(outcome, RunEvents(), RATES, None).facts == [
        ("Published by", "the dead-letter function"),
        ("Message stored at", "metrics/_dead-letters/x"),
    ]


def test_an_invalid_expression_is_not_shown():
    found = shown_run(outcome_of({"series_code": 1}), RunEvents(), RATES, None)
    assert (found.expression, found.inputs) == (None, {})


def test_a_run_with_violations_is_not_right():
    assert not shown_run(outcome_of(BRL, violations=["row counts differ"]), RunEvents(), RATES, None).is_right


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (status_event("started"), ""),
        (status_event("heartbeat", progress=0.5), "50%"),
        (
            status_event("completed", status="SUCCESS", rowCount=1234, versionTs="v1"),
            "SUCCESS, 1,234 rows, version v1",
        ),
        (status_event("completed", status="FAILURE", error="E: none"), "FAILURE, E: none"),
        (
            status_event("completed", status="FAILURE", error={"code": "E", "message": "none"}),
            "FAILURE, E: none",
        ),
    ],
)
def test_status_events_are_summed_up_in_words(event, detail):
    (found,) = shown_run(outcome_of(BRL), RunEvents([event]), RATES, None).events
    assert (found.at, found.type, found.detail) == (AT, event.type, detail)


def test_a_trace_is_read_from_the_log_as_it_was_written(tmp_path):
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
