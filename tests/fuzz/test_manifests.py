"""Arbitrary dataset manifests never lead to a finding of the judge (tests/fuzz/judge.py)."""

from hypothesis import given

from tests.fuzz import manifests
from tests.fuzz.budget import bounded
from tests.fuzz.judge import judge


@bounded(150)
@given(manifests.cases())
def test_the_handler_survives_any_dataset_manifest(case):
    judge(case)
