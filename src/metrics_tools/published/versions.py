"""What stands at a place of a metric: its versions, as their own manifests and data have it.

Nothing is guessed: a version counts as committed where the marker of its run names it. Keys are the worker's
own (`records`), documents are read as they are, and a listing costs a request for each thousand versions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obstore.store import MemoryStore
from pydantic import ValidationError

from metrics_tools.console import impossible
from metrics_tools.published.pointer import Current
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.part_file import CODE, to_series, with_text_codes
from metrics_worker.dataset.reading import read_part_file
from metrics_worker.errors import InputReadError
from metrics_worker.names import is_key
from metrics_worker.publication.records import VERSION, Keys, Marker
from metrics_worker.request import iso
from metrics_worker.s3.bucket import Bucket, StoredObject
from metrics_worker.s3.s3_bucket import S3Bucket
from metrics_worker.series import Series

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Version:
    """A version, whole.

    Attributes:
        manifest: as it stands there.
        body: the Parquet file's bytes.
        series: what is in it.
    """

    manifest: dict[str, Any]
    body: bytes
    series: Series


@dataclass(frozen=True, slots=True)
class Entry:
    """A version by its documents alone.

    Attributes:
        version_ts: as its keys have it.
        manifest: None where there is none, or none that can be understood.
        problem: what is wrong with manifest or marker; empty where nothing is.
        committed: whether the marker of its run names it.
        is_current: whether `current` does.
        rolled_back_at: when a rollback made it current, ISO 8601; None if none did.
    """

    version_ts: str
    manifest: dict[str, Any] | None
    problem: str
    committed: bool
    is_current: bool
    rolled_back_at: str | None = None


def keys_of(code: str, prefix: str) -> Keys:
    """Where a metric's objects are. A code that makes no keys ends the command."""
    base = f"{prefix}{code}/"
    if not is_key(base.removesuffix("/")):
        raise impossible(f"{code!r} is no metric's code.")
    return Keys(base)


def version_names(bucket: Bucket, keys: Keys) -> list[str]:
    """The versions that have any object, newest first.

    Raises:
        UnusableKey, AccessDenied, StoreUnavailable.
    """
    names = (folder.rstrip("/").rpartition("/")[2] for folder in bucket.list_folders(keys.base))
    return sorted(filter(VERSION.fullmatch, names), reverse=True)


def read_version(bucket: Bucket, keys: Keys, version_ts: str) -> Version:
    """A version's manifest and data.

    Raises:
        ObjectNotFound, AccessDenied, StoreUnavailable.
        InputReadError: an object is there and is not what it should be.
    """
    manifest = parse_manifest(bucket.get(keys.manifest(version_ts)))
    key = data_keys(manifest, keys)[0]
    found = bucket.get(key)
    body = bytes(found.body)
    return Version(manifest, body, series_of(key, body))


def parse_manifest(found: StoredObject) -> dict[str, Any]:
    """A version's manifest.

    Raises:
        InputReadError: it is none.
    """
    try:
        manifest = json.loads(bytes(found.body))
    except ValueError as error:
        raise InputReadError(found.key, f"it is no JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise InputReadError(found.key, "it is no JSON object")
    return manifest


def data_keys(manifest: dict[str, Any], keys: Keys) -> list[str]:
    """The keys of a version's data.

    Raises:
        InputReadError: the manifest names none, or some that are not the metric's own.
    """
    outputs = manifest.get("outputs")
    prefix = outputs.get("data_prefix") if isinstance(outputs, dict) else None
    files = outputs.get("files") if isinstance(outputs, dict) else None
    named = [f"{prefix}{name}" for name in files] if isinstance(files, list) else []
    if not named or not all(key.startswith(keys.base) and is_key(key) for key in named):
        raise InputReadError("outputs", f"names no data under {keys.base}")
    return named


def series_of(name: str, body: bytes) -> Series:
    """The series in a Parquet file with `obs_time` and `value`.

    Raises:
        InputReadError: it is none, or holds several series.
    """
    whole = StoredObject(name, memoryview(body), len(body), "")
    with Decoder() as decoder:
        table = read_part_file(whole, S3Bucket(MemoryStore(), ""), decoder)  # whole: no more of it is read
    table = with_text_codes(table)
    codes = table[CODE].unique().to_pylist() if CODE in table.column_names else [""]
    if len(codes) > 1:
        raise InputReadError(name, f"holds several series: {', '.join(map(str, codes))[:200]}")
    return to_series([(name, table)], codes[0] if codes else "").series


def entries(bucket: Bucket, keys: Keys, names: Sequence[str]) -> list[Entry]:
    """These versions by their manifests and markers: two requests each, and one for `current`.

    Raises:
        AccessDenied, StoreUnavailable.
    """
    stored = bucket.find(keys.current)
    current = Current.of(stored) if stored else None
    manifests = find_all(bucket, [keys.manifest(name) for name in names])
    parsed = {name: _parsed(manifests[keys.manifest(name)]) for name in names}
    runs = {name: str(manifest["run_id"]) for name, (manifest, _) in parsed.items() if "run_id" in manifest}
    markers = find_all(bucket, [keys.marker(run) for run in runs.values() if is_key(run)])
    listed = []
    for name in names:
        manifest, problem = parsed[name]
        found = manifests[keys.manifest(name)]
        is_current = current is not None and current.is_copy_of(found)
        chosen_at = current.rolled_back_at if current and is_current else None
        marker, marker_problem = parse_marker(markers.get(keys.marker(runs.get(name, ""))))
        listed.append(
            Entry(
                name,
                manifest or None,
                problem or marker_problem,
                committed=marker is not None and marker.version_ts == name,
                is_current=is_current,
                rolled_back_at=iso(chosen_at, "milliseconds") if chosen_at else None,
            )
        )
    return listed


def parse_marker(found: StoredObject | None) -> tuple[Marker | None, str]:
    """A marker where there is one, or what is wrong with it."""
    if found is None:
        return None, ""
    try:
        return Marker.model_validate_json(bytes(found.body)), ""
    except ValidationError:
        return None, f"{found.key}: the marker can't be understood"


def keys_below(bucket: Bucket, prefix: str) -> list[str]:
    """Return the sorted keys that begin with a prefix.

    Raises:
        UnusableKey, AccessDenied, StoreUnavailable.
    """
    return [found.key for found in bucket.list(prefix)]


def find_all(bucket: Bucket, keys: Sequence[str]) -> dict[str, StoredObject | None]:
    """Small objects, some at a time; None for each that is not there.

    Raises:
        AccessDenied, StoreUnavailable.
    """
    found: dict[str, StoredObject | None] = {}
    for start in range(0, len(keys), _AT_ONCE):
        found |= bucket.find_many(keys[start : start + _AT_ONCE])
    return found


def _parsed(found: StoredObject | None) -> tuple[dict[str, Any], str]:
    if found is None:
        return {}, "no manifest"
    try:
        return parse_manifest(found), ""
    except InputReadError as error:
        return {}, error.message
