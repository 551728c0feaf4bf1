"""Pages for the browser tests; their sample metrics are computed from the ECB's exchange rates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from metrics_tools.describe.nodes import counted
from metrics_tools.ecb import currency_of, rate_series, read_rates
from metrics_tools.page import ShownEvent, ShownRun, Source, page
from metrics_tools.request_files import read_samples
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import dump, series_codes
from metrics_worker.observability.traffic import Timed, Trace

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def shown_sample(name: str, **fields: Any) -> ShownRun:
    """Return a successful run of a sample request, as an argument for the function that writes the HTML page.

    The timeline of the run has one S3 request for each month from 2000 to 2019 and each series.

    Args:
        name: the name of the request's file in events/, without `.json`.
        fields: fields of the `ShownRun` that replace those of the sample.
    """
    (sample,) = read_samples([ROOT / "events" / f"{name}.json"])
    expression, rates = sample.expression, read_rates()
    assert expression is not None
    inputs = {code: rate_series(rates[currency_of(code) or ""]) for code in series_codes(expression)}
    months = [
        f"datasets/ecb_fx/projections/{code}/year={year}/month={month:02d}/data.parquet"
        for code in inputs
        for year in range(2000, 2020)
        for month in range(1, 13)
    ]
    requests = [Timed("GET", key, place / 1000, 0.03, 2300) for place, key in enumerate(months)]
    late = len(months) / 1000 + 0.1
    key = f"metrics/{sample.metric_code}/2026-11-02T09-30-00/data/metrics.parquet"
    metric = evaluate(expression, inputs)
    shown = ShownRun(
        metric_code=sample.metric_code,
        run_id=sample.run_id,
        title=sample.title,
        unit=sample.unit,
        status="SUCCESS",
        expression=counted(expression, inputs),
        inputs=inputs,
        metric=metric,
        facts=[("Version", "2026-11-02T09-30-00")],
        keys=[key],
        trace=Trace(
            0.0,
            NOW.timestamp(),
            [*requests, Timed("PUT", key, late, 0.1, 70_000)],
            [("read", 0.0, late), ("commit", late, 0.1)],
        ),
        events=[
            ShownEvent(NOW + timedelta(seconds=0.05), "metric_run_started"),
            ShownEvent(NOW + timedelta(seconds=late), "metric_run_completed", "SUCCESS"),
        ],
        manifest={"metric_code": sample.metric_code, "expression": dump(expression)},
    )
    return replace(shown, **fields)


def write_pages(path: Path) -> Path:
    """Write an HTML page with a successful and a failed run to the file `path`, and return `path`."""
    failed = shown_sample(
        "change", status="FAILURE", error="INPUT_READ_ERROR: none", metric=None, manifest=None, trace=None
    )
    runs = [shown_sample("run"), failed]
    source = Source("The ECB", "https://www.ecb.europa.eu/")
    path.write_text(page(runs, title="Runs", source=source, now=NOW), encoding="utf-8")
    return path
