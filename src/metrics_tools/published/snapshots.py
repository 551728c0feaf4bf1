"""The check of `metrics doctor` that a snapshot has the rows of its series' part files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from metrics_tools.formatting import count
from metrics_tools.published.findings import Finding
from metrics_worker.dataset.choice import Source
from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.dataset.snapshot import Snapshot, Subject, UnusableSnapshot, decode, unchanged
from metrics_worker.dataset.snapshots import Snapshots, Stored
from metrics_worker.errors import MetricsWorkerError
from metrics_worker.expression.nodes import SeriesRef
from metrics_worker.limits import Memory
from metrics_worker.publication import records
from metrics_worker.request import Run, RunRequest
from metrics_worker.s3.bucket import Bucket, StoredObject
from metrics_worker.settings import Settings

_REPLACED = "Nothing: the next run reads the part files, and replaces the snapshot if that is worth a write."
_DELETE = (
    "Delete this object, which is always safe: the next run reads the part files instead. Then request the "
    "metrics of the series again."
)


@dataclass(slots=True)
class _FromPartFiles(Snapshots):
    """A replacement of the worker's cache of snapshots, which is empty when the worker reads series.

    The worker therefore makes a snapshot of each series from all of its part files. The replacement keeps the
    snapshots in memory and does not store them in the bucket.

    Attributes:
        made: by the identity of the series (`Subject`), the snapshot that the worker made.
    """

    made: dict[Subject, Snapshot] = field(default_factory=dict)

    def load(
        self, choose: Callable[[], list[Source]], *_: Any, **__: Any
    ) -> tuple[list[Source], list[Stored | None]]:
        """Return the part files of several series, and for each series a `Stored` without a snapshot.

        The other arguments of the replaced method are ignored.

        Args:
            choose: returns the part files of each series, one `Source` for each.
        """
        sources = choose()
        prefixes = [source.manifest.dataset.projections_prefix for source in sources]
        subjects = map(Subject, prefixes, [one.code for one in sources], [one.by_path for one in sources])
        return sources, [Stored("", subject, None) for subject in subjects]

    def keep(self, stored: Stored, snapshot: Snapshot) -> None:
        """Keep in memory the snapshot that the worker has made from the part files of a series."""
        self.made[stored.subject] = snapshot


def check_snapshot(bucket: Bucket, manifest: Manifest, code: str, settings: Settings) -> Iterator[Finding]:
    """Compare the snapshot of a series with its part files, and yield a note or a finding for a difference.

    There is a note if the snapshot cannot be used or lacks part files, because the worker notices both in
    each run. There is a finding if the snapshot has other rows than an unchanged part file, because the
    worker would use these rows. Without a snapshot, no part file is read.

    Args:
        bucket: the bucket of the datasets and snapshots.
        manifest: the manifest of the dataset that has the series.
        code: the series code.
        settings: the worker's settings.
    """
    prefix = manifest.dataset.projections_prefix
    key = records.snapshot(settings.metrics_prefix, projections=prefix, code=code)
    try:
        if (stored := bucket.find(key)) is not None:
            subject, present = _from_part_files(bucket, manifest, code, settings)
            yield from _compare(stored, subject, present)
    except MetricsWorkerError as error:
        what = f"snapshot not compared with the part files: {error.message}"
        yield Finding("note", key, what, "Correct the cause, and run doctor again.")


def _from_part_files(
    bucket: Bucket, manifest: Manifest, code: str, settings: Settings
) -> tuple[Subject, Snapshot]:
    """Return a snapshot made from all part files of a series, as the worker would make it.

    Returns:
        The identity of the series (`Subject`), and the snapshot.
    """
    dataset, memory = manifest.dataset, Memory(settings.memory_bytes)
    run = Run("doctor", "doctor", v1=False, requested_at=datetime.now(UTC), event={})
    request = RunRequest(
        run, SeriesRef(series_code=code), {code: dataset.dataset_id}, {dataset.dataset_id: dataset}
    )
    snapshots = _FromPartFiles(settings.metrics_prefix, memory)
    with Decoder() as decoder:
        datasets = Datasets(settings.series_files, settings.limits, memory, decoder, snapshots)
        datasets.read(request, bucket, lambda _: None)
    ((subject, snapshot),) = snapshots.made.items()
    return subject, snapshot


def _compare(found: StoredObject, subject: Subject, present: Snapshot) -> Iterator[Finding]:
    """Yield a note or a finding for each difference between a stored snapshot and the present part files.

    Args:
        found: the object with the stored snapshot.
        subject: the identity of the series whose snapshot it is.
        present: a snapshot that was made from all part files that exist now.
    """
    name = f"snapshot of {subject.code}:"
    try:
        stored = decode(found.body, subject)
    except UnusableSnapshot as error:
        yield Finding("note", found.key, f"{name} not used, because {error}", _REPLACED)
        return
    files = present.files
    identities = dict(zip(files.keys, zip(files.etags, files.sizes, strict=True), strict=True))
    same, ours, theirs = unchanged(stored, identities), _rows(stored), _rows(present)
    wrong = [key for key in files.keys if key in same and ours[key] != theirs[key]]
    if wrong:
        what = f"{name} the rows of {count(len(wrong), 'part file')} differ, such as {wrong[0]}"
        yield Finding("finding", found.key, what, _DELETE)
    gone = set(stored.files.keys).difference(files.keys)
    if gone or len(same) < len(files.keys):
        what = f"{name} outdated, the next run reads {count(len(files.keys) - len(same), 'part file')}"
        absent = f"; {count(len(gone), 'stored part file')} no longer in the series" if gone else ""
        yield Finding("note", found.key, what + absent, _REPLACED)


def _rows(snapshot: Snapshot) -> dict[str, tuple[int, bytes, bytes]]:
    """Return the rows of a snapshot by the key of their part file.

    Returns:
        For each part file, the number of its null rows, and the bytes of its times and of its values.
    """
    ends = list(accumulate(snapshot.files.rows))
    return {
        key: (nulls, snapshot.times[end - rows : end].tobytes(), snapshot.values[end - rows : end].tobytes())
        for key, rows, nulls, end in zip(
            snapshot.files.keys, snapshot.files.rows, snapshot.files.nulls, ends, strict=True
        )
    }
