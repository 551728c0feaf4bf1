"""The search for the dataset and the part files of each series in a request.

`WORKER_SERIES_FILES` selects one of two modes. In the mode `manifest`, the dataset manifest lists the series
and the part files of a dataset. In the mode `listing`, for manifests that list only the last update, the
worker lists the objects in S3 under the dataset's `projectionsPath` instead. Each manifest is read, and each
folder listed, once per invocation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import quote

from metrics_worker.dataset.manifest import HIVE_NAMES, Manifest, parsing_bytes
from metrics_worker.dataset.singleflight import Singleflight
from metrics_worker.errors import InputReadError, StoreRefusal
from metrics_worker.expression.grammar import series_codes
from metrics_worker.limits import Limits, Memory
from metrics_worker.request import RunRequest
from metrics_worker.request_check import Dataset
from metrics_worker.s3.bucket import Bucket, ListedObject, StoredObject

type SeriesFiles = Literal["manifest", "listing"]
"""The mode of finding part files: in the dataset's manifest, or by listing the series' folders in S3."""

_PARSED_MANIFEST = 4
"""The ratio of a parsed manifest's memory to its JSON size, measured with file names of 50 characters."""
_ESCAPED_BY_HIVE = "\"#%'*/:=?\\{[]^"
"""The printable characters that Hive and Spark percent-encode in folder names. Other writers encode more."""


@dataclass(frozen=True, slots=True)
class Source:
    """The part files of one series.

    Attributes:
        code: the series code.
        manifest: the manifest of the series' dataset.
        keys: the keys of the part files, in the order in which their rows are joined.
        by_path: whether the paths of the part files contain the series code, so that the files normally have
            rows of this series only. If false, the part files may contain rows of several series.
        listed: the part files as S3 listed them; None if they were not listed.
    """

    code: str
    manifest: Manifest
    keys: tuple[str, ...]
    by_path: bool
    listed: Sequence[ListedObject] | None = None


class SeriesFolder(NamedTuple):
    """The key prefix of a dataset's part files, and a series code. Listings are cached by these two."""

    prefix: str
    code: str


class Choice:
    """The choice of part files for all runs of one invocation, with a cache of manifests and listings.

    Args:
        series_files: the mode that the docstring of the module describes: `manifest` or `listing`.
        limits: the limits of a run's input.
        memory: the memory of the invocation, in which parsed manifests are reserved.
    """

    def __init__(self, series_files: SeriesFiles, limits: Limits, memory: Memory) -> None:
        self._by_listing = series_files == "listing"
        self._limits = limits
        self._memory = memory
        self._manifests = Singleflight[Dataset, Manifest]()
        self._listed = Singleflight[SeriesFolder, Sequence[ListedObject]]()

    def homes(self, request: RunRequest, bucket: Bucket) -> dict[str, Manifest]:
        """Return, for each series code in a request's expression, the manifest of the series' dataset.

        Raises:
            InputReadError: no dataset or more than one dataset has a series, or a manifest cannot be read.
            StoreUnavailable: S3 failed.
        """
        codes = series_codes(request.expression)
        declared = {code: request.datasets[dataset_id] for code, dataset_id in request.declared.items()}
        omitted = [code for code in codes if code not in declared]
        candidates = list(request.datasets.values()) if omitted else []
        if self._by_listing:
            declared |= self._search_folders(omitted, candidates, bucket)
            manifests = self._manifests_of(declared.values(), bucket)
            return {code: manifests[declared[code]] for code in codes}
        manifests = self._manifests_of([*declared.values(), *candidates], bucket)
        homes = {}
        for code in codes:
            if code in declared:
                homes[code] = manifests[declared[code]]
                if homes[code].has(code) is False:
                    problem = f"not in series_codes of {homes[code].dataset.manifest_key}"
                    raise InputReadError.of_series(code, problem)
            else:
                homes[code] = _search_manifests(code, [manifests[dataset] for dataset in candidates])
        return homes

    def sources(self, homes: Mapping[str, Manifest], bucket: Bucket) -> list[Source]:
        """Return the part files of each series, in the order of `homes`.

        Args:
            homes: series code → manifest of the dataset that contains the series, as `homes()` returns it.
            bucket: the data bucket.

        Raises:
            InputReadError: S3 refuses to list the part files of a series.
            StoreUnavailable: S3 failed.
        """
        if not self._by_listing:
            return [listed_by_manifest(code, manifest) for code, manifest in homes.items()]
        folders = {
            code: SeriesFolder(prefix=manifest.dataset.projections_prefix, code=code)
            for code, manifest in homes.items()
        }
        listed = self._list(folders.values(), bucket)
        return [_of_listing(code, manifest, listed[folders[code]]) for code, manifest in homes.items()]

    def _list(
        self, folders: Iterable[SeriesFolder], bucket: Bucket
    ) -> dict[SeriesFolder, Sequence[ListedObject]]:
        """Return `list_part_files(bucket, folders)`, but list each folder only once per invocation."""
        return self._listed.fetch(folders, lambda missing: list_part_files(bucket, missing))

    def _search_folders(
        self, codes: list[str], candidates: list[Dataset], bucket: Bucket
    ) -> dict[str, Dataset]:
        """Return, for each series code, the only candidate that has part files of the series in S3.

        Args:
            codes: the series codes that are missing from the request's `inputs`.
            candidates: the datasets of the request's catalog.
            bucket: the data bucket.

        Raises:
            InputReadError: no candidate or more than one candidate has part files of a series.
            StoreUnavailable: S3 failed.
        """
        folders = {
            (code, dataset): SeriesFolder(prefix=dataset.projections_prefix, code=code)
            for code in codes
            for dataset in candidates
        }
        listed = self._list(folders.values(), bucket)
        found = {}
        for code in codes:
            holders = [dataset for dataset in candidates if listed[folders[code, dataset]]]
            if len(holders) > 1:
                raise _not_found(code, holders, why="more than one dataset has part files of it")
            if not holders:
                raise _not_found(code, candidates, why="no dataset of the catalog has part files of it")
            found[code] = holders[0]
        return found

    def _manifests_of(self, datasets: Iterable[Dataset], bucket: Bucket) -> dict[Dataset, Manifest]:
        return self._manifests.fetch(datasets, lambda missing: self._read_manifests(missing, bucket))

    def _read_manifests(self, datasets: list[Dataset], bucket: Bucket) -> dict[Dataset, Manifest]:
        bodies: dict[str, memoryview] = {}

        def keep(found: StoredObject) -> Callable[[], None] | None:
            if found.size > self._limits.manifest_bytes:
                raise InputReadError(
                    f"manifest {found.key}",
                    f"{found.size:,} bytes; at most {self._limits.manifest_bytes:,} are read"
                    " (WORKER_MAX_MANIFEST_BYTES)",
                )
            claim.take(_PARSED_MANIFEST * found.size, f"manifest {found.key}", InputReadError)
            if len(found.body) < found.size:
                return lambda: bodies.update({found.key: bucket.get(found.key).body})
            bodies[found.key] = found.body
            return None

        def parse(dataset: Dataset) -> Manifest:
            body, subject = bodies[dataset.manifest_key], f"manifest {dataset.manifest_key}"
            with self._memory.claim() as passing:
                passing.take(parsing_bytes(body), subject, InputReadError, held_elsewhere=claim.taken)
                return Manifest.parse(dataset, body)

        with self._memory.claim() as claim:
            try:
                bucket.get_many(list({dataset.manifest_key for dataset in datasets}), keep)
            except StoreRefusal as error:
                raise InputReadError(f"manifest {error.subject}", error.problem) from error
            parsed = {dataset: parse(dataset) for dataset in datasets}
            claim.keep(claim.taken)
            return parsed


def _search_manifests(code: str, manifests: list[Manifest]) -> Manifest:
    """Return the manifest of the only dataset that contains a series.

    If no manifest shows that its dataset contains the series, return the only manifest that does not list the
    series of its dataset: that dataset may contain the series.

    Args:
        code: the code of a series that is missing from the request's `inputs`.
        manifests: the manifests of the datasets in the request's catalog.

    Raises:
        InputReadError: no manifest or more than one manifest qualifies.
    """
    holders = [manifest for manifest in manifests if manifest.has(code)]
    holders = holders or [manifest for manifest in manifests if manifest.has(code) is None]
    if len(holders) == 1:
        return holders[0]
    searched = [manifest.dataset for manifest in holders or manifests]
    if holders:
        raise _not_found(code, searched, why="more than one dataset may have it")
    raise _not_found(code, searched, why="no dataset of the catalog has it")


def _not_found(code: str, searched: list[Dataset], *, why: str) -> InputReadError:
    named = ", ".join(dataset.dataset_id for dataset in searched) or "none"
    return InputReadError.of_series(code, f"it is not in inputs, and {why} ({named})")


def listed_by_manifest(code: str, manifest: Manifest) -> Source:
    """Return the manifest's part files in folders named after the series; if there are none, all files."""
    files = manifest.files_of(code)
    prefix = manifest.dataset.projections_prefix
    keys = tuple(prefix + file for file in files or manifest.files)
    return Source(code, manifest, keys, by_path=bool(files))


def _of_listing(code: str, manifest: Manifest, listed: Sequence[ListedObject]) -> Source:
    """Return the part files of a series, given these files as `list_part_files` returns them."""
    return Source(code, manifest, tuple(found.key for found in listed), by_path=True, listed=listed)


def list_part_files(
    bucket: Bucket, series: Iterable[SeriesFolder]
) -> dict[SeriesFolder, Sequence[ListedObject]]:
    """List the part files of several series concurrently, and return them by series, sorted by key.

    The part files of a series are the files in the folder `CODE/`, or if there are none, the files in Hive
    folders such as `series=CODE/`. As in Hive, Spark and pyarrow, a file is ignored if a segment of its path
    below the folder begins with `_` or `.`: such files are temporary files, transaction logs or checksums.

    Raises:
        InputReadError: S3 refuses to list the part files of a series, or one of the keys has an empty
            segment, `.`, `..` or a control character.
        StoreUnavailable: S3 failed.
    """
    own = _data_files(bucket, {folder: [f"{folder.prefix}{folder.code}/"] for folder in series})
    others = {
        folder: [folder.prefix + name for name in _other_folders(folder.code)]
        for folder, files in own.items()
        if not files
    }
    return own | _data_files(bucket, others)


def _data_files(
    bucket: Bucket, prefixes: Mapping[SeriesFolder, Sequence[str]]
) -> dict[SeriesFolder, Sequence[ListedObject]]:
    """Return the part files of each series below the given key prefixes, sorted by key.

    Raises:
        InputReadError: S3 refuses to list a prefix.
        StoreUnavailable: S3 failed.
    """
    codes = {prefix: folder.code for folder, named in prefixes.items() for prefix in named}
    try:
        listed = bucket.list_many(list(codes))
    except StoreRefusal as error:
        refused = [code for prefix, code in codes.items() if error.subject.startswith(prefix)]
        raise InputReadError.of_series(
            min(refused or codes.values()), f"{error.subject}: {error.problem}"
        ) from error
    return {
        folder: sorted(
            found for prefix in named for found in listed[prefix] if _is_data(found.key.removeprefix(prefix))
        )
        for folder, named in prefixes.items()
    }


def _is_data(file: str) -> bool:
    return file.endswith(".parquet") and not any(part.startswith(("_", ".")) for part in file.split("/"))


def _other_folders(code: str) -> list[str]:
    """Return other names of the folder `CODE/`, such as `FX%3AUSD/` and `series=FX%3AUSD/` for `FX:USD`."""
    as_hive = "".join(f"%{ord(char):02X}" if char in _ESCAPED_BY_HIVE else char for char in code)
    values = dict.fromkeys((code, as_hive, quote(code, safe="")))
    folders = [f"{name}{value}/" for name in ("", *HIVE_NAMES) for value in values]
    return folders[1:]
