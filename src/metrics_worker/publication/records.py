"""The objects of a run in S3: their keys, and the models of the JSON documents.

    {base}{versionTs}/data/metrics.parquet
    {base}{versionTs}/manifest.json
    {base}current/manifest.json     a copy of the manifest of the newest request's version or, after a
                                    rollback, of the chosen version (with `rolled_back_at`)
    {base}runs/{runId}.ok           the idempotency marker, which is the commit record

A run also writes a snapshot of each series: the rows of its part files, for later runs. Snapshots can be
deleted.

    {metrics prefix}_snapshots/{seriesCode}-{hash of the dataset's projections and the series code}.snapshot

Only `Keys`, `snapshots` and `snapshot` build these keys. The documents are a public contract: fields can
be added.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from metrics_worker.names import is_id

DATA_FILE = "metrics.parquet"
MAX_ROW_COUNT = 2**31 - 1
VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", re.ASCII)


def _version(text: str) -> str:
    if not VERSION.fullmatch(text):
        raise ValueError("is no version")
    return text


def _time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


@dataclass(frozen=True, slots=True)
class Keys:
    """The S3 keys of a metric's objects. `base` is the key prefix of the metric and ends in a slash."""

    base: str

    def data_prefix(self, version_ts: str) -> str:
        """Return the key prefix of a version's data files."""
        return f"{self.base}{version_ts}/data/"

    def data(self, version_ts: str) -> str:
        """Return the key of a version's Parquet file."""
        return self.data_prefix(version_ts) + DATA_FILE

    def manifest(self, version_ts: str) -> str:
        """Return the key of a version's manifest."""
        return f"{self.base}{version_ts}/manifest.json"

    def marker(self, run_id: str) -> str:
        """Return the key of a run's marker, its commit record."""
        return f"{self.base}runs/{run_id}.ok"

    @property
    def current(self) -> str:
        """The key of `current`, a copy of the manifest of the newest request's version."""
        return f"{self.base}current/manifest.json"


def snapshots(metrics_prefix: str) -> str:
    """Return the key prefix of all snapshots.

    The folder `_snapshots` cannot be that of a metric, because no metric code begins with an underscore.
    """
    return f"{metrics_prefix}_snapshots/"


def snapshot(metrics_prefix: str, *, projections: str, code: str) -> str:
    """Return the key of a series' snapshot.

    Args:
        metrics_prefix: the key prefix of all metrics and snapshots.
        projections: the key prefix of the dataset's part files.
        code: the series code, which may be any text.
    """
    identity = sha256(f"{projections}\n{code}".encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{snapshots(metrics_prefix)}{code if is_id(code) else 'series'}-{identity}.snapshot"


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)

    def encode(self) -> bytes:
        """Return the document as indented JSON in UTF-8, the form in which it is written to S3."""
        return self.model_dump_json(indent=2).encode()


class Outputs(_Document):
    """The data files of a version: the key prefix that they share, and their names below this prefix."""

    data_prefix: str
    files: list[str]


class InputSummary(_Document):
    """An input series: its dataset, and the numbers of part files, rows, observations and omitted rows."""

    dataset_id: str
    dataset_version: str | None
    series_code: str
    part_files: int
    rows: int
    observations: int
    null: int
    nan: int
    infinite: int
    duplicate: int


class OutputManifest(_Document):
    """The manifest of a version: its run, row count, data files, expression and input series."""

    run_id: str
    metric_code: str
    version_ts: str
    created_at: str
    requested_at: str
    row_count: int
    outputs: Outputs
    expression: dict[str, Any]
    inputs: list[InputSummary]


class Marker(_Document):
    """The commit record of a run, with all fields that are needed to publish its SUCCESS again."""

    run_id: str
    metric_code: str
    version_ts: Annotated[str, AfterValidator(_version)]
    manifest: str
    row_count: int = Field(ge=0, le=MAX_ROW_COUNT)
    requested_at: Annotated[str, AfterValidator(_time)]
    committed_at: Annotated[str, AfterValidator(_time)]


class PredecessorMarker(BaseModel):
    """A marker of the previous worker, which contains only the run id."""

    model_config = ConfigDict(extra="forbid")

    run_id: str


class Pointer(BaseModel):
    """The fields of a version's manifest or of `current` that later runs read.

    Attributes:
        requested_at: The time of the request; None in a manifest of the previous worker.
        rolled_back_at: Only in `current`: the time at which an operator chose the version. Runs that were
            requested before this time do not replace `current`.
    """

    run_id: str = ""
    version_ts: str
    created_at: str = "0001-01-01T00:00:00Z"
    requested_at: str | None = None
    rolled_back_at: str | None = None
    row_count: Any = None
