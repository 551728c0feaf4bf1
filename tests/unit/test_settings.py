"""The settings of the worker: the default of each environment variable, and the error for a bad value."""

import re

import pytest

from metrics_worker.errors import ConfigError
from metrics_worker.names import metric_base
from metrics_worker.request import MAX_MANIFEST_URI
from metrics_worker.settings import Settings, load_settings
from tests.builders import BUCKET, QUEUE_URL, TOPIC

TOPICS = [f"AWS_SNS_METRIC_RUN_{name}_TOPIC_ARN" for name in ("STARTED", "HEARTBEAT", "COMPLETED")]
ALL_EVENTS = "AWS_SNS_EVENTS_TOPIC_ARN"

OPTIONAL = [
    ("AWS_S3_METRICS_PREFIX", "metrics_prefix", "metrics/", "team/metrics/", "team/metrics/"),
    ("AWS_S3_DATASETS_PREFIX", "datasets_prefix", "datasets/", "raw/", "raw/"),
    ("AWS_SQS_RUN_REQUEST_QUEUE_ENABLED", "request_queue_enabled", True, "false", False),
    ("WORKER_VISIBILITY_TIMEOUT_SECONDS", "visibility_timeout_seconds", 1800, "5400", 5400),
    ("WORKER_MAX_RECEIVE_COUNT", "max_receive_count", 5, "7", 7),
    ("AWS_REGION", "region", "us-east-1", "sa-east-1", "sa-east-1"),
    ("AWS_ENDPOINT_URL", "endpoint_url", None, "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ("WORKER_HEARTBEAT_ENABLED", "heartbeat_enabled", True, "0", False),
    ("WORKER_HEARTBEAT_INTERVAL_SECONDS", "heartbeat_interval_seconds", 30.0, "0.5", 0.5),
    ("WORKER_STATUS_GAP_SECONDS", "status_gap_seconds", 0.5, "0", 0.0),
    ("WORKER_SERIES_FILES", "series_files", "manifest", "listing", "listing"),
    ("WORKER_SHRINK", "shrink", "warn", "refuse", "refuse"),
    ("WORKER_SHRINK_RATIO", "shrink_ratio", 0.1, "0.25", 0.25),
    ("OUTPUT_COMPRESSION", "compression", "snappy", "ZSTD", "zstd"),
]

BAD = [
    ("AWS_S3_BUCKET", "ab"),
    ("AWS_S3_METRICS_PREFIX", "metrics"),
    ("AWS_S3_METRICS_PREFIX", "/metrics/"),
    ("AWS_S3_METRICS_PREFIX", "metrics//x/"),
    ("AWS_S3_METRICS_PREFIX", "/"),
    ("AWS_S3_DATASETS_PREFIX", "datasets"),
    ("AWS_SQS_RUN_REQUEST_QUEUE_URL", "metric-runs.fifo"),
    ("AWS_SQS_RUN_REQUEST_QUEUE_ENABLED", "perhaps"),
    ("WORKER_VISIBILITY_TIMEOUT_SECONDS", "0"),
    ("WORKER_VISIBILITY_TIMEOUT_SECONDS", "43201"),
    ("WORKER_VISIBILITY_TIMEOUT_SECONDS", "long"),
    ("WORKER_MAX_RECEIVE_COUNT", "0"),
    ("AWS_ENDPOINT_URL", "localhost:5000"),
    ("WORKER_HEARTBEAT_ENABLED", "maybe"),
    ("WORKER_HEARTBEAT_INTERVAL_SECONDS", "0"),
    ("WORKER_HEARTBEAT_INTERVAL_SECONDS", "-1"),
    ("WORKER_HEARTBEAT_INTERVAL_SECONDS", "nan"),
    ("WORKER_HEARTBEAT_INTERVAL_SECONDS", "3601"),
    ("WORKER_STATUS_GAP_SECONDS", "-0.1"),
    ("WORKER_STATUS_GAP_SECONDS", "61"),
    ("WORKER_STATUS_GAP_SECONDS", "nan"),
    ("WORKER_SERIES_FILES", "Listing"),
    ("WORKER_SHRINK", "on"),
    ("WORKER_SHRINK_RATIO", "10%"),
    ("WORKER_SHRINK_RATIO", "-0.1"),
    ("WORKER_SHRINK_RATIO", "1.1"),
    ("WORKER_SHRINK_RATIO", "nan"),
    ("OUTPUT_COMPRESSION", "zip"),
]


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch, tmp_path):
    """Change to an empty folder, so that the settings find no file `.env` in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")


def test_only_bucket_topics_and_queue_are_required():
    settings = load_settings()
    assert settings.bucket == BUCKET
    assert settings.request_queue_url == QUEUE_URL
    assert settings.started_topic_arn == TOPIC.format("started")
    assert settings.heartbeat_topic_arn == TOPIC.format("heartbeat")
    assert settings.completed_topic_arn == TOPIC.format("completed")
    assert settings.events_topic_arn is None


@pytest.mark.parametrize(("variable", "name", "default", "_text", "_value"), OPTIONAL)
def test_each_optional_variable_has_its_default(monkeypatch, variable, name, default, _text, _value):
    monkeypatch.delenv(variable, raising=False)
    assert getattr(load_settings(), name) == default


@pytest.mark.parametrize(("variable", "name", "_default", "text", "value"), OPTIONAL)
def test_each_optional_variable_is_read(monkeypatch, variable, name, _default, text, value):
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize(("variable", "name", "default", "_text", "_value"), OPTIONAL)
def test_an_empty_optional_variable_counts_as_missing(monkeypatch, variable, name, default, _text, _value):
    monkeypatch.setenv(variable, "")
    assert getattr(load_settings(), name) == default


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_the_output_takes_any_codec_that_pyarrow_writes(monkeypatch, codec):
    monkeypatch.setenv("OUTPUT_COMPRESSION", codec)
    assert load_settings().compression == codec


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("variable", ["AWS_S3_BUCKET", "AWS_SQS_RUN_REQUEST_QUEUE_URL", *TOPICS])
def test_a_missing_variable_is_named(monkeypatch, variable, empty):
    if empty:
        monkeypatch.setenv(variable, "")
    else:
        monkeypatch.delenv(variable)
    with pytest.raises(ConfigError, match=f"^CONFIG_ERROR: .*{variable}"):
        load_settings()


@pytest.mark.parametrize(("variable", "text"), BAD)
def test_an_invalid_variable_is_named_with_its_value(monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError, match=f"^CONFIG_ERROR: {variable}: .*found '?{re.escape(text)}"):
        load_settings()


def test_one_topic_can_replace_the_three_topics(monkeypatch):
    for variable in TOPICS:
        monkeypatch.delenv(variable)
    monkeypatch.setenv(ALL_EVENTS, TOPIC.format("events"))
    settings = load_settings()
    assert settings.events_topic_arn == TOPIC.format("events")
    assert settings.started_topic_arn is None


def test_two_topics_are_not_enough(monkeypatch):
    monkeypatch.delenv(TOPICS[1])
    with pytest.raises(ConfigError, match=f"{TOPICS[1]} is missing .*{ALL_EVENTS}"):
        load_settings()


def test_local_runs_read_an_env_file(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_S3_BUCKET")
    (tmp_path / ".env").write_text("AWS_S3_BUCKET=from-the-file\nOUTPUT_COMPRESSION=gzip\nUNKNOWN=1\n")
    settings = load_settings()
    assert (settings.bucket, settings.compression) == ("from-the-file", "gzip")


def test_the_environment_takes_precedence_over_the_file(tmp_path):
    (tmp_path / ".env").write_text("AWS_S3_BUCKET=from-the-file\n")
    assert load_settings().bucket == BUCKET


def test_an_invalid_variable_in_the_file_is_named(tmp_path):
    (tmp_path / ".env").write_text("WORKER_SERIES_FILES=guess\n")
    with pytest.raises(ConfigError, match=r"^CONFIG_ERROR: WORKER_SERIES_FILES: "):
        load_settings()


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().bucket = "another"  # type: ignore[misc]


def test_the_longest_metrics_prefix_still_allows_a_manifest_uri_of_500_characters(monkeypatch):
    longest = "m" * 255 + "/"
    address = f"s3://{'b' * 63}/{metric_base(longest, 'c' * 128)}2025-01-15T10-30-00/manifest.json"
    assert len(address) <= MAX_MANIFEST_URI
    monkeypatch.setenv("AWS_S3_METRICS_PREFIX", longest)
    assert load_settings().metrics_prefix == longest
    monkeypatch.setenv("AWS_S3_METRICS_PREFIX", f"m{longest}")
    with pytest.raises(ConfigError, match=r"^CONFIG_ERROR: AWS_S3_METRICS_PREFIX: .*256"):
        load_settings()
