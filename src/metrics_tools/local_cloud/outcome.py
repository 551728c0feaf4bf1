"""What a run left, read back as a reader would and held against what it announced.

Every complaint is one line. A run is right when there is none: announced once, with the status that its
sample expects; the manifest, data and marker where they belong; `current` naming this version; the rows
counted right, in order, finite, and equal to the plain recomputation.
"""

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_tools.local_cloud.cloud import BUCKET, Cloud, client
from metrics_tools.local_cloud.ecb import Rates
from metrics_tools.local_cloud.events_heard import COMPLETED, STARTED, Story
from metrics_tools.local_cloud.recomputed import Difference, compare, recompute
from metrics_tools.local_cloud.samples import Sample
from metrics_worker.publication.records import Keys


@dataclass(slots=True)
class Outcome:
    """A run, from the outside.

    Attributes:
        status: SUCCESS, FAILURE, or None where none was announced.
        error: the announced error, `CODE: message`.
        keys: what stands under the metric's prefix of this run and its version.
        times: of the observations, UTC, ascending.
        values: of the observations.
        manifest: of its version.
        check: against the recomputation, where that could be done.
        complaints: what is not as it should be.
    """

    sample: Sample
    status: str | None = None
    error: str = ""
    version: str = ""
    seconds: float | None = None
    heartbeats: int = 0
    keys: list[str] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    manifest: dict[str, Any] | None = None
    check: Difference | None = None
    complaints: list[str] = field(default_factory=list)

    @property
    def error_in_complaints(self) -> bool:
        """Whether a complaint tells the announced error already."""
        return bool(self.error) and any(self.error in complaint for complaint in self.complaints)


def look(sample: Sample, story: Story, cloud: Cloud, rates: Rates) -> Outcome:
    """Find out how a run ended."""
    outcome = Outcome(sample, seconds=story.seconds, heartbeats=story.count("metric_run_heartbeat"))
    completed = story.first(COMPLETED)
    if completed is None:
        outcome.complaints.append("no metric_run_completed arrived")
        return outcome
    event = completed.event
    outcome.status = str(event.get("status"))
    outcome.error = _error_text(event.get("error"))
    outcome.complaints.extend(_announcement(sample, story, outcome))
    if outcome.status == "SUCCESS":
        outcome.version = str(event.get("versionTs"))
        try:
            outcome.complaints.extend(_read_back(outcome, event, cloud))
        except (KeyError, ValueError, OSError, client("s3", cloud.endpoint).exceptions.ClientError) as error:
            outcome.complaints.append(
                f"what was announced can't be read back ({type(error).__name__}: {error})"
            )
        outcome.check = _recomputed(outcome, rates)
        if outcome.check and outcome.check.problem:
            outcome.complaints.append(f"not what the ECB's file gives: {outcome.check.problem}")
    return outcome


def error_code(event_error: str) -> str:
    """The code of an announced error."""
    return event_error.partition(":")[0]


def _announcement(sample: Sample, story: Story, outcome: Outcome) -> Iterator[str]:
    """Complaints about the status events."""
    if story.first(STARTED) is None and outcome.status == "SUCCESS":
        yield "no metric_run_started arrived"
    if (times := story.count(COMPLETED)) > 1:
        yield f"metric_run_completed arrived {times} times"
    expected = sample.expected_error
    if expected is None and outcome.status != "SUCCESS":
        yield f"{outcome.status} where SUCCESS was expected: {outcome.error}"
    elif expected is not None and outcome.status != "FAILURE":
        yield f"{outcome.status} where FAILURE was expected"
    elif expected and error_code(outcome.error) != expected:
        yield f"failed with {error_code(outcome.error)} where {expected} was expected"


def _read_back(outcome: Outcome, event: dict[str, Any], cloud: Cloud) -> Iterator[str]:
    """Fill the outcome from S3, beginning at the manifest that the event names; complaints."""
    s3 = client("s3", cloud.endpoint)

    def get(key: str) -> bytes:
        body: bytes = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    manifest_key = str(event["outputManifest"]).removeprefix(f"s3://{BUCKET}/")
    body = get(manifest_key)
    manifest = outcome.manifest = json.loads(body)
    outputs = manifest["outputs"]
    tables = [_table(get(outputs["data_prefix"] + name)) for name in outputs["files"]]
    outcome.times = [time for table in tables for time in table["obs_time"].to_pylist()]
    outcome.values = [value for table in tables for value in table["value"].to_pylist()]
    keys = Keys(manifest_key.removesuffix(f"{outcome.version}/manifest.json"))
    listed = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=keys.base)
    outcome.keys = [found["Key"] for page in listed for found in page.get("Contents", [])]
    if manifest_key != keys.manifest(outcome.version):
        yield f"the manifest is not where its version belongs: {manifest_key}"
    if get(keys.current) != body:
        yield "current/manifest.json does not name this version"
    if keys.marker(outcome.sample.run_id) not in outcome.keys:
        yield f"no marker {keys.marker(outcome.sample.run_id)}"
    announced, listed_rows, rows = event.get("rowCount"), manifest["row_count"], len(outcome.values)
    if not announced == listed_rows == rows:
        yield f"row counts differ: event {announced}, manifest {listed_rows}, file {rows}"
    if not outcome.values:
        yield "no observation: the expression is defined nowhere"
    if outcome.times != sorted(set(outcome.times)) or not all(map(math.isfinite, outcome.values)):
        yield "the observations are not in order, or not all finite"


def _table(body: bytes) -> pa.Table:
    """A Parquet file, read in this thread alone."""
    return pq.ParquetFile(io.BytesIO(body)).read(use_threads=False)


def _recomputed(outcome: Outcome, rates: Rates) -> Difference | None:
    try:
        expected = recompute(outcome.sample.request["expressionJson"], rates)
    except KeyError:
        return None  # a series that is not the ECB's
    return compare(dict(zip(map(_day, outcome.times), outcome.values, strict=True)), expected)


def _day(time: datetime) -> date:
    return time.date()


def _error_text(error: Any) -> str:
    """The plain form's text, or the v1 form's code and message."""
    return f"{error['code']}: {error['message']}" if isinstance(error, dict) else str(error or "")
