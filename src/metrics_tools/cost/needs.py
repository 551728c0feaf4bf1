"""What a run will take, before it runs: part files, requests by kind, bytes, seconds, dollars.

The requests follow from how the worker works, and a test holds them against those of real runs. Reading is
what it was when the series were read for it: a GET for each manifest and each part file, more for a part file
beyond 4 MiB. Beside it the worker looks for the marker and for `current`, reads the data back, and writes
data, manifest, marker and `current`.
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
        dataset_id: where it is; None where that is not known.
        part_files: of it; None without a look into the manifest.
        rows: in them; None where they were not read.
        observations: of these rows; None where they were not read.
        left_out: rows that are no observation, by reason.
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
    """What a run takes.

    Attributes:
        series: that it reads, in order of appearance.
        manifests: of datasets that it reads: one GET each.
        part_files: that it reads, each once; None where the manifests were not looked at.
        requests: by kind; None where the series were not read.
        bytes_read: of manifests and part files; None where they were not read.
        seconds: estimated; None as well.
        dollars: the same.
    """

    series: tuple[SeriesNeed, ...]
    manifests: int
    part_files: int | None = None
    requests: Requests | None = None
    bytes_read: int | None = None
    seconds: float | None = None
    dollars: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        prices = {"prices_of": AS_OF, "region": REGION, "latency_seconds": LATENCY}
        return asdict(self) | {"estimated_with": prices}


def needs_of(request: RunRequest, inputs: Inputs | None = None) -> Needs:
    """What a request will take.

    Args:
        request: valid.
        inputs: what was read for it; None where nothing was.
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
    """Return the manifests that the worker reads: by listing, only those of datasets that have a series."""
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
    """How many there are to be read: a file with several series is read once."""
    own, shared = 0, dict[str, set[str]]()
    for code, found in inputs.series.items():
        manifest = inputs.manifests[found.dataset_id]
        if manifest.files_of(code) or inputs.by_listing:
            own += found.part_files
        else:
            shared.setdefault(manifest.dataset.projections_prefix, set()).update(manifest.files)
    return own + sum(map(len, shared.values()))
