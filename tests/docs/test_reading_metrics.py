"""docs/reading-metrics.md: the code blocks read the objects of a real run. Some blocks are only parsed.

tests/docs/test_reading_athena.py tests the blocks for Athena.
"""

import json
import re
from typing import Any

import boto3
import duckdb
import polars as pl
import pyarrow as pa
import pytest

from tests.builders import BUCKET, Cloud, envelope
from tests.contract.documents import EXAMPLES
from tests.docs.reading import BASE, BLOCKS, FIRST, NEWEST, S3, code_of


def run(section: str, root: str, **names: Any) -> dict[str, Any]:
    """Run the Python blocks of a section of the page, and return a dict of their global variables.

    Args:
        section: the heading of the section.
        root: the location that the blocks read in place of the bucket.
        names: variables that are defined before the blocks run.
    """
    for text in code_of(section):
        exec(compile(text.replace(f'"{S3}"', repr(root)), section, "exec"), names)
    return names


def test_every_block_is_run_or_marked_as_not_run():
    assert {block.language for block in BLOCKS} == {"python", "sql"}
    assert [block.text.partition(";")[0] for block in BLOCKS if not block.run] == ["INSTALL httpfs"]
    assert [len(code_of(name)) for name in ("pyarrow", "polars", "Receiving completed events")] == [3, 1, 2]
    assert [len(code_of(name, "sql")) for name in ("DuckDB", "Athena")] == [2, 4]


def test_the_two_versions_have_the_same_rows_but_different_values(left, newest):
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


def test_the_pyarrow_code_reads_from_a_folder(left, folder, newest):
    check_pyarrow(run("pyarrow", folder.as_uri()), left, newest)


@pytest.mark.usefixtures("aws")
def test_the_pyarrow_code_reads_from_s3(left, newest):
    check_pyarrow(run("pyarrow", S3), left, newest)


def test_the_polars_code_reads_from_a_folder(folder, newest):
    assert run("polars", str(folder))["newest"].equals(pl.from_arrow(newest))


@pytest.mark.usefixtures("aws")
def test_the_polars_code_reads_from_s3(newest):
    frame = run("polars", S3)["newest"]
    assert frame.equals(pl.from_arrow(newest))
    assert frame.schema["obs_time"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("section", ["pyarrow", "polars"])
def test_reading_an_incomplete_version_is_an_error(section, folder):
    read_version = run(section, folder.as_uri() if section == "pyarrow" else str(folder))["read_version"]
    manifest = json.loads((folder / f"{BASE}current/manifest.json").read_text())
    wrong = folder / "wrong.json"
    wrong.write_text(json.dumps(manifest | {"row_count": 1}))
    with pytest.raises(ValueError, match=r"wrong\.json: \d+ rows, not 1"):
        read_version(folder.as_uri() if section == "pyarrow" else str(folder), "wrong.json")


# DuckDB


def test_the_duckdb_code_reads_from_a_folder(folder, newest):
    read, whole = (text.replace(S3, str(folder)) for text in code_of("DuckDB", "sql"))
    with duckdb.connect() as database:
        database.execute(read)
        found = database.sql("SELECT * FROM newest ORDER BY obs_time").to_arrow_table()
        assert database.execute(whole).fetchall() == [(True,)]
    assert found["value"].to_pylist() == newest["value"].to_pylist()
    assert found["obs_time"].cast(pa.int64()).to_pylist() == newest["obs_time"].cast(pa.int64()).to_pylist()


# Receiving completed events


@pytest.mark.usefixtures("aws")
def test_a_subscription_receives_the_outcomes_of_its_metrics():
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    topic_arn = sns.create_topic(Name="completed.fifo", Attributes=fifo)["TopicArn"]
    queue_url = sqs.create_queue(QueueName="mine.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
    made = run(
        "Receiving completed events",
        S3,
        topic_arn=topic_arn,
        queue_url=queue_url,
        queue_arn=attributes["QueueArn"],
    )

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

    outcomes = [made["outcome"](body, BUCKET) for body in bodies]
    assert sorted(found.manifest_key for found in outcomes) == [
        f"metrics/fx.usd_momentum/{FIRST}/manifest.json",
        f"{BASE}{FIRST}/manifest.json",
    ], "the failed runs belong to another metric"
    for client in (sns, sqs, made["sns"], made["sqs"]):
        client.close()


@pytest.mark.parametrize(
    "wrap", [json.dumps, lambda event: json.dumps(envelope(event))], ids=["raw", "envelope"]
)
@pytest.mark.parametrize("form", ["plain", "v1"])
def test_an_outcome_has_the_same_meaning_in_both_forms(form, wrap):
    names: dict[str, Any] = {"json": json}
    exec(code_of("Receiving completed events")[1], names)
    failed = names["outcome"](wrap(EXAMPLES[f"metric_run_completed.failure.{form}"]), BUCKET)
    assert (failed.error_code, failed.manifest_key) == ("INPUT_READ_ERROR", None)
    assert failed.error_message.startswith("Failed to read input series: ECB_XAU_EUR_D: ")
    succeeded = names["outcome"](wrap(EXAMPLES[f"metric_run_completed.success.{form}"]), BUCKET)
    assert re.fullmatch(r"metrics/fx\.[a-z_]+/2026-10-30T12-00-00/manifest\.json", succeeded.manifest_key)
    assert succeeded.error_code is None
