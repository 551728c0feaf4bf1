"""docs/reference.md: the settings, errors, fields, examples and recipes are complete and correct."""

import json
import re
import shlex
from datetime import UTC, datetime

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from moto import mock_aws
from typer import Typer
from typer.main import get_command

from metrics_tools.command_line.commands.redrive import redrive
from metrics_worker import errors
from metrics_worker.errors import InputReadError
from metrics_worker.messaging.status_events import RunCompleted, RunHeartbeat, RunStarted
from metrics_worker.publication.records import Keys, OutputManifest
from metrics_worker.request import Run, RunRequest, open_record
from metrics_worker.request_check import Bounds, _Body
from metrics_worker.settings import Settings
from tests.docs.pages import PAGES, ROOT, blocks, commands, rows, section, text_of

PAGE = "docs/reference.md"
REQUEST, MANIFEST = blocks(PAGE, "json")
NOW = datetime(2025, 1, 15, 10, 30, 10, tzinfo=UTC)


def documented(heading):
    return [[cell.strip("`") for cell in row] for row in rows(section(PAGE, heading))]


def test_every_setting_is_in_the_table_with_its_default_and_in_the_example_environment():
    table = {row[0]: row[1] for row in documented("Settings")}
    example = (ROOT / ".env.example").read_text()
    for field in Settings.model_fields.values():
        assert field.alias is not None
        assert field.alias in table
        assert field.alias in example
        if isinstance(field.default, bool):
            assert table[field.alias] == str(field.default).lower()
        elif field.default is not None and not field.is_required():
            default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
            assert table[field.alias] == default
        elif field.is_required():
            assert table[field.alias] == "required"
        else:
            assert table[field.alias] in {"none", "required"}
    assert set(table) == {field.alias for field in Settings.model_fields.values()}


def test_every_error_code_is_in_the_table():
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PermanentError)
    }
    assert {row[0] for row in documented("Errors")} == codes


def test_the_example_request_is_valid():
    run = open_record(REQUEST, None)
    request = RunRequest.parse(run, Bounds("data-bucket", "metrics/", "datasets/"))
    assert request.run.metric_code == "fx.usd_per_gbp"
    assert json.loads(REQUEST) == json.loads(blocks("docs/five-minutes.md", "json")[0])


def test_every_field_of_the_request_is_in_the_table():
    text = section(PAGE, "The request")
    for field in [*(field.alias for field in _Body.model_fields.values()), "type", "runId", "metricCode"]:
        assert f"`{field}" in text


def test_the_example_events_have_the_fields_of_published_events():
    run = Run("r", "m", v1=False, requested_at=NOW, event={})
    sent = [
        RunStarted.of(run, NOW),
        RunHeartbeat.of(run, 0.5, NOW),
        RunCompleted.success(
            run,
            version_ts="2025-01-15T10-30-00",
            manifest_key="metrics/m/manifest.json",
            row_count=1000,
            bucket="b",
        ),
        RunCompleted.failure(run, InputReadError("X", "gone")),
    ]
    shown = [json.loads(row[1]) for row in documented("Events")]
    assert [list(event) for event in shown] == [list(json.loads(event.wire())) for event in sent]


def test_the_example_manifest_is_valid_and_the_layout_is_that_of_the_worker():
    body = OutputManifest.model_validate_json(MANIFEST)
    keys = Keys("metrics/{metricCode}/")
    assert json.loads(MANIFEST).keys() == OutputManifest.model_fields.keys()
    assert body.outputs.data_prefix == Keys("metrics/fx.usd_per_gbp/").data_prefix(body.version_ts)
    layout = [line.split("   ")[0].strip() for line in blocks(PAGE, "")[0].splitlines()]
    assert layout == [
        keys.data("{versionTs}"),
        keys.manifest("{versionTs}"),
        keys.current,
        keys.marker("{runId}"),
    ]


@mock_aws
def test_the_recipe_reads_the_newest_version(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    keys, table = Keys("metrics/fx.a/"), pa.table({"value": [1.0, 2.0]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="data")
    outputs = {"data_prefix": keys.data_prefix("v"), "files": ["metrics.parquet"]}
    s3.put_object(Bucket="data", Key=keys.current, Body=json.dumps({"outputs": outputs}))
    s3.put_object(Bucket="data", Key=keys.data("v"), Body=sink.getvalue().to_pybytes())
    names = {"bucket": "data", "code": "fx.a"}
    (recipe,) = blocks(PAGE, "python")
    exec(compile(recipe, PAGE, "exec"), names)
    assert names["table"] == table


def test_documented_options_of_redrive_exist():
    lines = [line for page in PAGES for line in commands(page) if line.startswith("metrics redrive")]
    assert len(lines) >= 3
    loaded = Typer(add_completion=False)
    loaded.command()(redrive)
    for line in lines:
        options = get_command(loaded).make_context("redrive", shlex.split(line)[2:]).params
        assert options["bucket"]
        assert options["only_list"] or (options["keys"] == ["KEY", "KEY"] and options["queue_url"])


def test_named_parameters_of_the_template_exist():
    template = (ROOT / "template.yaml").read_text()
    for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=\w+)?`", text_of(PAGE)):
        assert f"\n  {name}:\n" in template, name
