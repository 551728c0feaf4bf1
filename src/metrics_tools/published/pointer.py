"""`current`: the version that it names, and the rollback that made it name that, if one did."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metrics_worker.s3.bucket import StoredObject

_ROLLBACK = ("rolled_back_at", "rolled_back_from")


@dataclass(frozen=True, slots=True)
class Current:
    """The content of `current/manifest.json`.

    Attributes:
        body: its bytes.
        manifest: the version's manifest that it is a copy of; empty if it can't be understood.
        rolled_back_at: when an operator chose the version; None if a run did.
        rolled_back_from: the version that was current before; None if a run chose.
    """

    body: bytes
    manifest: dict[str, Any]
    rolled_back_at: datetime | None = None
    rolled_back_from: str | None = None

    @classmethod
    def of(cls, found: StoredObject) -> "Current":
        """Return what the object says."""
        body = bytes(found.body)
        document = json_object(body)
        manifest = {name: value for name, value in document.items() if name not in _ROLLBACK}
        at = moment(document.get("rolled_back_at"))
        before = document.get("rolled_back_from")
        return cls(body, manifest, at, str(before) if at and before else None)

    @property
    def version_ts(self) -> str:
        """Return the version that it names."""
        return str(self.manifest.get("version_ts"))

    @property
    def run_id(self) -> str:
        """Return the run of that version."""
        return str(self.manifest.get("run_id"))

    @property
    def decided_at(self) -> datetime:
        """Return when the version was requested, or chosen by a rollback: a later request replaces it."""
        asked = moment(self.manifest.get("requested_at") or self.manifest.get("created_at"))
        times = [time for time in (asked, self.rolled_back_at) if time is not None]
        return max(times, default=datetime.min.replace(tzinfo=UTC))

    def is_copy_of(self, manifest: StoredObject | None) -> bool:
        """Return whether it is a copy of a version's manifest, a rollback's own fields aside."""
        if manifest is None:
            return False
        body = bytes(manifest.body)
        return self.body == body or (self.rolled_back_at is not None and json_object(body) == self.manifest)


def rolled_back(manifest: dict[str, Any], at: str, before: str | None) -> bytes:
    """Return the content of `current` after a rollback.

    Args:
        manifest: of the version that was chosen.
        at: when, ISO 8601.
        before: the version that was current until then, if any.
    """
    return json.dumps({**manifest, "rolled_back_at": at, "rolled_back_from": before}, indent=2).encode()


def json_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one if it is anything else."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def moment(text: Any) -> datetime | None:
    """Return an ISO 8601 time; None if it is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
