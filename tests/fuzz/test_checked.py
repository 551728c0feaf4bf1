"""`metrics validate` finds an error in an arbitrary body if and only if the worker refuses the body."""

import json
from typing import Any

import obstore
from hypothesis import given
from hypothesis import strategies as st

from metrics_tools.validate.reading import Reader
from metrics_tools.validate.validation import validate
from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.errors import PermanentError, UnanswerableError
from metrics_worker.limits import Memory
from metrics_worker.request import RunRequest, open_record
from metrics_worker.request_check import Bounds
from metrics_worker.settings import Settings
from tests.builders import BUCKET, Cloud
from tests.fuzz import bodies, manifests
from tests.fuzz.budget import bounded
from tests.fuzz.json_trees import mutated

LONGEST = 4_000
"""The maximum length of the text of a problem, in which values and names are shortened."""
BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")


def refused(body: str, bucket=None, **settings: Any) -> bool:
    """Return whether the worker refuses the body of a record.

    Args:
        body: the body with the request.
        bucket: the bucket from which the series are read if the request is valid; None to check only the
            request.
        settings: the worker's settings for these reads, by the names of their environment variables.
    """
    try:
        request = RunRequest.parse(open_record(body, None), BOUNDS)
        if bucket is not None:
            given = Settings(**settings)
            with Decoder() as decoder:
                datasets = Datasets(given.series_files, given.limits, Memory(given.memory_bytes), decoder)
                datasets.read(request, bucket, lambda _: None)
    except (PermanentError, UnanswerableError):
        return True
    return False


def said(problem):
    return "".join(
        filter(None, [problem.path, problem.text, problem.found, problem.allowed, problem.suggestion])
    )


def filled(objects):
    cloud = Cloud()
    for key, content in objects.items():
        obstore.put(cloud.store, key, content)
    return cloud.bucket


@bounded(300)
@given(st.one_of(bodies.bodies(), bodies.requests()))
def test_without_a_place_there_are_errors_where_the_worker_refuses_a_body(body):
    found = validate(body, BOUNDS)
    if refused(body):
        assert found.errors
    elif found.errors:
        assert refused(body, filled(bodies.objects())), (
            "an error that is found without the inputs is an error with them"
        )
    for problem in found.problems:
        assert problem.text
        assert said(problem).isprintable()
        assert len(said(problem)) < LONGEST


@bounded(150)
@given(st.one_of(bodies.bodies(), bodies.requests()))
def test_with_a_place_there_are_errors_exactly_where_the_worker_refuses_a_run(body):
    bucket = filled(bodies.objects())
    found = validate(body, BOUNDS, Reader(bucket, Settings()))
    assert bool(found.errors) == refused(body, bucket), found.problems


@bounded(100)
@given(manifests.cases())
def test_of_any_manifest_there_are_errors_exactly_where_the_worker_refuses_a_run(case):
    bucket, body = filled(case.objects), case.records[0]["body"]
    found = validate(body, BOUNDS, Reader(bucket, Settings(**case.settings)))
    assert bool(found.errors) == refused(body, bucket, **case.settings), found.problems
    assert all(said(problem).isprintable() and len(said(problem)) < LONGEST for problem in found.problems)


@bounded(100)
@given(st.sampled_from(bodies.REQUESTS).flatmap(lambda asked: mutated(asked["expressionJson"])))
def test_no_problem_of_an_expression_is_reported_in_the_rest_of_the_request(expression):
    """Assert that the other fields of a valid request have no errors if only its expression is arbitrary."""
    good = bodies.REQUESTS[0]
    try:
        body = json.dumps(good | {"expressionJson": expression})
    except (ValueError, RecursionError):
        return
    found = validate(body, BOUNDS)
    assert {p.path.partition(".")[0].partition("[")[0] for p in found.problems if p.severity == "error"} <= {
        "expressionJson",
        "expressionType",
    }
