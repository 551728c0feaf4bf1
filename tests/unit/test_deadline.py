import pytest

from metrics_worker.deadline import RESERVED_SECONDS, Deadline
from metrics_worker.errors import OutOfTime


def ending_in(seconds):
    return Deadline(lambda: round(1000 * seconds))


def test_the_time_left_excludes_the_reserved_time():
    assert ending_in(RESERVED_SECONDS + 1.5).seconds_left() == pytest.approx(1.5)
    assert ending_in(RESERVED_SECONDS - 1.5).seconds_left() == pytest.approx(-1.5)


def test_a_step_may_begin_if_there_is_enough_time():
    ending_in(RESERVED_SECONDS + 5).check()
    ending_in(RESERVED_SECONDS + 5).check(needed=5)


def test_a_step_may_not_begin_if_there_is_too_little_time():
    with pytest.raises(OutOfTime, match=r"19\.0 s left, 20 s are kept in reserve$"):
        ending_in(RESERVED_SECONDS - 1).check()
    with pytest.raises(OutOfTime, match=r"25\.0 s left, 20 s are kept in reserve, 6 s would be needed"):
        ending_in(RESERVED_SECONDS + 5).check(needed=6)


def test_the_reserved_time_is_longer_than_a_last_call_to_sns_and_one_to_sqs():
    from metrics_worker.messaging.clients import CALL_SECONDS  # noqa: PLC0415 - only this test needs it

    assert 2 * CALL_SECONDS <= RESERVED_SECONDS
