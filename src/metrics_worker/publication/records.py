"""What a run leaves in S3: where each object is, and what the JSON ones hold.

    {base}{versionTs}/data/metrics.parquet
    {base}{versionTs}/manifest.json
    {base}current/manifest.json     the manifest of the newest request's version, a copy; after a
                                    rollback that of the chosen version, with `rolled_back_at`
    {base}runs/{runId}.ok           idempotency marker, and the commit record

Each key is built here and nowhere else. The documents are a public contract: fields may be added.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
    """Where a metric's objects are. `base` is its prefix, ending in a slash."""

    base: str

    def data_prefix(self, version_ts: str) -> str:
        """Of a version's data files."""
        return f"{self.base}{version_ts}/data/"

    def data(self, version_ts: str) -> str:
        """Of a version's Parquet file."""
        return self.data_prefix(version_ts) + DATA_FILE

    def manifest(self, version_ts: str) -> str:
        """Of a version's manifest."""
        return f"{self.base}{version_ts}/manifest.json"

    def marker(self, run_id: str) -> str:
        """Of a run's commit record."""
        return f"{self.base}runs/{run_id}.ok"

    @property
    def current(self) -> str:
        """Of the copy of the newest request's manifest."""
        return f"{self.base}current/manifest.json"


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)

    def encode(self) -> bytes:
        """As JSON, for S3."""
        return self.model_dump_json(indent=2).encode()


class Outputs(_Document):
    """A version's files: names under a prefix."""

    data_prefix: str
    files: list[str]


class InputSummary(_Document):
    """A series as it was read: where from, and what became of its rows."""

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
    """A version's manifest."""

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
    """A run's commit record: all that is needed to announce it again."""

    run_id: str
    metric_code: str
    version_ts: Annotated[str, AfterValidator(_version)]
    manifest: str
    row_count: int = Field(ge=0, le=MAX_ROW_COUNT)
    requested_at: Annotated[str, AfterValidator(_time)]
    committed_at: Annotated[str, AfterValidator(_time)]


class PredecessorMarker(BaseModel):
    """A marker of the worker before this one, which wrote the run's id and nothing else."""

    model_config = ConfigDict(extra="forbid")

    run_id: str


class Pointer(BaseModel):
    """The fields of a version's manifest, or of `current`, that are read again.

    Attributes:
        requested_at: missing in a manifest of the worker before this one.
        rolled_back_at: in `current`, when an operator chose the version: earlier requests leave it.
    """

    run_id: str = ""
    version_ts: str
    created_at: str = "0001-01-01T00:00:00Z"
    requested_at: str | None = None
    rolled_back_at: str | None = None
    row_count: Any = None
