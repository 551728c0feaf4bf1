"""JSON Schemas of what the worker reads and writes, generated from its own models. Never deployed.

`python -m ops.contracts` (`make contracts` does more) writes them to docs/contracts/schemas/. Fields, types
and bounds are those of the models; what a model can't say (what a field means, and the rules that the worker
checks by hand) is laid over them here, field by field: a field without a meaning, or a meaning without a
field, stops it. A rule that a deployment's settings change (bucket, prefixes, sizes) stands in a description
alone, so the schemas hold for every deployment.
"""

from ops.contracts import events, records, request
from ops.contracts.schema import Schema


def schemas() -> dict[str, Schema]:
    """Every schema, by its name."""
    return {
        "metric_run_requested": request.requested(),
        **events.published(),
        "dataset_manifest": records.dataset_manifest(),
        "output_manifest": records.output_manifest(),
        "run_marker": records.run_marker(),
        "dead_letter": records.dead_letter(),
    }
