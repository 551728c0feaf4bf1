"""A check for part files that a manifest omits.

An incremental manifest lists only the part files that its update touched.
"""

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
    """The number of part files of a series that a manifest lists and that the bucket has.

    Attributes:
        series_code: the series code.
        folder: the prefix of the dataset's part files.
        listed: the number of the series' part files that the manifest lists.
        there: the number of the series' part files that the bucket has.
    """

    series_code: str
    folder: str
    listed: int
    there: int

    @property
    def text(self) -> str:
        """Return both numbers as a text that continues "the manifest": "lists 1 of the 3 part files …"."""
        counts = f"{self.listed:,} of the {self.there:,} part files"
        return f"lists {counts} of {self.series_code} below {self.folder}"


def incompleteness(bucket: Bucket, manifest: Manifest, code: str) -> Completeness | None:
    """Return both numbers of part files if a manifest omits part files of a series.

    The result is None if the manifest lists all part files of the series, or if the part files can't be
    listed. Only part files in a folder of the series are compared: a layout with one file a month has none.

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
