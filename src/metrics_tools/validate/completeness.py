"""Whether a manifest lists every part file of a series: an incremental one lists only those of its update."""

from dataclasses import dataclass

from metrics_worker.dataset.choice import SeriesFolder, list_part_files
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import InputReadError
from metrics_worker.s3.bucket import Bucket

NEEDS_LISTING = (
    "the ingestor's manifests list only the part files that an update touched, the worker needs "
    "WORKER_SERIES_FILES=listing (template parameter SeriesFiles)"
)


@dataclass(frozen=True, slots=True)
class Completeness:
    """The part files below the folder of a series, and how many of them its manifest lists."""

    series_code: str
    folder: str
    listed: int
    there: int

    @property
    def text(self) -> str:
        """Both counts, as the end of a sentence whose subject is the manifest."""
        counts = f"{self.listed:,} of the {self.there:,} part files"
        return f"lists {counts} of {self.series_code} below {self.folder}"


def incompleteness(bucket: Bucket, manifest: Manifest, code: str) -> Completeness | None:
    """Return what a manifest omits of a series; None if it omits nothing, or if its folder cannot be listed.

    Part files that lie in no folder of the series, as in a layout with one file a month, are not compared.

    Raises:
        StoreUnavailable: S3 failed.
    """
    prefix = manifest.dataset.projections_prefix
    try:
        (there,) = list_part_files(bucket, [SeriesFolder(prefix=prefix, code=code)]).values()
    except InputReadError:
        return None
    listed = {prefix + file for file in manifest.files}.intersection(found.key for found in there)
    return None if len(listed) == len(there) else Completeness(code, prefix, len(listed), len(there))
