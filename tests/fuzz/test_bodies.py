"""Batches of arbitrary records never lead to a finding of the judge (tests/fuzz/judge.py)."""

from hypothesis import given

from tests.fuzz import bodies
from tests.fuzz.budget import bounded
from tests.fuzz.judge import judge


@bounded(150)
@given(bodies.cases())
def test_the_handler_survives_any_batch_of_records(case):
    judge(case)
