"""What is wrong with a metric at a place, and what to do: each promise of the commit protocol, looked at.

A `Finding` breaks a promise, or waits for a person; a note is only worth knowing. Nothing is written, and
nothing is taken for wrong that a run under way would explain: `current` is read after the markers.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrics_tools.published.pointer import Current, json_object, moment
from metrics_tools.published.versions import (
    data_keys,
    find_all,
    keys_below,
    parse_manifest,
    parse_marker,
    version_names,
)
from metrics_worker.errors import InputReadError
from metrics_worker.publication.dead_letter import DeadLetter, dead_letters
from metrics_worker.publication.records import Keys, Marker
from metrics_worker.s3.bucket import Bucket, StoredObject

_SAME = ("run_id", "metric_code", "version_ts", "row_count", "requested_at")
"""What a marker and the manifest of its version both say."""
_AGAIN = "`metrics send` the run's request with --keep-run-id: a redelivery moves current."
_LOOK = (
    "Somebody changed what nobody may change: find out who. Publish anew, so that current names a sound "
    "version; this one stays as it is, since nothing is deleted (docs/operating.md, a wrong metric)."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found: how grave it is, where, what, and what to do."""

    grade: Literal["finding", "note"]
    where: str
    what: str
    do: str


@dataclass(slots=True)
class Metric:
    """A metric as it stands: documents by key, markers by run id.

    Attributes:
        versions: those that have any object, newest first.
        markers: that can be understood.
        manifests: by version; None where there is none.
        current: the object that `current` is.
        broken: markers that can't be understood.
    """

    keys: Keys
    versions: list[str]
    markers: dict[str, Marker] = field(default_factory=dict)
    manifests: dict[str, StoredObject | None] = field(default_factory=dict)
    current: StoredObject | None = None
    broken: list[Finding] = field(default_factory=list)

    @property
    def committed(self) -> set[str]:
        """The versions that a marker names."""
        return {marker.version_ts for marker in self.markers.values()}

    @property
    def newest(self) -> Marker | None:
        """The marker of the newest request."""
        return max(self.markers.values(), key=_age, default=None)


def look_at(bucket: Bucket, keys: Keys) -> Metric:
    """Read a metric's documents; its data is read later.

    Raises:
        AccessDenied, StoreUnavailable.
    """
    metric = Metric(keys, version_names(bucket, keys))
    _take_markers(metric, find_all(bucket, keys_below(bucket, f"{keys.base}runs/")))
    metric.current = bucket.find(keys.current)
    run = str(_json(metric.current).get("run_id", ""))
    if metric.current is not None and run not in metric.markers and run:
        _take_markers(metric, find_all(bucket, [keys.marker(run)]))  # committed since the listing
    named = sorted({*metric.versions, *metric.committed}, reverse=True)
    found = find_all(bucket, [keys.manifest(version) for version in named])
    metric.manifests = {version: found[keys.manifest(version)] for version in named}
    return metric


def all_findings(bucket: Bucket, metric: Metric, code: str, prefix: str, limit: int) -> Iterator[Finding]:
    """Everything that is found, the gravest first within each subject.

    Args:
        bucket: where the data and the dead letters are.
        metric: as `look_at` read it.
        code: the metric's.
        prefix: under which all metrics are.
        limit: of how many committed versions the data is read, from the newest on; 0 for all.
    """
    yield from metric.broken
    yield from markers_and_manifests(metric, code)
    committed = sorted(metric.committed, reverse=True)
    for version in committed[: limit or None]:
        yield from data(bucket, metric, version)
    yield from current(metric)
    yield from unreferenced(metric)
    yield from letters(bucket, metric, code, prefix)


def markers_and_manifests(metric: Metric, code: str) -> Iterator[Finding]:
    """A marker names one whole version, and says what its manifest says."""
    owners: dict[str, str] = {}
    for run, marker in metric.markers.items():
        where = metric.keys.marker(run)
        said = marker.run_id, marker.metric_code
        if said != (run, code.rpartition("/")[2]):
            yield Finding("finding", where, f"the marker is of run {said[0]} of {said[1]}", _LOOK)
        if (other := owners.setdefault(marker.version_ts, run)) != run:
            what = f"version {marker.version_ts} is named by run {other} too"
            yield Finding("finding", where, what, _LOOK)
        found = metric.manifests.get(marker.version_ts)
        if found is None or marker.manifest != metric.keys.manifest(marker.version_ts):
            what = f"committed, but its manifest {marker.manifest} is not there"
            yield Finding("finding", where, what, _LOOK)
            continue
        manifest = _json(found)
        differing = [name for name in _SAME if manifest.get(name) != getattr(marker, name)]
        if differing:
            what = f"its manifest does not say what the marker says: {', '.join(differing)}"
            yield Finding("finding", found.key, what, _LOOK)


def data(bucket: Bucket, metric: Metric, version: str) -> Iterator[Finding]:
    """The data of a committed version can be read, is its own, and has as many rows as the manifest says."""
    found = metric.manifests.get(version)
    if found is None:
        return  # said by `markers_and_manifests`
    try:
        manifest = parse_manifest(found)
        named = data_keys(manifest, metric.keys)
    except InputReadError as error:
        yield Finding("finding", found.key, error.message, _LOOK)
        return
    rows = 0
    for key, body in find_all(bucket, named).items():
        if body is None:
            yield Finding("finding", key, "the data is not there", _LOOK)
            return
        try:
            parquet = pq.ParquetFile(io.BytesIO(body.body))
            table = parquet.read(use_threads=False)
            rows += table.num_rows
        except (pa.ArrowException, OSError) as error:
            yield Finding("finding", key, f"the data can't be read: {str(error).partition('\n')[0]}", _LOOK)
            return
        if problem := _unsound(table):
            yield Finding("finding", key, f"the data {problem}", _LOOK)
        said = parquet.schema_arrow.metadata or {}
        for name in ("run_id", "metric_code", "version_ts"):
            if (own := said.get(name.encode(), b"").decode(errors="replace")) != manifest.get(name):
                what = f"the data is of {name} {own or 'none'}, the manifest of {manifest.get(name)}"
                yield Finding("finding", key, what, _LOOK)
    if rows != manifest.get("row_count"):
        what = f"the data has {rows:,} rows, the manifest says {manifest.get('row_count')}"
        yield Finding("finding", found.key, what, _LOOK)


def _unsound(table: pa.Table) -> str:
    """In what the data is none that the worker writes; empty where it is."""
    kinds = {"obs_time": pa.timestamp("us", "UTC"), "value": pa.float64()}
    if {field.name: field.type for field in table.schema} != kinds:
        return f"has the columns {', '.join(f'{field.name} {field.type}' for field in table.schema)}"
    if any(column.null_count for column in table.columns):
        return "has nulls"
    if not np.isfinite(table["value"].to_numpy()).all():
        return "has values that are not finite"
    ascending = (np.diff(table["obs_time"].cast(pa.int64()).to_numpy()) > 0).all()
    return "" if ascending else "has times that don't ascend"


def current(metric: Metric) -> Iterator[Finding]:
    """Check that `current` names a whole committed version: the newest request's, or a rollback's."""
    where, newest = metric.keys.current, metric.newest
    if metric.current is None:
        if newest is not None:
            what = f"there is none, though version {newest.version_ts} is committed"
            yield Finding("finding", where, what, _AGAIN)
        return
    found = Current.of(metric.current)
    marker = metric.markers.get(found.run_id)
    if marker is None or marker.version_ts != found.version_ts:
        what = f"names version {found.version_ts} of run {found.run_id}, which is not committed"
        yield Finding("finding", where, what, _LOOK)
        return
    if not found.is_copy_of(metric.manifests.get(found.version_ts)):
        what = f"is no copy of the manifest of version {found.version_ts}"
        yield Finding("finding", where, what, _LOOK)
    if found.rolled_back_at is not None:
        yield _rollback(found, where)
    at = found.decided_at, "~" if found.rolled_back_at else found.version_ts
    if newest is not None and at < _age(newest):
        what = (
            f"names version {found.version_ts}, but {newest.version_ts} was asked for later "
            f"({newest.requested_at})"
        )
        yield Finding("finding", where, what, f"Look again if a run is under way; else {_AGAIN}")


def _rollback(current: Current, where: str) -> Finding:
    before = f" from {current.rolled_back_from}" if current.rolled_back_from else ""
    at = f"{current.rolled_back_at:%Y-%m-%dT%H:%M:%SZ}"
    return Finding(
        "note",
        where,
        f"rolled back to version {current.version_ts}{before}, at {at}",
        "Nothing: it stays until a later request is published. `metrics rollback` chooses another version.",
    )


def unreferenced(metric: Metric) -> Iterator[Finding]:
    """Versions that no marker names: readers never see them."""
    for version in metric.versions:
        if version not in metric.committed:
            yield Finding(
                "note",
                f"{metric.keys.base}{version}/",
                "unreferenced: of a run that died, lost a race, or is under way",
                "Nothing: no reader sees it, and nothing is ever deleted.",
            )


def letters(bucket: Bucket, metric: Metric, code: str, prefix: str) -> Iterator[Finding]:
    """Dead letters of the metric. One is settled where its run is committed, or a later request is."""
    newest = _age(metric.newest)[0] if metric.newest else None
    for key, letter in _letters(bucket, prefix):
        if letter.metric_code != code.rpartition("/")[2]:
            continue
        what = f"dead letter of run {letter.run_id}, {letter.outcome}: {letter.why}"
        if letter.run_id in metric.markers:
            yield Finding("note", key, what, "Nothing: the run is committed.")
        elif newest is not None and newest > letter.sent_at:
            yield Finding("note", key, what, "Nothing needs it: a later request has been published since.")
        else:
            do = "When the cause is mended, send it back: make redrive (README, Dead letters)."
            yield Finding("finding", key, what, do)


def _letters(bucket: Bucket, prefix: str) -> Iterator[tuple[str, DeadLetter]]:
    """Yield the dead letters with their keys. Objects that are not dead letters are left out."""
    for key, stored in find_all(bucket, keys_below(bucket, dead_letters(prefix))).items():
        if stored is None:
            continue
        try:
            letter = DeadLetter.parse(bytes(stored.body))
        except ValueError:
            continue
        yield key, letter


def _take_markers(metric: Metric, found: dict[str, StoredObject | None]) -> None:
    for key, stored in found.items():
        marker, problem = parse_marker(stored)
        if marker is not None:
            metric.markers[_run_of(key)] = marker
        elif problem:
            metric.broken.append(Finding("finding", key, "the marker can't be understood", _LOOK))


def _run_of(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".ok")


def _json(found: StoredObject | None) -> dict[str, Any]:
    return {} if found is None else json_object(bytes(found.body))


def _age(marker: Marker) -> tuple[datetime, str]:
    """When a version was asked for, and itself: what decides which of two is newer."""
    return moment(marker.requested_at) or datetime.min.replace(tzinfo=UTC), marker.version_ts


def graves(findings: Iterable[Finding]) -> list[Finding]:
    """Those that are more than a note."""
    return [found for found in findings if found.grade == "finding"]
