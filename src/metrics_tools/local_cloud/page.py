"""The page out/metrics.html of a local run: outcomes, inputs, status events and requests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metrics_tools.ecb import SOURCE, SOURCE_NOTE, SOURCE_URL, Rates, currency_of, rate_series, read_rates
from metrics_tools.formatting import duration
from metrics_tools.local_cloud.outcome import Outcome
from metrics_tools.local_cloud.status_listener import RunEvents
from metrics_tools.local_cloud.worker_log import traces
from metrics_tools.page import ShownEvent, ShownRun, Source, page
from metrics_tools.page.shown import expression_view
from metrics_worker.expression.grammar import series_codes
from metrics_worker.observability.traffic import Trace
from metrics_worker.series import Series

_LEAD = (
    "Computed by the Lambda handler from series of daily exchange rates, such as ECB_USD_EUR_D: US dollars "
    "per euro. Windows and lags count observations, unless they have a calendar unit."
)


def write_page(
    path: Path, outcomes: Sequence[Outcome], events: Mapping[str, RunEvents], *, log: Path
) -> None:
    """Write the HTML page of a local run to a file.

    Args:
        path: the file.
        outcomes: the outcomes of all runs.
        events: the status events, by run id.
        log: the worker's log, which contains the traces of the runs.
    """
    found, rates = traces(log), read_rates()
    by_id = {outcome.sample.run_id: outcome for outcome in outcomes}
    runs = [shown_run(outcome, events[id_], rates, found.get(id_)) for id_, outcome in by_id.items()]
    source = Source(SOURCE, SOURCE_URL, SOURCE_NOTE)
    text = page(runs, title="Metrics of the local run", lead=_LEAD, source=source)
    path.write_text(text, encoding="utf-8")


def shown_run(outcome: Outcome, events: RunEvents, rates: Rates, trace: Trace | None) -> ShownRun:
    """Return the values of one run that the page shows.

    Args:
        outcome: the outcome of the run.
        events: the status events of the run.
        rates: the ECB's rates, from which the input series are taken.
        trace: the requests and stages of the run; None if the worker's log has no trace of it.
    """
    sample, expression = outcome.sample, outcome.sample.expression
    days = (
        {code: rates.get(currency_of(code) or "") for code in series_codes(expression)} if expression else {}
    )
    times = np.array([time.replace(tzinfo=None) for time in outcome.times], dtype="datetime64[us]")
    metric = Series(times.astype(np.int64), np.array(outcome.values, dtype=np.float64))
    inputs = {code: rate_series(found) for code, found in days.items() if found}
    return ShownRun(
        metric_code=sample.metric_code,
        run_id=sample.run_id,
        title=sample.title,
        unit=sample.unit,
        status=outcome.status,
        is_right=not outcome.violations,
        error=outcome.error,
        complaints=outcome.violations,
        expression=expression_view(expression, inputs),
        inputs=inputs,
        metric=metric if outcome.status == "SUCCESS" else None,
        facts=_facts(outcome),
        keys=outcome.keys,
        trace=trace,
        events=[ShownEvent.of(event.at, event.event) for event in events],
        manifest=outcome.manifest,
    )


def _facts(outcome: Outcome) -> list[tuple[str, str]]:
    facts = []
    if outcome.status == "SUCCESS":
        facts.append(("Version", outcome.version))
    if outcome.seconds is not None:
        facts.append(("Time taken", duration(outcome.seconds)))
    if outcome.check and not outcome.check.problem:
        facts.append(("Checked", "every row equals a recomputation from the source"))
    if outcome.dead_letter:
        facts.append(("Published by", "the dead-letter function"))
        facts.append(("Message stored at", outcome.dead_letter))
    return facts
