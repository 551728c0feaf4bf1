"""An input of the fuzzer, called a case: the records of a batch, the objects in the bucket, and settings."""

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
    """An input of the fuzzer. The `repr` of a case is shortened, because records and objects may be large.

    Attributes:
        records: the SQS records of the batch.
        objects: the body of each object in the bucket, by key.
        settings: the worker's settings, by the names of their environment variables.
        scanned: whether even small part files are read by ranges, as large ones are.
        may_misstate_sizes: whether the footer of a part file may state sizes that are too small. If so,
            decoding may need more memory than the footer suggests.
    """

    records: Sequence[dict[str, Any]]
    objects: Mapping[str, bytes]
    settings: Mapping[str, Any] = field(default_factory=dict)
    scanned: bool = False
    may_misstate_sizes: bool = False

    def __repr__(self) -> str:
        bodies = [(record["body"], record["attributes"]) for record in self.records]
        return f"Case({bodies!r:.{MAX_SHOWN}}, {dict(self.settings)}, {dict(self.objects)!r:.{MAX_SHOWN}})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001 - Hypothesis calls it like this.
        printer.text("..." if cycle else repr(self))

    def save(self, folder: Path) -> Path:
        """Save the case to a new file in the folder, and return its path."""
        objects = {key: base64.b64encode(body).decode() for key, body in self.objects.items()}
        text = json.dumps(vars(self) | {"objects": objects})
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        path.write_text(text, "utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the case that `save` wrote to a file."""
        saved = json.loads(path.read_text("utf-8"))
        saved["objects"] = {key: base64.b64decode(body) for key, body in saved["objects"].items()}
        return cls(**saved)
