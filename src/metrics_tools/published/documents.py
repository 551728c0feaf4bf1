"""Tolerant parsers for the JSON documents of a published metric, which can be damaged.

The worker's own models reject a damaged document as a whole, but an operator needs to see its content.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metrics_worker.errors import InputReadError
from metrics_worker.names import is_key
from metrics_worker.publication.dead_letter import DeadLetter
from metrics_worker.publication.records import Keys
from metrics_worker.s3.bucket import StoredObject

_ROLLBACK = ("rolled_back_at", "rolled_back_from")


@dataclass(frozen=True, slots=True)
class Current:
    """The parsed object `current/manifest.json`.

    Attributes:
        stored: the object as it was read.
        manifest: the copy of a version's manifest in the object; empty if the object is not a JSON object.
        rolled_back_at: the time of the rollback; None if a run updated `current` last.
        rolled_back_from: the version that was current before the rollback; None if there was none.
    """

    stored: StoredObject
    manifest: dict[str, Any]
    rolled_back_at: datetime | None
    rolled_back_from: str | None

    @classmethod
    def of(cls, stored: StoredObject) -> "Current":
        """Return the parsed form of the object `current/manifest.json`. A damaged object raises no error."""
        document = json_object(stored)
        manifest = {name: value for name, value in document.items() if name not in _ROLLBACK}
        at, before = parse_time(document.get("rolled_back_at")), document.get("rolled_back_from")
        return cls(stored, manifest, at, str(before) if at and before else None)

    @property
    def version_ts(self) -> str:
        """Return the version to which `current` refers; the text "None" if `current` contains no version."""
        return str(self.manifest.get("version_ts"))

    @property
    def run_id(self) -> str:
        """Return the id of the run that wrote this version; the text "None" if `current` contains no id."""
        return str(self.manifest.get("run_id"))

    def is_copy_of(self, manifest: StoredObject | None) -> bool:
        """Return whether `current` is a copy of this manifest, apart from the fields that a rollback adds."""
        if manifest is None:
            return False
        is_same_document = self.rolled_back_at is not None and json_object(manifest) == self.manifest
        return self.stored.body == manifest.body or is_same_document


def json_object(stored: StoredObject | None) -> dict[str, Any]:
    """Return the JSON object in the body of a stored object; an empty dict if the body contains none."""
    try:
        return parse_manifest(stored) if stored else {}
    except InputReadError:
        return {}


def parse_time(text: object) -> datetime | None:
    """Return the time in an ISO 8601 text, as UTC if it has no zone; None if the text is not a time."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def parse_manifest(stored: StoredObject) -> dict[str, Any]:
    """Return the JSON object that the manifest of a version contains.

    Raises:
        InputReadError: the object is not a JSON object.
    """
    try:
        manifest = json.loads(bytes(stored.body))
    except ValueError as error:
        raise InputReadError(stored.key, f"not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise InputReadError(stored.key, "not a JSON object")
    return manifest


def parse_dead_letter(stored: StoredObject | None) -> DeadLetter | None:
    """Return the dead letter in an object; None if the object is None or is not a valid dead letter."""
    try:
        return DeadLetter.parse(bytes(stored.body)) if stored else None
    except ValueError:
        return None


def data_keys(manifest: dict[str, Any], keys: Keys) -> list[str]:
    """Return the keys of a version's data files.

    Raises:
        InputReadError: the manifest lists no file, or lists a file outside the metric's prefix.
    """
    named = []
    match manifest.get("outputs"):
        case {"data_prefix": prefix, "files": [*files]}:
            named = [f"{prefix}{name}" for name in files]
    if not named or not all(key.startswith(keys.base) and is_key(key) for key in named):
        raise InputReadError("outputs", f"names no data under {keys.base}")
    return named
