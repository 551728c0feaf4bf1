"""The JSON documents of a published metric, read without assuming that they are valid.

The worker's own models reject a damaged document as a whole; an operator needs to see what is in it.
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
    """The object `current/manifest.json`.

    Attributes:
        stored: the object.
        manifest: the version's manifest that it is a copy of; empty if the object is not a JSON object.
        rolled_back_at: the time at which an operator chose the version; None if a run moved `current`.
        rolled_back_from: the version that was current before the rollback, if any.
    """

    stored: StoredObject
    manifest: dict[str, Any]
    rolled_back_at: datetime | None
    rolled_back_from: str | None

    @classmethod
    def of(cls, stored: StoredObject) -> "Current":
        """Parse the object."""
        document = json_object(stored)
        manifest = {name: value for name, value in document.items() if name not in _ROLLBACK}
        at, before = parse_time(document.get("rolled_back_at")), document.get("rolled_back_from")
        return cls(stored, manifest, at, str(before) if at and before else None)

    @property
    def version_ts(self) -> str:
        """Return the version that `current` names."""
        return str(self.manifest.get("version_ts"))

    @property
    def run_id(self) -> str:
        """Return the run of that version."""
        return str(self.manifest.get("run_id"))

    def is_copy_of(self, manifest: StoredObject | None) -> bool:
        """Return whether `current` is a copy of a version's manifest, except for the fields of a rollback."""
        if manifest is None:
            return False
        is_same_document = self.rolled_back_at is not None and json_object(manifest) == self.manifest
        return self.stored.body == manifest.body or is_same_document


def encode_rollback(manifest: dict[str, Any], *, at: str, before: str | None) -> bytes:
    """Return the content of `current` after a rollback.

    Args:
        manifest: the manifest of the version that was chosen.
        at: the time of the rollback in ISO 8601.
        before: the version that was current before, if any.
    """
    return json.dumps({**manifest, "rolled_back_at": at, "rolled_back_from": before}, indent=2).encode()


def json_object(stored: StoredObject | None) -> dict[str, Any]:
    """Return the JSON object in an object of the bucket; an empty one if there is no JSON object."""
    try:
        document = json.loads(bytes(stored.body)) if stored else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def parse_time(text: object) -> datetime | None:
    """Return a time in ISO 8601, in UTC if it has no zone; None if the text is not a time."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def parse_manifest(stored: StoredObject) -> dict[str, Any]:
    """Return a version's manifest.

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
    """Return a dead letter; None if the object does not exist or is not a dead letter."""
    try:
        return DeadLetter.parse(bytes(stored.body)) if stored else None
    except ValueError:
        return None


def data_keys(manifest: dict[str, Any], keys: Keys) -> list[str]:
    """Return the keys of a version's data files.

    Raises:
        InputReadError: the manifest names no file, or a file outside the metric's prefix.
    """
    named = []
    match manifest.get("outputs"):
        case {"data_prefix": prefix, "files": [*files]}:
            named = [f"{prefix}{name}" for name in files]
    if not named or not all(key.startswith(keys.base) and is_key(key) for key in named):
        raise InputReadError("outputs", f"names no data under {keys.base}")
    return named
