"""The rollback of a metric: `current` refers to a chosen version until a later request is published."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from metrics_tools.published.documents import Current, parse_manifest
from metrics_tools.published.findings import check_data
from metrics_tools.published.metric import read_versions
from metrics_worker.errors import InputReadError, ObjectTaken, StoreUnavailable
from metrics_worker.publication.current import MAX_SWAPS, age
from metrics_worker.publication.records import Keys
from metrics_worker.request import iso
from metrics_worker.s3.bucket import Bucket

_TICK = timedelta(milliseconds=1)


class RollbackRefusedError(Exception):
    """The error of a refused rollback. Its text is the reason. No object was changed."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """The result of a rollback.

    Attributes:
        version_ts: the version to which `current` refers after the rollback.
        rolled_back_from: the version to which `current` referred before; None if there was none.
        rolled_back_at: the time of the rollback in ISO 8601. Earlier requests do not change `current`.
        changed: False if `current` already referred to the version.
    """

    version_ts: str
    rolled_back_from: str | None
    rolled_back_at: str
    changed: bool


def roll_back(bucket: Bucket, keys: Keys, version_ts: str, *, now: Callable[[], datetime]) -> Rollback:
    """Make `current` refer to a version, by compare-and-swap. `now` returns the time in UTC.

    Raises:
        RollbackRefusedError: the version is not complete, or the version of a later request became current.
        AccessDenied: the credentials do not permit a request.
        StoreUnavailable: S3 failed, or runs updated `current` at every attempt.
    """
    manifest = _complete_version(bucket, keys, version_ts)
    decided: datetime | None = None
    for _ in range(MAX_SWAPS):
        found = bucket.find(keys.current)
        current = Current.of(found) if found else None
        if decided is None:
            # Later than the current version, even if clocks differ: a redelivery must not undo the rollback.
            decided = max(now(), age(found)[0] + _TICK) if found else now()
        elif found and current and age(found)[0] > decided:
            raise RollbackRefusedError(
                f"version {current.version_ts} of a later request has become current meanwhile."
            )
        before = current.version_ts if current and current.manifest else None
        at = iso(decided, "milliseconds")
        if before == version_ts:
            return Rollback(version_ts, before, at, changed=False)
        document = {**manifest, "rolled_back_at": at, "rolled_back_from": before}
        body = json.dumps(document, indent=2).encode()
        try:
            if found is None:
                bucket.create(keys.current, body)
            else:
                bucket.swap(keys.current, body, etag=found.etag)
        except ObjectTaken:
            continue  # a run has updated `current` in the meantime: read `current` again
        return Rollback(version_ts, before, at, changed=True)
    raise StoreUnavailable(keys.current, "runs kept moving it")


def _complete_version(bucket: Bucket, keys: Keys, version_ts: str) -> dict[str, Any]:
    """Return the manifest of a version after checking that the version is committed and readable.

    Raises:
        RollbackRefusedError: the version is not committed or not readable.
        AccessDenied, StoreUnavailable: S3 refused a request or failed.
    """
    metric = read_versions(bucket, keys, [version_ts])
    found = metric.manifests[version_ts]
    if found is None:
        raise RollbackRefusedError(f"version {version_ts} has no manifest.")
    try:
        manifest = parse_manifest(found)
    except InputReadError as error:
        raise RollbackRefusedError(f"the manifest of version {version_ts} can't be used: {error}.") from error
    if not metric.is_committed(version_ts) or manifest.get("version_ts") != version_ts:
        raise RollbackRefusedError(f"version {version_ts} is not committed: no marker of its run names it.")
    for problem in check_data(bucket, keys, found):
        raise RollbackRefusedError(f"version {version_ts} is damaged: {problem.where}: {problem.what}.")
    return manifest
