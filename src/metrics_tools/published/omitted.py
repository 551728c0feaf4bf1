"""The check of `metrics doctor` whether the datasets of a metric list all part files of its series."""

from collections.abc import Iterator

from metrics_tools.published.findings import Finding
from metrics_tools.published.metric import Metric
from metrics_tools.validate.completeness import NEEDS_LISTING, Completeness, incompleteness
from metrics_tools.validate.discovery import newest
from metrics_worker.errors import StoreUnavailable
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings


def check_part_files(bucket: Bucket, metric: Metric, settings: Settings) -> Iterator[Finding]:
    """Compare the newest manifest of each dataset that `current` was computed from with the part files.

    A manifest that omits part files is a finding if `current` was computed from as few of them: the metric
    lost its history. Otherwise it is a note that the worker needs another mode. It is also a note if the
    manifest omits a smaller share of the part files than `WORKER_SHRINK_RATIO`: an ingestor left them over.

    Raises:
        StoreUnavailable: S3 failed.
    """
    inputs = _inputs(metric)
    if not inputs:
        return
    try:
        found = newest(bucket, settings.datasets_prefix, {dataset for dataset, _, _ in inputs})
    except StoreUnavailable as error:
        what = f"part files were not compared with manifests: {error.problem}"
        yield Finding("note", settings.datasets_prefix, what, "Run doctor with the right to list datasets.")
        return
    for dataset_id, code, part_files in inputs:
        manifest = found.manifests.get(dataset_id)
        omitted = incompleteness(bucket, manifest, code) if manifest else None
        if manifest is not None and omitted is not None:
            key = manifest.dataset.manifest_key
            yield _finding(key, omitted, part_files, allowed=1 - settings.shrink_ratio)


def _finding(key: str, omitted: Completeness, part_files: int, *, allowed: float) -> Finding:
    is_lost = part_files <= omitted.listed < omitted.there * allowed
    what = f"{omitted.text}; current was computed from {part_files:,}"
    again = " Then request the metric again." if is_lost else ""
    return Finding("finding" if is_lost else "note", key, what, f"If {NEEDS_LISTING}.{again}")


def _inputs(metric: Metric) -> list[tuple[str, str, int]]:
    """Return the dataset, the series and the number of part files of each input of `current`."""
    try:
        return [
            (str(found["dataset_id"]), str(found["series_code"]), int(found["part_files"]))
            for found in (metric.current.manifest if metric.current else {}).get("inputs", ())
        ]
    except (ValueError, TypeError, LookupError):
        return []  # a damaged manifest, which another check reports
