"""What the command line finds in bodies that are anything at all, against what the worker says of them."""

from hypothesis import given
from hypothesis import strategies as st

from explain.checking import check_request
from metrics_worker.contract import Bounds, RunRequest, open_record
from metrics_worker.errors import PermanentError, UnanswerableError
from tests.builders import BUCKET
from tests.fuzz import bodies
from tests.fuzz.budget import bounded

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")


def refused(body):
    try:
        RunRequest.parse(open_record(body, None), BOUNDS)
    except (PermanentError, UnanswerableError):
        return True
    return False


def vars_of(problem):
    return [problem.path, problem.text, problem.found, problem.allowed, problem.suggestion]


@bounded(600)
@given(st.one_of(bodies.bodies(), bodies.requests()))
def test_there_is_an_error_where_the_worker_refuses_a_body_and_none_where_it_takes_it(body):
    checked = check_request(body, BOUNDS)
    assert any(problem.severity == "error" for problem in checked.problems) == refused(body)
    for problem in checked.problems:
        assert problem.text
        assert "".join(filter(None, vars_of(problem))).isprintable()
