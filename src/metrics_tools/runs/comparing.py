"""The two sides of `metrics compare`, and their differences.

A side is a published version, a request that is computed, or a Parquet file. A difference is an observation
that was added, is gone or has another value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metrics_tools.buckets.places import Place, metrics_prefix
from metrics_tools.console import impossible, report_on_stderr
from metrics_tools.file_contents import is_formula_argument
from metrics_tools.published.documents import parse_manifest
from metrics_tools.published.metric import keys_of, version_names
from metrics_tools.published.versions import read_version, series_of
from metrics_tools.request_files import Sample
from metrics_tools.runs.computing import LocalWorker
from metrics_tools.runs.samples import print_reasons, read_requests
from metrics_worker.errors import MetricsWorkerError, ObjectNotFound
from metrics_worker.publication.records import VERSION
from metrics_worker.series import Series, Times, Values, common

_FEW = 5
"""The number of newest versions that the error about a missing version lists."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sides of a comparison: a series, and a label that says where the series comes from."""

    label: str
    series: Series


def is_version(text: str) -> bool:
    """Return whether a text refers to a version: it contains `@`, and is neither a file nor a formula."""
    return "@" in text and not Path(text).exists() and not is_formula_argument(text)


def requests_in(texts: Sequence[str], place: Place | None) -> list[Sample]:
    """Return the requests among the sides of a comparison; versions and Parquet files are skipped.

    Args:
        texts: the sides as the user wrote them.
        place: the location of the datasets; None if the user gave none.
    """
    return [_request(text, place) for text in texts if not is_version(text) and not _is_parquet(text)]


def read_side(text: str, place: Place | None) -> Side:
    """Read or compute one side of a comparison. On failure, the command ends with an error.

    Args:
        text: the side as the user wrote it: `CODE@VERSION`, `CODE@current`, the path of a Parquet file or of
            a request, or a formula.
        place: the location of the version or of the datasets; None is allowed for a Parquet file.
    """
    try:
        if _is_parquet(text) and not is_version(text):
            return Side(text, series_of(text, Path(text).read_bytes()))
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
    """Return the request for a formula, or the request in a file.

    The command ends with an error if the text is neither, or if the file does not contain exactly one
    request.

    Args:
        text: the formula or the path of the file.
        place: the location of the datasets; None if the user gave none.
    """
    if not Path(text).exists() and not is_formula_argument(text):
        raise impossible(
            f"{text}: neither a file nor a version. A version is CODE@VERSION or CODE@current, as "
            f"`metrics history CODE` lists them; did you mean {text}@current?"
        )
    samples = read_requests(text, lambda: place)
    if len(samples) != 1:
        raise impossible(f"{text}: the file contains {len(samples)} requests, and only one can be compared.")
    return samples[0]


def _published(text: str, place: Place) -> Side:
    code, _, version_ts = text.rpartition("@")
    keys = keys_of(code, prefix=metrics_prefix())
    try:
        if version_ts == "current":
            version_ts = str(parse_manifest(place.bucket.get(keys.current)).get("version_ts"))
        if not VERSION.fullmatch(version_ts):
            raise impossible(f"{text}: a version looks like 2026-10-30T12-00-00, or is 'current'.")
        return Side(f"{code}@{version_ts}", read_version(place.bucket, keys, version_ts).series)
    except ObjectNotFound as error:
        newest = ", ".join(version_names(place.bucket, keys)[:_FEW])
        hint = f"The newest versions are {newest}." if newest else "The metric has no version."
        raise impossible(f"{text}: not at {place.label}: {error.subject} does not exist. {hint}") from error


def _computed(text: str, place: Place) -> Side:
    sample = _request(text, place)
    with LocalWorker.at(place, publish=False) as worker:
        found = worker.compute(sample)
    if found.version is None:
        reason = found.error and found.error.message
        if found.outcome == "FAILURE":
            with report_on_stderr():
                print_reasons(sample, place)
        raise impossible(f"{text}: the request cannot be computed: {found.code}: {reason}")
    return Side(f"{text} (computed now)", found.version.series)


class Change(NamedTuple):
    """A changed observation: its time (µs since 1970, UTC), both values, and their relative difference.

    The relative difference is the absolute difference divided by the larger absolute value: 0 to 2.
    """

    time: int
    before: float
    after: float
    relative: float


@dataclass(frozen=True, slots=True)
class Differences:
    """The differences between a first and a second series.

    Attributes:
        gone: the observations at times that only the first series has.
        added: the observations at times that only the second series has.
        both: the number of times that both series have.
        times, before, after: the times at which the values differ, and the values of the first and of the
            second series at these times, each of shape (n,).
    """

    gone: Series
    added: Series
    both: int
    times: Times
    before: Values
    after: Values

    @property
    def changed(self) -> Series:
        """Return the differences (second minus first value) at `times`, without those that are not finite."""
        with np.errstate(over="ignore"):
            return Series.where_finite(self.times, self.after - self.before)

    @property
    def any(self) -> bool:
        """Return whether an observation was added, is gone or has another value."""
        return bool(len(self.gone) or len(self.added) or self.times.size)

    def largest(self, few: int) -> list[Change]:
        """Return the `few` changed observations with the largest absolute differences, the largest first."""
        with np.errstate(over="ignore"):
            places = np.argsort(-np.abs(self.after - self.before), kind="stable")[:few]
        before, after = self.before[places], self.after[places]
        larger = np.maximum(np.abs(before), np.abs(after))
        relative = np.abs(after / larger - before / larger)
        columns = (column.tolist() for column in (self.times[places], before, after, relative))
        return [Change(*row) for row in zip(*columns, strict=True)]


def differences(first: Series, second: Series, tolerance: float = 0.0) -> Differences:
    """Return the differences between two series.

    Two values count as equal if their difference is at most `tolerance` times the larger absolute value.
    """
    times, before, after = common(first, second)
    with np.errstate(over="ignore"):
        limit = tolerance * np.maximum(np.abs(before), np.abs(after))
        differ = np.abs(after - before) > limit
    gone, added = _without(first, times), _without(second, times)
    return Differences(gone, added, times.size, times[differ], before[differ], after[differ])


def _without(series: Series, times: Times) -> Series:
    kept = ~np.isin(series.times, times, assume_unique=True)
    return Series(series.times[kept], series.values[kept])
