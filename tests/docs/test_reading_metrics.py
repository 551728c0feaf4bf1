"""docs/reading-metrics.md: every block of it is run, on what a real run left, or parsed where it can't be."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import duckdb
import obstore
import polars as pl
import pyarrow as pa
import pytest
import sqlglot
from moto.server import ThreadedMotoServer
from sqlglot import exp

from tests.builders import BUCKET, Cloud, envelope
from tests.contract.documents import EXAMPLES, SCHEMAS
from tests.contract.examples import REQUEST, Stage

PAGE = (Path(__file__).parents[2] / "docs" / "reading-metrics.md").read_text(encoding="utf-8")
S3 = "s3://data-bucket"
CODE = "fx.usd_per_gbp"
BASE = f"metrics/{CODE}/"
FIRST, NEWEST = "2026-10-30T12-00-00", "2026-10-30T12-00-01"


class Block(NamedTuple):
    section: str
    language: str
    text: str
    run: bool


def blocks() -> list[Block]:
    found = []
    for section in PAGE.split("\n## ")[1:]:
        name = section.partition("\n")[0]
        fenced = re.finditer(r"(<!-- not run[^\n]*-->\n)?```(\w+)\n(.*?)\n```", section, re.DOTALL)
        found += [Block(name, match[2], match[3], run=match[1] is None) for match in fenced]
    return found


BLOCKS = blocks()


def code_of(section: str, language: str = "python") -> list[str]:
    return [block.text for block in BLOCKS if block[:2] == (section, language) and block.run]


def run(section: str, root: str, **names: Any) -> dict[str, Any]:
    """The section's Python, block by block, with another place for the bucket; the names that it makes."""
    for text in code_of(section):
        exec(compile(text.replace(f'"{S3}"', repr(root)), section, "exec"), names)
    return names


@pytest.fixture(scope="module")
def left() -> Cloud:
    """What two runs of a metric left: the second is of the newer request, with another value for each day."""
    with Stage.standing() as stage:
        stage.run(EXAMPLES[REQUEST])
        other = EXAMPLES[REQUEST]["expressionJson"] | {"scale": 100}
        stage.run(EXAMPLES[REQUEST] | {"runId": "run-2", "expressionJson": other})
    # What a reader must not fall for: a version that nobody committed, and that has the highest name.
    data = stage.cloud.read(f"{BASE}{FIRST}/data/metrics.parquet")
    obstore.put(stage.cloud.store, f"{BASE}2026-10-30T12-00-09/data/metrics.parquet", data)
    return stage.cloud


@pytest.fixture(scope="module")
def folder(left, tmp_path_factory) -> Path:
    root: Path = tmp_path_factory.mktemp("bucket")
    for key in left.keys():  # noqa: SIM118 - of a cloud
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(left.read(key))
    return root


@pytest.fixture(scope="module")
def aws(left):
    """An AWS on loopback whose bucket has it, and the environment that leads there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ALLOW_HTTP", "true")  # of polars
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for key in left.keys():  # noqa: SIM118
            s3.put_object(Bucket=BUCKET, Key=key, Body=left.read(key))
        s3.close()
        yield
    server.stop()


@pytest.fixture
def newest(left) -> pa.Table:
    assert left.read_json(f"{BASE}current/manifest.json")["version_ts"] == NEWEST
    return left.read_table(f"{BASE}{NEWEST}/data/metrics.parquet").replace_schema_metadata(None)


def test_every_block_is_run_or_says_that_it_is_not():
    assert {block.language for block in BLOCKS} == {"python", "sql"}
    assert [block.text.partition(";")[0] for block in BLOCKS if not block.run] == ["INSTALL httpfs"]
    assert [len(code_of(name)) for name in ("pyarrow", "polars", "Being told")] == [3, 1, 2]
    assert [len(code_of(name, "sql")) for name in ("DuckDB", "Athena")] == [2, 4]


def test_the_two_versions_differ(left, newest):
    first = left.read_table(f"{BASE}{FIRST}/data/metrics.parquet")
    assert first.num_rows == newest.num_rows > 40
    assert first["value"] != newest["value"]


# pyarrow and polars


def check_pyarrow(made: dict[str, Any], left: Cloud, newest: pa.Table) -> None:
    plain = [
        table.replace_schema_metadata(None) for table in (made["newest"], made["pinned"], *made["tables"])
    ]
    first = left.read_table(f"{BASE}{FIRST}/data/metrics.parquet").replace_schema_metadata(None)
    assert plain == [newest, first, first, newest]
    assert [run["version_ts"] for run in made["history"]] == [FIRST, NEWEST]


def test_pyarrow_on_a_folder(left, folder, newest):
    check_pyarrow(run("pyarrow", folder.as_uri()), left, newest)


@pytest.mark.usefixtures("aws")
def test_pyarrow_on_s3(left, newest):
    check_pyarrow(run("pyarrow", S3), left, newest)


def test_polars_on_a_folder(folder, newest):
    assert run("polars", str(folder))["newest"].equals(pl.from_arrow(newest))


@pytest.mark.usefixtures("aws")
def test_polars_on_s3(newest):
    frame = run("polars", S3)["newest"]
    assert frame.equals(pl.from_arrow(newest))
    assert frame.schema["obs_time"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("section", ["pyarrow", "polars"])
def test_a_version_that_is_not_whole_is_refused(section, folder):
    read_version = run(section, folder.as_uri() if section == "pyarrow" else str(folder))["read_version"]
    manifest = json.loads((folder / f"{BASE}current/manifest.json").read_text())
    wrong = folder / "wrong.json"
    wrong.write_text(json.dumps(manifest | {"row_count": 1}))
    with pytest.raises(ValueError, match=r"wrong\.json: \d+ rows, not 1"):
        read_version(folder.as_uri() if section == "pyarrow" else str(folder), "wrong.json")


# DuckDB


def test_duckdb_on_a_folder(folder, newest):
    read, whole = (text.replace(S3, str(folder)) for text in code_of("DuckDB", "sql"))
    with duckdb.connect() as database:
        database.execute(read)
        found = database.sql("SELECT * FROM newest ORDER BY obs_time").to_arrow_table()
        assert database.execute(whole).fetchall() == [(True,)]
    assert found["value"].to_pylist() == newest["value"].to_pylist()
    assert found["obs_time"].cast(pa.int64()).to_pylist() == newest["obs_time"].cast(pa.int64()).to_pylist()


# Athena

STATEMENTS = sqlglot.parse("\n".join(code_of("Athena", "sql")), read="athena")
TABLES = {
    found.this.this.name: found
    for found in STATEMENTS
    if isinstance(found, exp.Create) and found.kind == "TABLE"
}
QUERIES = [found for found in STATEMENTS if isinstance(found, exp.Select)]
ARROW = {"timestamp": pa.timestamp("us", "UTC"), "double": pa.float64()}
JSON_TYPES = {"string": "string", "integer": "bigint"}


def columns(table: exp.Create) -> dict[str, str]:
    return {
        column.name: column.args["kind"].sql("hive").lower()
        for column in table.this.expressions
        if isinstance(column, exp.ColumnDef)
    }


def partitions(table: exp.Create) -> list[str]:
    (by,) = table.find_all(exp.PartitionedByProperty)
    return [column.name for column in by.this.expressions]


def properties(table: exp.Create) -> dict[str, str]:
    return {
        found.name: found.args["value"].name
        for found in table.args["properties"].expressions
        if type(found) is exp.Property
    }


def location(table: exp.Create, **values: str) -> str:
    """Where a partition is, by the template of the table."""
    where = properties(table)["storage.location.template"]
    for name, value in values.items():
        where = where.replace(f"${{{name}}}", value)
    return where


def test_athenas_statements_are_three_tables_two_moves_and_three_queries():
    assert set(TABLES) == {"metrics_current", "metrics", "metrics_newest"}
    kinds = [type(found) for found in STATEMENTS]
    assert [kinds.count(kind) for kind in (exp.Create, exp.Alter, exp.Select)] == [3, 2, 3]
    assert len(kinds) == 8


@pytest.mark.parametrize("name", ["metrics", "metrics_newest"])
def test_athenas_columns_are_those_of_the_file(name, newest):
    assert {column: ARROW[kind] for column, kind in columns(TABLES[name]).items()} == {
        field.name: field.type for field in newest.schema
    }


def test_athenas_columns_of_the_manifest_are_those_of_its_schema():
    described = SCHEMAS["output_manifest"]["properties"]
    found = columns(TABLES["metrics_current"])
    outputs = found.pop("outputs")
    assert found == {name: JSON_TYPES[described[name]["type"]] for name in found}
    fields = SCHEMAS["output_manifest"]["$defs"]["outputs"]["properties"]
    assert (
        re.sub(r"\s", "", outputs)
        == f"struct<{','.join(f'{name}:{shape(rule)}' for name, rule in fields.items())}>"
    )


def shape(rule: Any) -> str:
    return f"array<{shape(rule['items'])}>" if rule["type"] == "array" else JSON_TYPES[rule["type"]]


def test_athenas_partitions_are_where_a_run_puts_its_objects(left):
    manifest = left.read_json(f"{BASE}current/manifest.json")
    prefix = manifest["outputs"]["data_prefix"]
    found = location(TABLES["metrics"], metric_code=CODE, version_ts=manifest["version_ts"])
    assert found == f"{S3}/{prefix}"
    assert location(TABLES["metrics_current"], metric_code=CODE) == f"{S3}/{BASE}current/"
    for where, objects in ((f"{BASE}current/", ["manifest.json"]), (prefix, manifest["outputs"]["files"])):
        assert left.keys(where) == [where + name for name in objects], "Athena reads all that is there"
    for statement in (found.sql("athena") for found in STATEMENTS if isinstance(found, exp.Alter)):
        assert f"'{S3}/{prefix}'" in statement
        assert f"'{CODE}'" in statement


def test_each_projected_column_is_declared_and_each_query_gives_it_as_a_literal():
    for name in ("metrics", "metrics_current"):
        given = properties(TABLES[name])
        assert given["projection.enabled"] == "true"
        for column in partitions(TABLES[name]):
            assert given[f"projection.{column}.type"] == "injected"
            assert f"${{{column}}}" in given["storage.location.template"]
    for query in QUERIES:
        (table,) = [found.name for found in query.find_all(exp.Table)]
        literal = {
            equal.this.name for equal in query.find_all(exp.EQ) if isinstance(equal.expression, exp.Literal)
        }
        assert table == "metrics_newest" or literal == set(partitions(TABLES[table]))


def test_athenas_queries_find_the_newest_version(folder, newest):
    """In DuckDB, over views that stand for Athena's tables."""
    with duckdb.connect() as database:
        current = folder / BASE / "current" / "manifest.json"
        database.execute(f"CREATE VIEW metrics_current AS SELECT * FROM read_json('{current}')")
        # Athena's timestamp has no zone, and is UTC.
        data = (
            f"SELECT timezone('UTC', obs_time) AS obs_time, value, '{CODE}' AS metric_code,"
            " regexp_extract(filename, '([^/]*)/data/', 1) AS version_ts"
            f" FROM read_parquet('{folder}/{BASE}{{}}/data/metrics.parquet', filename = true)"
        )
        database.execute(f"CREATE VIEW metrics AS {data.format('*')}")
        database.execute(f"CREATE VIEW metrics_newest AS {data.format(NEWEST)}")
        first, second, third = (
            database.sql(query.sql("duckdb")).to_arrow_table().to_pylist() for query in QUERIES
        )
    assert first == [{"version_ts": NEWEST, "row_count": newest.num_rows}]
    assert [row["value"] for row in second] == newest["value"].to_pylist()
    last = newest["obs_time"].to_pylist()[-1].replace(tzinfo=None)
    assert third == [{"metric_code": CODE, "newest": last}]


# Being told


@pytest.mark.usefixtures("aws")
def test_a_subscription_gets_the_outcomes_of_its_metrics():
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    topic_arn = sns.create_topic(Name="completed.fifo", Attributes=fifo)["TopicArn"]
    queue_url = sqs.create_queue(QueueName="mine.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
    made = run("Being told", S3, topic_arn=topic_arn, queue_url=queue_url, queue_arn=attributes["QueueArn"])

    names = [name for name in EXAMPLES if name.startswith("metric_run_completed")]
    for name in names:
        event = EXAMPLES[name]
        sns.publish(
            TopicArn=topic_arn,
            Message=json.dumps(event),
            MessageGroupId=event["runId"],
            MessageDeduplicationId=name,
            MessageAttributes={"metricCode": {"DataType": "String", "StringValue": event["metricCode"]}},
        )
    bodies = [
        message["Body"]
        for message in sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)["Messages"]
    ]

    heard = [made["outcome"](body, BUCKET) for body in bodies]
    assert sorted(found.manifest_key for found in heard) == [
        f"metrics/fx.usd_momentum/{FIRST}/manifest.json",
        f"{BASE}{FIRST}/manifest.json",
    ], "the failed ones are of another metric"
    for client in (sns, sqs, made["sns"], made["sqs"]):
        client.close()


@pytest.mark.parametrize(
    "wrap", [json.dumps, lambda event: json.dumps(envelope(event))], ids=["raw", "envelope"]
)
@pytest.mark.parametrize("form", ["plain", "v1"])
def test_an_outcome_means_the_same_in_either_form(form, wrap):
    names: dict[str, Any] = {"json": json}
    exec(code_of("Being told")[1], names)
    failed = names["outcome"](wrap(EXAMPLES[f"metric_run_completed.failure.{form}"]), BUCKET)
    assert (failed.error_code, failed.manifest_key) == ("INPUT_READ_ERROR", None)
    assert failed.error_message.startswith("Failed to read input series: ECB_XAU_EUR_D: ")
    succeeded = names["outcome"](wrap(EXAMPLES[f"metric_run_completed.success.{form}"]), BUCKET)
    assert re.fullmatch(r"metrics/fx\.[a-z_]+/2026-10-30T12-00-00/manifest\.json", succeeded.manifest_key)
    assert succeeded.error_code is None
