"""The schemas in docs/contracts are complete, and the worker's documents are valid against the schemas."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from metrics_tools.contracts import schemas
from metrics_tools.contracts.schema import DIALECT, encode, model
from metrics_tools.definition_tests.reading import InvalidFileError, read_checks, read_tests, yaml_value
from metrics_worker.expression import fields, nodes
from metrics_worker.expression.nodes import NODES
from metrics_worker.request import V1
from tests.builders import ratio, record, series, window
from tests.contract.documents import (
    CONTRACTS,
    EXAMPLES,
    SCHEMAS,
    is_valid,
    schema_of_event,
    schema_of_example,
    validate,
)
from tests.contract.examples import FAILING, FAST, REQUEST, REQUESTS, Stage, answers

EACH_SCHEMA = pytest.mark.parametrize("name", SCHEMAS)
DEFINITION_FILES = {"metric_tests": read_tests, "metric_checks": read_checks}
"""By schema, the reader of the files that authors of metrics write."""
EVENTS = [name for name in SCHEMAS if name.startswith("metric_run_") and name != REQUEST]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield each part of a schema that describes a JSON object with named properties."""
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


def test_the_committed_schemas_are_up_to_date():
    committed = {path.stem: path.read_text() for path in (CONTRACTS / "schemas").iterdir()}
    assert committed == {name: encode(schema) for name, schema in schemas().items()}, "run `make contracts`"


def test_a_field_without_a_description_stops_the_generation():
    from metrics_worker.publication.records import Outputs  # noqa: PLC0415 - only this test needs it

    with pytest.raises(ValueError, match=r"Outputs: \['files'\] without the other"):
        model(Outputs, {"data_prefix": {}}, "")
    with pytest.raises(ValueError, match=r"Outputs: \['name'\] without the other"):
        model(Outputs, {"data_prefix": {}, "files": {}, "name": {}}, "")


def test_the_schemas_of_expressions_describe_every_model_of_the_grammar():
    union = TypeAdapter(nodes.Node).json_schema()["$defs"]["Node"]["oneOf"]
    assert {branch["$ref"].rpartition("/")[2] for branch in union} == {
        kind.__name__ for kind in NODES.values()
    }
    shapes = SCHEMAS["metric_run_requested"]["$defs"]
    assert shapes["window_op"]["properties"]["window"]["maximum"] == fields.MAX_WINDOW
    assert shapes["series"]["properties"]["series_code"]["maxLength"] == fields.MAX_SERIES_CODE


@EACH_SCHEMA
def test_every_schema_is_well_formed_and_named_after_its_file(name):
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == f"urn:metrics-worker:contracts:{name}"
    assert schema["title"]


@EACH_SCHEMA
def test_references_of_a_schema_stay_within_it(name):
    for reference in references(SCHEMAS[name]):
        assert reference.removeprefix("#/$defs/") in SCHEMAS[name]["$defs"]


def references(schema: Any) -> Any:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from references(inner)


@EACH_SCHEMA
def test_every_field_of_a_schema_has_a_description(name):
    for described in objects(SCHEMAS[name]):
        for field, rule in described["properties"].items():
            assert rule.get("description"), f"{name}: {field}"


# The examples in docs/contracts


def test_every_schema_has_an_example():
    assert {schema_of_example(name) for name in EXAMPLES} == set(SCHEMAS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name):
    validate(schema_of_example(name), EXAMPLES[name])


def test_the_committed_examples_are_up_to_date():
    by_hand = {*REQUESTS, *DEFINITION_FILES}
    assert answers() == {name: EXAMPLES[name] for name in EXAMPLES if name not in by_hand}, (
        "run `make contracts`"
    )


@pytest.mark.parametrize("name", DEFINITION_FILES)
def test_the_example_of_an_authors_file_is_accepted_by_its_command(name):
    DEFINITION_FILES[name](str(CONTRACTS / "examples" / f"{name}.json"))


@pytest.mark.parametrize("file", sorted((CONTRACTS.parent / "examples").glob("*.test.yaml")))
def test_the_example_of_each_operation_is_valid_under_the_schema_that_it_names(file):
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    assert first == "# yaml-language-server: $schema=../contracts/schemas/metric_tests.json"
    validate("metric_tests", yaml_value(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("metric_checks", {"a": {}}),
        ("metric_checks", {"a": {"min_row": 1}}),
        ("metric_checks", {"a": {"min_rows": 0}}),
        ("metric_checks", {"a": {"max_change": "20"}}),
        ("metric_checks", {"a": {"between": [1]}}),
        ("metric_checks", {"a b": {"min_rows": 1}}),
        ("metric_tests", {"expects": {}}),
        ("metric_tests", {"expression": {"op": "smaa"}}),
        ("metric_tests", {"request": "my.json"}),
        ("metric_tests", {"series": {"A": {"start": "2026-01-01", "values": [1]}}}),
        ("metric_tests", {"series": {"A": [["2026-01-01", "1"]]}}),
        ("metric_tests", {"expect": {"checks": {"max_age_days": 1}}}),
    ],
)
def test_an_authors_file_with_a_mistake_is_invalid_for_the_schema_and_the_command(tmp_path, name, change):
    document = {"checks": change} if name == "metric_checks" else None
    document = document or {"tests": [EXAMPLES[name]["tests"][1] | change]}
    assert not is_valid(name, document)
    (tmp_path / "it.json").write_text(json.dumps(document))
    if change != {"expression": {"op": "smaa"}}:  # `metrics test` finds this mistake when it runs the test
        with pytest.raises(InvalidFileError):
            DEFINITION_FILES[name](str(tmp_path / "it.json"))


@pytest.mark.parametrize("name", REQUESTS)
def test_only_the_failing_example_request_ends_in_a_failure(name):
    with Stage.opened() as stage:
        stage.run(EXAMPLES[name])
    (completed,) = stage.cloud.sns.completed
    assert completed["status"] == ("FAILURE" if name == FAILING else "SUCCESS")


def test_the_examples_cover_every_node_type_and_both_forms():
    found = [EXAMPLES[name] for name in REQUESTS]
    shapes = {"series", "series_math", "window_op", "composite"}
    assert {event["expressionType"] for event in found} == shapes
    assert {event.get("schema") for event in found} == {None, V1}


# The documents that the worker writes and publishes

OUTCOMES: dict[str, dict[str, Any]] = {
    "success": {},
    "no such series": {"expressionJson": ratio(series("ECB_USD_EUR_D"), series("X")), "inputs": None},
    "a bad expression": {"expressionJson": {"op": "sma"}},
    "a type that disagrees": {"expressionType": "composite"},
    "a bad output location": {"output": {"basePath": "s3://bucket/elsewhere/"}},
    "no catalog": {"catalog": {"datasets": {}}},
    "no manifest": {
        "catalog": {"datasets": {"ecb_fx": {"manifestPath": "datasets/m", "projectionsPath": "datasets/p"}}}
    },
    "an expression without any value": {
        "expressionType": "window_op",
        "expressionJson": window("sma", series("ECB_USD_EUR_D"), 1_000_000),
    },
    "an error with unusual characters": {
        "expressionJson": ratio(series("a\x7f\u2028\U0001f480" + "é" * 2_000), series("B")),
    },
    "the longest ids": {
        "runId": "r" * 128,
        "metricCode": "m" * 128,
        "output": {"basePath": f"s3://bucket/metrics/{'m' * 128}/"},
    },
}


@pytest.mark.parametrize("form", [{}, {"schema": V1}], ids=["plain", "v1"])
@pytest.mark.parametrize("more", OUTCOMES.values(), ids=OUTCOMES)
def test_everything_that_a_run_publishes_and_writes_is_valid(more, form):
    event = EXAMPLES[REQUEST] | more | form
    with Stage.opened() as stage:
        stage.run(event)
        stage.run(event, dead=True)

    events = stage.cloud.sns.events
    assert [found["status"] for found in stage.cloud.sns.completed]
    for found in events:
        validate(schema_of_event(found), found)
        assert found.keys() <= SCHEMAS[schema_of_event(found)]["properties"].keys()
        assert [name for name in EVENTS if is_valid(name, found)] == [schema_of_event(found)]
    assert check_documents(stage.cloud) >= {"dead_letter"}


def check_documents(cloud: Any) -> set[str]:
    """Validate each JSON document below `metrics/` in the bucket, and return the names of their schemas."""
    seen = set()
    for key in cloud.keys("metrics/"):
        if key.endswith(".parquet"):
            continue
        kind = "run_marker" if "/runs/" in key else "output_manifest"
        if "/_dead-letters/" in key:
            kind = "dead_letter"
        document = cloud.read_json(key)
        validate(kind, document)
        assert document.keys() <= SCHEMAS[kind]["properties"].keys()
        seen.add(kind)
    return seen


def test_a_successful_run_and_its_dead_letter_leave_every_kind_of_document():
    with Stage.opened() as stage:
        stage.run(EXAMPLES[REQUEST])
        stage.run(EXAMPLES[REQUEST], dead=True)
    assert check_documents(stage.cloud) == {"run_marker", "output_manifest", "dead_letter"}


@pytest.mark.parametrize("form", [{}, {"schema": V1}], ids=["plain", "v1"])
def test_every_heartbeat_is_valid(form):
    with Stage.opened(**FAST) as stage:
        stage.run_slowly(EXAMPLES[REQUEST] | form)
    beats = stage.cloud.sns.of_type("metric_run_heartbeat")
    assert beats
    for beat in beats:
        validate(schema_of_event(beat), beat)


def test_a_stored_dead_letter_without_a_run_is_valid():
    with Stage.opened() as stage:
        stage.functions[True]({"Records": [record("?")]}, stage.context)
    assert check_documents(stage.cloud) == {"dead_letter"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("metric_run_started.plain", {"startedAt": "2026-10-30 12:00"}),
        ("metric_run_started.plain", {"schema": V1}),
        ("metric_run_started.v1", {"schema": "metrics.run.v2"}),
        ("metric_run_heartbeat.plain", {"progress": 1.1}),
        ("metric_run_completed.success.plain", {"rowCount": 2**31}),
        ("metric_run_completed.success.plain", {"outputManifest": "s3://bucket/metrics/m/manifest.json"}),
        ("metric_run_completed.success.v1", {"outputManifest": "metrics/m/manifest.json"}),
        ("metric_run_completed.success.v1", {"status": "FAILURE"}),
        ("metric_run_completed.failure.plain", {"error": "NO_SUCH_CODE: x"}),
        ("metric_run_completed.failure.plain", {"error": "CONFIG_ERROR: a\nb"}),
        ("metric_run_completed.failure.v1", {"error": "CONFIG_ERROR: x"}),
        ("output_manifest", {"row_count": -1}),
        ("output_manifest", {"expression": {"op": "ratio"}}),
        ("output_manifest", {"requested_at": None}),
        ("run_marker", {"version_ts": "2026-10-30T12:00:00Z"}),
        ("dead_letter", {"outcome": "LOST"}),
    ],
)
def test_a_document_with_a_wrong_value_is_invalid(name, change):
    assert is_valid(name, EXAMPLES[name])
    assert not is_valid(name, EXAMPLES[name] | change)


@pytest.mark.parametrize(
    "name", sorted(set(SCHEMAS) - {REQUEST, "dataset_manifest", "dead_letter", *DEFINITION_FILES})
)
def test_every_field_that_the_worker_writes_is_required(name):
    for field in EXAMPLES[name]:
        without = {key: value for key, value in EXAMPLES[name].items() if key != field}
        assert not is_valid(name, without), field
