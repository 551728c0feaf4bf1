"""The comparison of a run with the current version of the metric, before anything is published.

An incremental manifest lists only the part files that changed. With `WORKER_SERIES_FILES=manifest`, a run
then succeeds with only a few rows of the whole history. Therefore a run that loses at least the share
`WORKER_SHRINK_RATIO` of the current version's rows is reported or refused, depending on `WORKER_SHRINK`.

Two counts are compared: the observations of each series that both versions read, and, if the two expressions
are equal, the rows of the versions. (With another expression, such as one with a longer window, fewer rows
can be intended.) A run is not compared if its request is older than the request of the current version,
because such a run does not change `current`, or if `current` is missing or cannot be parsed.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from metrics_worker.errors import InputReadError
from metrics_worker.publication.current import age

if TYPE_CHECKING:
    from metrics_worker.observability.report import RunReport
    from metrics_worker.publication.commit import Draft
    from metrics_worker.publication.records import InputSummary
    from metrics_worker.s3.bucket import StoredObject
    from metrics_worker.settings import Settings

_NAMED = 3
"""The maximum number of input series that a message lists; further series are only counted."""
_INCREMENTAL = (
    "an incremental manifest lists only the part files that its version touched: for such an ingestor set "
    "WORKER_SERIES_FILES=listing"
)
_LISTED = "part files are missing below the series' prefix, or have fewer rows"
_OVERLAP = "no input series shrank: the times of the input series have less in common than before"
_INTENDED = "if fewer rows are intended, set WORKER_SHRINK=warn and request the run again"


class _Input(BaseModel):
    series_code: str
    part_files: int
    observations: int


class _Before(BaseModel):
    """The counts in the current version's manifest. The previous worker wrote only `row_count`."""

    version_ts: str
    row_count: int
    expression: dict[str, Any] | None = None
    inputs: list[_Input] = []


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The loss of rows of a run, compared with the current version.

    Attributes:
        series: the codes of the input series that lost observations, the largest loss first.
        text: the counts of both versions and the probable cause, in words for operators.
    """

    series: tuple[str, ...]
    text: str


def check_shrink(
    draft: "Draft", current: "StoredObject | None", settings: "Settings", report: "RunReport"
) -> None:
    """Compare a run with the current version, and describe a loss of rows in `report.shrunk`.

    Args:
        draft: the result of the run, not yet committed.
        current: the object `current`, a copy of the current version's manifest; None if it does not exist.
        settings: `shrink` is the reaction to a loss (off, warn or refuse), and `shrink_ratio` the smallest
            share of lost rows that counts as a loss.
        report: the report of the attempt, which receives the description of the loss.

    Raises:
        InputReadError: the run lost too many rows, and `settings.shrink` is "refuse".
    """
    if settings.shrink == "off":
        return
    by_listing = settings.series_files == "listing"
    found = find_shrink(draft, current, settings.shrink_ratio, by_listing=by_listing)
    if found is None:
        return
    report.shrunk = found.text
    if settings.shrink == "refuse":
        problem = f"{found.text}; {_INTENDED}"
        raise (
            InputReadError.of_series(found.series[0], problem)
            if found.series
            else InputReadError("inputs", problem)
        )


def find_shrink(
    draft: "Draft", current: "StoredObject | None", ratio: float, *, by_listing: bool
) -> Shrunk | None:
    """Return the loss of rows of a run; None if the loss is smaller than the ratio or cannot be determined.

    Args:
        draft: the result of the run, not yet committed.
        current: the object `current`, a copy of the current version's manifest; None if it does not exist.
        ratio: the smallest share of lost rows (0 to 1) that counts as a loss.
        by_listing: whether the run found its part files by listing S3.
    """
    before = _parse(current)
    if current is None or before is None or age(current)[0] > draft.run.requested_at:
        return None
    lost = _lost_inputs(draft.inputs, before.inputs, ratio)
    rows = len(draft.series)
    same = before.expression is None or before.expression == draft.expression
    if not lost and not (same and _is_lost(ratio, before=before.row_count, now=rows)):
        return None
    cause = (_LISTED if by_listing else _INCREMENTAL) if lost else _OVERLAP
    counts = f"{rows:,} rows, {before.row_count:,} in version {before.version_ts}"
    named = [
        f"{now.series_code} has {now.observations:,} observations in {_files(now.part_files)}, before "
        f"{then.observations:,} in {_files(then.part_files)}"
        for now, then in lost[:_NAMED]
    ]
    if len(lost) > _NAMED:
        named.append(f"and {len(lost) - _NAMED:,} more series")
    return Shrunk(tuple(now.series_code for now, _ in lost), "; ".join([counts, *named, cause]))


def _files(count: int) -> str:
    return f"{count:,} part file" + ("" if count == 1 else "s")


def _parse(current: "StoredObject | None") -> _Before | None:
    if current is None:
        return None
    try:
        return _Before.model_validate_json(bytes(current.body))
    except ValidationError:
        return None


def _lost_inputs(
    inputs: "list[InputSummary]", before: list[_Input], ratio: float
) -> "list[tuple[InputSummary, _Input]]":
    """Return (counts in this run, counts in the current version) of each series that lost observations.

    The series with the largest loss comes first. Series that the current version did not read are left out.

    Args:
        inputs: the counts of all series in this run.
        before: the counts of all series in the current version.
        ratio: the smallest share of lost observations (0 to 1) that counts as a loss.
    """
    known = {found.series_code: found for found in before}
    pairs = [(now, known[now.series_code]) for now in inputs if now.series_code in known]
    lost = [
        (now, then) for now, then in pairs if _is_lost(ratio, before=then.observations, now=now.observations)
    ]
    return sorted(lost, key=lambda pair: pair[0].observations - pair[1].observations)


def _is_lost(ratio: float, *, before: int, now: int) -> bool:
    """Return whether the lost share of rows, (before - now) / before, is at least the ratio (exactly)."""
    return now < before and before - now >= before * Fraction(str(ratio))
