"""Dataset manifests, which the ingestor writes: the list of a dataset's part files and series.

A part file belongs to a series if one of the folders in its path is named after the series: `CODE`, or
`series=CODE` in Hive layouts. If a manifest is not valid, `Manifest.parse` raises an InputReadError that
contains the manifest's key.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from metrics_worker.dataset.part_file import CODE
from metrics_worker.errors import InputReadError
from metrics_worker.names import is_key
from metrics_worker.problem import first_problem
from metrics_worker.request_check import Dataset

HIVE_NAMES = ("series=", f"{CODE}=")
"""The prefixes of a folder name before the series code in a Hive layout."""

_BYTES_BY_MARK = {b",": 100, b"{": 700, b"[": 300}
"""The bytes of memory that parsing needs for each value (`,`), object (`{`) and list (`[`) in the JSON text.

Each number was measured on a manifest of 30 MB that contained only values, only objects or only lists.
"""


def parsing_bytes(body: memoryview) -> int:
    """Return an upper bound of the bytes of memory that parsing a manifest needs.

    The ratio of memory to size varies: 33 MB of `{"":0}` need 2.6 GB, and 33 MB of file names need 120 MB.
    """
    text = bytes(body)
    return 5 * len(text) + sum(size * text.count(mark) for mark, size in _BYTES_BY_MARK.items())


class _ManifestBody(BaseModel):
    """The fields of a manifest that the worker reads. Only `parquet_files` is required."""

    model_config = ConfigDict(strict=True)

    parquet_files: list[str]
    series_codes: list[str] | None = None
    version_id: Any = None


class _JsonManifest(BaseModel):
    """A manifest of JSON files (field `json_files`), which the worker recognises but does not read."""

    json_files: list[Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A valid dataset manifest.

    Attributes:
        dataset: the catalog entry of the dataset, with the key of the manifest and the prefix of part files.
        version_id: the `version_id` of the manifest as text; None if it is missing or null.
        series_codes: the codes of the dataset's series; None if `series_codes` is missing or null.
        files: the part files in the order of the manifest, each as a key relative to the dataset's
            `projectionsPath`.
    """

    dataset: Dataset
    version_id: str | None
    series_codes: frozenset[str] | None
    files: tuple[str, ...]

    @classmethod
    def parse(cls, dataset: Dataset, body: memoryview) -> "Manifest":
        """Return the manifest that a JSON document contains.

        Raises:
            InputReadError: the document is not JSON, a field is missing or has the wrong type, or an entry of
                `parquet_files` is not a relative key.
        """
        try:
            parsed = _ManifestBody.model_validate_json(bytes(body))
        except ValidationError as error:
            path, problem = first_problem(error)
            if path == "parquet_files" and _lists_json(body):
                problem = "missing: this manifest lists JSON files (json_files), and the worker reads Parquet"
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
        """Return the part files in folders that are named after a series; an empty list if there are none.

        Writers of Hive layouts percent-encode values: the folder `internal_series_code=FX%3AUSD` belongs to
        the series `FX:USD`. If the code itself contains a percent sign, folders with the unencoded code have
        priority: if there are any, only the files in them are returned.
        """
        named = {code, *(name + code for name in HIVE_NAMES)}
        # The search for the code in the whole path comes first, because it is ten times faster than a split.
        named_by = (file for file in self.files if code in file)
        literal = [file for file in named_by if not named.isdisjoint(file.split("/")[:-1])]
        if literal and "%" in code:
            return literal
        encoded = {file for file in self.files if "%" in file and not named.isdisjoint(_decoded(file))}
        wanted = encoded.union(literal)
        return [file for file in self.files if file in wanted] if encoded else literal

    def has(self, code: str) -> bool | None:
        """Return whether the dataset has the series; None if the manifest does not show this.

        Without `series_codes`, the result is True if a folder is named after the series, otherwise None.
        """
        if self.series_codes is not None:
            return code in self.series_codes
        return True if self.files_of(code) else None

    def names_another(self, file: str, *, code: str) -> bool:
        """Return whether a folder in a file's path is named after another series than this one.

        A folder is named after another series if its name is another code in the manifest's `series_codes`,
        or if it is a Hive name (`series=CODE`). The caller has already checked that no folder is named after
        this series.
        """
        known = (self.series_codes or frozenset()) - {code}
        return any(
            segment.startswith(HIVE_NAMES) or segment in known or unquote(segment) in known
            for segment in file.split("/")[:-1]
        )


def _decoded(file: str) -> list[str]:
    """Return the names of the folders in a part file's key, percent-decoded as in a Hive layout."""
    return [unquote(segment) for segment in file.split("/")[:-1]]


def _lists_json(body: memoryview) -> bool:
    """Return whether a manifest has the field `json_files`, which lists JSON files instead of Parquet."""
    try:
        _JsonManifest.model_validate_json(bytes(body))
    except ValidationError:
        return False
    return True
