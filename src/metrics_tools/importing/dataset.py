"""The writing of imported series into a dataset.

    {datasets prefix}{dataset}/projections/{series}/year=2025/month=11/{time}-{hash}.parquet
    {datasets prefix}{dataset}/versions/v00000007/manifest.json

Each import of a series creates a new version of the dataset, whose manifest lists all part files of all
series. Part files and manifests are created and never replaced. The manifest is created last and makes all
part files visible at once. A part file whose rows have not changed since the previous version is kept.

The number of a version is that of the previous version plus one. Therefore, only one of two simultaneous
imports can create the manifest with this number. The other import then adds its series to the new version.
"""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from metrics_tools.part_files import Description, Extent, dataset_manifest, months, part_file
from metrics_tools.validate.discovery import CREATED_BY_IMPORT, newest
from metrics_worker.errors import ObjectTaken, StoreRefusal, StoreUnavailable
from metrics_worker.s3.bucket import Bucket
from metrics_worker.series import Series

_VERSION = re.compile(r"v(\d{8})", re.ASCII)
_TRIES = 20
_WRITERS = 8


class ForeignDatasetError(Exception):
    """The error if a dataset was not created by `metrics import`, so that an import must not change it.

    When the error is raised, nothing has been written.
    """


@dataclass(frozen=True, slots=True)
class ImportedSeries:
    """The result of an import.

    Attributes:
        dataset: the id of the dataset.
        version: the version of the dataset that contains the series.
        manifest: the key of the version's manifest.
        series_code: the series code.
        part_files: the number of part files of the series.
        part_files_written: the number of part files that were written; the others had not changed.
        replaced: the extent of the series in the previous version; None if the series is new.
        series: the number of series in the dataset.
    """

    dataset: str
    version: str
    manifest: str
    series_code: str
    part_files: int
    part_files_written: int
    replaced: Extent | None
    series: int


@dataclass(frozen=True, slots=True)
class _Previous:
    """The newest version of a dataset, to which an import adds a series.

    Attributes:
        number: the number of the version; 0 if the dataset is new.
        files: the part files of the version, as keys relative to the dataset's projections.
        extents: the extent of each series of the version, by series code; None if the dataset is new.
    """

    number: int = 0
    files: tuple[str, ...] = ()
    extents: dict[str, Extent] | None = None

    def files_of(self, code: str) -> list[str]:
        return [file for file in self.files if file.startswith(f"{code}/")]


def import_series(
    bucket: Bucket, base: str, series: Series, described: Description, now: Callable[[], datetime]
) -> ImportedSeries:
    """Write the part files of a series, and then a new version of its dataset.

    Args:
        bucket: the data bucket.
        base: the key prefix of the dataset, which ends in a slash.
        series: the observations, at least one.
        described: the code and the unit of the series.
        now: returns the time in UTC, which is a part of the names of part files.

    Raises:
        ForeignDatasetError: another program has created the newest version of the dataset.
        AccessDenied: S3 refused a request.
        StoreUnavailable: S3 failed, or other imports kept creating versions.
    """
    previous = _previous(bucket, base)
    kept = {_hash_of(file): file for file in previous.files_of(described.code)}
    made = {
        f"{described.code}/{folders}/": (part, _hash(part, described)) for folders, part in months(series)
    }
    stamp = f"{now():%Y%m%dT%H%M%S%fZ}"
    files, new = [], {}
    for folder, (part, digest) in made.items():
        file = kept.get(folder + digest, f"{folder}{stamp}-{digest}.parquet")
        files.append(file)
        if folder + digest not in kept:
            new[f"{base}projections/{file}"] = part
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda item: _create(bucket, item[0], part_file(item[1], described)), new.items()))
    for _ in range(_TRIES):
        extents = (previous.extents or {}) | {described.code: Extent.of(series)}
        others = [file for file in previous.files if file not in previous.files_of(described.code)]
        version = f"v{previous.number + 1:08d}"
        document = dataset_manifest(
            base.rstrip("/").rpartition("/")[2],
            version=version,
            collected_at=described.collected_at,
            files=sorted([*others, *files]),
            extents=extents,
        ) | {"created_by": CREATED_BY_IMPORT, "series": {code: asdict(one) for code, one in extents.items()}}
        key = f"{base}versions/{version}/manifest.json"
        try:
            bucket.create(key, json.dumps(document, indent=2).encode())
        except ObjectTaken:
            previous = _previous(bucket, base)  # with the series of another import
            continue
        replaced = (previous.extents or {}).get(described.code)
        return ImportedSeries(
            document["dataset_id"], version, key, described.code, len(files), len(new), replaced, len(extents)
        )
    raise StoreUnavailable(f"{base}versions/", "other imports kept creating versions")


def other_datasets(bucket: Bucket, prefix: str, done: ImportedSeries) -> list[str]:
    """Return the ids of the other datasets that have an imported series, in alphabetical order.

    The result is empty if the datasets can't be listed or read.

    Args:
        bucket: the data bucket.
        prefix: the key prefix of all datasets.
        done: the result of the import.
    """
    with suppress(StoreRefusal, StoreUnavailable):
        found = newest(bucket, prefix).manifests
        return sorted(
            dataset
            for dataset, manifest in found.items()
            if dataset != done.dataset and manifest.has(done.series_code)
        )
    return []


def _previous(bucket: Bucket, base: str) -> _Previous:
    """Return the newest version of a dataset.

    Args:
        bucket: the data bucket.
        base: the key prefix of the dataset, which ends in a slash.

    Raises:
        ForeignDatasetError: the newest version was not created by an import.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    versions = f"{base}versions/"
    # Objects are listed and not folders: an import that is in progress or was killed has created a folder
    # without a manifest in it.
    last = max(
        (found.key.removeprefix(versions).partition("/")[0] for found in bucket.list(versions)), default=""
    )
    if not last:
        return _Previous()
    found, number = bucket.find(f"{versions}{last}/manifest.json"), _VERSION.fullmatch(last)
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        document: dict[str, Any] = json.loads(bytes(found.body)) if found else {}
        if number and document.get("created_by") == CREATED_BY_IMPORT:
            extents = {code: Extent(**one) for code, one in document["series"].items()}
            return _Previous(int(number[1]), tuple(document["parquet_files"]), extents)
    raise ForeignDatasetError(f"version {last} of {base} was not created by `{CREATED_BY_IMPORT}`")


def _create(bucket: Bucket, key: str, body: bytes) -> None:
    with suppress(ObjectTaken):  # by another import of the same rows at the same microsecond
        bucket.create(key, body)


def _hash(part: Series, described: Description) -> str:
    """Return a hash of the content of a part file, as 16 hexadecimal digits.

    It depends on the series code, unit, frequency and rows, but not on when the rows were collected.
    """
    identity = f"{described.code}\n{described.unit}\n{described.frequency}\n".encode()
    return sha256(identity + part.times.tobytes() + part.values.tobytes()).hexdigest()[:16]


def _hash_of(file: str) -> str:
    """Return the path of a part file without the time in its name, such as `A/year=2026/month=11/HASH`.

    Two part files with the same shortened path have the same content, apart from when it was collected.

    Args:
        file: the path of the part file, relative to the dataset's projections.
    """
    folder, _, name = file.rpartition("/")
    return f"{folder}/{name.rpartition('-')[2].removesuffix('.parquet')}"
