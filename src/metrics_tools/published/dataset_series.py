"""The series of a dataset with the counts of their rows, for `metrics series`.

The series are read as the worker reads them, with snapshots. For each series, there is one request for the
snapshot and one for each thousand part files of the listing. Then only those part files are read whose rows
are not in the snapshot.

Without a snapshot, every part file is read with one request. The dataset manifest does not state the times or
the number of rows of a series, and reading only the footer of a part file would take a request as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from urllib.parse import unquote

from metrics_tools.validate.discovery import newest
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.manifest import HIVE_NAMES, Manifest
from metrics_worker.dataset.snapshots import Snapshots
from metrics_worker.errors import InputReadError
from metrics_worker.expression.nodes import Composite, Node, SeriesRef
from metrics_worker.limits import Memory
from metrics_worker.request import Run, RunRequest
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings

_AT_ONCE = 100
"""The number of series that are read concurrently."""


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A series of a dataset.

    Attributes:
        code: the series code.
        found: the series as the worker reads it; None if it cannot be read.
        problem: the error of the read as text; an empty string if there is none.
    """

    code: str
    found: InputSeries | None = None
    problem: str = ""


def newest_manifest(bucket: Bucket, settings: Settings, dataset_id: str) -> Manifest | None:
    """Return the newest manifest of a dataset; None if the bucket has no manifest of such a dataset.

    Raises:
        InputReadError: the manifest is not valid.
        ObjectNotFound: the manifest was deleted after it was listed, or the bucket does not exist.
        AccessDenied, StoreUnavailable: S3 refused or failed to list or read the manifest.
    """
    found = newest(bucket, settings.datasets_prefix, {dataset_id})
    if dataset_id not in found.datasets or dataset_id in found.manifests:
        return found.manifests.get(dataset_id)
    dataset = found.datasets[dataset_id]
    return Manifest.parse(dataset, bucket.get(dataset.manifest_key).body)


def series_of_dataset(bucket: Bucket, manifest: Manifest, settings: Settings) -> list[str]:
    """Return the codes of all series of a dataset, sorted.

    The codes are those in `series_codes` of the manifest or, if the worker lists part files or the manifest
    has no `series_codes`, the names of the folders that contain the part files.

    Raises:
        InputReadError: neither the manifest nor the folders name a series.
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    prefix = manifest.dataset.projections_prefix
    if settings.series_files == "listing":
        folders: Sequence[str] = [name.removeprefix(prefix) for name in bucket.list_folders(prefix)]
    elif manifest.series_codes is not None:
        return sorted(manifest.series_codes)
    else:
        folders = [file for file in manifest.files if "/" in file]
    codes = {code for folder in folders if (code := _code_of(folder.partition("/")[0]))}
    if not codes:
        problem = "it has no series_codes, and no folder of its part files is named after a series"
        raise InputReadError(f"manifest {manifest.dataset.manifest_key}", problem)
    return sorted(codes)


def _code_of(folder: str) -> str:
    """Return the series code in the name of a folder; "" if the folder is not that of a series."""
    for name in HIVE_NAMES:
        if folder.startswith(name):
            return unquote(folder.removeprefix(name))
    return "" if "=" in folder or folder.startswith(("_", ".")) else folder


def read_summaries(
    bucket: Bucket, manifest: Manifest, codes: Sequence[str], settings: Settings
) -> Iterator[SeriesSummary]:
    """Yield a summary of each series. A series that cannot be read becomes a summary with the error.

    Raises:
        StoreUnavailable: S3 failed.
    """
    memory = Memory(settings.memory_bytes)
    snapshots = Snapshots(settings.metrics_prefix, memory) if settings.snapshots == "on" else None
    with Decoder() as decoder:
        for some in batched(codes, _AT_ONCE, strict=False):
            datasets = Datasets(
                settings.series_files, settings.limits, Memory(memory.limit), decoder, snapshots
            )
            try:
                found = _read(datasets, bucket, manifest, some)
                yield from (SeriesSummary(code, found[code]) for code in some)
            except InputReadError:
                for code in some:  # one by one, to find the series that cannot be read
                    try:
                        yield SeriesSummary(code, _read(datasets, bucket, manifest, [code])[code])
                    except InputReadError as error:
                        yield SeriesSummary(code, problem=error.problem)


def _read(
    datasets: Datasets, bucket: Bucket, manifest: Manifest, codes: Sequence[str]
) -> dict[str, InputSeries]:
    """Read several series of a dataset concurrently, and return them by series code.

    Raises:
        InputReadError: one of the series cannot be read.
        StoreUnavailable: S3 failed.
    """
    dataset = manifest.dataset
    run = Run("series", "series", v1=False, requested_at=datetime.now(UTC), event={})
    operands = tuple(SeriesRef(series_code=code) for code in codes)
    node: Node = operands[0] if len(operands) == 1 else Composite(op="sum", operands=operands)
    homes = dict.fromkeys(codes, dataset.dataset_id)
    return datasets.read(RunRequest(run, node, homes, {dataset.dataset_id: dataset}), bucket, lambda _: None)
