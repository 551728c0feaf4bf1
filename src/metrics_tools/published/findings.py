"""The checks of `metrics doctor`: whether a metric's objects meet each guarantee of the commit protocol.

The checks write nothing. A run in progress can cause only one finding: that `current` is outdated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrics_tools.published.documents import (
    Current,
    data_keys,
    json_object,
    parse_dead_letter,
    parse_manifest,
)
from metrics_tools.published.metric import Metric, age_of
from metrics_worker.errors import InputReadError
from metrics_worker.publication.current import age
from metrics_worker.publication.dead_letter import dead_letters
from metrics_worker.publication.records import Keys
from metrics_worker.s3.bucket import Bucket, StoredObject

_SAME = ("run_id", "metric_code", "version_ts", "row_count", "requested_at")
"""The fields that a marker and the manifest of its version have in common."""
_SCHEMA = {"obs_time": pa.timestamp("us", "UTC"), "value": pa.float64()}
_REDELIVER = "`metrics send` the run's request with --keep-run-id: a redelivery moves current."
_FOREIGN_CHANGE = (
    "The worker never changes this object: find out what did. Publish the metric again, so that current "
    "names a sound version; this one stays, since nothing is deleted (docs/operating.md, a wrong metric)."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact that a check reports about one object.

    Attributes:
        grade: `finding` if a guarantee is broken or an operator must act; `note` for information only.
        where: the key of the object, or a key prefix.
        what: the description of the fact.
        do: the action that the operator should take.
    """

    grade: Literal["finding", "note"]
    where: str
    what: str
    do: str = _FOREIGN_CHANGE

    @property
    def is_problem(self) -> bool:
        """Return whether the grade is `finding` and not `note`."""
        return self.grade == "finding"


def check_metric(bucket: Bucket, metric: Metric, *, prefix: str, limit: int) -> Iterator[Finding]:
    """Check a metric's markers, manifests, data, `current` and dead letters, and yield the findings.

    Args:
        bucket: the bucket of the metric.
        metric: the documents of the metric, which `read_metric()` has read.
        prefix: the key prefix of all metrics.
        limit: the number of newest committed versions whose data is checked; 0 for all versions.
    """
    for key in sorted(metric.unreadable):
        yield Finding("finding", key, "the marker cannot be parsed")
    yield from _check_markers(metric)
    for version in sorted(metric.committed, reverse=True)[: limit or None]:
        if (manifest := metric.manifests.get(version)) is not None:
            yield from check_data(bucket, metric.keys, manifest)
    yield from _check_current(metric)
    for version in metric.versions:
        if version not in metric.committed:
            what = "unreferenced: its run was killed, lost a race, or is in progress"
            do = "Nothing: readers do not see it. `metrics prune` can delete it when it is a day old."
            yield Finding("note", f"{metric.keys.base}{version}/", what, do)
    yield from _check_dead_letters(bucket, metric, prefix)


def _check_markers(metric: Metric) -> Iterator[Finding]:
    """Yield a finding for each fault of a marker.

    A marker is faulty if it is that of another run, if another marker refers to the same version, if the
    manifest of the version does not exist, or if the manifest contains other values than the marker.
    """
    owners: dict[str, str] = {}
    for run, marker in metric.markers.items():
        where = metric.keys.marker(run)
        if (marker.run_id, marker.metric_code) != (run, metric.code):
            yield Finding("finding", where, f"the marker is of run {marker.run_id} of {marker.metric_code}")
        if (other := owners.setdefault(marker.version_ts, run)) != run:
            yield Finding("finding", where, f"version {marker.version_ts} is named by run {other} too")
        found = metric.manifests.get(marker.version_ts)
        if found is None or marker.manifest != metric.keys.manifest(marker.version_ts):
            yield Finding("finding", where, f"committed, but its manifest {marker.manifest} does not exist")
            continue
        manifest = json_object(found)
        if differing := [name for name in _SAME if manifest.get(name) != getattr(marker, name)]:
            what = f"the manifest and the marker differ: {', '.join(differing)}"
            yield Finding("finding", found.key, what)


def check_data(bucket: Bucket, keys: Keys, stored: StoredObject) -> Iterator[Finding]:
    """Yield a finding for each fault in the data of a version.

    The data files must be readable, have the worker's columns and valid values, and belong to the version.
    The number of rows must equal `row_count` in the manifest.

    Args:
        bucket: the bucket of the metric.
        keys: the keys of the metric.
        stored: the manifest of the version.
    """
    try:
        manifest = parse_manifest(stored)
        named = data_keys(manifest, keys)
    except InputReadError as error:
        yield Finding("finding", stored.key, error.message)
        return
    rows = 0
    for key, found in bucket.find_many(named).items():
        if found is None:
            yield Finding("finding", key, "the data does not exist")
            return
        try:
            table = pq.ParquetFile(pa.BufferReader(found.body)).read(use_threads=False)
        except (pa.ArrowException, OSError) as error:
            yield Finding("finding", key, f"the data cannot be read: {str(error).partition('\n')[0]}")
            return
        rows += table.num_rows
        for problem in _table_problems(table, manifest):
            yield Finding("finding", key, f"the data {problem}")
    if rows != manifest.get("row_count"):
        what = f"the data has {rows:,} rows, the manifest says {manifest.get('row_count')}"
        yield Finding("finding", stored.key, what)


def _table_problems(table: pa.Table, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield a text for each fault in a data file: wrong columns, invalid values, or wrong metadata.

    Each text continues a sentence that begins with "the data". Invalid values are nulls, values that are not
    finite, and times that do not ascend; only the first of these faults is yielded.

    Args:
        table: the content of the data file.
        manifest: the manifest of the version, as JSON values.
    """
    if {field.name: field.type for field in table.schema} != _SCHEMA:
        yield f"has the columns {', '.join(f'{field.name} {field.type}' for field in table.schema)}"
    elif any(column.null_count for column in table.columns):
        yield "has nulls"
    elif not np.isfinite(table["value"].to_numpy()).all():
        yield "has values that are not finite"
    elif (np.diff(table["obs_time"].cast(pa.int64()).to_numpy()) <= 0).any():
        yield "has times that do not ascend"
    metadata = table.schema.metadata or {}
    for name in ("run_id", "metric_code", "version_ts"):
        own = metadata.get(name.encode(), b"").decode(errors="replace")
        if own != manifest.get(name):
            yield f"is of {name} {own or 'none'}, the manifest of {manifest.get(name)}"


def _check_current(metric: Metric) -> Iterator[Finding]:
    """Yield a finding for each fault of `current`, and a note if the current version is due to a rollback.

    `current` must be a copy of the manifest of a committed version: the version of the newest request, or,
    after a rollback, the version that an operator chose.
    """
    where, newest, current = metric.keys.current, metric.newest, metric.current
    if current is None:
        if newest is not None:
            what = f"current does not exist, although version {newest.version_ts} is committed"
            yield Finding("finding", where, what, _REDELIVER)
        return
    marker = metric.markers.get(current.run_id)
    if marker is None or marker.version_ts != current.version_ts:
        what = f"names version {current.version_ts} of run {current.run_id}, which is not committed"
        yield Finding("finding", where, what)
        return
    if not current.is_copy_of(metric.manifests.get(current.version_ts)):
        yield Finding("finding", where, f"is not a copy of the manifest of version {current.version_ts}")
    if current.rolled_back_at is not None:
        yield _rollback(current, where)
    if newest is not None and age(current.stored) < age_of(newest):
        what = (
            f"names version {current.version_ts}, but {newest.version_ts} was requested later "
            f"({newest.requested_at})"
        )
        yield Finding("finding", where, what, f"Check again if a run is in progress. Otherwise, {_REDELIVER}")


def _rollback(current: Current, where: str) -> Finding:
    before = f" from {current.rolled_back_from}" if current.rolled_back_from else ""
    at = f"{current.rolled_back_at:%Y-%m-%dT%H:%M:%SZ}"
    what = f"rolled back to version {current.version_ts}{before}, at {at}"
    do = "Nothing: it stays until a later request is published. `metrics rollback` chooses another version."
    return Finding("note", where, what, do)


def _check_dead_letters(bucket: Bucket, metric: Metric, prefix: str) -> Iterator[Finding]:
    """Yield a note or a finding for each dead letter of the metric.

    The result is a note if the run of the dead letter is committed, or if the request of a committed version
    is later than the dead letter, and otherwise a finding. Invalid dead letters are skipped.

    Args:
        bucket: the bucket of the metric.
        metric: the documents of the metric.
        prefix: the key prefix of all metrics, under which the dead letters are stored.
    """
    newest = age_of(metric.newest)[0] if metric.newest else None
    keys = [listed.key for listed in bucket.list(dead_letters(prefix))]
    for key, stored in bucket.find_many(keys).items():
        letter = parse_dead_letter(stored)
        if letter is None or letter.metric_code != metric.code:
            continue
        what = f"dead letter of run {letter.run_id}, {letter.outcome}: {letter.why}"
        if letter.run_id in metric.markers:
            yield Finding("note", key, what, "Nothing: the run is committed.")
        elif newest is not None and newest > letter.sent_at:
            yield Finding("note", key, what, "Nothing: a later request was published.")
        else:
            do = "Correct the cause, then send the message back: `metrics redrive`."
            yield Finding("finding", key, what, do)
