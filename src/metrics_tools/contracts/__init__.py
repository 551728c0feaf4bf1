"""JSON Schemas of messages and documents of the worker, and of the authors' files, generated from models.

`python -m metrics_tools.contracts` writes the schemas to docs/contracts/schemas/.
`make contracts` also writes the examples. Fields, types and bounds come from the worker's pydantic models.
The package adds the descriptions, and the rules that the worker checks outside the models. Rules that depend
on the settings of a deployment (bucket, prefixes, sizes) appear only in descriptions, so the schemas are
valid for every deployment.
"""

from metrics_tools.contracts import definition_files, events, records, request
from metrics_tools.contracts.schema import Schema


def schemas() -> dict[str, Schema]:
    """Return all schema documents, by schema name, such as `metric_run_requested`."""
    return {
        "metric_run_requested": request.requested(),
        **events.published(),
        "dataset_manifest": records.dataset_manifest(),
        "output_manifest": records.output_manifest(),
        "run_marker": records.run_marker(),
        "dead_letter": records.dead_letter(),
        "metric_tests": definition_files.metric_tests(),
        "metric_checks": definition_files.metric_checks(),
    }
