"""The search for the datasets of a bucket, for the dataset of each series, and for omitted part files."""

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from metrics_worker.dataset.choice import SeriesFolder, list_part_files
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import InputReadError, StoreRefusal, StoreUnavailable
from metrics_worker.request_check import Dataset
from metrics_worker.s3.bucket import Bucket

NEEDS_LISTING = (
    "the ingestor's manifests list only the part files that an update touched, the worker needs "
    "WORKER_SERIES_FILES=listing (template parameter SeriesFiles)"
)
CREATED_BY_IMPORT = "metrics import"
"""The value of the field `created_by` in a manifest that `metrics import` created.

Such a manifest lists all part files of each series. Other part files in the folder of a series belong to an
earlier import, which a later one has replaced, or to an import that did not end.
"""
_LOOKS = 5
"""The number of newest versions of a dataset that are searched for one with a manifest."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """The datasets that were found in a bucket.

    Attributes:
        datasets: by dataset id, the dataset in its newest version, or in the version of the given manifest.
        manifests: by dataset id, the manifest of this version. Unreadable manifests are left out.
    """

    datasets: dict[str, Dataset]
    manifests: dict[str, Manifest]

    def homes(self, codes: Iterable[str]) -> dict[str, str]:
        """Return, by series code, the id of the dataset that contains the series.

        A series that no dataset or more than one dataset contains is left out.
        """
        holders = {code: [id_ for id_, found in self.manifests.items() if found.has(code)] for code in codes}
        return {code: found[0] for code, found in holders.items() if len(found) == 1}


def newest(bucket: Bucket, datasets_prefix: str, only: Collection[str] | None = None) -> Discovered:
    """Return the newest version of every dataset: the last version by name that has a `manifest.json`.

    A dataset is left out if none of its last five versions by name has a manifest.

    Args:
        bucket: the bucket of the datasets.
        datasets_prefix: the key prefix of all datasets.
        only: the ids of the datasets to return; None for all datasets.

    Raises:
        StoreUnavailable: the bucket can't be listed.
    """
    manifests = []
    for folder in _folders(bucket, datasets_prefix):
        if only is None or folder.rstrip("/").rpartition("/")[2] in only:
            versions = sorted(_folders(bucket, f"{folder}versions/"), reverse=True)[:_LOOKS]
            keys = (f"{version}manifest.json" for version in versions)
            manifests += [key for key in keys if bucket.find(key) is not None][:1]
    return of_manifests(bucket, manifests)


def of_manifests(bucket: Bucket, keys: Iterable[str]) -> Discovered:
    """Return the datasets whose manifests have the given keys (`datasets/fx/versions/v1/manifest.json`).

    Raises:
        ValueError: a key is not the key of a manifest.
        StoreUnavailable: S3 failed.
    """
    found = Discovered({}, {})
    for key in keys:
        home, is_manifest, version = key.rpartition("/versions/")
        if not is_manifest or not version.endswith("/manifest.json"):
            raise ValueError(f"expected datasets/…/versions/…/manifest.json, found {key}")
        dataset = Dataset(home.rpartition("/")[2], key, f"{home}/projections/")
        found.datasets[dataset.dataset_id] = dataset
    for dataset_id, dataset in found.datasets.items():
        with suppress(InputReadError, StoreRefusal):  # reading the dataset reports the reason
            found.manifests[dataset_id] = Manifest.parse(dataset, bucket.get(dataset.manifest_key).body)
    return found


def _folders(bucket: Bucket, prefix: str) -> Sequence[str]:
    """Return the prefixes directly below a prefix, each with its final slash.

    Raises:
        StoreUnavailable: the prefix can't be listed.
    """
    try:
        return bucket.list_folders(prefix)
    except (StoreRefusal, StoreUnavailable) as error:
        problem = "LIST: it can't be listed: is there such a bucket, and may you list it?"
        raise StoreUnavailable(prefix, problem) from error


@dataclass(frozen=True, slots=True)
class OmittedFiles:
    """The part files of a series that a manifest lists and that the bucket has, as numbers.

    The manifest omits at least one part file of the series.

    Attributes:
        listed: the number of the series' part files that the manifest lists.
        there: the number of the series' part files that the bucket has.
        text: both numbers, to continue "the manifest": "lists 1 of the 3 part files of X below datasets/…".
    """

    listed: int
    there: int
    text: str


def omitted_files(bucket: Bucket, manifest: Manifest, code: str) -> OmittedFiles | None:
    """Return how many part files of a series a manifest omits; None if it omits none.

    Only part files in a folder of the series are compared. Therefore the result is also None for a layout in
    which one part file contains all series, and if the part files can't be listed. A manifest that
    `metrics import` created omits only replaced part files, so the result is None, too.

    Raises:
        StoreUnavailable: S3 failed.
    """
    prefix = manifest.dataset.projections_prefix
    try:
        (found,) = list_part_files(bucket, [SeriesFolder(prefix=prefix, code=code)]).values()
    except InputReadError:
        return None
    listed = len({prefix + file for file in manifest.files}.intersection(file.key for file in found))
    if listed == len(found) or _is_import(bucket, manifest.dataset.manifest_key):
        return None
    text = f"lists {listed:,} of the {len(found):,} part files of {code} below {prefix}"
    return OmittedFiles(listed, len(found), text)


def _is_import(bucket: Bucket, key: str) -> bool:
    """Return whether `metrics import` created the manifest with a key.

    Raises:
        StoreUnavailable: S3 failed.
    """
    try:
        document = json.loads(bytes(bucket.get(key).body))
    except (StoreRefusal, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("created_by") == CREATED_BY_IMPORT
