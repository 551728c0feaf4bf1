"""One input: a batch's records, the objects in the bucket, and settings; and how it is kept in a file."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

MAX_SHOWN = 2_000


@dataclass(frozen=True)
class Case:
    """An input of the handler. Its `repr` is short, since what it holds may be large.

    Attributes:
        records: the batch.
        objects: bodies by key, of what is in the bucket.
        settings: by their variables' names.
        scanned: whether small part files are read as large ones are, by ranges.
        lies: whether a part file may hold more than it promises, so that no promise can bound it.
    """

    records: Sequence[dict[str, Any]]
    objects: Mapping[str, bytes]
    settings: Mapping[str, Any] = field(default_factory=dict)
    scanned: bool = False
    lies: bool = False

    def __repr__(self) -> str:
        bodies = [(record["body"], record["attributes"]) for record in self.records]
        return f"Case({bodies!r:.{MAX_SHOWN}}, {dict(self.settings)}, {dict(self.objects)!r:.{MAX_SHOWN}})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001 - hypothesis asks for it so
        printer.text("..." if cycle else repr(self))

    def save(self, folder: Path) -> Path:
        """Write it to a file of its own, from which `load` makes it again."""
        objects = {key: base64.b64encode(body).decode() for key, body in self.objects.items()}
        text = json.dumps(vars(self) | {"objects": objects})
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        path.write_text(text, "utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        """The input that was saved there."""
        kept = json.loads(path.read_text("utf-8"))
        kept["objects"] = {key: base64.b64decode(body) for key, body in kept["objects"].items()}
        return cls(**kept)
