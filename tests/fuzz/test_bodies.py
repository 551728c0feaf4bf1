"""No body of a record, and none of its attributes, makes the handler do what it must not."""

from hypothesis import given

from tests.fuzz import bodies
from tests.fuzz.budget import bounded
from tests.fuzz.judge import judge


@bounded(150)
@given(bodies.cases())
def test_no_batch_of_records_makes_the_handler_do_what_it_must_not(case):
    judge(case)
