"""The schema of requests agrees with the worker's parser, except for rules that a schema cannot express.

Every request that the worker accepts is valid against the schema. The worker accepts every valid request, or
rejects it for one of the reasons in `GAPS`, which docs/contracts/README.md also lists.
"""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metrics_worker.errors import MetricsWorkerError
from metrics_worker.expression.grammar import children, dump, expression_type, parse
from metrics_worker.expression.nodes import NODES
from metrics_worker.request import RunRequest, open_record
from metrics_worker.request_check import Bounds, check_dataset
from tests.builders import BUCKET, ratio, request, series, window
from tests.contract.documents import EXAMPLES, SCHEMAS, VALIDATORS, is_valid, tree_of
from tests.fuzz.bodies import REQUESTS
from tests.fuzz.budget import bounded
from tests.fuzz.json_trees import mutated, text
from tests.property.strategies import all_expressions, expressions, single_nodes

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")
GAPS = (
    "nested more than",
    "more than 512 nodes",
    "a series code has no",  # a character that cannot be printed, but is not a control character
    "is too large",  # a number that is written as an integer
    "a constant c",  # The whole expression, or an operand of an operation that takes no constant.
    "must not",  # left and right, or all operands, are constants; or upper is below lower.
    "it has no effect",  # an option without effect because of another field
    "never has so many",
    "a time zone has an IANA name",
    "the calendar has no such date",
    "this series is listed twice",
    "(WORKER_MAX_",
    "but it is not in the catalog",
    "expected a key under",  # The prefixes depend on the deployment.
    "expected a prefix under",
    f"expected s3://{BUCKET}/",  # The bucket depends on the deployment.
    "expected a prefix that ends in",
    "the manifest's URI would exceed",
)
"""Parts of the worker's error messages for requests that are valid against the schema but are rejected."""


def rejection(event: Any) -> str | None:
    """Return the message with which the worker rejects a request, or None if the worker accepts it.

    The datasets in the catalog of the request are checked, too.
    """
    try:
        found = RunRequest.parse(open_record(text(event), "0"), BOUNDS)
        for dataset_id, entry in found.run.event["catalog"]["datasets"].items():
            for problem in check_dataset(dataset_id, entry, BOUNDS)[1]:
                return problem.message
    except MetricsWorkerError as error:
        return str(error)
    return None


def is_a_gap(problem: str, event: Any) -> bool:
    """Return whether a request was rejected by a rule that a JSON schema cannot express.

    Such a rule is in `GAPS`, or concerns a path in another bucket or a path that is too long in bytes.

    Args:
        problem: the worker's error message.
        event: the rejected request.
    """
    if "expected a relative key" not in problem:
        return any(gap in problem for gap in GAPS)
    paths = [path for dataset in event["catalog"]["datasets"].values() for path in dataset.values()]
    return any(
        isinstance(path, str)
        and (len(path.encode()) > 1024 or path.startswith("s3://") > path.startswith(f"s3://{BUCKET}/"))
        for path in paths
    )


@bounded(200)
@given(st.sampled_from(REQUESTS).flatmap(mutated))
def test_a_mutated_request_is_valid_if_and_only_if_the_worker_accepts_it(tree):
    event = tree_of(text(tree))
    assume(isinstance(event, dict) and not isinstance(event.get("Message"), str))

    problem, valid = rejection(event), is_valid("metric_run_requested", event)

    assert valid or problem
    assert not (valid and problem) or is_a_gap(problem, event), problem


@bounded(100)
@given((expressions | single_nodes | all_expressions).flatmap(mutated))
def test_a_mutated_expression_is_valid_if_and_only_if_the_worker_accepts_it(tree):
    decoded = tree_of(text(request(tree)))
    assume(decoded is not None)
    for kind in ("series", "series_math", "window_op", "composite"):
        event = decoded | {"expressionType": kind}
        problem, valid = rejection(event), is_valid("metric_run_requested", event)
        assert valid or problem
        assert not (valid and problem) or is_a_gap(problem, event), problem


@bounded(150)
@given(single_nodes | all_expressions)
def test_every_expression_of_the_grammar_is_valid_in_requests_and_in_manifests(expression):
    node = parse(expression)
    assert is_valid("metric_run_requested", request(expression, kind=expression_type(node)))
    assert is_valid("output_manifest", EXAMPLES["output_manifest"] | {"expression": dump(node)})


DEFINITIONS = SCHEMAS["metric_run_requested"]["$defs"]


@pytest.mark.parametrize("kind", NODES)
def test_the_examples_of_each_kind_of_node_are_valid_and_have_this_kind(kind):
    for example in DEFINITIONS[kind]["examples"]:
        whole = {"op": "add", "left": example, "right": series("A")} if kind == "constant" else example
        node = parse(whole)
        described = children(node)[0] if kind == "constant" else node
        assert type(described) is NODES[kind]
        assert is_valid("metric_run_requested", request(whole, kind=expression_type(node)))


def test_the_time_to_find_all_errors_does_not_grow_exponentially_with_the_depth():
    expression: Any = {"series_code": ""}
    for _ in range(31):
        expression = {"op": "round", "series": expression, "digits": 2}
    validator = VALIDATORS["metric_run_requested"]
    assert list(validator.iter_errors(request(expression, kind="window_op")))


A, B = series("A"), series("B")
ACCEPTED: dict[str, Any] = {
    "a plain request": {},
    "the v1 form": {"schema": "metrics.run.v1"},
    "schema null": {"schema": None},
    "inputs null": {"inputs": None},
    "unknown fields": {"traceId": 7, "inputs": [{"datasetId": "fx", "seriesCode": "A", "unit": None}]},
    "window 14.0": {"expressionType": "window_op", "expressionJson": window("sma", A, 14.0)},  # type: ignore[arg-type]
    "window of a million": {"expressionType": "window_op", "expressionJson": window("lag", A, 1_000_000)},
    "scale 1": {"expressionJson": ratio(A, B, scale=1)},
    "scale null": {"expressionJson": ratio(A, B, scale=None)},
    "the largest scale": {"expressionJson": ratio(A, B, scale=-1.7976931348623157e308)},
    "scale 1 in a node type without a scale": {
        "expressionType": "window_op",
        "expressionJson": window("sum", A | {"scale": 1.0}, 2) | {"scale": None},
    },
    "seriesCode": {"expressionJson": ratio({"seriesCode": "A"}, {"series_code": "B"})},
    "a bare series": {"expressionType": "series", "expressionJson": A},
    "paths with the bucket": {
        "catalog": {
            "datasets": {
                "fx": {
                    "manifestPath": f"s3://{BUCKET}/datasets/fx/m.json",
                    "projectionsPath": f"s3://{BUCKET}/datasets/.fx/..p/...",
                }
            }
        }
    },
    "a base path without its last slash": {"output": {"basePath": "s3://bucket/metrics/ratio.a_to_b"}},
    "the longest base path": {
        "metricCode": "m" * 128,
        "output": {"basePath": f"s3://{BUCKET}/metrics/{'m' * 128}/"},
    },
}
REJECTED: dict[str, Any] = {
    "another type": {"type": "metric_run_started"},
    "an id with a newline": {"runId": "run-1\n"},
    "an id of 129": {"metricCode": "m" * 129},
    "an unknown schema": {"schema": "metrics.run.v2"},
    "a type that disagrees": {"expressionType": "window_op"},
    "no expression": {"expressionJson": None},
    "window 14.5": {"expressionType": "window_op", "expressionJson": window("sma", A, 14.5)},  # type: ignore[arg-type]
    "window true": {"expressionType": "window_op", "expressionJson": window("sma", A, True)},  # noqa: FBT003
    "window 0": {"expressionType": "window_op", "expressionJson": window("sma", A, 0)},
    "window of a million and one": {
        "expressionType": "window_op",
        "expressionJson": window("sma", A, 1_000_001),
    },
    "scale true": {"expressionJson": ratio(A, B, scale=True)},
    "scale as text": {"expressionJson": ratio(A, B, scale="1")},
    "a scale beyond float64": {"expressionJson": ratio(A, B, scale=10**309)},
    "scale 2 in a node type without a scale": {"expressionJson": ratio(A, B | {"scale": 2})},
    "scale true in a node type without a scale": {"expressionJson": ratio(A, B | {"scale": True})},
    "both names of a code": {"expressionJson": ratio(A, B | {"seriesCode": "B"})},
    "an unknown field of math": {"expressionJson": ratio(A, B, colour="red")},
    "an unknown field of a series": {"expressionJson": ratio(A, B | {"colour": "red"})},
    "an unknown field of a window": {
        "expressionType": "window_op",
        "expressionJson": window("sma", A, 2) | {"colour": "red"},
    },
    "an unknown field of a composite": {
        "expressionType": "composite",
        "expressionJson": {"op": "sum", "operands": [A, B], "window": 2},
    },
    "two shapes at once": {"expressionJson": ratio(A, B, operands=[A, B])},
    "one operand": {"expressionType": "composite", "expressionJson": {"op": "sum", "operands": [A]}},
    "an op of another node type": {"expressionJson": {"op": "avg", "left": A, "right": B}},
    "an op of windows over operands": {
        "expressionType": "composite",
        "expressionJson": {"op": "sma", "operands": [A, B]},
    },
    "an op of operands over a window": {
        "expressionType": "window_op",
        "expressionJson": window("avg", A, 2),
    },
    "a code that is a path": {"expressionJson": ratio(A, series("../B"))},
    "a code of two dots": {"expressionJson": ratio(A, series(".."))},
    "a code with a blank": {"expressionJson": ratio(A, series("B "))},
    "a code of 257": {"expressionJson": ratio(A, series("B" * 257))},
    "a clip without limits": {
        "expressionType": "window_op",
        "expressionJson": {"op": "clip", "series": A, "lower": None},
    },
    "a constant as the whole expression": {"expressionJson": {"const": 1}},
    "a constant below a window": {
        "expressionType": "window_op",
        "expressionJson": window("sma", {"const": 1}, 2),
    },
    "an unknown unit": {"expressionType": "window_op", "expressionJson": window("sma", A, 2, unit="year")},
    "a pair with a window of one": {"expressionJson": {"op": "corr", "left": A, "right": B, "window": 1}},
    "a quantile without q": {"expressionType": "window_op", "expressionJson": window("quantile", A, 2)},
    "a window that has no effect": {"expressionType": "window_op", "expressionJson": window("abs", A, 2)},
    "an input without its dataset": {"inputs": [{"seriesCode": "A"}]},
    "an input without its series": {"inputs": [{"datasetId": "fx"}]},
    "no catalog": {"catalog": None},
    "projections with an empty part": {
        "catalog": {"datasets": {"fx": {"manifestPath": "datasets/m", "projectionsPath": "datasets/p//"}}}
    },
    "a path with two dots": {
        "catalog": {"datasets": {"fx": {"manifestPath": "datasets/../m", "projectionsPath": "datasets/p"}}}
    },
    "a base path that is no address": {"output": {"basePath": "metrics/ratio.a_to_b/"}},
    "a base path with two dots": {"output": {"basePath": "s3://bucket/metrics/../ratio.a_to_b/"}},
    "a base path that is too long": {
        "output": {"basePath": f"s3://bucket/metrics/{'m' * 460}/ratio.a_to_b/"},
    },
}


@pytest.mark.parametrize("more", ACCEPTED.values(), ids=ACCEPTED)
def test_a_request_that_the_worker_accepts_is_valid(more):
    event = request() | more
    assert rejection(event) is None
    assert is_valid("metric_run_requested", event)


@pytest.mark.parametrize("more", REJECTED.values(), ids=REJECTED)
def test_a_request_that_the_worker_rejects_is_invalid(more):
    event = request() | more
    assert rejection(event)
    assert not is_valid("metric_run_requested", event)


def nested(depth: int) -> Any:
    node: Any = A
    for _ in range(depth - 1):
        node = window("sma", node, 2)
    return node


def twice() -> Any:
    return [{"datasetId": "fx", "seriesCode": "A"}] * 2


def dataset(path: str) -> Any:
    return {"datasets": {"fx": {"manifestPath": path, "projectionsPath": "datasets/p"}}}


BEYOND: dict[str, Any] = {
    "33 nodes deep": {"expressionType": "window_op", "expressionJson": nested(33)},
    "513 nodes": {"expressionType": "composite", "expressionJson": {"op": "sum", "operands": [A] * 512}},
    "a code that cannot be printed": {"expressionJson": ratio(A, series("B\u202eC"))},
    "a large scale without an exponent": {"expressionJson": ratio(A, B, scale=2**1023)},
    "a series twice": {"inputs": twice()},
    "513 inputs": {"inputs": [{"datasetId": "fx", "seriesCode": str(n)} for n in range(513)]},
    "another prefix to read": {"catalog": dataset("secrets/m.json")},
    "another bucket to read": {"catalog": dataset("s3://another-bucket/datasets/m.json")},
    "a path of 1,025 bytes": {"catalog": dataset("datasets/" + "é" * 508)},
    "another prefix to write": {"output": {"basePath": "s3://bucket/datasets/ratio.a_to_b/"}},
    "another bucket to write": {"output": {"basePath": "s3://another-bucket/metrics/ratio.a_to_b/"}},
    "the location of another metric": {"output": {"basePath": "s3://bucket/metrics/ratio.b_to_a/"}},
    "a folder between the metrics prefix and the code": {
        "output": {"basePath": f"s3://{BUCKET}/metrics/team/ratio.a_to_b/"}
    },
}


@pytest.mark.parametrize("more", BEYOND.values(), ids=BEYOND)
def test_a_request_that_breaks_a_rule_beyond_the_schema_is_valid_but_rejected(more):
    event = request() | more
    assert is_valid("metric_run_requested", event)
    problem = rejection(event)
    assert problem
    assert is_a_gap(problem, event)


def test_the_schema_checks_datasets_that_the_worker_does_not_read():
    event = request()
    event["catalog"]["datasets"]["unread"] = {"manifestPath": "../x"}
    assert RunRequest.parse(open_record(json.dumps(event), "0"), BOUNDS)
    assert not is_valid("metric_run_requested", event)
