"""The deletion of objects that nothing refers to, for `metrics prune`. Only this module deletes objects.

A version can be deleted if neither a marker nor `current` names it, and if all of its objects are older than
a given age. The age protects runs in progress, which have written their objects within the last minutes. Just
before a version is deleted, the markers and `current` are read again. The manifest is deleted first and the
data last. If the deletion is interrupted, the bucket is therefore in a state that the end of a worker can
cause, too.

A snapshot can be deleted at any time, because it is a cache. It is listed if it has become useless: none of
its part files exists, or it cannot be decoded.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import obstore
from obstore.store import LocalStore

from metrics_tools.buckets.folder import FolderBucket
from metrics_tools.published.metric import Metric
from metrics_tools.published.overview import metric_codes
from metrics_worker.dataset.snapshot import UnusableSnapshot, decode, stated_subject
from metrics_worker.errors import ObjectNotFound
from metrics_worker.names import metric_base
from metrics_worker.publication.records import VERSION, Keys, snapshots
from metrics_worker.s3.errors import refusals
from metrics_worker.s3.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from obstore import ObjectMeta


@dataclass(frozen=True, slots=True)
class Unreferenced:
    """An unreferenced version or a useless snapshot.

    Attributes:
        kind: `version` or `snapshot`.
        where: the key prefix of the version, or the key of the snapshot.
        keys: the keys of its objects, in the order in which they are deleted.
        size: the size of all objects in bytes.
        modified_at: the time (UTC) at which the newest of its objects was written.
        why: the reason why nothing refers to it.
        kept: the reason why it must not be deleted nevertheless; empty if it can be deleted.
        metric: the metric of the version, with the markers that were read; None for a snapshot.
    """

    kind: Literal["version", "snapshot"]
    where: str
    keys: tuple[str, ...]
    size: int
    modified_at: datetime
    why: str
    kept: str = ""
    metric: Metric | None = field(default=None, compare=False)


def find_unreferenced(bucket: S3Bucket, prefix: str, *, before: datetime) -> Iterator[Unreferenced]:
    """Yield all unreferenced versions and useless snapshots, also those that must not be deleted yet.

    Args:
        bucket: the bucket.
        prefix: the key prefix of all metrics.
        before: the time (UTC). Only objects that were written before this time may be deleted.

    Raises:
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    for code in metric_codes(bucket, prefix):
        yield from _versions(bucket, Keys(metric_base(prefix, code)), before)
    yield from _snapshots(bucket, prefix, before)


def delete(bucket: S3Bucket, found: Unreferenced, *, before: datetime) -> str:
    """Delete the objects of a version or snapshot, unless something refers to it by now.

    Args:
        bucket: the bucket.
        found: the version or snapshot, as returned by `find_unreferenced`.
        before: the time (UTC) before which the objects must have been written.

    Returns:
        The reason why nothing was deleted; an empty string if the objects were deleted.

    Raises:
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed. Some objects may have been deleted.
    """
    kept = found.kept
    if found.metric is not None and not kept:
        version = found.where.rstrip("/").rpartition("/")[2]
        _read_newer_documents(bucket, found.metric, version)
        kept = _protection(found.metric, version)
    if not kept and any(meta["last_modified"] >= before for meta in _listed(bucket, found.where)):
        kept = "it has changed meanwhile"
    if not kept:
        # Without the cleanup, a folder would keep an empty folder for each version.
        folder = bucket.root if isinstance(bucket, FolderBucket) else None
        store = LocalStore(folder, automatic_cleanup=True) if folder else bucket.store
        for key in found.keys:
            with suppress(ObjectNotFound), refusals(key, operation="DELETE"):  # another prune has deleted it
                obstore.delete(store, key)
    return kept


def _versions(bucket: S3Bucket, keys: Keys, before: datetime) -> Iterator[Unreferenced]:
    """Yield the unreferenced versions of a metric, oldest first.

    The objects are listed before the markers are listed. A version that is committed in between is therefore
    not taken for unreferenced.

    Args:
        bucket: the bucket.
        keys: the keys of the metric's objects.
        before: the time (UTC). A version with an object that was written later must not be deleted yet.
    """
    objects: dict[str, list[ObjectMeta]] = {}
    for meta in _listed(bucket, keys.base):
        version = meta["path"].removeprefix(keys.base).partition("/")[0]
        if VERSION.fullmatch(version):
            objects.setdefault(version, []).append(meta)
    metric = Metric(keys, sorted(objects, reverse=True))
    _read_newer_documents(bucket, metric)
    unnamed = sorted(set(objects).difference(metric.committed))
    metric.read_manifests(bucket, unnamed)
    for version in unnamed:
        found = objects[version]
        newest = max(meta["last_modified"] for meta in found)
        manifest = keys.manifest(version)
        paths = sorted((meta["path"] for meta in found), key=lambda path: (path != manifest, path))
        kept = _protection(metric, version) or ("it is too young" if newest >= before else "")
        if kept == _IS_CURRENT:
            continue
        yield Unreferenced(
            "version",
            f"{keys.base}{version}/",
            tuple(paths),
            sum(meta["size"] for meta in found),
            newest,
            "no marker names it" if manifest in paths else "half-written: it has no manifest",
            kept,
            metric,
        )


_IS_CURRENT = "current names it"


def _protection(metric: Metric, version: str) -> str:
    """Return the reason why a version must not be deleted, whatever its age; empty if there is no reason.

    The function makes no request: the markers, `current` and the manifest of the version must be in `metric`
    already.
    """
    current, manifest = metric.current, metric.manifest(version)
    marker = metric.keys.marker(str(manifest.get("run_id", "")))
    named = {current.version_ts, current.rolled_back_from} if current is not None else set()
    is_damaged = current is not None and not VERSION.fullmatch(current.version_ts)
    reasons = (
        (version in metric.committed, "a marker names it"),
        (version in named, _IS_CURRENT),
        (is_damaged, "current is damaged, and may name it"),
        (marker in metric.unreadable, "the marker of its run cannot be parsed, and may name it"),
        (metric.unreadable and not manifest, "a marker of the metric cannot be parsed, and may name it"),
        (
            manifest and "requested_at" not in manifest,
            "the previous worker wrote it, whose markers name no version",
        ),
    )
    return next((reason for applies, reason in reasons if applies), "")


def _read_newer_documents(bucket: S3Bucket, metric: Metric, *versions: str) -> None:
    """Read `current`, the manifests of some versions, and the new markers, and add them to a metric.

    A new marker is one that the bucket contains and `metric` does not.

    Args:
        bucket: the bucket.
        metric: the documents that were read earlier, to which the new ones are added.
        versions: the timestamps of the versions whose manifests are read.
    """
    keys = [found.key for found in bucket.list(f"{metric.keys.base}runs/")]
    runs = [key.rpartition("/")[2].removesuffix(".ok") for key in keys if key not in metric.unreadable]
    metric.read_markers(bucket, [run for run in runs if run not in metric.markers])
    metric.read_current(bucket)
    metric.read_manifests(bucket, versions)


def _snapshots(bucket: S3Bucket, prefix: str, before: datetime) -> Iterator[Unreferenced]:
    """Yield the useless snapshots: those without any existing part file, and those that cannot be decoded.

    Args:
        bucket: the bucket.
        prefix: the key prefix of all metrics, below which the snapshots are stored.
        before: the time (UTC). A snapshot that was written later must not be deleted yet.
    """
    part_files: dict[str, set[str]] = {}
    for meta in _listed(bucket, snapshots(prefix)):
        stored = bucket.find(meta["path"])
        if stored is None:
            continue
        try:
            subject = stated_subject(stored.body)
            files = decode(stored.body, subject).files
        except UnusableSnapshot as error:
            why = f"no worker of this release can use it: {error}"
        else:
            folder = subject.projections
            if folder not in part_files:
                part_files[folder] = {found.key for found in bucket.list(folder)}
            if not part_files[folder].isdisjoint(files.keys):
                continue
            why = f"none of the {len(files.keys):,} part files of {subject.code} exists under {folder}"
        kept = "it is too young" if meta["last_modified"] >= before else ""
        modified_at, size = meta["last_modified"], meta["size"]
        yield Unreferenced("snapshot", meta["path"], (meta["path"],), size, modified_at, why, kept)


def _listed(bucket: S3Bucket, where: str) -> list[Any]:
    """Return the metadata of all objects whose keys begin with `where`: a key, or a prefix.

    The metadata of an object is that of obstore: a dict with fields such as `path` (the key), `size` (bytes)
    and `last_modified` (a datetime).
    """
    with refusals(where, operation="LIST"):
        found: list[Any] = list(obstore.list(bucket.store, where.rpartition("/")[0] + "/").collect())
    return [meta for meta in found if meta["path"].startswith(where)]
