"""The two sides of a comparison: a published version, a request that is computed, or a Parquet file."""

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

_FEW = 5
"""The number of newest versions that the error about a missing version lists."""


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison: a series, and a label that says where it comes from."""

    label: str
    series: Series


def is_version(text: str) -> bool:
    """Return whether a text refers to a version: it contains `@` and is not an existing file."""
    return "@" in text and not Path(text).exists()


def requests_in(texts: Sequence[str], place: Place | None) -> list[Sample]:
    """Return a request for each text that is the path of a request; skip versions and Parquet files.

    If a file does not contain exactly one request, the command ends with an error.
    """
    return [_request(text, place) for text in texts if not is_version(text) and not _is_parquet(text)]


def read_operand(text: str, place: Place | None) -> Operand:
    """Read or compute one side of a comparison. On failure, the command ends with an error.

    Args:
        text: `CODE@VERSION`, `CODE@current`, or the path of a Parquet file or of a request.
        place: the location of the version, or of the request's datasets; unused for a Parquet file.
    """
    try:
        if _is_parquet(text) and not is_version(text):
            return Operand(text, series_of(text, Path(text).read_bytes()))
        if place is None:
            raise impossible(f"Give the location of {text}: --bucket NAME or --folder FOLDER.")
        return _published(text, place) if is_version(text) else _computed(text, place)
    except OSError as error:
        raise impossible(f"{text}: {error.strerror}") from error
    except MetricsWorkerError as error:
        raise impossible(f"{text}: {error}") from error


def _is_parquet(text: str) -> bool:
    return Path(text).suffix.lower() in {".parquet", ".pq"}


def _request(text: str, place: Place | None) -> Sample:
    """Return the only request in a file, or a new request for the bare expression in the file.

    If the file does not exist, or does not contain exactly one request, the command ends with an error.

    Args:
        text: the path of the file.
        place: the location in which the series of a bare expression are looked up.
    """
    if not Path(text).exists():
        raise impossible(
            f"{text}: neither a file nor a version. A version is CODE@VERSION or CODE@current, as "
            f"`metrics history CODE` lists them; did you mean {text}@current?"
        )
    samples = read_requests(Path(text), lambda: place)
    if len(samples) != 1:
        raise impossible(f"{text}: the file contains {len(samples)} requests, and only one can be compared.")
    return samples[0]


def _published(text: str, place: Place) -> Operand:
    code, _, version_ts = text.rpartition("@")
    keys = keys_of(code, prefix=metrics_prefix())
    try:
        if version_ts == "current":
            version_ts = str(parse_manifest(place.bucket.get(keys.current)).get("version_ts"))
        if not VERSION.fullmatch(version_ts):
            raise impossible(f"{text}: a version looks like 2026-10-30T12-00-00, or is 'current'.")
        return Operand(f"{code}@{version_ts}", read_version(place.bucket, keys, version_ts).series)
    except ObjectNotFound as error:
        newest = ", ".join(version_names(place.bucket, keys)[:_FEW])
        hint = f"The newest versions are {newest}." if newest else "The metric has no version."
        raise impossible(f"{text}: not at {place.label}: {error.subject} does not exist. {hint}") from error


def _computed(text: str, place: Place) -> Operand:
    sample = _request(text, place)
    with LocalWorker.at(place, publish=False) as worker:
        found = worker.compute(sample)
    if found.version is None:
        reason = found.error and found.error.message
        raise impossible(f"{text}: the request cannot be computed: {found.code}: {reason}")
    return Operand(f"{text} (computed now)", found.version.series)
