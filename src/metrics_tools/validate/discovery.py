"""The search for the datasets of a bucket, and for the dataset of each series of a bare expression."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import InputReadError, StoreRefusal, StoreUnavailable
from metrics_worker.request_check import Dataset
from metrics_worker.s3.bucket import Bucket

_VERSIONS, _MANIFEST, _PROJECTIONS = "versions/", "manifest.json", "projections/"
_LOOKS = 5
"""The number of newest versions of a dataset that are searched for one with a manifest."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """The datasets that were found in a bucket.

    Attributes:
        datasets: by dataset id, the newest version of each dataset or, if manifests were given, theirs.
        manifests: by dataset id, the manifests that were read. Unreadable manifests are left out.
    """

    datasets: dict[str, Dataset]
    manifests: dict[str, Manifest]

    def homes(self, codes: Iterable[str]) -> dict[str, str]:
        """Return the dataset id by series code. Skip each series that no or several datasets contain."""
        holders = {code: [id_ for id_, found in self.manifests.items() if found.has(code)] for code in codes}
        return {code: found[0] for code, found in holders.items() if len(found) == 1}


def newest(bucket: Bucket, datasets_prefix: str, only: Collection[str] | None = None) -> Discovered:
    """Return the newest version of every dataset: the last version by name that has a `manifest.json`.

    A dataset without a manifest in its `_LOOKS` newest versions is skipped.

    Args:
        bucket: the bucket that has the datasets.
        datasets_prefix: the prefix of all datasets.
        only: the ids of the datasets to return; None returns all datasets.

    Raises:
        StoreUnavailable: the bucket can't be listed.
    """
    found = {}
    for folder in _folders(bucket, datasets_prefix):
        if only is not None and folder.rstrip("/").rpartition("/")[2] not in only:
            continue
        versions = sorted(_folders(bucket, folder + _VERSIONS), reverse=True)[:_LOOKS]
        keys = [version + _MANIFEST for version in versions]
        if (key := next((key for key in keys if bucket.find(key) is not None), None)) is not None:
            dataset = of_manifest(key)
            found[dataset.dataset_id] = dataset
    return _discovered(bucket, found)


def of_manifests(bucket: Bucket, keys: Iterable[str]) -> Discovered:
    """Return the datasets whose manifests have the given keys.

    Raises:
        ValueError: a key is not the key of a manifest.
        StoreUnavailable: S3 failed.
    """
    datasets = [of_manifest(key) for key in keys]
    return _discovered(bucket, {dataset.dataset_id: dataset for dataset in datasets})


def of_manifest(key: str) -> Dataset:
    """Return the dataset of a manifest: `fx` for the key `datasets/fx/versions/v1/manifest.json`.

    Raises:
        ValueError: the key is not the key of a manifest.
    """
    home, found, version = key.rpartition(f"/{_VERSIONS}")
    if not found or not version.endswith(f"/{_MANIFEST}"):
        raise ValueError(f"expected datasets/…/versions/…/manifest.json, found {key}")
    return Dataset(home.rpartition("/")[2], key, f"{home}/{_PROJECTIONS}")


def _discovered(bucket: Bucket, datasets: dict[str, Dataset]) -> Discovered:
    manifests = {}
    for dataset_id, dataset in datasets.items():
        try:
            manifests[dataset_id] = Manifest.parse(dataset, bucket.get(dataset.manifest_key).body)
        except (InputReadError, StoreRefusal):
            continue  # reading the dataset reports the reason
    return Discovered(datasets, manifests)


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
