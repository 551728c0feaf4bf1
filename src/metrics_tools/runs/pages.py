"""The HTML page that shows the runs of `metrics run`."""

from collections.abc import Sequence

from metrics_tools.ecb import DATASET_ID, SOURCE, SOURCE_NOTE, SOURCE_URL
from metrics_tools.formatting import duration
from metrics_tools.page import ShownEvent, ShownRun, Source, page
from metrics_tools.page.shown import expression_view
from metrics_tools.request_files import Sample
from metrics_tools.runs.computing import Computed

_SOURCE = Source(SOURCE, SOURCE_URL, SOURCE_NOTE)


def page_of(samples: Sequence[Sample], computed: Sequence[Computed], lead: str) -> str:
    """Return the HTML page that shows the runs of some requests.

    Args:
        samples: the requests.
        computed: the results of the requests, in the same order.
        lead: a sentence that is shown at the top of the page.
    """
    datasets = {summary.dataset_id for found in computed for summary in found.report.inputs}
    runs = [_shown(sample, found) for sample, found in zip(samples, computed, strict=True)]
    source = _SOURCE if datasets == {DATASET_ID} else None
    return page(runs, lead=lead, source=source)


def _shown(sample: Sample, computed: Computed) -> ShownRun:
    report, version = computed.report, computed.version
    inputs = {code: found.cleaned.series for code, found in computed.inputs.items()}
    return ShownRun(
        metric_code=report.metric_code,
        run_id=report.run_id,
        title=sample.title,
        unit=sample.unit,
        status=None if computed.outcome == "RETURNED" else computed.outcome,
        is_right=computed.error is None,
        error=f"{computed.code}: {computed.error.message}" if computed.error else "",
        expression=expression_view(sample.expression, inputs),
        inputs=inputs,
        metric=version.series if version else None,
        facts=[("Version", report.version_ts or "-"), ("Time taken", duration(report.seconds))],
        trace=report.traffic.trace,
        events=[ShownEvent.of(at, event) for at, event in computed.events],
        manifest=version.manifest if version else None,
    )
