"""The part of `metrics doctor` that checks the inputs of a metric: manifests, part files and snapshots."""

from collections.abc import Iterator

from metrics_tools.published.findings import Finding
from metrics_tools.published.metric import Metric
from metrics_tools.published.snapshots import check_snapshot
from metrics_tools.validate.discovery import NEEDS_LISTING, newest, omitted_files
from metrics_worker.errors import StoreUnavailable
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings


def check_inputs(bucket: Bucket, metric: Metric, settings: Settings) -> Iterator[Finding]:
    """Check the input series of `current`, and yield a note or a finding for each deviation.

    The newest manifest of each input dataset is compared with the part files in S3. A manifest that omits
    part files is a finding if both of these are true, because the metric has then lost a part of its history:

        - `current` was computed from no more part files than the manifest lists.
        - The manifest omits a larger share of the part files than `WORKER_SHRINK_RATIO`.

    Otherwise it is a note. The snapshots of the series are checked by `check_snapshot`.

    Raises:
        StoreUnavailable: S3 failed while part files were listed.
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
        if manifest is None:
            continue
        if (omitted := omitted_files(bucket, manifest, code)) is not None:
            is_lost = part_files <= omitted.listed < omitted.there * (1 - settings.shrink_ratio)
            what = f"{omitted.text}; current was computed from {part_files:,}"
            do = f"If {NEEDS_LISTING}.{' Then request the metric again.' if is_lost else ''}"
            yield Finding("finding" if is_lost else "note", manifest.dataset.manifest_key, what, do)
        yield from check_snapshot(bucket, manifest, code, settings)


def _inputs(metric: Metric) -> list[tuple[str, str, int]]:
    """Return (dataset id, series code, number of part files) for each input series of `current`.

    The list is empty if `current` does not exist or its `inputs` are damaged.
    """
    try:
        return [
            (str(found["dataset_id"]), str(found["series_code"]), int(found["part_files"]))
            for found in (metric.current.manifest if metric.current else {}).get("inputs", ())
        ]
    except (ValueError, TypeError, LookupError):
        return []  # a damaged manifest, which another check reports
