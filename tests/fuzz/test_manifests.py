"""No manifest of a dataset makes the handler do what it must not."""

from hypothesis import given

from tests.fuzz import manifests
from tests.fuzz.budget import bounded
from tests.fuzz.judge import judge


@bounded(150)
@given(manifests.cases())
def test_no_manifest_makes_the_handler_do_what_it_must_not(case):
    judge(case)
