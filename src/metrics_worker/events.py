"""The wire, outwards: the three status events, in the two forms that a request may ask for.

Each is built with a classmethod that takes the `Run` it answers; `wire()` is the message that goes out.
What they hold is always parseable by the control plane: bounded lengths, ISO 8601 times, no control
characters, no nulls.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from metrics_worker.contract import MAX_MANIFEST_URI, UNPRINTABLE, Run, iso
from metrics_worker.errors import PermanentError

MAX_ERROR = 1000
MAX_ROW_COUNT = 2**31 - 1


class _Event(BaseModel):
    """A status event. `wire()` is the message that goes out; absent fields are left out, none is null."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    schema_: Literal["metrics.run.v1"] | None = Field(None, alias="schema")
    type: str
    run_id: str

    def wire(self) -> str:
        """The event as JSON text."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def _form(run: Run) -> Literal["metrics.run.v1"] | None:
    return "metrics.run.v1" if run.v1 else None


class RunStarted(_Event):
    """The run has begun."""

    type: Literal["metric_run_started"] = "metric_run_started"
    started_at: str

    @classmethod
    def of(cls, run: Run, at: datetime) -> Self:
        """The event of a run that starts at that time."""
        return cls(schema_=_form(run), run_id=run.run_id, started_at=iso(at))


class RunHeartbeat(_Event):
    """The run is alive."""

    type: Literal["metric_run_heartbeat"] = "metric_run_heartbeat"
    progress: float = Field(ge=0, le=1)
    ts: str

    @classmethod
    def of(cls, run: Run, progress: float, at: datetime) -> Self:
        """The event of a run that has come so far (0-1)."""
        return cls(schema_=_form(run), run_id=run.run_id, progress=round(progress, 4), ts=iso(at))


class WireError(BaseModel):
    """The error of the v1 form."""

    code: str
    message: str


class RunCompleted(_Event):
    """The run has ended: a version, or an error."""

    type: Literal["metric_run_completed"] = "metric_run_completed"
    metric_code: str
    status: Literal["SUCCESS", "FAILURE"]
    version_ts: str | None = None
    output_manifest: str | None = Field(None, max_length=MAX_MANIFEST_URI)
    row_count: int | None = Field(None, ge=0, le=MAX_ROW_COUNT)
    error: str | WireError | None = None

    @classmethod
    def success(cls, run: Run, version_ts: str, manifest_key: str, row_count: int, bucket: str) -> Self:
        """The event of a committed version."""
        return cls(
            schema_=_form(run),
            run_id=run.run_id,
            metric_code=run.metric_code,
            status="SUCCESS",
            version_ts=version_ts,
            output_manifest=f"s3://{bucket}/{manifest_key}" if run.v1 else manifest_key,
            row_count=row_count,
        )

    @classmethod
    def failure(cls, run: Run, error: PermanentError) -> Self:
        """The event of a run that failed for good."""
        return cls(
            schema_=_form(run),
            run_id=run.run_id,
            metric_code=run.metric_code,
            status="FAILURE",
            error=WireError(code=error.code, message=_printable(error.message))
            if run.v1
            else _printable(str(error)),
        )


def _printable(text: str) -> str:
    """Without control characters or what XML can't hold, and at most 1,000 UTF-16 units.

    One event that the control plane can't parse blocks its queue.
    """
    clean = UNPRINTABLE.sub(" ", text)
    return clean.encode("utf-16-le")[: 2 * MAX_ERROR].decode("utf-16-le", errors="ignore")
