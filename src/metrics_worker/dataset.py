"""Datasets: the reading of a run's series, from the part files that `choice` finds for them.

`Datasets` lives for one invocation: a batch holds many metrics over the same few series, so each manifest,
series and part file is read once and shared by its runs; nothing is kept that could go stale. A series is
either read whole or the run fails with an InputReadError that names it. What a run takes is bounded.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from metrics_worker.choice import Choice, SeriesFiles, Source
from metrics_worker.contract import Dataset, RunRequest
from metrics_worker.errors import InputReadError, StoreRefusal
from metrics_worker.limits import Claim, Limits, Memory
from metrics_worker.once import Once
from metrics_worker.part_file import CODE, read_part_file, to_series
from metrics_worker.series import Cleaned
from metrics_worker.store import Bucket, StoredObject

MAX_SHARED_BYTES = 64 * 1024 * 1024
"""Decoded bytes of part files with several series that an invocation keeps for its other runs."""


@dataclass(frozen=True, slots=True)
class InputSeries:
    """A series as it was read, and where from."""

    code: str
    dataset_id: str
    dataset_version: str | None
    part_files: int
    cleaned: Cleaned

    @property
    def nbytes(self) -> int:
        """Of its observations."""
        return self.cleaned.series.times.nbytes + self.cleaned.series.values.nbytes


class Datasets:
    """The datasets of one invocation. Read through it, each manifest and series comes once.

    Args:
        series_files: where a series' files are found: in the `manifest`, or by `listing` the projections.
        limits: what a run may take.
        memory: the room for what is read.
    """

    def __init__(self, series_files: SeriesFiles, limits: Limits, memory: Memory) -> None:
        self._choice = Choice(series_files, limits, memory)
        self._limits = limits
        self._memory = memory
        self._series = Once[tuple[Dataset, str], InputSeries]()
        self._shared_files = Once[str, pa.Table | None]()
        self._shared_bytes = 0
        self._progress: dict[tuple[Dataset, str], float] = {}

    def read(
        self, request: RunRequest, bucket: Bucket, on_progress: Callable[[float], None]
    ) -> dict[str, InputSeries]:
        """Every series that the request's expression names. May be called by several threads at once.

        Args:
            request: what is asked.
            bucket: where it is.
            on_progress: told the part that is read (0-1) after each file, and now and then while other runs
                read; what it raises ends the reading.

        Raises:
            ConfigError: a dataset that is needed is not in the catalog, or has no valid paths.
            InputReadError: a manifest, file or series is missing, unreadable or of the wrong type.
            StoreUnavailable: S3 failed.
            OutOfMemory: other runs hold what it needs.
        """
        homes = self._choice.homes(request, bucket)
        wanted = {(manifest.dataset, code): manifest for code, manifest in homes.items()}

        def tell() -> None:
            on_progress(sum(self._progress.get(series, 0.0) for series in wanted) / len(wanted))

        def read(missing: list[tuple[Dataset, str]]) -> dict[tuple[Dataset, str], InputSeries]:
            sources = [self._choice.source(code, wanted[dataset, code], bucket) for dataset, code in missing]
            self._check_part_files(len(source.keys) for source in sources)
            with self._memory.claim() as claim:
                tables = self._tables(sources, bucket, claim, tell)
                found = {(of.manifest.dataset, of.code): _assemble(of, tables) for of in sources}
                claim.keep(sum(series.nbytes for series in found.values()))
            return found

        read_series = self._series.fetch(wanted, read, on_wait=tell)
        found = {code: read_series[manifest.dataset, code] for code, manifest in homes.items()}
        self._check_part_files(series.part_files for series in found.values())
        if (rows := sum(series.cleaned.rows for series in found.values())) > self._limits.rows:
            raise InputReadError(
                "inputs", f"{rows:,} rows; a run may read {self._limits.rows:,} (WORKER_MAX_ROWS)"
            )
        return found

    def _check_part_files(self, counts: Iterable[int]) -> None:
        if (count := sum(counts)) > self._limits.part_files:
            raise InputReadError(
                "inputs",
                f"{count:,} part files; a run may read {self._limits.part_files:,} (WORKER_MAX_PART_FILES)",
            )

    def _tables(
        self, sources: list[Source], bucket: Bucket, claim: Claim, tell: Callable[[], None]
    ) -> dict[str, pa.Table]:
        """Every part file of the sources, each once, as tables by key."""
        codes: dict[str, set[str]] = {}
        for source in sources:
            for key in source.keys:
                codes.setdefault(key, set()).add(source.code)
        own = {key for source in sources if source.by_path for key in source.keys}
        series = [(source.manifest.dataset, source.code) for source in sources]
        tables: dict[str, pa.Table] = {}
        shareable: set[str] = set()

        def admit(key: str, rows: int, size: int) -> None:
            if rows > self._limits.rows:
                raise InputReadError(
                    key, f"promises {rows:,} rows; a run may read {self._limits.rows:,} (WORKER_MAX_ROWS)"
                )
            longest = max(len(code.encode()) for code in codes[key])
            with_codes = rows * (50 + 5 * longest // 2)  # measured: each row's code is copied, twice and more
            claim.take(max(size, with_codes), key, InputReadError)

        def keep(found: StoredObject) -> None:
            key, own_file = found.key, found.key in own
            whole = len(found.body) == found.size
            share_it = whole and not own_file and self._shared_bytes < MAX_SHARED_BYTES
            keeps_all = share_it or (whole and own_file)  # what is one's own is filtered in one go at the end
            table = read_part_file(found, bucket, None if keeps_all else codes[key], admit)
            if share_it and self._shared_bytes + table.nbytes <= MAX_SHARED_BYTES:
                shareable.add(key)
                self._shared_bytes += table.nbytes
            tables[key] = table
            self._progress |= dict.fromkeys(series, len(tables) / len(codes))
            tell()

        def fetch(keys: list[str]) -> None:
            try:
                bucket.get_many(keys, keep)
            except (StoreRefusal, InputReadError) as error:
                raise InputReadError.of_series(min(codes[error.subject]), error.message) from error

        def share(keys: list[str]) -> dict[str, pa.Table | None]:
            fetch(keys)
            return {key: tables[key] if key in shareable else None for key in keys}

        fetch(list(own))
        shared = self._shared_files.fetch([key for key in codes if key not in own], share, on_wait=tell)
        tables |= {key: table for key, table in shared.items() if table is not None}
        fetch([key for key in codes if key not in tables])  # read by another run, but too much to be kept
        return tables


def _assemble(source: Source, tables: dict[str, pa.Table]) -> InputSeries:
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
