"""A request may read and write only keys below the configured prefixes of the configured bucket."""

import json
from datetime import datetime

import pytest

from metrics_worker.errors import ConfigError
from metrics_worker.names import is_key, metric_base
from metrics_worker.request import RunRequest, iso, open_record
from metrics_worker.request_check import Bounds
from tests.builders import BUCKET, request

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")


def parsed(event, bounds=BOUNDS):
    return RunRequest.parse(open_record(json.dumps(event), "0"), bounds)


def with_dataset(**paths):
    good = {"manifestPath": "datasets/fx/v1/manifest.json", "projectionsPath": "datasets/fx/projections/"}
    return request(catalog={"datasets": {"fx": {**good, **paths}}})


# Paths of datasets


def test_the_paths_of_a_dataset_are_keys_in_the_data_bucket():
    dataset = parsed(with_dataset()).datasets["fx"]
    assert dataset.manifest_key == "datasets/fx/v1/manifest.json"
    assert dataset.projections_prefix == "datasets/fx/projections/"


def test_a_leading_address_of_the_data_bucket_is_accepted():
    paths = {"manifestPath": f"s3://{BUCKET}/datasets/m.json", "projectionsPath": f"s3://{BUCKET}/datasets/p"}
    dataset = parsed(with_dataset(**paths)).datasets["fx"]
    assert (dataset.manifest_key, dataset.projections_prefix) == ("datasets/m.json", "datasets/p/")


@pytest.mark.parametrize("field", ["manifestPath", "projectionsPath"])
@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/datasets/fx/x",
        "datasets//x",
        "datasets/fx//",
        "datasets/../secrets/x",
        "datasets/..",
        "datasets/./x",
        "../datasets/x",
        "datasets/a\nb",
        "datasets/a\ud800",
        "datasets/" + "a" * 1024,
        "s3://another-bucket/datasets/x",
        f"s3://{BUCKET}-2/datasets/x",
        "s3://bucket/datasets/x",
        f"https://{BUCKET}/datasets/x",
        f"s3://{BUCKET}//datasets/x",
        "secrets/x",
        "datasets-of-others/x",
    ],
)
def test_a_path_outside_the_bounds_is_named(field, path):
    with pytest.raises(ConfigError, match=rf"^CONFIG_ERROR: catalog\.datasets\.fx\.{field}: expected a"):
        parsed(with_dataset(**{field: path})).datasets["fx"]


@pytest.mark.parametrize("field", ["manifestPath", "projectionsPath"])
@pytest.mark.parametrize("path", [None, 7, ["datasets/x"]])
def test_a_path_that_is_not_a_string_is_named(field, path):
    with pytest.raises(ConfigError, match=rf"^CONFIG_ERROR: catalog\.datasets\.fx\.{field}: "):
        parsed(with_dataset(**{field: path})).datasets["fx"]


def test_a_dataset_that_is_read_must_be_in_the_catalog():
    with pytest.raises(ConfigError, match=r"^CONFIG_ERROR: catalog\.datasets\.gx: .*not in the catalog"):
        parsed(with_dataset() | {"inputs": [{"datasetId": "gx", "seriesCode": "A"}]})


def test_a_dataset_that_is_not_read_may_be_invalid():
    event = with_dataset()
    event["catalog"]["datasets"]["bad"] = {"manifestPath": "../x"}
    assert parsed(event).datasets["fx"].dataset_id == "fx"


# The path of the output


@pytest.mark.parametrize("bucket", [BUCKET, "bucket"])
@pytest.mark.parametrize("end", ["", "/"])
def test_the_version_goes_to_the_configured_bucket_or_its_placeholder(bucket, end):
    assert parsed(request(metric="m.x", output={"basePath": f"s3://{bucket}/metrics/m.x{end}"}))
    assert metric_base("metrics/", "m.x") == "metrics/m.x/"


def test_the_metrics_prefix_is_the_configured_one():
    event = request(metric="m.x", output={"basePath": "s3://bucket/team/metrics/m.x/"})
    assert parsed(event, Bounds(BUCKET, "team/metrics/", "datasets/"))
    with pytest.raises(ConfigError, match=rf"output\.basePath: expected s3://{BUCKET}/metrics/m\.x/, found"):
        parsed(event)


@pytest.mark.parametrize(
    ("metric", "path"),
    [
        ("current", "metrics/victim/current/"),
        ("runs", "metrics/victim/runs/"),
        ("data", "metrics/victim/2026-10-30T12-00-00/data/"),
        ("2026-10-30", "metrics/_dead-letters/2026-10-30/"),
        ("m.x", "metrics/_snapshots/m.x/"),
        ("m.x", "metrics/team/m.x/"),
    ],
)
def test_a_metric_writes_in_no_folder_but_its_own(metric, path):
    with pytest.raises(ConfigError, match=rf"output\.basePath: expected s3://{BUCKET}/metrics/{metric}/, "):
        parsed(request(metric=metric, output={"basePath": f"s3://bucket/{path}"}))


@pytest.mark.parametrize("code", ["_dead-letters", "_snapshots", ".", "..", "", "a/b", "a" * 129])
def test_a_code_that_cannot_be_part_of_a_key_has_no_prefix(code):
    with pytest.raises(ConfigError, match="metricCode"):
        metric_base("metrics/", code)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "metrics/m.x/",
        "/metrics/m.x/",
        "s3://",
        "s3:///metrics/m.x/",
        "s3://another/metrics/m.x/",
        "S3://bucket/metrics/m.x/",
        "http://bucket/metrics/m.x/",
        "s3://bucket/m.x/",
        "s3://bucket/metrics-old/m.x/",
        "s3://bucket/datasets/m.x/",
        "s3://bucket//metrics/m.x/",
        "s3://bucket/metrics//m.x/",
        "s3://bucket/metrics/m.x//",
        "s3://bucket/metrics/../datasets/m.x/",
        "s3://bucket/metrics/./m.x/",
        "s3://bucket/metrics/a\tb/m.x/",
        "s3://bucket/metrics/",
        "s3://bucket/metrics/m.y/",
        "s3://bucket/metrics/" + "a" * 470 + "/m.x/",
    ],
)
def test_an_output_outside_the_bounds_is_named(path):
    with pytest.raises(ConfigError, match=r"^CONFIG_ERROR: output\.basePath: "):
        parsed(request(metric="m.x", output={"basePath": path}))


# Other fields


@pytest.mark.parametrize("path", ["a", "a/b", "a b/é.parquet", "a..b/c", "...", "a/…", "😀", "a" * 1024])
def test_a_key_is_relative_and_plain(path):
    assert is_key(path)


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "\x00", "a\u2028", "\udfff", "é" * 513]
)
def test_a_path_that_is_not_plain_is_not_a_key(path):
    assert not is_key(path)


def test_times_are_iso_8601_in_utc_with_z():
    time = datetime.fromisoformat("2025-01-15T07:30:10.987654-03:00")
    assert iso(time) == "2025-01-15T10:30:10Z"
    assert iso(time, "milliseconds") == "2025-01-15T10:30:10.987Z"
