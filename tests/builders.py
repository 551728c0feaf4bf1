"""Builders of requests, SQS records and datasets, and a fake cloud in memory.

The fakes replace only AWS, not the worker's own code: an SNS client, an SQS client, a Lambda context, and a
memory store behind the real `S3Bucket`.
"""

import io
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import MemoryStore, ObjectStore

from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.s3.s3_bucket import S3Bucket
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker

BUCKET = "data-bucket"
TOPIC = "arn:aws:sns:us-east-1:123456789012:metric-run-{}.fifo"
QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/metric-runs.fifo"
ENVIRONMENT = {
    "AWS_S3_BUCKET": BUCKET,
    "AWS_SNS_METRIC_RUN_STARTED_TOPIC_ARN": TOPIC.format("started"),
    "AWS_SNS_METRIC_RUN_HEARTBEAT_TOPIC_ARN": TOPIC.format("heartbeat"),
    "AWS_SNS_METRIC_RUN_COMPLETED_TOPIC_ARN": TOPIC.format("completed"),
    "AWS_SQS_RUN_REQUEST_QUEUE_URL": QUEUE_URL,
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
"""The smallest environment with which the worker starts; conftest.py sets it for every test."""

NOW = datetime(2026, 10, 30, 12, 0, 0, tzinfo=UTC)


def series(code: str) -> dict[str, Any]:
    """Return the JSON of an expression that is a reference to the series with this code."""
    return {"series_code": code}


def ratio(left: Any, right: Any, **more: Any) -> dict[str, Any]:
    """Return the JSON of a `ratio` node.

    Args:
        left: the JSON of the dividend.
        right: the JSON of the divisor.
        more: additional fields, such as `scale`.
    """
    return {"op": "ratio", "left": left, "right": right, **more}


def window(op: str, node: Any, length: int, **fields: Any) -> dict[str, Any]:
    """Return the JSON of a window operation.

    Args:
        op: the operation, such as "sma".
        node: the JSON of the operand.
        length: the length of the window.
        fields: additional fields, such as `unit`.
    """
    return {"op": op, "series": node, "window": length, **fields}


def request(
    expression: Any = None,
    *,
    run_id: str = "run-1",
    metric: str = "ratio.a_to_b",
    kind: str = "series_math",
    inputs: Mapping[str, str] | None = None,
    datasets: Iterable[str] = ("fx",),
    **more: Any,
) -> dict[str, Any]:
    """Return a `metric_run_requested` event.

    Args:
        expression: the JSON of the expression; the default is A / B.
        run_id: the run id.
        metric: the metric code.
        kind: the `expressionType`.
        inputs: the dataset id of each series code; the default is A and B from dataset fx.
        datasets: the dataset ids in the catalog.
        more: fields that are replaced or added.
    """
    return {
        "type": "metric_run_requested",
        "runId": run_id,
        "metricCode": metric,
        "expressionType": kind,
        "expressionJson": ratio(series("A"), series("B")) if expression is None else expression,
        "inputs": [
            {"datasetId": dataset, "seriesCode": code}
            for code, dataset in ({"A": "fx", "B": "fx"} if inputs is None else inputs).items()
        ],
        "catalog": {
            "datasets": {
                name: {
                    "manifestPath": f"datasets/{name}/versions/v1/manifest.json",
                    "projectionsPath": f"datasets/{name}/projections/",
                }
                for name in datasets
            }
        },
        "output": {"basePath": f"s3://bucket/metrics/{metric}/"},
        **more,
    }


def envelope(event: Any, *, timestamp: str = "2026-10-30T11:59:58.123Z") -> dict[str, Any]:
    """Return the SNS notification of an event, as SQS has it in the body of a message, parsed from JSON.

    Args:
        event: the JSON value that was published to the topic.
        timestamp: the time of the publication.
    """
    return {
        "Type": "Notification",
        "MessageId": "5f1a2b3c-0000-5000-8000-000000000001",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:metric-run-requests.fifo",
        "Message": json.dumps(event),
        "Timestamp": timestamp,
    }


def record(
    body: Any, *, message_id: str = "message-1", group: str | None = None, receive_count: int = 1
) -> dict[str, Any]:
    """Return an SQS record in the form in which Lambda passes it to a handler.

    Args:
        body: the body of the message; a body that is not a string is serialized as JSON.
        message_id: the id of the message.
        group: the message group. The default is the `metricCode` of the body, or "group" if the body has
            none.
        receive_count: the number of times that the message was received, including this time.
    """
    if group is None:
        group = body.get("metricCode", "group") if isinstance(body, dict) else "group"
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-of-{message_id}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": str(receive_count),
            "SentTimestamp": "1793361597000",  # 2026-10-30T11:59:57Z in milliseconds since 1970
            "MessageGroupId": group,
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:metric-runs.fifo",
        "awsRegion": "us-east-1",
    }


def parquet(table: pa.Table, **options: Any) -> bytes:
    """Return a table as the bytes of a Parquet file; `options` are those of `pyarrow.parquet.write_table`."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def rows(code: str | None, times: Any, values: Any) -> pa.Table:
    """Return a table with the columns of a part file.

    Args:
        code: the series code of every row. If it is None, the table has no column `internal_series_code`.
        times: the times of the rows, as a pyarrow array or as a list that is converted to timestamp[ns].
        values: the values of the rows, as a pyarrow array or as a list that is converted to float64.
    """
    columns = {"obs_time": times if isinstance(times, pa.Array) else pa.array(times, pa.timestamp("ns"))}
    if code is not None:
        columns["internal_series_code"] = pa.array([code] * len(columns["obs_time"]), pa.string())
    columns["value"] = values if isinstance(values, pa.Array) else pa.array(values, pa.float64())
    return pa.table(columns)


def day(number: int) -> datetime:
    """Return midnight UTC of a day; day 1 is 1 January 2026. The datetime is naive, like the ingestor's."""
    return datetime.fromtimestamp(1767225600 + (number - 1) * 86400, UTC).replace(tzinfo=None)


def put_dataset(
    store: ObjectStore, files: Mapping[str, pa.Table | bytes], *, dataset: str = "fx", **manifest: Any
) -> None:
    """Write part files and their dataset manifest.

    Args:
        store: the bucket.
        files: the content of each part file, by key relative to `datasets/{dataset}/projections/`.
        dataset: the dataset id.
        manifest: fields to add to the manifest or to replace in it.
    """
    for name, content in files.items():
        body = content if isinstance(content, bytes) else parquet(content)
        obstore.put(store, f"datasets/{dataset}/projections/{name}", body)
    listed = {"parquet_files": list(files), "version_id": "v1", **manifest}
    obstore.put(store, f"datasets/{dataset}/versions/v1/manifest.json", json.dumps(listed).encode())


def put_a_and_b(store: ObjectStore) -> None:
    """Write dataset fx, with one part file for each of two series.

    On the first ten days of January 2026, A has the values 1 to 10, and B is always 2.
    """
    days = [day(n) for n in range(1, 11)]
    put_dataset(
        store,
        {
            "A/year=2026/month=01/data.parquet": rows("A", days, range(1, 11)),
            "B/year=2026/month=01/data.parquet": rows("B", days, [2.0] * 10),
        },
    )


@dataclass
class FakeSns:
    """A fake SNS client, whose `messages` are the arguments of each publication, in order.

    A test can set the hook `before`, which is called with these arguments before each publication and may
    raise an error.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[dict[str, Any]], None] = lambda _: None

    def publish(self, **message: Any) -> dict[str, str]:
        self.before(message)
        self.messages.append(message)
        return {"MessageId": str(len(self.messages))}

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the published status events, parsed from JSON, in the order of their publication."""
        return [json.loads(message["Message"]) for message in self.messages]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def completed(self) -> list[dict[str, Any]]:
        return self.of_type("metric_run_completed")


@dataclass
class FakeSqs:
    """A fake SQS client, whose `calls` are the arguments of each change of a visibility timeout, in order.

    A test can set the hook `before`, which is called with the arguments before each call and may raise an
    error.
    """

    calls: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[dict[str, Any]], None] = lambda _: None

    def change_message_visibility(self, **call: Any) -> None:
        self.before(call)
        self.calls.append(call)

    def change_message_visibility_batch(self, **call: Any) -> dict[str, Any]:
        """Record each entry of the batch as a call of `change_message_visibility`.

        Return the response of SQS to a batch whose entries have all succeeded.
        """
        self.before(call)
        changes = ({name: entry[name] for name in entry if name != "Id"} for entry in call["Entries"])
        self.calls += [{"QueueUrl": call["QueueUrl"], **change} for change in changes]
        return {"Successful": [{"Id": entry["Id"]} for entry in call["Entries"]]}


@dataclass
class FakeContext:
    """A fake Lambda context; the function `remaining_ms` returns the remaining time in milliseconds."""

    remaining_ms: Callable[[], int] = lambda: 300_000
    function_name: str = "metrics-worker"
    function_version: str = "7"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:metrics-worker"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms()


@lru_cache(maxsize=64, typed=True)
def _settings(environment: frozenset[tuple[str, str]], **settings: Any) -> Settings:  # noqa: ARG001 - the cache key
    """Return the worker's settings, from a cache if possible: many tests create workers with equal settings.

    Args:
        environment: the environment variables as (name, value). They are only a part of the cache key:
            pydantic reads the other settings from the environment itself.
        settings: the values that replace environment variables, by the names of the variables.
    """
    return Settings(**settings)


@dataclass
class Cloud:
    """A fake cloud for a worker: a bucket in memory, fake SNS and SQS clients, and clocks.

    Attributes:
        store: the obstore store with the objects of the data bucket.
        sns: the SNS client, which has recorded the published events.
        sqs: the SQS client, which has recorded the changed visibility timeouts.
        now: a function that returns the current time.
        clock: a function that returns the seconds of a monotonic clock.
        pause: a function that waits for a number of seconds.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    sns: FakeSns = field(default_factory=FakeSns)
    sqs: FakeSqs = field(default_factory=FakeSqs)
    now: Callable[[], datetime] = lambda: NOW
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    @property
    def bucket(self) -> S3Bucket:
        return S3Bucket(self.store, BUCKET, pause=lambda _: None)

    def worker(self, **settings: Any) -> Worker:
        """Return a worker that uses the bucket, the clients and the clocks of this cloud.

        Args:
            settings: the values that replace environment variables, by the names of the variables. Unless
                they include `WORKER_STATUS_GAP_SECONDS`, the worker does not wait between the started and the
                completed event.
        """
        configured = _settings(frozenset(os.environ.items()), **{"WORKER_STATUS_GAP_SECONDS": 0, **settings})
        return Worker(
            configured,
            self.bucket,
            StatusTopics(configured, self.sns),
            RequestQueue(configured, self.sqs),
            self.now,
            self.clock,
            self.pause,
        )

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(found["path"] for found in obstore.list(self.store, prefix).collect())

    def read(self, key: str) -> bytes:
        return bytes(obstore.get(self.store, key).bytes())

    def read_json(self, key: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.read(key))
        return content

    def read_table(self, key: str) -> pa.Table:
        return pq.ParquetFile(io.BytesIO(self.read(key))).read(use_threads=False)
