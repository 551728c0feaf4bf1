"""The comparison of a run with the version that `current` names, before anything is published.

An incremental manifest lists only the part files that changed. With `WORKER_SERIES_FILES=manifest`, a run
then succeeds with only a few rows of the whole history. So a run that loses a share of `WORKER_SHRINK_RATIO`
of the rows of the previous version is reported or refused, as `WORKER_SHRINK` says.

Two counts are compared: the observations of each series that both versions read, and the rows of the versions
if their expressions are equal, since a longer window has fewer rows on purpose. A run that was requested
before the version that `current` names is not compared: it does not take `current`. Nor is a run compared
with a `current` that is missing or cannot be understood.
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
"""The number of input series that a message names. It counts the others."""
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
    """The counts in the previous version's manifest. This worker's predecessor wrote only `row_count`."""

    version_ts: str
    row_count: int
    expression: dict[str, Any] | None = None
    inputs: list[_Input] = []


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The loss of rows of a run, compared with the previous version.

    Attributes:
        series: the codes of the input series that lost observations, the largest loss first.
        text: the counts of both versions, and the probable cause, for people.
    """

    series: tuple[str, ...]
    text: str


def check_shrink(
    draft: "Draft", current: "StoredObject | None", settings: "Settings", report: "RunReport"
) -> None:
    """Compare a run with the previous version, and note a loss in the report.

    Args:
        draft: the result of the run, not yet committed.
        current: the object `current`, a copy of the previous version's manifest; None if there is none.
        settings: the action and the ratio for a loss.
        report: the record of the attempt.

    Raises:
        InputReadError: the run lost too many rows, and the settings refuse such runs.
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
    """Return the loss of a run, or None if the loss is smaller than the ratio.

    Args:
        draft: the result of the run, not yet committed.
        current: the object `current`, a copy of the previous version's manifest; None if there is none.
        ratio: the share of rows, 0-1, from which a loss counts.
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
    """Return the counts, now and before, of each series that lost observations, the largest loss first."""
    known = {found.series_code: found for found in before}
    pairs = [(now, known[now.series_code]) for now in inputs if now.series_code in known]
    lost = [
        (now, then) for now, then in pairs if _is_lost(ratio, before=then.observations, now=now.observations)
    ]
    return sorted(lost, key=lambda pair: pair[0].observations - pair[1].observations)


def _is_lost(ratio: float, *, before: int, now: int) -> bool:
    """Return whether the lost share of rows is at least the ratio, compared without rounding."""
    return now < before and before - now >= before * Fraction(str(ratio))
