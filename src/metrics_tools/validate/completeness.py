"""The part files of a series that a manifest omits: an incremental one lists only those of its update."""

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
    """The number of part files in the folder of a series, and how many of them the manifest lists."""

    series_code: str
    folder: str
    listed: int
    there: int

    @property
    def text(self) -> str:
        """Return both numbers as a predicate for the manifest: "lists 1 of the 3 part files …"."""
        counts = f"{self.listed:,} of the {self.there:,} part files"
        return f"lists {counts} of {self.series_code} below {self.folder}"


def incompleteness(bucket: Bucket, manifest: Manifest, code: str) -> Completeness | None:
    """Return the numbers if a manifest omits part files of a series; None if not, or if they can't be listed.

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
