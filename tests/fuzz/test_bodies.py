"""Batches of arbitrary records lead to correct results, which tests/fuzz/judge.py checks."""

from hypothesis import given

from tests.fuzz import bodies
from tests.fuzz.budget import bounded
from tests.fuzz.judge import judge


@bounded(150)
@given(bodies.cases())
def test_the_handler_survives_any_batch_of_records(case):
    judge(case)
