"""The documents of a published metric: versions, manifests, markers and `current`.

A version is committed if and only if the marker of its run names it. A listing costs one request for each
thousand objects. Functions that take a bucket raise its errors: UnusableKey, AccessDenied, StoreUnavailable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from metrics_tools.console import impossible
from metrics_tools.published.documents import Current, json_object, parse_manifest, parse_time
from metrics_worker.errors import InputReadError
from metrics_worker.names import is_key
from metrics_worker.publication.records import VERSION, Keys, Marker
from metrics_worker.s3.bucket import Bucket, StoredObject


@dataclass(slots=True)
class Metric:
    """The documents of a metric that were read so far.

    Attributes:
        keys: the keys of the metric's objects.
        versions: the versions that have any object, newest first.
        manifests: the manifest of each version; None if it does not exist.
        markers: the markers that can be parsed, by run id.
        unreadable: the keys of the other markers.
        current: the object `current`; None if it does not exist.
    """

    keys: Keys
    versions: Sequence[str]
    manifests: dict[str, StoredObject | None] = field(default_factory=dict)
    markers: dict[str, Marker] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    current: Current | None = None

    @property
    def code(self) -> str:
        """Return the metric's code as the worker writes it into documents."""
        return self.keys.base.rstrip("/").rpartition("/")[2]

    @property
    def committed(self) -> set[str]:
        """Return the versions that a marker names."""
        return {marker.version_ts for marker in self.markers.values()}

    @property
    def newest(self) -> Marker | None:
        """Return the marker of the newest request."""
        return max(self.markers.values(), key=age_of, default=None)

    def manifest(self, version_ts: str) -> dict[str, Any]:
        """Return the manifest of a version; an empty one if it does not exist or is not a JSON object."""
        return json_object(self.manifests.get(version_ts))

    def is_committed(self, version_ts: str) -> bool:
        """Return whether the marker of the run that the manifest names also names the version."""
        marker = self.markers.get(self._run(version_ts))
        return marker is not None and marker.version_ts == version_ts

    def is_current(self, version_ts: str) -> bool:
        """Return whether `current` is a copy of the version's manifest."""
        return self.current is not None and self.current.is_copy_of(self.manifests.get(version_ts))

    def problem(self, version_ts: str) -> str:
        """Return the problem with a version's manifest or marker; empty if there is none."""
        stored, key = self.manifests.get(version_ts), self.keys.marker(self._run(version_ts))
        if stored is None:
            return "no manifest"
        try:
            parse_manifest(stored)
        except InputReadError as error:
            return error.message
        return f"{key}: the marker cannot be parsed" if key in self.unreadable else ""

    def _run(self, version_ts: str) -> str:
        return str(self.manifest(version_ts).get("run_id", ""))

    def read_current(self, bucket: Bucket) -> None:
        """Read `current`."""
        stored = bucket.find(self.keys.current)
        self.current = Current.of(stored) if stored else None

    def read_manifests(self, bucket: Bucket, versions: Iterable[str]) -> None:
        """Read the manifests of some versions."""
        keys = {version: self.keys.manifest(version) for version in versions}
        found = bucket.find_many(list(keys.values()))
        self.manifests |= {version: found[key] for version, key in keys.items()}

    def read_markers(self, bucket: Bucket, runs: Iterable[str]) -> None:
        """Read the markers of some runs; a run without a marker is left out."""
        keys = {self.keys.marker(run): run for run in runs if run and is_key(self.keys.marker(run))}
        for key, stored in bucket.find_many(list(keys)).items():
            try:
                if stored is not None:
                    self.markers[keys[key]] = Marker.model_validate_json(bytes(stored.body))
            except ValidationError:
                self.unreadable.add(key)


def read_metric(bucket: Bucket, keys: Keys) -> Metric:
    """Read all documents of a metric.

    `current` is read after the markers, so that the marker of the run that moved it is not missed.
    """
    metric = Metric(keys, version_names(bucket, keys))
    runs = [found.key for found in bucket.list(f"{keys.base}runs/")]
    metric.read_markers(bucket, [key.rpartition("/")[2].removesuffix(".ok") for key in runs])
    metric.read_current(bucket)
    if metric.current is not None and metric.current.run_id not in metric.markers:
        metric.read_markers(bucket, [metric.current.run_id])  # committed since the listing
    metric.read_manifests(bucket, {*metric.versions, *metric.committed})
    return metric


def read_versions(bucket: Bucket, keys: Keys, versions: Sequence[str]) -> Metric:
    """Read some versions: two requests for each version, and one for `current`."""
    metric = Metric(keys, versions)
    metric.read_current(bucket)
    metric.read_manifests(bucket, versions)
    metric.read_markers(bucket, [str(metric.manifest(name).get("run_id", "")) for name in versions])
    return metric


def keys_of(code: str, *, prefix: str) -> Keys:
    """Return the keys of a metric's objects. A code that cannot be a part of keys ends the command."""
    base = f"{prefix}{code}/"
    if not is_key(base.removesuffix("/")):
        raise impossible(f"{code!r} is not a metric's code.")
    return Keys(base)


def version_names(bucket: Bucket, keys: Keys) -> list[str]:
    """Return the versions that have any object, newest first."""
    names = (folder.rstrip("/").rpartition("/")[2] for folder in bucket.list_folders(keys.base))
    return sorted(filter(VERSION.fullmatch, names), reverse=True)


def age_of(marker: Marker) -> tuple[datetime, str]:
    """Return the request time and the name of a version, which order the versions of a metric."""
    return parse_time(marker.requested_at) or datetime.min.replace(tzinfo=UTC), marker.version_ts
