"""The outcome of a run in the local cloud, and the check of its status events and published objects.

The check produces a line of text for each violation of these rules. Exactly one completed event arrives, with
the status that the request's file expects. Manifest, data and marker have the right keys. `current` refers to
the version of the run. The rows are counted correctly, in order, finite, and equal to an independent
recomputation.
"""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from metrics_tools.ecb import BUCKET, Rates
from metrics_tools.local_cloud.cloud import Cloud, client
from metrics_tools.local_cloud.recompute import Comparison, compare, recompute
from metrics_tools.local_cloud.status_listener import RunEvents
from metrics_tools.published.status_event import COMPLETED, STARTED, StatusEvent
from metrics_tools.request_files import Sample
from metrics_worker.publication.dead_letter import DeadLetter, dead_letters
from metrics_worker.publication.records import Keys, snapshots


@dataclass(slots=True)
class Outcome:
    """The outcome of a run, from its status events and published objects.

    Attributes:
        sample: the request.
        status: SUCCESS or FAILURE, or None if no completed event arrived.
        error: the error in the completed event, `CODE: message`; an empty string after a SUCCESS.
        version: the version in the completed event; an empty string after a FAILURE.
        seconds: the time from the started to the completed event; None if either event is missing.
        keys: the keys of all objects of the metric.
        times: the times of the observations, in UTC.
        values: the values of the observations.
        manifest: the manifest of the version, as JSON values; None if there is no readable version.
        check: the comparison with the recomputation; None if the metric cannot be recomputed.
        violations: differences from the expected outcome, one line each.
        dead_letter: the key of the run's stored dead letter; an empty string if there is none.
    """

    sample: Sample
    status: str | None = None
    error: str = ""
    version: str = ""
    seconds: float | None = None
    keys: list[str] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    manifest: dict[str, Any] | None = None
    check: Comparison | None = None
    violations: list[str] = field(default_factory=list)
    dead_letter: str = ""


def copy_published(cloud: Cloud, prefix: str, folder: Path) -> int:
    """Copy every published object below a prefix into a folder, and return the number of copied objects.

    The previous content of the folder is removed. The path of a copy is the key of the object. Two kinds of
    objects are skipped: snapshots, and objects whose path would be outside the folder, which is possible
    because requests determine parts of the keys.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    s3, copied = client("s3", cloud.endpoint), 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        for found in page.get("Contents", []):
            path, is_snapshot = folder / found["Key"], found["Key"].startswith(snapshots(prefix))
            if path.resolve().is_relative_to(folder.resolve()) and not is_snapshot:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read())
                copied += 1
    return copied


def stored_dead_letters(folder: Path, prefix: str) -> dict[str, DeadLetter]:
    """Return all stored dead letters, by key.

    Args:
        folder: the folder with the copies of the published objects.
        prefix: the metrics prefix of the worker.
    """
    files = sorted((folder / dead_letters(prefix)).rglob("*.json"))
    return {file.relative_to(folder).as_posix(): DeadLetter.parse(file.read_bytes()) for file in files}


def check_run(sample: Sample, events: RunEvents, folder: Path, rates: Rates) -> Outcome:
    """Check a run, and return its outcome, which includes all violations.

    Args:
        sample: the request of the run.
        events: the status events of the run.
        folder: the folder with the copies of the published objects.
        rates: the ECB's rates, from which the metric is computed again.
    """
    outcome = Outcome(sample, seconds=events.seconds)
    completed = events.first(COMPLETED)
    if completed is None:
        outcome.violations.append("no metric_run_completed arrived")
        return outcome
    outcome.status = completed.status
    outcome.error = "" if outcome.status == "SUCCESS" else completed.detail
    outcome.violations.extend(_event_violations(outcome, events))
    if outcome.status != "SUCCESS":
        return outcome
    outcome.version = str(completed.event.get("versionTs"))
    try:
        outcome.violations.extend(_object_violations(outcome, completed, folder))
    except (KeyError, ValueError, OSError) as error:
        outcome.violations.append(f"the version cannot be read ({type(error).__name__}: {error})")
    days = (time.date() for time in outcome.times)
    with suppress(KeyError):  # a series or an operation that the recomputation does not support
        expected = recompute(sample.request["expressionJson"], rates)
        outcome.check = compare(found=dict(zip(days, outcome.values, strict=True)), expected=expected)
    if outcome.check and outcome.check.problem:
        outcome.violations.append(f"different from the recomputation: {outcome.check.problem}")
    return outcome


def _event_violations(outcome: Outcome, events: RunEvents) -> Iterator[str]:
    code, expected = outcome.error.partition(":")[0], outcome.sample.expected_error
    if events.first(STARTED) is None and outcome.status == "SUCCESS":
        yield "no metric_run_started arrived"
    if (times := events.number(COMPLETED)) > 1:
        yield f"metric_run_completed arrived {times} times"
    if expected is None and outcome.status != "SUCCESS":
        yield f"{outcome.status} instead of the expected SUCCESS: {outcome.error}"
    elif expected is not None and outcome.status != "FAILURE":
        yield f"{outcome.status} instead of the expected FAILURE"
    elif expected and code != expected:
        yield f"failed with {code} instead of the expected {expected}"


def _object_violations(outcome: Outcome, completed: StatusEvent, folder: Path) -> Iterator[str]:
    """Yield each violation in the objects of a published version, as a line of text.

    The manifest, the keys and the observations of the version are added to the outcome.

    Args:
        outcome: the outcome of the run.
        completed: the completed event of the run, which names the version.
        folder: the folder with the copies of the published objects.

    Raises:
        KeyError, ValueError, OSError: the manifest or a data file is missing, or its content is not valid.
    """
    manifest_key = str(completed.event["outputManifest"]).removeprefix(f"s3://{BUCKET}/")
    body = (folder / manifest_key).read_bytes()
    manifest = outcome.manifest = json.loads(body)
    data = folder / manifest["outputs"]["data_prefix"]
    for name in manifest["outputs"]["files"]:
        table = pq.ParquetFile(data / name).read()
        outcome.times += table["obs_time"].to_pylist()
        outcome.values += table["value"].to_pylist()
    keys = Keys(manifest_key.removesuffix(f"{outcome.version}/manifest.json"))
    files = (path for path in (folder / keys.base).rglob("*") if path.is_file())
    outcome.keys = sorted(path.relative_to(folder).as_posix() for path in files)
    if manifest_key != keys.manifest(outcome.version):
        yield f"the manifest does not have the key of its version: {manifest_key}"
    if (folder / keys.current).read_bytes() != body:
        yield "current/manifest.json does not name this version"
    if keys.marker(outcome.sample.run_id) not in outcome.keys:
        yield f"no marker {keys.marker(outcome.sample.run_id)}"
    event_rows, manifest_rows = completed.event.get("rowCount"), manifest["row_count"]
    if not event_rows == manifest_rows == len(outcome.values):
        yield f"row counts differ: event {event_rows}, manifest {manifest_rows}, file {len(outcome.values)}"
    if not outcome.values:
        yield "no observation: the expression is defined nowhere"
    if outcome.times != sorted(set(outcome.times)) or not all(map(math.isfinite, outcome.values)):
        yield "the observations are not in order, or not all finite"
