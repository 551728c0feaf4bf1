"""A request that fails leads to a completed event with the right error code, in both wire forms."""

import obstore
import pyarrow as pa
import pytest

from tests.builders import day, put_a_and_b, put_dataset, ratio, record, request, rows, series, window
from tests.faulty_store import denied, raising

PART_OF_A = "datasets/fx/projections/A/year=2026/month=01/data.parquet"
FX_MANIFEST = "datasets/fx/versions/v1/manifest.json"


# INPUT_READ_ERROR


def test_a_series_without_rows_is_named(cloud, fails):
    put_a_and_b(cloud.store)
    body = request(ratio(series("A"), series("ZZ")), inputs={"A": "fx", "ZZ": "fx"})

    code, message = fails(body)

    assert code == "INPUT_READ_ERROR"
    assert message.startswith("Failed to read input series: ZZ")


def test_a_series_that_the_manifest_does_not_list_is_named_with_the_manifest(cloud, fails):
    put_dataset(cloud.store, {"A/x.parquet": rows("A", [day(1)], [1.0])}, series_codes=["A"])

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert "Failed to read input series: B" in message
    assert FX_MANIFEST in message


def test_a_missing_manifest_is_named(fails):
    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert FX_MANIFEST in message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b'{"parquet_files": "A"}'])
def test_an_invalid_manifest_is_named(cloud, fails, body):
    obstore.put(cloud.store, FX_MANIFEST, body)

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert FX_MANIFEST in message


def test_a_missing_part_file_is_named_with_its_series(cloud, fails):
    put_a_and_b(cloud.store)
    obstore.delete(cloud.store, PART_OF_A)

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert message.startswith("Failed to read input series: A: ")
    assert PART_OF_A in message


@pytest.mark.parametrize("body", [b"", b"PAR1", b"not Parquet at all" * 100])
def test_a_part_file_that_is_not_parquet_is_named_with_its_series(cloud, fails, body):
    put_a_and_b(cloud.store)
    obstore.put(cloud.store, PART_OF_A, body)

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert message.startswith("Failed to read input series: A: ")
    assert PART_OF_A in message


def test_a_column_of_the_wrong_type_is_named_with_its_file(cloud, fails):
    put_a_and_b(cloud.store)
    texts, numbers = rows("A", [day(1)], pa.array(["1"])), rows("B", [day(1)], [1.0])
    put_dataset(cloud.store, {"A/x.parquet": texts, "B/x.parquet": numbers})

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert "A/x.parquet" in message
    assert "'value'" in message


def test_a_series_without_an_observation_is_named(cloud, fails):
    put_a_and_b(cloud.store)
    put_dataset(
        cloud.store,
        {"A/x.parquet": rows("A", [day(1)], [None]), "B/x.parquet": rows("B", [day(1)], [1.0])},
    )

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert message.startswith("Failed to read input series: A: ")


def test_a_dataset_that_may_not_be_read_is_named(cloud, fails, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", "datasets/fx/projections/A/*", denied, times=2)

    code, message = fails(request())

    assert code == "INPUT_READ_ERROR"
    assert PART_OF_A in message
    assert "denied" in message


# EXPRESSION_EVAL_ERROR


@pytest.mark.parametrize(
    ("expression", "kind", "culprit"),
    [
        (ratio(series("A"), {"op": "modulo"}), "series_math", "expressionJson.right"),
        (window("mode", series("A"), 3), "window_op", "expressionJson.op"),
        (window("sma", series("A"), 0), "window_op", "expressionJson.window"),
        (
            ratio(series("A"), {"op": "sma", "series": series("B"), "window": 2.5}),
            "series_math",
            "expressionJson.right.window",
        ),
        (
            {"op": "sum", "operands": [series("A"), {"op": "ema", "series": series("B"), "window": "3"}]},
            "composite",
            "expressionJson.operands[1].window",
        ),
        (ratio(series("A"), series("B"), scale="1"), "series_math", "expressionJson.scale"),
        (ratio(series("A"), series("B"), offset=1), "series_math", "expressionJson.offset"),
        (ratio(series("A"), series("B")), "window_op", "expressionType"),
        ("A / B", "series_math", "expressionJson"),
        (None, None, "expressionType"),
    ],
)
def test_the_invalid_part_of_an_expression_is_named_by_its_json_path(cloud, fails, expression, kind, culprit):
    put_a_and_b(cloud.store)

    code, message = fails(request(expression, kind=kind))

    assert code == "EXPRESSION_EVAL_ERROR"
    assert message.startswith(f"{culprit}: ")
    assert cloud.sns.of_type("metric_run_started") == []


# CONFIG_ERROR


@pytest.mark.parametrize(
    ("wrong", "culprit"),
    [
        ({"output": {"basePath": "s3://another/metrics/ratio.a_to_b/"}}, "output.basePath"),
        ({"output": {"basePath": "s3://bucket/datasets/ratio.a_to_b/"}}, "output.basePath"),
        ({"output": {"basePath": "s3://bucket/metrics/../ratio.a_to_b/"}}, "output.basePath"),
        ({"output": {"basePath": "metrics/ratio.a_to_b/"}}, "output.basePath"),
        ({"output": {}}, "output.basePath"),
        ({"output": None}, "output"),
        ({"catalog": {"datasets": {}}}, "catalog.datasets.fx"),
        ({"catalog": {"datasets": {"fx": {}}}}, "catalog.datasets.fx.manifestPath"),
        ({"catalog": {"datasets": {"fx": 1}}}, "catalog.datasets.fx"),
        (
            {
                "catalog": {
                    "datasets": {"fx": {"manifestPath": "/etc/passwd", "projectionsPath": "datasets/"}}
                }
            },
            "catalog.datasets.fx.manifestPath",
        ),
        ({"catalog": None}, "catalog"),
        ({"inputs": [{"datasetId": "fx"}]}, "inputs[0].seriesCode"),
        ({"inputs": [{"datasetId": "fx", "seriesCode": "A"}] * 2}, "inputs[1].seriesCode"),
        ({"inputs": "A"}, "inputs"),
    ],
)
def test_the_invalid_field_of_a_request_is_named_by_its_json_path(cloud, fails, wrong, culprit):
    put_a_and_b(cloud.store)

    code, message = fails({**request(), **wrong})

    assert code == "CONFIG_ERROR"
    assert message.startswith(f"{culprit}: ")


def test_an_unknown_schema_is_named_in_an_event_of_the_plain_form(cloud, invoke):
    invoke(record(request(schema="metrics.run.v9")))

    (completed,) = cloud.sns.completed
    assert completed["error"].startswith("CONFIG_ERROR: schema: ")
    assert "schema" not in completed


# INTERNAL_ERROR


def test_a_defect_of_the_worker_is_an_internal_error_without_its_trace(cloud, fails, monkeypatch):
    put_a_and_b(cloud.store)
    monkeypatch.setattr(
        "metrics_worker.run.evaluate", lambda *_: raising(ZeroDivisionError("token=secret"))()
    )

    code, message = fails(request())

    assert code == "INTERNAL_ERROR"
    assert message.startswith("ZeroDivisionError: ")
    assert "secret" not in message


def test_a_run_that_runs_out_of_memory_has_an_outcome(cloud, fails, monkeypatch):
    put_a_and_b(cloud.store)
    monkeypatch.setattr("metrics_worker.run.evaluate", lambda *_: raising(MemoryError())())

    assert fails(request()) == (
        "EXPRESSION_EVAL_ERROR",
        "expressionJson: its evaluation needs more memory than there is",
    )


# Texts that the control plane cannot parse, and which would block its queue


def test_an_error_is_at_most_a_thousand_characters_without_control_characters(cloud, invoke):
    put_a_and_b(cloud.store)
    name = "A\x00\x1b[31m\n" + "é😀" * 2000
    body = request(ratio(series(name), series("B")))

    invoke(record(body), record({**body, "schema": "metrics.run.v1"}, message_id="2"))

    plain, v1 = cloud.sns.completed
    for text in (plain["error"], v1["error"]["message"]):
        assert len(text.encode("utf-16-le")) <= 2 * 1000
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)
