"""The check of a request reports all problems at once, each with its JSON path, in a fixed order."""

import json

import pytest

from metrics_worker.errors import ConfigError, ExpressionError
from metrics_worker.problem import path_text
from metrics_worker.request import RunRequest, identity_problems, open_record
from metrics_worker.request_check import Bounds, check_dataset, check_request
from tests.builders import BUCKET, ratio, request, series, window

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")
A, B = series("A"), series("B")


def checked(event, body_bytes=0):
    return check_request(event, "ratio.a_to_b", body_bytes, BOUNDS)


def paths(problems):
    return [path_text(problem.path) for problem in problems]


WRONG = request(ratio(window("smaa", A, 0), B), kind="composite", inputs={"A": "gx", "B": "fx"}) | {
    "schema": "metrics.run.v2",
    "output": {"basePath": "s3://bucket/elsewhere/"},
}


def test_every_problem_is_found_at_once_in_the_order_of_the_checks():
    assert paths(checked(WRONG).problems) == [
        "schema",
        "expressionJson.left.op",
        "expressionJson.left.window",
        "expressionType",
        "output.basePath",
        "catalog.datasets.gx",
    ]


def test_the_worker_reports_the_first_problem_and_the_number_of_the_others():
    with pytest.raises(ConfigError, match=r"^CONFIG_ERROR: schema: .*'metrics\.run\.v2' \(and 5 more\)$"):
        RunRequest.parse(open_record(json.dumps(WRONG), None), BOUNDS)


def test_a_valid_request_has_no_problem_and_all_of_its_parts():
    found = checked(request())
    assert found.problems == []
    assert found.codes == ("A", "B")
    assert found.named() == {"A": "fx", "B": "fx"}
    assert found.datasets["fx"].projections_prefix == "datasets/fx/projections/"


def test_the_valid_parts_of_an_invalid_request_are_kept():
    event = request(ratio(A, "B"))
    event["inputs"].append({"seriesCode": "C"})
    found = checked(event)
    assert paths(found.problems) == ["inputs[2].datasetId", "expressionJson.right"]
    assert (found.expression, found.codes, found.needed) == (None, ("A",), ("fx",))
    assert found.positions == {"A": 0, "B": 1}


def test_all_datasets_are_checked_if_inputs_omits_a_series():
    event = request(inputs={"A": "fx"}, datasets=("fx", "gx"))
    event["catalog"]["datasets"]["gx"] = {"manifestPath": 7, "projectionsPath": "secrets/x"}
    found = checked(event)
    assert paths(found.problems) == [
        "catalog.datasets.gx.manifestPath",
        "catalog.datasets.gx.projectionsPath",
    ]
    assert (found.needed, set(found.datasets)) == (("fx", "gx"), {"fx"})


def test_nothing_of_a_request_that_is_too_large_is_checked():
    assert paths(checked(WRONG, body_bytes=2_000_000).problems) == ["body"]


def test_a_problem_of_the_expression_is_an_expression_error_and_any_other_a_config_error():
    errors = [problem.error for problem in checked(WRONG).problems]
    assert errors == [ConfigError, *[ExpressionError] * 3, ConfigError, ConfigError]


def test_a_dataset_that_is_not_an_object_has_one_problem():
    assert paths(check_dataset("fx", [], BOUNDS)[1]) == ["catalog.datasets.fx"]


def test_all_problems_of_an_identity_are_found():
    assert paths(identity_problems({"runId": "", "metricCode": "a/b"})) == ["type", "runId", "metricCode"]
    assert not list(identity_problems(request()))


def test_a_field_that_is_named_like_the_tag_of_a_node_type_is_reported_under_its_name():
    assert paths(checked(request(A | {"<series>": 1}, kind="series")).problems) == ["expressionJson.<series>"]
