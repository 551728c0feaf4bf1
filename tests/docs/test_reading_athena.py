"""docs/reading-metrics.md: the statements for Athena are valid and agree with the objects of a real run."""

import re
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from tests.contract.documents import SCHEMAS
from tests.docs.reading import BASE, CODE, NEWEST, S3, code_of

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
    """Return the S3 location of a partition of a table.

    Args:
        table: the parsed CREATE statement, which contains a template of the location.
        values: the values of the partition's columns.
    """
    path = properties(table)["storage.location.template"]
    for name, value in values.items():
        path = path.replace(f"${{{name}}}", value)
    return path


def test_the_page_has_three_tables_two_alterations_and_three_queries():
    assert set(TABLES) == {"metrics_current", "metrics", "metrics_newest"}
    kinds = [type(found) for found in STATEMENTS]
    assert [kinds.count(kind) for kind in (exp.Create, exp.Alter, exp.Select)] == [3, 2, 3]
    assert len(kinds) == 8


@pytest.mark.parametrize("name", ["metrics", "metrics_newest"])
def test_the_columns_of_the_data_tables_are_those_of_the_parquet_file(name, newest):
    assert {column: ARROW[kind] for column, kind in columns(TABLES[name]).items()} == {
        field.name: field.type for field in newest.schema
    }


def test_the_columns_of_the_manifest_table_are_those_of_the_manifest_schema():
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


def test_the_locations_of_partitions_are_those_of_the_objects_of_a_run(left):
    manifest = left.read_json(f"{BASE}current/manifest.json")
    prefix = manifest["outputs"]["data_prefix"]
    found = location(TABLES["metrics"], metric_code=CODE, version_ts=manifest["version_ts"])
    assert found == f"{S3}/{prefix}"
    assert location(TABLES["metrics_current"], metric_code=CODE) == f"{S3}/{BASE}current/"
    for folder, objects in ((f"{BASE}current/", ["manifest.json"]), (prefix, manifest["outputs"]["files"])):
        assert left.keys(folder) == [folder + name for name in objects], "Athena reads every object"
    for statement in (found.sql("athena") for found in STATEMENTS if isinstance(found, exp.Alter)):
        assert f"'{S3}/{prefix}'" in statement
        assert f"'{CODE}'" in statement


def test_every_projected_column_is_declared_and_is_a_literal_in_every_query():
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


def test_the_queries_find_the_newest_version(folder, newest):
    """Run the queries in DuckDB, on views that have the columns of Athena's tables."""
    with duckdb.connect() as database:
        current = folder / BASE / "current" / "manifest.json"
        database.execute(f"CREATE VIEW metrics_current AS SELECT * FROM read_json('{current}')")
        # Timestamps of Athena are in UTC without a time zone.
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
