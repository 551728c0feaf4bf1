"""The documents of a published metric: manifests, markers and `current`.

A version is committed if and only if the marker of the run that wrote the version refers to the version. A
listing needs one request for each thousand objects. Functions with an argument `bucket` raise the errors of
the bucket: UnusableKey, AccessDenied and StoreUnavailable.
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
    """The documents of a metric that have been read so far.

    Attributes:
        keys: the keys of the metric's objects.
        versions: the versions with at least one object in the bucket, newest first.
        manifests: version → manifest, for the versions whose manifest was read; None for a missing manifest.
        markers: run id → marker, for the valid markers that were read.
        unreadable: the keys of the markers that were read and are not valid.
        current: the object `current`; None if it does not exist or was not read.
    """

    keys: Keys
    versions: Sequence[str]
    manifests: dict[str, StoredObject | None] = field(default_factory=dict)
    markers: dict[str, Marker] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    current: Current | None = None

    @property
    def code(self) -> str:
        """Return the metric code, which is the last segment of the metric's key prefix."""
        return self.keys.base.rstrip("/").rpartition("/")[2]

    @property
    def committed(self) -> set[str]:
        """Return the timestamps of the versions to which the markers in `markers` refer."""
        return {marker.version_ts for marker in self.markers.values()}

    @property
    def newest(self) -> Marker | None:
        """Return the marker of the run with the latest request time; None if there is no valid marker."""
        return max(self.markers.values(), key=age_of, default=None)

    def manifest(self, version_ts: str) -> dict[str, Any]:
        """Return the manifest of a version; an empty dict if it was not read or is not a JSON object."""
        return json_object(self.manifests.get(version_ts))

    def is_committed(self, version_ts: str) -> bool:
        """Return whether a version is committed: its run, named in its manifest, has a marker that names it.

        `manifests` must contain the manifest, and `markers` the marker if it exists; otherwise, the result is
        False.
        """
        marker = self.markers.get(self._run(version_ts))
        return marker is not None and marker.version_ts == version_ts

    def is_current(self, version_ts: str) -> bool:
        """Return whether `current` is a copy of the version's manifest."""
        return self.current is not None and self.current.is_copy_of(self.manifests.get(version_ts))

    def problem(self, version_ts: str) -> str:
        """Return the fault in a version's manifest or marker as text; an empty string if there is none."""
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
        """Read the object `current`, and set the attribute `current`."""
        stored = bucket.find(self.keys.current)
        self.current = Current.of(stored) if stored else None

    def read_manifests(self, bucket: Bucket, versions: Iterable[str]) -> None:
        """Read the manifests of some versions, and add them to `manifests`."""
        keys = {version: self.keys.manifest(version) for version in versions}
        found = bucket.find_many(list(keys.values()))
        self.manifests |= {version: found[key] for version, key in keys.items()}

    def read_markers(self, bucket: Bucket, runs: Iterable[str]) -> None:
        """Read the markers of some runs, and add them to `markers`, or to `unreadable` if not valid.

        Runs without a marker are skipped.
        """
        keys = {self.keys.marker(run): run for run in runs if run and is_key(self.keys.marker(run))}
        for key, stored in bucket.find_many(list(keys)).items():
            try:
                if stored is not None:
                    self.markers[keys[key]] = Marker.model_validate_json(bytes(stored.body))
            except ValidationError:
                self.unreadable.add(key)


def read_metric(bucket: Bucket, keys: Keys) -> Metric:
    """Read all markers and manifests of a metric, and `current`, and return them.

    `current` is read after the markers. If a run commits in the meantime, its marker is read as well.
    """
    metric = Metric(keys, version_names(bucket, keys))
    metric.read_markers(bucket, committed_runs(bucket, [keys]))
    metric.read_current(bucket)
    if metric.current is not None and metric.current.run_id not in metric.markers:
        metric.read_markers(bucket, [metric.current.run_id])  # committed since the listing
    metric.read_manifests(bucket, {*metric.versions, *metric.committed})
    return metric


def committed_runs(bucket: Bucket, metrics: Sequence[Keys]) -> list[str]:
    """Return the run ids of all markers of some metrics."""
    listings = bucket.list_many([f"{keys.base}runs/" for keys in metrics])
    found = [one.key for listed in listings.values() for one in listed]
    return [key.rpartition("/")[2].removesuffix(".ok") for key in found]


def read_versions(bucket: Bucket, keys: Keys, versions: Sequence[str]) -> Metric:
    """Read the manifests and markers of some versions, and `current`, and return them.

    The function makes two requests for each version, and one for `current`.
    """
    metric = Metric(keys, versions)
    metric.read_current(bucket)
    metric.read_manifests(bucket, versions)
    metric.read_markers(bucket, [str(metric.manifest(name).get("run_id", "")) for name in versions])
    return metric


def keys_of(code: str, *, prefix: str) -> Keys:
    """Return the keys of a metric's objects; `prefix` is the key prefix of all metrics.

    Raises:
        typer.Exit: the code cannot be a part of a key. The error is printed.
    """
    base = f"{prefix}{code}/"
    if not is_key(base.removesuffix("/")):
        raise impossible(f"{code!r} is not a metric's code.")
    return Keys(base)


def version_names(bucket: Bucket, keys: Keys) -> list[str]:
    """Return the timestamps of the versions with at least one object in the bucket, newest first."""
    names = (folder.rstrip("/").rpartition("/")[2] for folder in bucket.list_folders(keys.base))
    return sorted(filter(VERSION.fullmatch, names), reverse=True)


def age_of(marker: Marker) -> tuple[datetime, str]:
    """Return a sort key for committed versions, by their request time and then by their timestamp.

    The version with the largest sort key is the one that `current` should refer to. A request time that is
    not valid counts as the earliest possible time.
    """
    return parse_time(marker.requested_at) or datetime.min.replace(tzinfo=UTC), marker.version_ts
