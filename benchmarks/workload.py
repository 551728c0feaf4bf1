"""The job that the benchmarks measure: six metrics of five daily series of 23 years.

The dataset has the shape of the real data: 275 part files for each series (one a month), with about 22 rows,
six columns, snappy compression and 2-3 KiB each. All contestants use the same files, requests and SQS
records.
"""

import asyncio
import io
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

BUCKET = "bench-data"
FIRST_YEAR = 2003
MONTHS = 275
SERIES = tuple(f"BENCH_{name}_D" for name in ("A", "B", "C", "D", "E"))
PROJECTIONS = "datasets/bench/projections/"
MANIFEST = "datasets/bench/versions/v1/manifest.json"


def environment(url: str) -> None:
    """Set the environment variables with which the worker and boto3 use the S3 server at an address.

    Snapshots are off, so that every batch reads all part files, unless WORKER_SNAPSHOTS is already set.
    """
    os.environ.setdefault("WORKER_SNAPSHOTS", "off")
    os.environ.update(
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",  # noqa: S106 - not a real account
        AWS_REGION="us-east-1",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=url,
        AWS_S3_BUCKET=BUCKET,
        AWS_SNS_EVENTS_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:events.fifo",
        AWS_SQS_RUN_REQUEST_QUEUE_URL=f"{url}/123456789012/requests.fifo",
        POWERTOOLS_LOG_LEVEL="CRITICAL",
        WORKER_STATUS_GAP_SECONDS="0",  # no wait between started and completed
        AWS_REQUEST_CHECKSUM_CALCULATION="when_required",  # no checksums, like pyarrow
    )


def part_file(code: str, year: int, month: int, rng: np.random.Generator) -> bytes:
    """Return the content of a part file with one month of a daily series, as an ingestor writes it.

    Args:
        code: the series code.
        year: the year.
        month: the month, from 1 to 12.
        rng: the generator of the random values.
    """
    first = datetime(year, month, 1, 3, tzinfo=UTC)
    days = [first + timedelta(days=n) for n in range(31)]
    days = [day.replace(tzinfo=None) for day in days if day.month == month and day.weekday() < 5]
    table = pa.table(
        {
            "obs_time": pa.array(days, pa.timestamp("ns")),
            "internal_series_code": [code] * len(days),
            "value": rng.normal(100, 1, len(days)),
            "unit": ["USD"] * len(days),
            "frequency": ["D"] * len(days),
            "collection_date": pa.array([first.replace(tzinfo=None)] * len(days), pa.timestamp("ns")),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def dataset(series: Iterable[str] = SERIES, months: int = MONTHS) -> dict[str, bytes]:
    """Return the contents of a dataset's part files by key; keys are relative to the dataset's projections.

    Args:
        series: the series codes.
        months: the number of part files of each series.
    """
    rng = np.random.default_rng(1)
    return {
        f"{code}/year={year}/month={month:02d}/data.parquet": part_file(code, year, month, rng)
        for code in series
        for year, month in ((FIRST_YEAR + n // 12, n % 12 + 1) for n in range(months))
    }


def upload(store: ObjectStore, files: dict[str, bytes]) -> None:
    """Write part files to a store, and then a dataset manifest that lists them.

    Args:
        store: the obstore store of the dataset.
        files: the contents of the part files by key, relative to the dataset's projections.
    """
    manifest = {"version_id": "v1", "parquet_files": list(files)}
    objects = {PROJECTIONS + name: body for name, body in files.items()}
    objects[MANIFEST] = json.dumps(manifest).encode()

    async def put_all() -> None:
        remaining = iter(objects.items())

        async def put_remaining() -> None:
            for key, body in remaining:
                await obstore.put_async(store, key, body, use_multipart=False)

        await asyncio.gather(*(put_remaining() for _ in range(64)))

    asyncio.run(put_all())


def _s(index: int) -> dict[str, Any]:
    return {"series_code": SERIES[index]}


def _w(op: str, node: Any, window: int) -> dict[str, Any]:
    return {"op": op, "series": node, "window": window}


def _m(op: str, left: Any, right: Any) -> dict[str, Any]:
    return {"op": op, "left": left, "right": right, "scale": 1}


EXPRESSIONS: dict[str, tuple[str, Any]] = {
    "ratio": ("series_math", _m("ratio", _s(0), _s(1))),
    "momentum": ("series_math", _m("subtract", _w("sma", _s(2), 14), _w("sma", _s(2), 30))),
    "basket": ("composite", {"op": "avg", "operands": [_s(n) for n in range(5)]}),
    "change": ("series_math", _m("ratio", _m("subtract", _s(3), _w("lag", _s(3), 30)), _w("lag", _s(3), 30))),
    "high": ("window_op", _w("max", _s(4), 250)),
    "smooth": ("window_op", _w("ema", _m("ratio", _s(0), _s(4)), 20)),
}
"""The six metrics: expression type and expression."""


def codes_of(names: Iterable[str]) -> set[str]:
    """Return the codes of all series in the expressions of the metrics with the given names."""
    return set().union(*(_codes(EXPRESSIONS[name][1]) for name in names))


def _codes(node: Any) -> set[str]:
    if isinstance(node, dict):
        return {node["series_code"]} if "series_code" in node else _codes(list(node.values()))
    return set().union(*map(_codes, node)) if isinstance(node, list) else set()


def average(codes: Iterable[str]) -> tuple[str, Any]:
    """Return (type, JSON value) of an expression that reads all given series.

    For a single series, the expression is the moving average of the series; otherwise, it is the mean of the
    given series.
    """
    operands = [{"series_code": code} for code in codes]
    if len(operands) == 1:
        return "window_op", _w("sma", operands[0], 30)
    return "composite", {"op": "avg", "operands": operands}


def event(names: Iterable[str], attempt: int) -> dict[str, Any]:
    """Return an SQS event that requests one run of each given metric, each in its own message group.

    Args:
        names: the metric codes. The part before the first dot is the key of the expression in `EXPRESSIONS`.
        attempt: a number that becomes a part of the run ids, so that they are new.
    """
    return {
        "Records": [
            record(name, f"{name}-{attempt}", EXPRESSIONS[name.partition(".")[0]], SERIES) for name in names
        ]
    }


def record(name: str, run_id: str, expression: tuple[str, Any], codes: Iterable[str]) -> dict[str, Any]:
    """Return an SQS record that requests one run of a metric.

    Args:
        name: the metric code.
        run_id: the run id.
        expression: the type of the expression, and the expression as a JSON value.
        codes: the codes of the series that the request lists as inputs.
    """
    body = {
        "type": "metric_run_requested",
        "runId": run_id,
        "metricCode": name,
        "expressionType": expression[0],
        "expressionJson": expression[1],
        "inputs": [{"datasetId": "bench", "seriesCode": code} for code in codes],
        "catalog": {"datasets": {"bench": {"manifestPath": MANIFEST, "projectionsPath": PROJECTIONS}}},
        "output": {"basePath": f"s3://bucket/metrics/{name}/"},
    }
    return {
        "messageId": run_id,
        "receiptHandle": run_id,
        "body": json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1793361597000",
            "MessageGroupId": name,
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:requests.fifo",
        "awsRegion": "us-east-1",
    }


class Context:
    """A fake Lambda context with five minutes of remaining time."""

    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "bench"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Return the remaining time in milliseconds."""
        return 300_000
