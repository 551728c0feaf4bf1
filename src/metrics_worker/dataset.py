"""Datasets: manifests, the choice of part files, and the reading of a run's series.

`Datasets` lives for one invocation: a batch holds many metrics over the same few series, so each manifest,
series and part file is read once and shared by its runs; nothing is kept that could go stale. A series is
either read whole or the run fails with an InputReadError that names it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from metrics_worker.contract import Dataset, RunRequest, is_key
from metrics_worker.errors import InputReadError, StoreRefusal, first_problem
from metrics_worker.expression.grammar import series_codes
from metrics_worker.once import Once
from metrics_worker.part_file import CODE, read_part_file, to_series
from metrics_worker.series import Cleaned
from metrics_worker.store import Bucket, StoredObject

MAX_SHARED_BYTES = 64 * 1024 * 1024
"""Decoded bytes of part files with several series that an invocation keeps for its other runs."""
_NAMES_SERIES = ("series=", f"{CODE}=")
"""What may stand before the series code in a path's segment."""


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


@dataclass(frozen=True, slots=True)
class InputSeries:
    """A series as it was read, and where from."""

    code: str
    dataset_id: str
    dataset_version: str | None
    part_files: int
    cleaned: Cleaned


@dataclass(frozen=True, slots=True)
class _Source:
    """The part files of one series, as keys; `by_path`: their paths name it, so all rows may be its own."""

    code: str
    manifest: Manifest
    keys: tuple[str, ...]
    by_path: bool


class Datasets:
    """The datasets of one invocation. Read through it, each manifest and series comes once.

    Args:
        series_files: where a series' files are found: in the `manifest`, or by `listing` the projections.
    """

    def __init__(self, series_files: Literal["manifest", "listing"]) -> None:
        self._series_files = series_files
        self._manifests = Once[Dataset, Manifest]()
        self._series = Once[tuple[Dataset, str], InputSeries]()
        self._shared_files = Once[str, pa.Table | None]()
        self._shared_bytes = 0

    def read(
        self, request: RunRequest, bucket: Bucket, on_progress: Callable[[float], None]
    ) -> dict[str, InputSeries]:
        """Every series that the request's expression names. May be called by several threads at once.

        Args:
            request: what is asked.
            bucket: where it is.
            on_progress: told the part that is read (0-1) after each file; what it raises ends the reading.

        Raises:
            ConfigError: a dataset that is needed is not in the catalog, or has no valid paths.
            InputReadError: a manifest, file or series is missing, unreadable or of the wrong type.
            StoreUnavailable: S3 failed.
        """
        homes = self._homes(request, bucket)
        wanted = {(manifest.dataset, code): manifest for code, manifest in homes.items()}

        def read(missing: list[tuple[Dataset, str]]) -> dict[tuple[Dataset, str], InputSeries]:
            sources = [self._source(code, wanted[dataset, code], bucket) for dataset, code in missing]
            tables = self._tables(sources, bucket, on_progress)
            return {(source.manifest.dataset, source.code): _assemble(source, tables) for source in sources}

        found = self._series.fetch(wanted, read)
        return {code: found[manifest.dataset, code] for code, manifest in homes.items()}

    def _homes(self, request: RunRequest, bucket: Bucket) -> dict[str, Manifest]:
        """For each series the manifest of the dataset that it is in."""
        codes = series_codes(request.expression)
        declared = {
            code: request.dataset(request.declared[code]) for code in codes if code in request.declared
        }
        everywhere = [code for code in codes if code not in declared]
        candidates = [request.dataset(dataset_id) for dataset_id in request.catalog] if everywhere else []
        manifests = self._manifests.fetch(
            [*declared.values(), *candidates], lambda missing: _read_manifests(missing, bucket)
        )
        homes = {}
        for code in codes:
            if code in declared:
                homes[code] = manifests[declared[code]]
                if homes[code].has(code) is False:
                    raise InputReadError.of_series(
                        code, f"not in series_codes of {declared[code].manifest_key}"
                    )
            else:
                homes[code] = _search(code, [manifests[dataset] for dataset in candidates])
        return homes

    def _source(self, code: str, manifest: Manifest, bucket: Bucket) -> _Source:
        prefix = manifest.dataset.projections_prefix
        if self._series_files == "listing":
            try:
                keys = [key for key in bucket.list(f"{prefix}{code}/") if key.endswith(".parquet")]
            except StoreRefusal as error:
                raise InputReadError.of_series(code, f"{error.subject}: {error.problem}") from error
            return _Source(code, manifest, tuple(keys), by_path=True)
        files = manifest.files_of(code)
        return _Source(
            code, manifest, tuple(prefix + file for file in files or manifest.files), by_path=bool(files)
        )

    def _tables(
        self, sources: list[_Source], bucket: Bucket, on_progress: Callable[[float], None]
    ) -> dict[str, pa.Table]:
        """Every part file of the sources, each once, as tables by key."""
        codes: dict[str, set[str]] = {}
        for source in sources:
            for key in source.keys:
                codes.setdefault(key, set()).add(source.code)
        own = {key for source in sources if source.by_path for key in source.keys}
        tables: dict[str, pa.Table] = {}
        shareable: set[str] = set()

        def keep(found: StoredObject) -> None:
            key, own_file = found.key, found.key in own
            share_it = (
                not own_file and len(found.body) == found.size and self._shared_bytes < MAX_SHARED_BYTES
            )
            table = read_part_file(found, bucket, None if own_file or share_it else codes[key])
            if share_it:
                shareable.add(key)
                self._shared_bytes += table.nbytes
            tables[key] = table
            on_progress(len(tables) / len(codes))

        def fetch(keys: list[str]) -> None:
            try:
                bucket.get_many(keys, keep)
            except (StoreRefusal, InputReadError) as error:
                raise InputReadError.of_series(min(codes[error.subject]), error.message) from error

        def share(keys: list[str]) -> dict[str, pa.Table | None]:
            fetch(keys)
            return {key: tables[key] if key in shareable else None for key in keys}

        fetch(list(own))
        shared = self._shared_files.fetch([key for key in codes if key not in own], share)
        tables |= {key: table for key, table in shared.items() if table is not None}
        fetch([key for key in codes if key not in tables])  # read by another run, but too much to be kept
        return tables


def _read_manifests(datasets: list[Dataset], bucket: Bucket) -> dict[Dataset, Manifest]:
    bodies: dict[str, memoryview] = {}

    def keep(found: StoredObject) -> None:
        whole = len(found.body) == found.size
        bodies[found.key] = found.body if whole else bucket.get(found.key).body

    try:
        bucket.get_many(list({dataset.manifest_key for dataset in datasets}), keep)
    except StoreRefusal as error:
        raise InputReadError(f"manifest {error.subject}", error.problem) from error
    return {dataset: Manifest.parse(dataset, bodies[dataset.manifest_key]) for dataset in datasets}


def _search(code: str, manifests: list[Manifest]) -> Manifest:
    """The one manifest that has a series which `inputs` leaves out."""
    holders = [manifest for manifest in manifests if manifest.has(code)]
    holders = holders or [manifest for manifest in manifests if manifest.has(code) is None]
    if len(holders) == 1:
        return holders[0]
    searched = ", ".join(manifest.dataset.dataset_id for manifest in holders or manifests) or "none"
    verb = "more than one dataset may have it" if holders else "no dataset of the catalog has it"
    raise InputReadError.of_series(code, f"it is not in inputs, and {verb} ({searched})")


def _assemble(source: _Source, tables: dict[str, pa.Table]) -> InputSeries:
    """One series from the tables of its part files."""
    own = []
    prefix = source.manifest.dataset.projections_prefix
    for key in source.keys:
        table = tables[key]
        if CODE not in table.column_names and not source.by_path:
            if not source.manifest.names_another(key.removeprefix(prefix), source.code):
                raise InputReadError.of_series(
                    source.code, f"{key} has no column {CODE!r} and its path names no series"
                )
            continue
        own.append((key, table))
    try:
        cleaned = to_series(own, source.code)
    except InputReadError as error:
        raise InputReadError.of_series(source.code, error.message) from error
    if not len(cleaned.series):
        raise InputReadError.of_series(
            source.code,
            f"no observation in {len(source.keys)} part files ({cleaned.rows} rows) under {prefix}",
        )
    dataset_id = source.manifest.dataset.dataset_id
    return InputSeries(source.code, dataset_id, source.manifest.version_id, len(source.keys), cleaned)
