"""The estimate of a run: its part files, requests by kind, bytes, seconds and dollars.

To make the estimate, the inputs are read without snapshots and their requests are counted: a GET for each
manifest and part file, and more for a part file of more than 4 MiB. In addition, the worker gets the marker
and `current`, reads the data that it has written, and writes data, manifest, marker and `current`. A test
compares the estimate with real runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metrics_tools.cost.prices import AS_OF, LATENCY, REGION, Requests, dollars_of, seconds_of
from metrics_tools.validate.reading import Inputs
from metrics_worker.dataset.choice import Source, listed_by_manifest
from metrics_worker.dataset.datasets import InputSeries
from metrics_worker.dataset.snapshots import folder_of, is_worthwhile, pages_of
from metrics_worker.expression.grammar import series_codes
from metrics_worker.request import RunRequest

_LOOKS, _READ_BACK, _WRITES = 2, 1, 4
_ROW_BYTES = 16
_FILE_BYTES = 55
"""The bytes of a snapshot for each row, and for each part file in addition to its key."""


@dataclass(frozen=True, slots=True)
class SeriesNeed:
    """A series that a run reads.

    Attributes:
        code: the series code.
        dataset_id: the id of the dataset that contains the series; None if it is not known.
        dataset_version: the version of the dataset, from its manifest.
        part_files: the number of part files of the series; None if the series was not read.
        rows: the number of rows in the part files; None if the series was not read.
        observations: the number of observations in these rows; None if the series was not read.
        left_out: the number of rows that are not observations, by reason; None if the series was not read.
    """

    code: str
    dataset_id: str | None
    dataset_version: str | None = None
    part_files: int | None = None
    rows: int | None = None
    observations: int | None = None
    left_out: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class WithSnapshots:
    """The needs of a usual run: each series has a snapshot, and one of its part files is not in the snapshot.

    Attributes:
        snapshots: the number of snapshots that the run reads.
        part_files: the number of part files that the run reads.
        requests: the requests by kind.
        bytes_read: the bytes that the requests for the inputs transfer.
        seconds: the estimated duration.
        dollars: the estimated cost.
    """

    snapshots: int
    part_files: int
    requests: Requests
    bytes_read: int
    seconds: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Needs:
    """The series that a run reads, and the requests, bytes, seconds and dollars that the run needs.

    The numbers are for a run without snapshots, apart from those in `with_snapshots`.

    Attributes:
        series: the series that the run reads, in the order in which the expression contains them.
        manifests: the number of dataset manifests that the run reads.
        part_files: the number of part files that the run reads; None if a series was not read.
        requests: the requests by kind; None if a series was not read.
        bytes_read: the bytes that the requests for the inputs transferred; None if a series was not read.
        seconds: the estimated duration; None if a series was not read.
        dollars: the estimated cost; None if a series was not read.
        with_snapshots: the needs of a run with snapshots; None if a series was not read, or if the worker
            uses no snapshot for any of the series.
    """

    series: tuple[SeriesNeed, ...]
    manifests: int
    part_files: int | None = None
    requests: Requests | None = None
    bytes_read: int | None = None
    seconds: float | None = None
    dollars: float | None = None
    with_snapshots: WithSnapshots | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes by name, and the field `estimated_with`.

        This field contains the date and the AWS region of the prices, and the latency of S3 in seconds.
        """
        prices = {"prices_of": AS_OF, "region": REGION, "latency_seconds": LATENCY}
        return asdict(self) | {"estimated_with": prices}


def needs_of(request: RunRequest, inputs: Inputs | None = None, *, snapshots: bool = True) -> Needs:
    """Return the series, requests, bytes, seconds and dollars that a run of the request needs.

    If a series of the request was not read, only `series` and `manifests` are filled in.

    Args:
        request: the request.
        inputs: the inputs of the request; None if they were not read.
        snapshots: whether the worker uses snapshots (`WORKER_SNAPSHOTS`).
    """
    codes = series_codes(request.expression)
    if inputs is None or inputs.series.keys() != set(codes):
        bare = tuple(SeriesNeed(code, request.declared.get(code)) for code in codes)
        return Needs(bare, len(request.datasets))
    read, sources = inputs.traffic, _sources(inputs)
    series = tuple(_read(inputs.series[code]) for code in codes)
    requests = Requests(gets=_LOOKS + read.gets + _READ_BACK, puts=_WRITES, lists=read.lists)
    part_files = len({key for source in sources for key in source.keys})
    seconds = seconds_of(part_files, sum(need.rows or 0 for need in series))
    return Needs(
        series,
        len(_manifest_keys(inputs)),
        part_files,
        requests,
        read.bytes_read,
        seconds,
        dollars_of(requests, seconds),
        _with_snapshots(inputs, sources) if snapshots else None,
    )


def _with_snapshots(inputs: Inputs, sources: Sequence[Source]) -> WithSnapshots | None:
    """Return the needs of a run with snapshots; None if no series has enough part files for a snapshot.

    Args:
        inputs: the inputs of the run, which were read without snapshots.
        sources: for each series, its part files as `_sources` returns them.
    """
    used = [source for source in sources if is_worthwhile(source)]
    if not used:
        return None
    manifests, read, trace = _manifest_keys(inputs), inputs.traffic, inputs.traffic.trace
    manifest_bytes = sum(one.size for one in trace.requests if one.key in manifests) if trace else 0
    part_files = {key for source in sources for key in source.keys}
    changed = {source.keys[-1] for source in used}
    changed |= part_files.difference(key for source in used for key in source.keys)
    share = len(changed) / len(part_files)
    pages = {folder_of(source): pages_of(source) for source in used}
    # By listing, the worker looks up a snapshot before it knows how many part files a series has.
    lookups = len(sources if inputs.by_listing else used)
    gets = len(manifests) + lookups + round(share * (read.gets - len(manifests)))
    requests = Requests(_LOOKS + gets + _READ_BACK, _WRITES, read.lists + sum(pages.values()))
    rows = {code: found.cleaned.rows for code, found in inputs.series.items()}
    seconds = seconds_of(len(changed), sum(rows.values())) + LATENCY * max(pages.values())
    return WithSnapshots(
        len(used),
        len(changed),
        requests,
        manifest_bytes
        + round(share * (read.bytes_read - manifest_bytes))
        + sum(_ROW_BYTES * rows[source.code] for source in used)
        + sum(len(key) + _FILE_BYTES for source in used for key in source.keys),
        seconds,
        dollars_of(requests, seconds),
    )


def _sources(inputs: Inputs) -> list[Source]:
    """Return one `Source` for each series that was read: its part files, as the worker would choose them.

    If the worker finds part files by listing, the keys of a series' part files are not known, but only their
    number. The result then has an invented key for each part file.
    """
    sources = []
    for code, found in inputs.series.items():
        source = listed_by_manifest(code, inputs.manifests[found.dataset_id])
        if inputs.by_listing:
            prefix = source.manifest.dataset.projections_prefix
            keys = tuple(f"{prefix}{code}/{number}" for number in range(found.part_files))
            source = Source(code, source.manifest, keys, by_path=True, listed=())
        sources.append(source)
    return sources


def _manifest_keys(inputs: Inputs) -> set[str]:
    """Return the keys of the dataset manifests that a worker reads for these inputs.

    If the worker finds part files by listing, it reads only the manifests of datasets that contain an input
    series.
    """
    homes = {found.dataset_id for found in inputs.series.values()}
    return {
        manifest.dataset.manifest_key
        for dataset_id, manifest in inputs.manifests.items()
        if dataset_id in homes or not inputs.by_listing
    }


def _read(found: InputSeries) -> SeriesNeed:
    rows = found.cleaned
    reasons = {"null": rows.null, "nan": rows.nan, "infinite": rows.infinite, "duplicate": rows.duplicate}
    return SeriesNeed(
        found.code,
        found.dataset_id,
        found.dataset_version,
        found.part_files,
        rows.rows,
        len(rows.series),
        {reason: count for reason, count in reasons.items() if count},
    )
