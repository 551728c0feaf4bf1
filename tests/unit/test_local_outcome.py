"""What a local run checks: the run's story, what it left in S3, and the recomputation from the ECB's file."""

import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_tools.local_cloud import outcome
from metrics_tools.local_cloud.cloud import BUCKET, Cloud
from metrics_tools.local_cloud.events_heard import Heard, Story
from metrics_tools.local_cloud.outcome import look
from metrics_tools.local_cloud.recomputed import compare, recompute
from metrics_tools.local_cloud.samples import Sample

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


class FakeS3:
    """The objects that a run left, as a boto3 client gives them."""

    class exceptions:  # noqa: N801 - boto3's name
        ClientError = LookupError

    def __init__(self, objects):
        self.objects = objects

    def get_object(self, Bucket, Key):  # noqa: N803 - boto3's names
        assert Bucket == BUCKET
        return {"Body": io.BytesIO(self.objects[Key])}

    def get_paginator(self, _):
        return self

    def paginate(self, Bucket, Prefix):  # noqa: N803 - boto3's names
        assert Bucket == BUCKET
        return [{"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}]


CLOUD = Cloud("http://127.0.0.1:1", *["unused"] * 8)


def sample(name="x.json", **fields):
    expression = {"op": "ratio", "left": USD, "right": BRL}
    return Sample(
        Path(name), "", {"runId": "r-1", "metricCode": "m.x", "expressionJson": expression, **fields}
    )


def left_by_a_run(values=(1.0, 0.5)):
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


def story(*completed, started=True):
    heard = [Heard(AT, {"type": "metric_run_started", "runId": "r-1"})] if started else []
    heard += [
        Heard(AT + timedelta(seconds=2), {"type": "metric_run_completed", "runId": "r-1", **event})
        for event in completed
    ]
    return Story(heard)


SUCCESS = {
    "status": "SUCCESS",
    "versionTs": "v1",
    "outputManifest": f"{VERSION}manifest.json",
    "rowCount": 2,
}
FAILURE = {"status": "FAILURE", "error": "INPUT_READ_ERROR: no such series"}


def looked(monkeypatch, asked, told, objects=None):
    s3 = FakeS3(left_by_a_run() if objects is None else objects)
    monkeypatch.setattr(outcome, "client", lambda *_: s3)
    return look(asked, told, CLOUD, RATES)


def test_a_run_that_is_right_has_no_complaint(monkeypatch):
    found = looked(monkeypatch, sample(), story(SUCCESS))
    assert found.complaints == []
    assert (found.values, found.seconds, found.check.checked) == ([1.0, 0.5], 2.0, 2)
    assert len(found.keys) == 4


def test_the_v1_forms_uri_is_the_same_manifest(monkeypatch):
    told = story({**SUCCESS, "outputManifest": f"s3://{BUCKET}/{VERSION}manifest.json"})
    assert looked(monkeypatch, sample(), told).complaints == []


def without(key):
    return {name: body for name, body in left_by_a_run().items() if name != key}


@pytest.mark.parametrize(
    ("told", "objects", "complaint"),
    [
        (story(), None, "no metric_run_completed"),
        (story(SUCCESS, SUCCESS), None, "arrived 2 times"),
        (story(SUCCESS, started=False), None, "no metric_run_started"),
        (story(FAILURE), None, "FAILURE where SUCCESS was expected: INPUT_READ_ERROR"),
        (story({**SUCCESS, "rowCount": 3}), None, "row counts differ: event 3, manifest 2, file 2"),
        (story({**SUCCESS, "versionTs": "v2"}), None, "not where its version belongs"),
        (story(SUCCESS), {**left_by_a_run(), f"{BASE}current/manifest.json": b"{}"}, "does not name"),
        (story(SUCCESS), without(f"{BASE}runs/r-1.ok"), "no marker"),
        (story(SUCCESS), without(f"{VERSION}data/metrics.parquet"), "can't be read back"),
        (story(SUCCESS), left_by_a_run((1.0, 0.6)), "not what the ECB's file gives: 0.6 instead of 0.5"),
    ],
)
def test_what_is_not_as_it_should_be_is_a_complaint(monkeypatch, told, objects, complaint):
    found = looked(monkeypatch, sample(), told, objects)
    assert any(complaint in text for text in found.complaints), found.complaints


def test_a_sample_that_must_fail_is_right_when_it_fails_with_its_code(monkeypatch):
    asked = sample("fails-x.json", expectedError="INPUT_READ_ERROR")
    assert looked(monkeypatch, asked, story(FAILURE)).complaints == []
    v1 = {"status": "FAILURE", "error": {"code": "INPUT_READ_ERROR", "message": "no such series"}}
    assert looked(monkeypatch, asked, story(v1)).complaints == []


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        (story(SUCCESS), "SUCCESS where FAILURE was expected"),
        (
            story({**FAILURE, "error": "CONFIG_ERROR: x"}),
            "CONFIG_ERROR where INPUT_READ_ERROR was expected",
        ),
    ],
)
def test_a_sample_that_must_fail_and_ends_otherwise_is_wrong(monkeypatch, told, complaint):
    asked = sample("fails-x.json", expectedError="INPUT_READ_ERROR")
    found = looked(monkeypatch, asked, told)
    assert any(complaint in text for text in found.complaints)


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
    ],
)
def test_the_recomputation_does_as_the_algebra_says(node, expected):
    assert recompute(node, RATES) == expected


def test_a_series_of_another_source_can_not_be_recomputed():
    with pytest.raises(KeyError):
        recompute({"series_code": "BCRA_RESERVAS_USD_M_D"}, RATES)


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
    assert compare(found, ONE_DAY_AND_NEXT).problem == problem
