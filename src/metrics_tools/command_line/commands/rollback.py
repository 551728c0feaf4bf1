"""`metrics rollback`: let `current` name an earlier version of a metric, until a later request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from metrics_tools import console
from metrics_tools.buckets.places import BucketOption, FolderOption, metrics_prefix
from metrics_tools.command_line.published_metric import CodeArgument, no_such_metric, published_place
from metrics_tools.console import JsonOption, emit, impossible
from metrics_tools.published.findings import Metric, data
from metrics_tools.published.pointer import Current, rolled_back
from metrics_tools.published.versions import keys_of, parse_manifest, parse_marker, version_names
from metrics_worker.errors import InputReadError, MetricsWorkerError, ObjectTaken, StoreUnavailable
from metrics_worker.names import is_key
from metrics_worker.publication.records import VERSION, Keys
from metrics_worker.request import iso
from metrics_worker.s3.bucket import Bucket, StoredObject

_MAX_SWAPS = 60
_TICK = timedelta(milliseconds=1)
_FEW = 5


class RollbackRefusedError(Exception):
    """A rollback that was refused; the text says why. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A rollback.

    Attributes:
        version_ts: the version that `current` names now.
        before: the version that it named before; None if it named none.
        at: when it was decided, ISO 8601: requests up to then leave `current` alone.
        changed: False if `current` named the version already.
    """

    version_ts: str
    before: str | None
    at: str
    changed: bool


def rollback(
    code: CodeArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `metrics history` lists it.")],
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let readers have another version: current names VERSION until a later request publishes one.

    Nothing else changes: versions stay, and the command takes you forward
    again too. A request that was made before the rollback still gets its
    version, also as a redelivery or a dead letter that is sent back, but
    leaves current alone. The control plane is not notified. VERSION must be
    committed, and its manifest and data whole.

    Exit: 0 current names VERSION, 2 impossible, or refused.

    [bold]Examples[/bold]

      metrics rollback fx.usd_per_brl 2026-10-30T12-00-00 --bucket my-data

      metrics rollback fx.usd_per_brl 2026-10-30T12-00-00 --folder data --json
    """
    place, keys = published_place(bucket, folder), keys_of(code, metrics_prefix())
    try:
        names = version_names(place.bucket, keys)
        if not names:
            raise no_such_metric(code, place)
        if not VERSION.fullmatch(version) or version not in names:
            raise impossible(
                f"{code} has no version {version} at {place.label}. The newest are {', '.join(names[:_FEW])}."
            )
        done = roll_back(place.bucket, keys, version, lambda: datetime.now(UTC))
    except RollbackRefusedError as error:
        raise impossible(f"{code} at {place.label}: {error} Nothing was changed.") from error
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error
    if as_json:
        emit(
            {
                "place": place.label,
                "metric_code": code,
                "version_ts": done.version_ts,
                "rolled_back_from": done.before,
                "rolled_back_at": done.at,
                "changed": done.changed,
            }
        )
    elif not done.changed:
        console.print_line(f"{code} at {place.label}: current names version {done.version_ts} already")
    else:
        console.print_line(f"{code} at {place.label}: current names version {done.version_ts} now", "green")
        console.print_line(f"It named {f'version {done.before}' if done.before else 'none'} before.")
        console.print_line(f"It stays until a request that is made after {done.at} is published.")


def roll_back(bucket: Bucket, keys: Keys, version_ts: str, now: Callable[[], datetime]) -> RolledBack:
    """Let `current` name a version, by compare-and-swap.

    Args:
        bucket: where it is published.
        keys: the metric's.
        version_ts: the version.
        now: the clock, UTC.

    Raises:
        RollbackRefusedError: the version is not whole, or a later request has published meanwhile.
        AccessDenied, StoreUnavailable.
    """
    manifest = _whole_version(bucket, keys, version_ts)
    decided: datetime | None = None
    for _ in range(_MAX_SWAPS):
        found = bucket.find(keys.current)
        current = Current.of(found) if found else None
        if decided is None:
            # Later than the current version, whatever the clocks say: its redelivery must not undo this.
            decided = max(now(), current.decided_at + _TICK) if current else now()
        elif current and current.decided_at > decided:
            raise RollbackRefusedError(
                f"version {current.version_ts} of a later request has become current meanwhile."
            )
        before = current.version_ts if current and current.manifest else None
        at = iso(decided, "milliseconds")
        if found is not None and current is not None and current.version_ts == version_ts:
            return RolledBack(version_ts, before, at, changed=False)
        body = rolled_back(manifest, at, before)
        try:
            if found is None:
                bucket.create(keys.current, body)
            else:
                bucket.swap(keys.current, body, found.etag)
        except ObjectTaken:
            continue  # a run moved it in between: look again
        return RolledBack(version_ts, before, at, changed=True)
    raise StoreUnavailable(keys.current, "runs kept moving it")


def _whole_version(bucket: Bucket, keys: Keys, version_ts: str) -> dict[str, object]:
    """Return the manifest of a version that is committed and can be read."""
    found = bucket.find(keys.manifest(version_ts))
    if found is None:
        raise RollbackRefusedError(f"version {version_ts} has no manifest.")
    try:
        manifest = parse_manifest(found)
    except InputReadError as error:
        raise RollbackRefusedError(f"the manifest of version {version_ts} can't be used: {error}.") from error
    if not _is_committed(bucket, keys, version_ts, manifest):
        raise RollbackRefusedError(f"version {version_ts} is not committed: no marker of its run names it.")
    metric = Metric(keys, [version_ts], manifests={version_ts: found})
    for problem in data(bucket, metric, version_ts):
        raise RollbackRefusedError(f"version {version_ts} is not whole: {problem.where}: {problem.what}.")
    return manifest


def _is_committed(bucket: Bucket, keys: Keys, version_ts: str, manifest: dict[str, object]) -> bool:
    run = str(manifest.get("run_id"))
    stored: StoredObject | None = bucket.find(keys.marker(run)) if is_key(keys.marker(run)) else None
    marker, _ = parse_marker(stored)
    return marker is not None and marker.version_ts == version_ts and manifest.get("version_ts") == version_ts
