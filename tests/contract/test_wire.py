"""The wire format: every status event has exactly the expected text.

The tests compare the text that SNS receives, so that no name, order or type can change unnoticed.
tests/contract/test_layout.py checks the objects in S3.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from metrics_worker.errors import InputReadError
from metrics_worker.messaging.status_events import RunCompleted, RunHeartbeat, RunStarted
from metrics_worker.request import Run
from tests.builders import BUCKET, Cloud, envelope, put_a_and_b, ratio, record, request, series

AT = datetime(2025, 1, 15, 10, 30, 10, tzinfo=UTC)
RUN_ID = "550e8400-e29b-41d4-a716-446655440000"
PLAIN = Run(RUN_ID, "m.x", v1=False, requested_at=AT, event={})
V1 = Run(RUN_ID, "m.x", v1=True, requested_at=AT, event={})
MANIFEST = "metrics/m.x/2025-01-15T10-30-10/manifest.json"
ERROR = InputReadError.of_series("X", "no dataset of the catalog has it")


# Every event in the plain form and in the v1 form


def text(event):
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            RunStarted.of(PLAIN, AT),
            {"type": "metric_run_started", "runId": RUN_ID, "startedAt": "2025-01-15T10:30:10Z"},
        ),
        (
            RunHeartbeat.of(PLAIN, 0.5, AT),
            {"type": "metric_run_heartbeat", "runId": RUN_ID, "progress": 0.5, "ts": "2025-01-15T10:30:10Z"},
        ),
        (
            RunCompleted.success(
                PLAIN, version_ts="2025-01-15T10-30-10", manifest_key=MANIFEST, row_count=1000, bucket=BUCKET
            ),
            {
                "type": "metric_run_completed",
                "runId": RUN_ID,
                "metricCode": "m.x",
                "status": "SUCCESS",
                "versionTs": "2025-01-15T10-30-10",
                "outputManifest": MANIFEST,
                "rowCount": 1000,
            },
        ),
        (
            RunCompleted.failure(PLAIN, ERROR),
            {
                "type": "metric_run_completed",
                "runId": RUN_ID,
                "metricCode": "m.x",
                "status": "FAILURE",
                "error": "INPUT_READ_ERROR: Failed to read input series: X: no dataset of the catalog has it",
            },
        ),
    ],
    ids=["started", "heartbeat", "success", "failure"],
)
def test_every_event_has_exactly_this_text_in_the_plain_form(event, expected):
    assert event.wire() == text(expected)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            RunStarted.of(V1, AT),
            {
                "schema": "metrics.run.v1",
                "type": "metric_run_started",
                "runId": RUN_ID,
                "startedAt": "2025-01-15T10:30:10Z",
            },
        ),
        (
            RunHeartbeat.of(V1, 0.5, AT),
            {
                "schema": "metrics.run.v1",
                "type": "metric_run_heartbeat",
                "runId": RUN_ID,
                "progress": 0.5,
                "ts": "2025-01-15T10:30:10Z",
            },
        ),
        (
            RunCompleted.success(
                V1, version_ts="2025-01-15T10-30-10", manifest_key=MANIFEST, row_count=1000, bucket=BUCKET
            ),
            {
                "schema": "metrics.run.v1",
                "type": "metric_run_completed",
                "runId": RUN_ID,
                "metricCode": "m.x",
                "status": "SUCCESS",
                "versionTs": "2025-01-15T10-30-10",
                "outputManifest": f"s3://{BUCKET}/{MANIFEST}",
                "rowCount": 1000,
            },
        ),
        (
            RunCompleted.failure(V1, ERROR),
            {
                "schema": "metrics.run.v1",
                "type": "metric_run_completed",
                "runId": RUN_ID,
                "metricCode": "m.x",
                "status": "FAILURE",
                "error": {
                    "code": "INPUT_READ_ERROR",
                    "message": "Failed to read input series: X: no dataset of the catalog has it",
                },
            },
        ),
    ],
    ids=["started", "heartbeat", "success", "failure"],
)
def test_every_event_has_exactly_this_text_in_the_v1_form(event, expected):
    assert event.wire() == text(expected)


@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_a_progress_of_0_or_1_is_written_with_a_decimal_point(progress):
    assert f'"progress":{progress},' in RunHeartbeat.of(PLAIN, progress, AT).wire()


# Events that the handler publishes


def published(cloud: Cloud) -> list[tuple[str, str, str, Any]]:
    """Return the publications to SNS in order, without their topics.

    Each one is a tuple (message text, message group, deduplication id, message attributes).
    """
    return [
        (m["Message"], m["MessageGroupId"], m["MessageDeduplicationId"], m["MessageAttributes"])
        for m in cloud.sns.messages
    ]


def attributes(kind, metric="ratio.a_to_b"):
    return {
        "type": {"DataType": "String", "StringValue": kind},
        "metricCode": {"DataType": "String", "StringValue": metric},
    }


def test_a_run_publishes_started_and_then_success(cloud, invoke):
    put_a_and_b(cloud.store)
    invoke(record(request()))
    assert published(cloud) == [
        (
            '{"type":"metric_run_started","runId":"run-1","startedAt":"2026-10-30T12:00:00Z"}',
            "run-1",
            "run-1:metric_run_started:1",
            attributes("metric_run_started"),
        ),
        (
            (
                '{"type":"metric_run_completed","runId":"run-1","metricCode":"ratio.a_to_b",'
                '"status":"SUCCESS","versionTs":"2026-10-30T12-00-00",'
                '"outputManifest":"metrics/ratio.a_to_b/2026-10-30T12-00-00/manifest.json","rowCount":10}'
            ),
            "run-1",
            "run-1:metric_run_completed:1",
            attributes("metric_run_completed"),
        ),
    ]


def test_a_v1_request_is_answered_in_the_v1_form(cloud, invoke):
    put_a_and_b(cloud.store)
    invoke(record(request(schema="metrics.run.v1")))
    started, completed = cloud.sns.messages
    assert started["Message"].startswith(
        '{"schema":"metrics.run.v1","type":"metric_run_started","runId":"run-1",'
    )
    assert json.loads(completed["Message"])["outputManifest"] == (
        f"s3://{BUCKET}/metrics/ratio.a_to_b/2026-10-30T12-00-00/manifest.json"
    )


def test_a_failure_in_the_v1_form_has_separate_code_and_message(cloud, invoke):
    invoke(record(request(schema="metrics.run.v1")))
    assert cloud.sns.completed[0]["error"] == {
        "code": "INPUT_READ_ERROR",
        "message": "manifest datasets/fx/versions/v1/manifest.json: GET: there is no such object",
    }


def test_an_unknown_schema_is_answered_in_the_plain_form(cloud, invoke):
    invoke(record(request(schema="metrics.run.v9")))
    (message,) = cloud.sns.messages
    assert message["Message"] == (
        '{"type":"metric_run_completed","runId":"run-1","metricCode":"ratio.a_to_b","status":"FAILURE",'
        "\"error\":\"CONFIG_ERROR: schema: Input should be 'metrics.run.v1', found 'metrics.run.v9'\"}"
    )


def test_the_second_attempt_has_its_own_deduplication_ids(cloud, invoke):
    put_a_and_b(cloud.store)
    invoke(record(request(), receive_count=2))
    assert [m[2] for m in published(cloud)] == ["run-1:metric_run_started:2", "run-1:metric_run_completed:2"]


def test_the_longest_ids_are_published_completely(cloud, invoke):
    run_id, metric = "r" * 128, "m" * 128
    put_a_and_b(cloud.store)
    invoke(record(request(run_id=run_id, metric=metric)))
    for message in cloud.sns.messages:
        assert message["MessageGroupId"] == run_id
        assert len(message["MessageDeduplicationId"]) <= 128
        assert json.loads(message["Message"])["runId"] == run_id
    assert cloud.sns.completed[0]["status"] == "SUCCESS"
    assert cloud.read(f"metrics/{metric}/runs/{run_id}.ok")


def with_codes(name: str) -> dict[str, Any]:
    """Return a request for A / B in which the field of a series reference has the given name.

    Args:
        name: the name that the field with the series code has instead of `series_code`.
    """
    operands = ({name: "A"}, {name: "B"})
    return request(ratio(*operands, scale=1))


BODIES = {
    "raw": record(request()),
    "an envelope": record(envelope(request())),
    "an envelope without a type": record({k: v for k, v in envelope(request()).items() if k != "Type"}),
    "series_code": record(with_codes("series_code")),
    "seriesCode": record(envelope(with_codes("seriesCode"))),
    "inputs null": record(request() | {"inputs": None}),
    "inputs absent": record({k: v for k, v in request().items() if k != "inputs"}),
    "unknown fields": record(request(traceId="t", priority=7)),
    "spaces": record(json.dumps(request(), indent=4)),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=[name.replace(" ", "-") for name in BODIES])
def test_a_request_means_the_same_in_every_envelope_and_spelling(cloud, invoke, body):
    put_a_and_b(cloud.store)
    assert invoke(body) == {"batchItemFailures": []}
    assert cloud.sns.completed[0]["status"] == "SUCCESS"
    manifest = cloud.read_json("metrics/ratio.a_to_b/current/manifest.json")
    assert manifest["expression"] == {"op": "ratio", "left": series("A"), "right": series("B"), "scale": 1.0}


@pytest.mark.parametrize(
    ("body", "requested_at"),
    [
        (request(), "2026-10-30T11:59:57.000Z"),
        (envelope(request(), timestamp="2026-10-30T11:59:58.123Z"), "2026-10-30T11:59:58.123Z"),
        (envelope(request(), timestamp="no time"), "2026-10-30T11:59:57.000Z"),
    ],
    ids=["SentTimestamp", "Timestamp", "bad Timestamp"],
)
def test_the_marker_and_the_manifest_record_the_time_of_the_request(cloud, invoke, body, requested_at):
    put_a_and_b(cloud.store)
    invoke(record(body, group="g"))
    assert cloud.read_json("metrics/ratio.a_to_b/runs/run-1.ok")["requested_at"] == requested_at
    assert cloud.read_json("metrics/ratio.a_to_b/current/manifest.json")["requested_at"] == requested_at
