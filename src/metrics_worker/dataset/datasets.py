"""The reading of a run's series from the part files that `choice` finds for them.

A batch usually contains many metrics over the same few series. So one `Datasets` serves one invocation: each
manifest, series and part file is read once and shared by the runs, and no data is kept for later invocations.
A series is read completely, or the run fails with an InputReadError that names the series.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from metrics_worker.dataset.choice import Choice, SeriesFiles, Source
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.dataset.part_file import CODE
from metrics_worker.dataset.reading import ReadFile, Reading, SharedFiles
from metrics_worker.dataset.rows import Rows, rows_of
from metrics_worker.dataset.singleflight import Singleflight
from metrics_worker.dataset.snapshot import PartFiles, Snapshot, Subject, plain_etag, splice
from metrics_worker.dataset.snapshots import Saved, Snapshots, Stored
from metrics_worker.errors import InputReadError
from metrics_worker.limits import Claim, Limits, Memory
from metrics_worker.request import RunRequest
from metrics_worker.request_check import Dataset
from metrics_worker.s3.bucket import Bucket
from metrics_worker.series import Cleaned, clean


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSeries:
    """A series that was read for a run.

    Attributes:
        code: the series code.
        dataset_id: the id of the dataset that contains the series.
        dataset_version: the version in the dataset's manifest; None if the manifest has none.
        part_files: the number of all part files of the series.
        cleaned: the series, and the counts of its rows.
        part_files_read: the number of part files that were read; the rows of the others are from a snapshot.
        has_snapshot: whether rows were taken from a snapshot; None if no snapshot was looked up.
        subject: the identity of the series in its snapshot; None if no snapshot was looked up.
    """

    code: str
    dataset_id: str
    dataset_version: str | None
    part_files: int
    cleaned: Cleaned
    part_files_read: int
    has_snapshot: bool | None = None
    subject: Subject | None = None

    @property
    def nbytes(self) -> int:
        """Return the number of bytes of the observations: times and values."""
        return self.cleaned.series.times.nbytes + self.cleaned.series.values.nbytes

    @property
    def kept_bytes(self) -> int:
        """Return the bytes that `Datasets` keeps after the read: observations, rows for a new snapshot."""
        return self.nbytes if self.subject is None else 2 * self.nbytes


class Datasets:
    """The datasets of one invocation. Each manifest and series is read once.

    Args:
        series_files: the source of the list of part files: `manifest`, or `listing` for a listing of S3.
        limits: the limits of one run's input.
        memory: the memory that the runs of the invocation share.
        decoder: decodes large or unusual part files in a child process.
        snapshots: the snapshots of the invocation; with None, every part file is read.
    """

    def __init__(
        self,
        series_files: SeriesFiles,
        limits: Limits,
        memory: Memory,
        decoder: Decoder,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._by_listing = series_files == "listing"
        self._choice = Choice(series_files, limits, memory)
        self._snapshots = snapshots
        self._subjects: dict[str, list[Subject]] = {}
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
            bucket: the bucket that contains the datasets.
            on_progress: a function that is called with the progress of the reading (0-1), after each file and
                at intervals while other runs read. An exception that it raises ends the reading.

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
        self._subjects[request.run.run_id] = [series.subject for series in found.values() if series.subject]
        self._check_part_files(series.part_files for series in found.values())
        if (rows := sum(series.cleaned.rows for series in found.values())) > self._limits.rows:
            raise InputReadError(
                "inputs", f"{rows:,} rows; a run may read {self._limits.rows:,} (WORKER_MAX_ROWS)"
            )
        return found

    def save_snapshots(self, run_id: str, bucket: Bucket) -> Saved:
        """Write the snapshots of a run's series, and return the numbers of written and failed snapshots.

        A snapshot is written only if at least `snapshots.MIN_CHANGED` part files are new or have changed.
        """
        subjects = self._subjects.pop(run_id, ())
        return self._snapshots.save(subjects, bucket) if self._snapshots is not None else Saved()

    def _read(
        self,
        missing: list[tuple[Dataset, str]],
        manifests: Mapping[tuple[Dataset, str], Manifest],
        bucket: Bucket,
        report: Callable[[], None],
    ) -> dict[tuple[Dataset, str], InputSeries]:
        """Return the series that no other run of the invocation has read, by (dataset, series code).

        Args:
            missing: the series to read.
            manifests: the manifests of the datasets, for these series and others.
            bucket: the data bucket.
            report: a function that is called after the progress of a series has changed.
        """

        def choose() -> list[Source]:
            homes = {code: manifests[dataset, code] for dataset, code in missing}
            sources = self._choice.sources(homes, bucket)
            self._check_part_files(len(source.keys) for source in sources)
            return sources

        def advance(part: float) -> None:
            self._progress |= dict.fromkeys(missing, part)
            report()

        with self._memory.claim() as claim:
            sources, stored = self._load(choose, missing, bucket, claim)
            reading = Reading(
                sources=[_without_unchanged(*each) for each in zip(sources, stored, strict=True)],
                bucket=bucket,
                decoder=self._decoder,
                claim=claim,
                max_rows=self._limits.rows,
                shared=self._shared,
                etags={key: etag for each in stored if each for key, (etag, _) in each.listed.items()},
                on_progress=advance,
            )
            files = reading.run()
            if not files:
                advance(1.0)
            found = {
                (source.manifest.dataset, source.code): self._assemble(source, snapshot, files)
                for source, snapshot in zip(sources, stored, strict=True)
            }
            claim.keep(sum(series.kept_bytes for series in found.values()))
        return found

    def _load(
        self,
        choose: Callable[[], list[Source]],
        missing: list[tuple[Dataset, str]],
        bucket: Bucket,
        claim: Claim,
    ) -> tuple[list[Source], list[Stored | None]]:
        """Return (part files, snapshots) of the missing series: two lists with one element for each series.

        Args:
            choose: a function that returns the part files of the missing series.
            missing: the series that no run of the invocation has read, each as (dataset, series code).
            bucket: the data bucket.
            claim: the claim in which the memory for the snapshots is reserved.

        Returns:
            The part files of each series, and its snapshot, which is None if no snapshot was looked up.
        """
        if self._snapshots is None:
            sources = choose()
            return sources, [None] * len(sources)
        listed = [(dataset.projections_prefix, code) for dataset, code in missing if self._by_listing]
        return self._snapshots.load(choose, bucket, claim, listed=listed)

    def _assemble(self, source: Source, stored: Stored | None, files: dict[str, ReadFile]) -> InputSeries:
        """Return a series, assembled from the part files that were read and from its snapshot.

        Args:
            source: the series and the keys of its part files.
            stored: the snapshot, with the keys of the part files whose rows it provides; None without one.
            files: the other part files by key; they may include part files of other series.
        """
        read = source.keys if stored is None else [key for key in source.keys if key not in stored.unchanged]
        own = [key for key in read if _has_rows_of(source, key, files[key].table)]
        try:
            rows = rows_of([(key, files[key].table) for key in own], source.code)
        except InputReadError as error:
            raise InputReadError.of_series(source.code, error.message) from error
        if stored is None or self._snapshots is None:
            cleaned = rows.clean()
        else:
            left_out = set(read).difference(own)
            keys = [key for key in source.keys if key not in left_out] if left_out else source.keys
            whole = splice(keys, stored.snapshot, _snapshot_of(own, files, rows))
            self._snapshots.keep(stored, whole)
            cleaned = clean(whole.times, whole.values, null=sum(whole.files.nulls))
        if not len(cleaned.series):
            raise InputReadError.of_series(
                source.code,
                f"no observation in {len(source.keys)} part files ({cleaned.rows} rows)"
                f" under {source.manifest.dataset.projections_prefix}",
            )
        return InputSeries(
            code=source.code,
            dataset_id=source.manifest.dataset.dataset_id,
            dataset_version=source.manifest.version_id,
            part_files=len(source.keys),
            cleaned=cleaned,
            part_files_read=len(read),
            has_snapshot=None if stored is None else bool(stored.unchanged),
            subject=None if stored is None else stored.subject,
        )

    def _check_part_files(self, counts: Iterable[int]) -> None:
        if (count := sum(counts)) > self._limits.part_files:
            raise InputReadError(
                "inputs",
                f"{count:,} part files; a run may read {self._limits.part_files:,} (WORKER_MAX_PART_FILES)",
            )


def _without_unchanged(source: Source, stored: Stored | None) -> Source:
    """Return the source without the part files whose rows are taken from the snapshot `stored`."""
    if stored is None or not stored.unchanged:
        return source
    return replace(source, keys=tuple(key for key in source.keys if key not in stored.unchanged))


def _has_rows_of(source: Source, key: str, table: pa.Table) -> bool:
    """Return whether a part file can contain rows of a series.

    The result is true if the file has the code column, or is in a folder that is named after the series. It
    is false if the folder is named after another series.

    Raises:
        InputReadError: the file has no code column, and its path names no series.
    """
    if source.by_path or CODE in table.column_names:
        return True
    prefix = source.manifest.dataset.projections_prefix
    if source.manifest.names_another(key.removeprefix(prefix), code=source.code):
        return False
    raise InputReadError.of_series(source.code, f"{key} has no column {CODE!r} and its path names no series")


def _snapshot_of(keys: list[str], files: dict[str, ReadFile], rows: Rows) -> Snapshot:
    """Return a snapshot of the part files that a run has read.

    Args:
        keys: the keys of the part files, in the order of their rows.
        files: the part files, by key.
        rows: the rows of one series in these part files.
    """
    columns = PartFiles(
        keys,
        etags=[plain_etag(files[key].etag) for key in keys],
        sizes=[files[key].size for key in keys],
        rows=[counts.complete for counts in rows.counts],
        nulls=[counts.null for counts in rows.counts],
    )
    return Snapshot(columns, rows.times, rows.values)
