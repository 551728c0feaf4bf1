"""The reading of a run's series from the part files that `choice` finds for them.

A batch usually contains many metrics over the same few series. So one `Datasets` serves one invocation: each
manifest, series and part file is read once and shared by the runs, and no data is kept for later invocations.
A series is read completely, or the run fails with an InputReadError that names the series.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from metrics_worker.dataset.choice import Choice, SeriesFiles, Source
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.dataset.part_file import CODE, to_series
from metrics_worker.dataset.reading import Reading, SharedFiles
from metrics_worker.dataset.singleflight import Singleflight
from metrics_worker.errors import InputReadError
from metrics_worker.limits import Limits, Memory
from metrics_worker.request import RunRequest
from metrics_worker.request_check import Dataset
from metrics_worker.s3.bucket import Bucket
from metrics_worker.series import Cleaned


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSeries:
    """A series that was read, with its dataset and the number of its part files."""

    code: str
    dataset_id: str
    dataset_version: str | None
    part_files: int
    cleaned: Cleaned

    @property
    def nbytes(self) -> int:
        """The bytes of the observations: times and values."""
        return self.cleaned.series.times.nbytes + self.cleaned.series.values.nbytes


class Datasets:
    """The datasets of one invocation. Each manifest and series is read once.

    Args:
        series_files: the way to find the part files of a series: in the `manifest`, or by `listing` S3.
        limits: the limits of one run's input.
        memory: the memory that the runs of the invocation share.
        decoder: the child process for unusual part files.
    """

    def __init__(self, series_files: SeriesFiles, limits: Limits, memory: Memory, decoder: Decoder) -> None:
        self._choice = Choice(series_files, limits, memory)
        self._limits = limits
        self._memory = memory
        self._decoder = decoder
        self._series = Singleflight[tuple[Dataset, str], InputSeries]()
        self._shared = SharedFiles(Singleflight())
        self._progress: dict[tuple[Dataset, str], float] = {}

    def read(
        self, request: RunRequest, bucket: Bucket, on_progress: Callable[[float], None]
    ) -> dict[str, InputSeries]:
        """Return every series of the request's expression, by series code. Several threads may call this.

        Args:
            request: the request.
            bucket: the bucket that has the datasets.
            on_progress: called with the share (0-1) that has been read, after each file and at intervals
                while other runs read. An exception that it raises ends the reading.

        Raises:
            InputReadError: a manifest, file or series is missing, unreadable or of the wrong type.
            StoreUnavailable: S3 failed.
            OutOfMemory: other runs of the batch hold the memory.
        """
        homes = self._choice.homes(request, bucket)
        wanted = {(manifest.dataset, code): manifest for code, manifest in homes.items()}

        def report() -> None:
            on_progress(sum(self._progress.get(series, 0.0) for series in wanted) / len(wanted))

        def read(missing: list[tuple[Dataset, str]]) -> dict[tuple[Dataset, str], InputSeries]:
            return self._read(missing, wanted, bucket, report)

        read_series = self._series.fetch(wanted, read, on_wait=report)
        found = {code: read_series[manifest.dataset, code] for code, manifest in homes.items()}
        self._check_part_files(series.part_files for series in found.values())
        if (rows := sum(series.cleaned.rows for series in found.values())) > self._limits.rows:
            raise InputReadError(
                "inputs", f"{rows:,} rows; a run may read {self._limits.rows:,} (WORKER_MAX_ROWS)"
            )
        return found

    def _read(
        self,
        missing: list[tuple[Dataset, str]],
        manifests: Mapping[tuple[Dataset, str], Manifest],
        bucket: Bucket,
        report: Callable[[], None],
    ) -> dict[tuple[Dataset, str], InputSeries]:
        """Read the series that no other run of the invocation has read."""
        sources = self._choice.sources({code: manifests[dataset, code] for dataset, code in missing}, bucket)
        self._check_part_files(len(source.keys) for source in sources)

        def advance(part: float) -> None:
            self._progress |= dict.fromkeys(missing, part)
            report()

        with self._memory.claim() as claim:
            reading = Reading(
                sources=sources,
                bucket=bucket,
                decoder=self._decoder,
                claim=claim,
                max_rows=self._limits.rows,
                shared=self._shared,
                on_progress=advance,
            )
            tables = reading.run()
            found = {(of.manifest.dataset, of.code): _assemble(of, tables) for of in sources}
            claim.keep(sum(series.nbytes for series in found.values()))
        return found

    def _check_part_files(self, counts: Iterable[int]) -> None:
        if (count := sum(counts)) > self._limits.part_files:
            raise InputReadError(
                "inputs",
                f"{count:,} part files; a run may read {self._limits.part_files:,} (WORKER_MAX_PART_FILES)",
            )


def _assemble(source: Source, tables: dict[str, pa.Table]) -> InputSeries:
    """Return one series from the tables of its part files.

    Raises:
        InputReadError: a file does not say which series its rows belong to, a row is not usable, or the
            series has no observation.
    """
    own = []
    prefix = source.manifest.dataset.projections_prefix
    for key in source.keys:
        table = tables[key]
        if CODE not in table.column_names and not source.by_path:
            if not source.manifest.names_another(key.removeprefix(prefix), code=source.code):
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
    return InputSeries(
        code=source.code,
        dataset_id=source.manifest.dataset.dataset_id,
        dataset_version=source.manifest.version_id,
        part_files=len(source.keys),
        cleaned=cleaned,
    )
