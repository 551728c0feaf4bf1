"""The estimate of a run: its part files, requests by kind, bytes, seconds and dollars.

To make the estimate, the inputs are read and their requests are counted: a GET for each manifest and part
file, and more for a part file of more than 4 MiB. In addition, the worker gets the marker and `current`,
reads the data back, and writes data, manifest, marker and `current`. A test compares the estimate with real
runs. The estimate assumes that the run reads every part file. A run that uses the snapshot of a series lists
the part files and reads only the part files that have changed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from metrics_tools.cost.prices import AS_OF, LATENCY, REGION, Requests, dollars_of, seconds_of
from metrics_tools.validate.reading import Inputs
from metrics_worker.dataset.datasets import InputSeries
from metrics_worker.expression.grammar import series_codes
from metrics_worker.request import RunRequest

_LOOKS, _READ_BACK, _WRITES = 2, 1, 4


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
class Needs:
    """The series that a run reads, and the requests, bytes, seconds and dollars that the run takes.

    Attributes:
        series: the series that the run reads, in the order in which the expression contains them.
        manifests: the number of dataset manifests that the run reads.
        part_files: the number of part files that the run reads; None if a series was not read.
        requests: the requests by kind; None if a series was not read.
        bytes_read: the bytes that the requests for the inputs transferred; None if a series was not read.
        seconds: the estimated duration; None if a series was not read.
        dollars: the estimated cost; None if a series was not read.
    """

    series: tuple[SeriesNeed, ...]
    manifests: int
    part_files: int | None = None
    requests: Requests | None = None
    bytes_read: int | None = None
    seconds: float | None = None
    dollars: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values, with the date, region and S3 latency of the estimate."""
        prices = {"prices_of": AS_OF, "region": REGION, "latency_seconds": LATENCY}
        return asdict(self) | {"estimated_with": prices}


def needs_of(request: RunRequest, inputs: Inputs | None = None) -> Needs:
    """Return the series, requests, bytes, seconds and dollars that a run of the request takes.

    If a series of the request was not read, only `series` and `manifests` are filled in.

    Args:
        request: the request.
        inputs: the inputs of the request; None if they were not read.
    """
    codes = series_codes(request.expression)
    if inputs is None or inputs.series.keys() != set(codes):
        bare = tuple(SeriesNeed(code, request.declared.get(code)) for code in codes)
        return Needs(bare, len(request.datasets))
    read = inputs.traffic
    series = tuple(_read(inputs.series[code]) for code in codes)
    requests = Requests(gets=_LOOKS + read.gets + _READ_BACK, puts=_WRITES, lists=read.lists)
    part_files = _part_files(inputs)
    seconds = seconds_of(part_files, sum(need.rows or 0 for need in series))
    return Needs(
        series,
        len(_manifest_keys(inputs)),
        part_files,
        requests,
        read.bytes_read,
        seconds,
        dollars_of(requests, seconds),
    )


def _manifest_keys(inputs: Inputs) -> set[str]:
    """Return the keys of the manifests that the worker reads.

    If the worker finds part files by listing, it reads only the manifests of datasets that have a series.
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


def _part_files(inputs: Inputs) -> int:
    """Return the number of part files that a run reads. A file with several series counts once."""
    own, shared = 0, dict[str, set[str]]()
    for code, found in inputs.series.items():
        manifest = inputs.manifests[found.dataset_id]
        if manifest.files_of(code) or inputs.by_listing:
            own += found.part_files
        else:
            shared.setdefault(manifest.dataset.projections_prefix, set()).update(manifest.files)
    return own + sum(map(len, shared.values()))
