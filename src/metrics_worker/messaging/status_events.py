"""The three status events, each in two forms: the plain form, and the v1 form for requests with a `schema`.

In the v1 form, an event has the field `schema`, the manifest has an address `s3://…` instead of a key, and
the error of a FAILURE is an object with a code and a message instead of a text.

A class method of each event class builds the event of a `Run`, and `wire()` returns the event as JSON text.
The control plane can always parse the events: lengths are limited, times are in ISO 8601, there are no
control characters, and only the `error` of a SUCCESS that may follow a FAILURE is null.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from metrics_worker.errors import PermanentError
from metrics_worker.names import printable
from metrics_worker.publication.records import MAX_ROW_COUNT
from metrics_worker.request import MAX_MANIFEST_URI, Run, iso

MAX_ERROR = 1000


class _Event(BaseModel):
    """A status event."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    schema_: Literal["metrics.run.v1"] | None = Field(None, alias="schema")
    type: str
    run_id: str

    def wire(self) -> str:
        """Return the event as JSON text, without the fields that are None.

        The one exception is the field `error` of the copy that `after_failure()` returns: it becomes null.
        """
        absent = {name for name, value in self if value is None}
        return self.model_dump_json(by_alias=True, exclude=absent - (self.model_fields_set & {"error"}))


def _form(run: Run) -> Literal["metrics.run.v1"] | None:
    return "metrics.run.v1" if run.v1 else None


class RunStarted(_Event):
    """The status event at the start of a run."""

    type: Literal["metric_run_started"] = "metric_run_started"
    started_at: str

    @classmethod
    def of(cls, run: Run, at: datetime) -> Self:
        """Return the started event of a run that started at the given time."""
        return cls(schema_=_form(run), run_id=run.run_id, started_at=iso(at))


class RunHeartbeat(_Event):
    """The status event of a run in progress."""

    type: Literal["metric_run_heartbeat"] = "metric_run_heartbeat"
    progress: float = Field(ge=0, le=1)
    ts: str

    @classmethod
    def of(cls, run: Run, progress: float, at: datetime) -> Self:
        """Return the heartbeat of a run.

        Args:
            run: The identity of the run.
            progress: The progress of the run, from 0 to 1.
            at: The time of the event.
        """
        return cls(schema_=_form(run), run_id=run.run_id, progress=round(progress, 4), ts=iso(at))


class WireError(BaseModel):
    """The field `error` of a FAILURE in the v1 form: the error code and a message."""

    code: str
    message: str


class RunCompleted(_Event):
    """The status event at the end of a run: SUCCESS with a version, or FAILURE with an error."""

    type: Literal["metric_run_completed"] = "metric_run_completed"
    metric_code: str
    status: Literal["SUCCESS", "FAILURE"]
    version_ts: str | None = None
    output_manifest: str | None = Field(None, max_length=MAX_MANIFEST_URI)
    row_count: int | None = Field(None, ge=0, le=MAX_ROW_COUNT)
    error: str | WireError | None = None

    @classmethod
    def success(cls, run: Run, *, version_ts: str, manifest_key: str, row_count: int, bucket: str) -> Self:
        """Return the completed event of a committed run.

        Args:
            run: The identity of the run.
            version_ts: The committed version.
            manifest_key: The key of the version's manifest.
            row_count: The number of observations in the version.
            bucket: The name of the bucket. Only the events of v1 requests contain it, in the manifest's URI.
        """
        return cls(
            schema_=_form(run),
            run_id=run.run_id,
            metric_code=run.metric_code,
            status="SUCCESS",
            version_ts=version_ts,
            output_manifest=f"s3://{bucket}/{manifest_key}" if run.v1 else manifest_key,
            row_count=row_count,
        )

    def after_failure(self) -> Self:
        """Return a copy of this SUCCESS with `error: null`, which clears the error of an earlier FAILURE."""
        return self.model_copy(update={"error": None})

    @classmethod
    def failure(cls, run: Run, error: PermanentError) -> Self:
        """Return the completed event of a run that failed with this error."""
        return cls(
            schema_=_form(run),
            run_id=run.run_id,
            metric_code=run.metric_code,
            status="FAILURE",
            error=WireError(code=error.code, message=printable(error.message, MAX_ERROR))
            if run.v1
            else printable(str(error), MAX_ERROR),
        )
