"""The objects that a run left in the bucket, for `metrics why`.

If the metric of the run is not known, the marker of the run is looked up in the folder of every metric: one
listing, and one request for each metric. All dead letters are read as well. A run that failed with a
permanent error leaves no object.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from metrics_tools.published.dead_letters import StoredLetter, read_letters
from metrics_tools.published.metric import Metric, committed_runs, version_names
from metrics_tools.published.overview import metric_codes
from metrics_worker.names import is_id, metric_base
from metrics_worker.publication.dead_letter import dead_letters
from metrics_worker.publication.records import Keys, Marker
from metrics_worker.s3.bucket import Bucket

_NEWEST = 100
"""The number of newest versions of a metric among which the versions of an uncommitted run are looked up."""


@dataclass(frozen=True, slots=True)
class RunTraces:
    """The objects that a run left in the folder of one metric.

    Attributes:
        code: the metric code in the request, which may be invalid.
        metric: the documents of the metric that were read: `current`, the marker and manifests.
        run_id: the run id.
        marker: the commit record of the run; None if the run is not committed.
        problem: the fault in the marker or in the manifest of its version as text; "" if there is none.
        uncommitted: the versions that attempts of the run have written but not committed, newest first.
        letters: the dead letters of the run.
    """

    code: str
    metric: Metric
    run_id: str
    marker: Marker | None
    problem: str
    uncommitted: Sequence[str]
    letters: Sequence[StoredLetter]

    @property
    def has_valid_code(self) -> bool:
        """Return whether the metric code is valid. A request with another code can only fail."""
        return is_id(self.code)

    @property
    def is_empty(self) -> bool:
        """Return whether the run left no object in the folder of the metric, and has no dead letter."""
        return not (self.marker or self.problem or self.uncommitted or self.letters)

    @property
    def is_current(self) -> bool:
        """Return whether `current` names the version that the run has committed."""
        return self.marker is not None and self.metric.is_current(self.marker.version_ts)


def find_traces(bucket: Bucket, prefix: str, run_id: str, code: str | None) -> list[RunTraces]:
    """Return the objects that a run left in the bucket, one entry for each metric with such an object.

    Args:
        bucket: the bucket.
        prefix: the key prefix of all metrics.
        run_id: the run id.
        code: the metric code; None to search all metrics. For a given code, there is always an entry.

    Raises:
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    all_letters, _ = read_letters(bucket, [found.key for found in bucket.list(dead_letters(prefix))])
    own = [found for found in all_letters if found.letter.run_id == run_id]
    codes = [code] if code else metric_codes(bucket, prefix)
    markers = {Keys(metric_base(prefix, one)).marker(run_id): one for one in codes}
    found = [markers[key] for key, stored in bucket.find_many(list(markers)).items() if stored is not None]
    named = [code] if code else sorted({*found, *(one.letter.metric_code for one in own)})
    traces = []
    for one in named:
        keys, is_valid = Keys(f"{prefix}{one}/"), is_id(one)
        letters = [stored for stored in own if stored.letter.metric_code == one]
        if is_valid:
            traces.append(_traces(bucket, keys, run_id, letters))
        else:  # a request with an invalid metric code can become a dead letter, but has no other objects
            traces.append(RunTraces(one, Metric(keys, []), run_id, None, "", [], letters))
    return traces


def run_ids_with(bucket: Bucket, prefix: str, *, beginning: str, code: str | None) -> set[str]:
    """Return the ids of all runs that have a marker or a dead letter and whose id begins with a text.

    The function reads all dead letters, and lists the markers of every metric.

    Args:
        bucket: the bucket.
        prefix: the key prefix of all metrics.
        beginning: the first characters of the run ids.
        code: the metric code; None for the runs of all metrics.

    Raises:
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    letters, _ = read_letters(bucket, [found.key for found in bucket.list(dead_letters(prefix))])
    found = {one.letter.run_id for one in letters if code in {None, one.letter.metric_code}}
    codes = [code] if code else metric_codes(bucket, prefix)
    found.update(committed_runs(bucket, [Keys(metric_base(prefix, one)) for one in codes]))
    return {run_id for run_id in found if run_id.startswith(beginning)}


def _traces(bucket: Bucket, keys: Keys, run_id: str, letters: Sequence[StoredLetter]) -> RunTraces:
    """Return the objects that a run left in the folder of one metric.

    Args:
        bucket: the bucket.
        keys: the keys of the metric.
        run_id: the run id.
        letters: the dead letters of all runs.
    """
    metric = Metric(keys, version_names(bucket, keys)[:_NEWEST])
    metric.read_markers(bucket, [run_id])
    metric.read_current(bucket)
    marker, uncommitted = metric.markers.get(run_id), []
    if marker is not None:
        metric.read_manifests(bucket, [marker.version_ts])
    else:
        metric.read_manifests(bucket, metric.versions)
        uncommitted = [one for one in metric.versions if metric.manifest(one).get("run_id") == run_id]
    if keys.marker(run_id) in metric.unreadable:
        problem = f"{keys.marker(run_id)}: the marker is not a commit record of this worker"
    elif marker is not None and (marker.run_id, marker.metric_code) != (run_id, metric.code):
        problem = f"{keys.marker(run_id)}: the marker is of run {marker.run_id} of {marker.metric_code}"
    else:
        problem = metric.problem(marker.version_ts) if marker is not None else ""
    return RunTraces(metric.code, metric, run_id, marker, problem, uncommitted, letters)
