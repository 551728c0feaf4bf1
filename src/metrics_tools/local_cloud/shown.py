"""A local run as the page out/metrics.html shows it: its outcome, inputs, status events and requests."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from metrics_tools.describe.nodes import NodeView, counted, outlined
from metrics_tools.local_cloud.ecb import SOURCE, SOURCE_URL, Rates, currency_of
from metrics_tools.local_cloud.events_heard import Story
from metrics_tools.local_cloud.outcome import Outcome
from metrics_tools.page import ShownEvent, ShownRun, Source, write
from metrics_worker.expression.grammar import series_codes
from metrics_worker.observability.traffic import Trace
from metrics_worker.series import Series

_LEAD = (
    "Computed by the Lambda handler from series of daily exchange rates, ECB_USD_EUR_D for instance: US "
    "dollars per euro. Windows and lags count observations, not calendar days."
)
_SOURCE = Source(SOURCE, SOURCE_URL, "The metrics are computed from them and are not the ECB's.")


def write_page(path: Path, runs: Sequence[ShownRun]) -> None:
    """Write the page of a local run."""
    write(path, runs, title="Metrics of the local run", lead=_LEAD, source=_SOURCE)


def shown(outcome: Outcome, story: Story, rates: Rates, trace: Trace | None) -> ShownRun:
    """What the page shows of a run.

    Args:
        outcome: how it ended.
        story: the status events.
        rates: where its inputs come from.
        trace: its requests, where the worker's log has them.
    """
    sample, expression = outcome.sample, outcome.sample.expression
    inputs = _inputs(series_codes(expression), rates) if expression else {}
    view: NodeView | None = None
    if expression is not None:
        is_whole = set(series_codes(expression)) <= set(inputs)
        view = counted(expression, inputs) if is_whole else outlined(expression)
    return ShownRun(
        metric_code=sample.metric_code,
        run_id=sample.run_id,
        title=sample.title,
        unit=sample.unit,
        status=outcome.status,
        is_right=not outcome.complaints,
        error=outcome.error,
        complaints=outcome.complaints,
        expression=view,
        inputs=inputs,
        metric=_series(outcome.times, outcome.values) if outcome.status == "SUCCESS" else None,
        facts=_facts(outcome),
        keys=outcome.keys,
        trace=trace,
        events=[ShownEvent.of(heard.at, heard.event) for heard in story.heard],
        manifest=outcome.manifest,
    )


def _inputs(codes: Sequence[str], rates: Rates) -> Mapping[str, Series]:
    """The series that are the ECB's, as they were uploaded."""
    found = {code: rates.get(currency_of(code) or "") for code in codes}
    return {
        code: _series([_midnight(day) for day in days], list(days.values()))
        for code, days in found.items()
        if days
    }


def _facts(outcome: Outcome) -> list[tuple[str, str]]:
    facts = []
    if outcome.status == "SUCCESS":
        facts.append(("Version", outcome.version))
    if outcome.seconds is not None:
        facts.append(("Time taken", f"{outcome.seconds:.2f} s"))
    if outcome.check and not outcome.check.problem:
        facts.append(("Checked", "every row as recomputed from the source"))
    return facts


def _series(times: Sequence[datetime], values: Sequence[float]) -> Series:
    stamps = np.array([time.astimezone(UTC).replace(tzinfo=None) for time in times], dtype="datetime64[us]")
    return Series(stamps.astype(np.int64), np.array(values, dtype=np.float64))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
