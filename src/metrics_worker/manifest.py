"""The manifest of a dataset, as the ingestor writes it: which part files there are, and whose they are.

A series' files are told by a whole segment of their paths, never by a part of one. Failure is an
InputReadError that names the manifest.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from metrics_worker.contract import Dataset, is_key
from metrics_worker.errors import InputReadError, first_problem
from metrics_worker.part_file import CODE

_NAMES_SERIES = ("series=", f"{CODE}=")
"""What may stand before the series code in a path's segment."""


_BYTES_BY_MARK = {b",": 100, b"{": 700, b"[": 300}
"""What parsing takes for each value, object and list: measured on manifests of 30 MB of nothing else."""


def parsing_bytes(body: memoryview) -> int:
    """The memory that parsing takes, or more: 33 MB of `{"":0}` take 2.6 GB, of file names 120 MB."""
    text = bytes(body)
    return 5 * len(text) + sum(size * text.count(mark) for mark, size in _BYTES_BY_MARK.items())


class _ManifestBody(BaseModel):
    """What the ingestor writes, as far as it is needed. Every other field may be missing or null."""

    model_config = ConfigDict(strict=True)

    parquet_files: list[str]
    series_codes: list[str] | None = None
    version_id: Any = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A dataset's manifest: `files` are keys relative to its projections, in order."""

    dataset: Dataset
    version_id: str | None
    series_codes: frozenset[str] | None
    files: tuple[str, ...]

    @classmethod
    def parse(cls, dataset: Dataset, body: memoryview) -> "Manifest":
        """Read a manifest.

        Raises:
            InputReadError: not JSON, no `parquet_files`, or one of them is no plain relative key.
        """
        try:
            parsed = _ManifestBody.model_validate_json(bytes(body))
        except ValidationError as error:
            path, problem = first_problem(error.errors(include_url=False), "")
            raise InputReadError(f"manifest {dataset.manifest_key}", f"{path} {problem}".strip()) from None
        for i, file in enumerate(parsed.parquet_files):
            if not is_key(dataset.projections_prefix + file) or file.startswith("/"):
                problem = f"expected a relative key, found {file!r:.200}"
                raise InputReadError(f"manifest {dataset.manifest_key}", f"parquet_files[{i}]: {problem}")
        return cls(
            dataset,
            None if parsed.version_id is None else str(parsed.version_id),
            None if parsed.series_codes is None else frozenset(parsed.series_codes),
            tuple(parsed.parquet_files),
        )

    def files_of(self, code: str) -> list[str]:
        """The files whose path names the series as a whole segment; none where the layout is another."""
        segments = {code, *(name + code for name in _NAMES_SERIES)}
        return [file for file in self.files if not segments.isdisjoint(file.split("/")[:-1])]

    def has(self, code: str) -> bool | None:
        """Whether the dataset has the series; None where the manifest doesn't tell."""
        if self.series_codes is not None:
            return code in self.series_codes
        return True if self.files_of(code) else None

    def names_another(self, file: str, code: str) -> bool:
        """Whether a file's path names a series, and not this one."""
        known = self.series_codes or frozenset()
        return any(
            segment.startswith(_NAMES_SERIES) or (segment in known and segment != code)
            for segment in file.split("/")[:-1]
        )
