"""Reading the data of a published version."""

from dataclasses import dataclass
from typing import Any

from obstore.store import MemoryStore

from metrics_tools.published.documents import data_keys, parse_manifest
from metrics_tools.published.metric import Metric, version_names
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.part_file import CODE, with_text_codes
from metrics_worker.dataset.reading import read_part_file
from metrics_worker.dataset.rows import to_series
from metrics_worker.errors import InputReadError
from metrics_worker.publication.records import Keys
from metrics_worker.s3.bucket import Bucket, StoredObject
from metrics_worker.s3.s3_bucket import S3Bucket
from metrics_worker.series import Series


@dataclass(frozen=True, slots=True)
class Version:
    """A published version.

    Attributes:
        manifest: the manifest of the version, as JSON values.
        body: the content of the version's Parquet file.
        series: the series in the Parquet file.
    """

    manifest: dict[str, Any]
    body: bytes
    series: Series


def read_version(bucket: Bucket, keys: Keys, version_ts: str) -> Version:
    """Read the manifest and the data of a version, and return them.

    Raises:
        InputReadError: the manifest or the data is damaged.
        ObjectNotFound: the manifest or the data does not exist.
        AccessDenied, StoreUnavailable: S3 refused a request or failed.
    """
    manifest = parse_manifest(bucket.get(keys.manifest(version_ts)))
    key = data_keys(manifest, keys)[0]
    body = bytes(bucket.get(key).body)
    return Version(manifest, body, series_of(key, body))


def rows_before(bucket: Bucket, keys: Keys, version_ts: str) -> int | None:
    """Return the number of rows of the newest committed version before a version; None if there is none.

    The number is the `row_count` of the manifest. Each version that is not committed costs two requests.

    Raises:
        AccessDenied, StoreUnavailable: S3 refused a request or failed.
    """
    metric = Metric(keys, version_names(bucket, keys))
    for name in (name for name in metric.versions if name < version_ts):
        metric.read_manifests(bucket, [name])
        metric.read_markers(bucket, [str(metric.manifest(name).get("run_id", ""))])
        rows = metric.manifest(name).get("row_count")
        if metric.is_committed(name) and isinstance(rows, int):
            return rows
    return None


def series_of(name: str, body: bytes) -> Series:
    """Return the series in the content of a Parquet file with the columns `obs_time` and `value`.

    Args:
        name: the name of the file, for the error.
        body: the content of the file.

    Raises:
        InputReadError: the file is not Parquet, lacks one of the columns, or has more than one code in its
            optional column `internal_series_code`.
    """
    whole = StoredObject(name, memoryview(body), len(body), "")
    nowhere = S3Bucket(MemoryStore(), "")  # the file is complete: no more bytes of it are read
    with Decoder() as decoder:
        table = with_text_codes(read_part_file(whole, nowhere, decoder))
    codes = table[CODE].unique().to_pylist() if CODE in table.column_names else [""]
    if len(codes) > 1:
        raise InputReadError(name, f"holds several series: {', '.join(map(str, codes))[:200]}")
    return to_series([(name, table)], codes[0] if codes else "").series
