"""The worker's settings, read once from environment variables.

docs/reference.md has a table of the variables. If a variable is missing or not valid, the function does not
start and reports a CONFIG_ERROR that contains the name of the variable. Local runs also read the file `.env`
in the working folder.
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from metrics_worker.errors import ConfigError
from metrics_worker.limits import Limits
from metrics_worker.problem import first_problem
from metrics_worker.request_check import Bounds

MAX_PREFIX = 256

type Codec = Literal["none", "snappy", "gzip", "brotli", "lz4", "zstd"]

_Prefix = Annotated[str, Field(pattern=r"^([^/\s]+/)+$", max_length=MAX_PREFIX)]
"""A key prefix: relative, without empty segments, and ending in a slash.

With a prefix of this length, the URI of an output manifest has at most 500 characters for any bucket and
metric.
"""

_Lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


class Settings(BaseSettings):
    """The worker's settings. The alias of a field is the name of the environment variable for the field."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, case_sensitive=True
    )

    bucket: str = Field(alias="AWS_S3_BUCKET", min_length=3, max_length=63)
    metrics_prefix: _Prefix = Field("metrics/", alias="AWS_S3_METRICS_PREFIX")
    datasets_prefix: _Prefix = Field("datasets/", alias="AWS_S3_DATASETS_PREFIX")

    started_topic_arn: str | None = Field(None, alias="AWS_SNS_METRIC_RUN_STARTED_TOPIC_ARN")
    heartbeat_topic_arn: str | None = Field(None, alias="AWS_SNS_METRIC_RUN_HEARTBEAT_TOPIC_ARN")
    completed_topic_arn: str | None = Field(None, alias="AWS_SNS_METRIC_RUN_COMPLETED_TOPIC_ARN")
    events_topic_arn: str | None = Field(None, alias="AWS_SNS_EVENTS_TOPIC_ARN")

    request_queue_url: str = Field(alias="AWS_SQS_RUN_REQUEST_QUEUE_URL", pattern=r"^https?://")
    # Only template.yaml uses it, to enable the event source mapping. It is a field so that bad values are
    # reported.
    request_queue_enabled: bool = Field(default=True, alias="AWS_SQS_RUN_REQUEST_QUEUE_ENABLED")
    # SQS allows at most 12 hours (43,200 s) from the receipt of a message; an invocation takes up to 900 s.
    visibility_timeout_seconds: int = Field(1800, alias="WORKER_VISIBILITY_TIMEOUT_SECONDS", ge=1, le=42_300)

    # The queue's maxReceiveCount: after this number of receipts, a message moves to the dead-letter queue.
    max_receive_count: int = Field(5, alias="WORKER_MAX_RECEIVE_COUNT", ge=1, le=1000)

    region: str = Field("us-east-1", alias="AWS_REGION", min_length=1)
    endpoint_url: str | None = Field(None, alias="AWS_ENDPOINT_URL", pattern=r"^https?://")

    heartbeat_enabled: bool = Field(default=True, alias="WORKER_HEARTBEAT_ENABLED")
    heartbeat_interval_seconds: float = Field(30.0, alias="WORKER_HEARTBEAT_INTERVAL_SECONDS", gt=0, le=3600)
    # The least time between the started and the completed event, which the control plane reads from two
    # queues.
    status_gap_seconds: float = Field(0.5, alias="WORKER_STATUS_GAP_SECONDS", ge=0, le=60)
    series_files: Literal["manifest", "listing"] = Field("manifest", alias="WORKER_SERIES_FILES")
    # The action, and the share of lost rows, if a version has fewer rows than the previous one (shrink.py).
    shrink: Literal["warn", "refuse", "off"] = Field("warn", alias="WORKER_SHRINK")
    shrink_ratio: float = Field(0.1, alias="WORKER_SHRINK_RATIO", ge=0, le=1, allow_inf_nan=False)
    # Whether the rows of unchanged part files are taken from a snapshot of the series (dataset/snapshots.py).
    snapshots: Literal["on", "off"] = Field("on", alias="WORKER_SNAPSHOTS")
    compression: Annotated[Codec, _Lower] = Field("snappy", alias="OUTPUT_COMPRESSION")

    # The limits of one run. The runs of a batch share the memory. Lambda sets the last variable.
    max_body_bytes: int = Field(1_048_576, alias="WORKER_MAX_BODY_BYTES", ge=1)
    max_inputs: int = Field(512, alias="WORKER_MAX_INPUTS", ge=1)
    max_manifest_bytes: int = Field(33_554_432, alias="WORKER_MAX_MANIFEST_BYTES", ge=1)
    max_part_files: int = Field(50_000, alias="WORKER_MAX_PART_FILES", ge=1)
    max_rows: int = Field(20_000_000, alias="WORKER_MAX_ROWS", ge=1)
    max_memory_mb: int | None = Field(None, alias="WORKER_MAX_MEMORY_MB", ge=1)
    function_memory_mib: int = Field(1769, alias="AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ge=128)

    @property
    def limits(self) -> Limits:
        """The limits of one run's input."""
        return Limits(
            part_files=self.max_part_files, rows=self.max_rows, manifest_bytes=self.max_manifest_bytes
        )

    @property
    def bounds(self) -> Bounds:
        """The limits of a request: its maximum size, and the bucket and the prefixes of its keys."""
        return Bounds(
            bucket=self.bucket,
            metrics_prefix=self.metrics_prefix,
            datasets_prefix=self.datasets_prefix,
            max_body_bytes=self.max_body_bytes,
            max_inputs=self.max_inputs,
        )

    @property
    def memory_bytes(self) -> int:
        """The memory for decoded rows in bytes: `max_memory_mb`, or else 60 % of the function's memory."""
        if self.max_memory_mb is not None:
            return self.max_memory_mb * 1_000_000
        return self.function_memory_mib * 1024 * 1024 * 6 // 10

    @model_validator(mode="after")
    def _topics(self) -> Self:
        """Return the settings unchanged after checking that each type of event has a topic.

        Raises:
            ValueError: a type of event has no topic, and there is no topic for all events.
        """
        if self.events_topic_arn is None:
            for name in ("started_topic_arn", "heartbeat_topic_arn", "completed_topic_arn"):
                if getattr(self, name) is None:
                    variable = type(self).model_fields[name].alias
                    raise ValueError(
                        f"{variable} is missing (or set AWS_SNS_EVENTS_TOPIC_ARN for all events)"
                    )
        return self


def load_settings() -> Settings:
    """Return the settings from the environment.

    Raises:
        ConfigError: a variable is missing or not valid. The text of the error contains the name of the
            variable and the allowed values.
    """
    try:
        return Settings()
    except ValidationError as error:
        variable, problem = first_problem(error)
        raise ConfigError(variable or "environment", problem) from None
