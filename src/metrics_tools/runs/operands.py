"""What the sides of a comparison may be: a published version, a request computed now, a Parquet file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics_tools.buckets.places import Place, metrics_prefix
from metrics_tools.console import impossible
from metrics_tools.published.documents import parse_manifest
from metrics_tools.published.metric import keys_of, version_names
from metrics_tools.published.versions import read_version, series_of
from metrics_tools.request_files import Sample
from metrics_tools.runs.computing import LocalWorker
from metrics_tools.runs.requests import read_requests
from metrics_worker.errors import MetricsWorkerError, ObjectNotFound
from metrics_worker.publication.records import VERSION
from metrics_worker.series import Series

CURRENT = "current"
_FEW = 5


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison: what it is, and what it says."""

    label: str
    series: Series


def is_version(text: str) -> bool:
    """Whether a side is a published version, `CODE@VERSION`; a file goes before it."""
    return "@" in text and not Path(text).exists()


def is_parquet(text: str) -> bool:
    """Whether a side is a Parquet file on disk."""
    return Path(text).suffix.lower() in {".parquet", ".pq"}


def requests_in(texts: Sequence[str], place: Place | None) -> list[Sample]:
    """The requests of those sides that are to be computed."""
    return [_request(text, place) for text in texts if not is_version(text) and not is_parquet(text)]


def read_operand(text: str, place: Place | None) -> Operand:
    """A side of a comparison. What can't be read or computed ends the command."""
    try:
        if is_version(text):
            if place is None:
                raise impossible(f"Where is {text} published? Say --bucket NAME or --folder FOLDER.")
            return _published(text, place)
        if is_parquet(text):
            return Operand(text, series_of(text, Path(text).read_bytes()))
        assert place is not None
        return _computed(_request(text, place), text, place)
    except OSError as error:
        raise impossible(f"{text}: {error.strerror}") from error
    except MetricsWorkerError as error:
        raise impossible(f"{text}: {error}") from error


def _request(text: str, place: Place | None) -> Sample:
    if not Path(text).exists():
        raise impossible(
            f"{text}: neither a file nor a version. A version is CODE@VERSION or CODE@{CURRENT}, as "
            f"`metrics history CODE` lists them; did you mean {text}@{CURRENT}?"
        )
    samples = read_requests(Path(text), lambda: place)
    if len(samples) != 1:
        raise impossible(f"{text}: holds {len(samples)} requests; one can be compared.")
    return samples[0]


def _published(text: str, place: Place) -> Operand:
    code, _, wanted = text.rpartition("@")
    keys = keys_of(code, prefix=metrics_prefix())
    version_ts = wanted
    try:
        if wanted == CURRENT:
            version_ts = str(parse_manifest(place.bucket.get(keys.current)).get("version_ts"))
        if not VERSION.fullmatch(version_ts):
            raise impossible(f"{text}: a version looks like 2026-10-30T12-00-00, or is '{CURRENT}'.")
        series = read_version(place.bucket, keys, version_ts).series
    except ObjectNotFound as error:
        there_are = version_names(place.bucket, keys)
        newest = (
            f" The newest are {', '.join(there_are[:_FEW])}." if there_are else " It has no version at all."
        )
        raise impossible(f"{text}: not at {place.label}: {error.subject} is not there.{newest}") from error
    return Operand(f"{code}@{version_ts}", series)


def _computed(sample: Sample, text: str, place: Place) -> Operand:
    with LocalWorker.at(place, publish=False) as worker:
        found = worker.compute(sample)
    if found.version is None:
        raise impossible(f"{text}: it can't be computed: {found.code}: {found.error and found.error.message}")
    return Operand(f"{text} (computed now)", found.version.series)
