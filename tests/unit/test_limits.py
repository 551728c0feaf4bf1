from contextlib import suppress

import pytest

from metrics_worker.errors import ExpressionError, InputReadError, OutOfMemory
from metrics_worker.limits import Memory

MB = 1_000_000


def test_claimed_memory_is_released_at_the_end_of_the_claim():
    memory = Memory(10 * MB)
    for _ in range(3):
        with memory.claim() as claim:
            claim.take(6 * MB, "a", InputReadError)
            claim.take(4 * MB, "b", InputReadError)


def test_claimed_memory_is_released_after_an_exception():
    memory = Memory(10 * MB)
    with suppress(ValueError), memory.claim() as claim:
        claim.take(10 * MB, "a", InputReadError)
        raise ValueError
    assert memory.take(10 * MB)


def test_a_claim_above_the_whole_limit_fails_for_good_and_names_the_setting():
    with Memory(10 * MB).claim() as claim:
        claim.take(6 * MB, "a", InputReadError)
        with pytest.raises(InputReadError, match=r"b: .*would need 11 MB .*may take 10 MB"):
            claim.take(5 * MB, "b", InputReadError)
        with pytest.raises(ExpressionError, match="WORKER_MAX_MEMORY_MB"):
            claim.take(MB, "expressionJson", ExpressionError, held_elsewhere=4 * MB)


def test_a_claim_fails_for_the_moment_if_others_hold_the_memory():
    memory = Memory(10 * MB)
    with memory.claim() as another:
        another.take(6 * MB, "a", InputReadError)
        with memory.claim() as claim, pytest.raises(OutOfMemory, match=r"b: other runs .* the 5 MB"):
            claim.take(5 * MB, "b", InputReadError)
    with memory.claim() as claim:
        claim.take(5 * MB, "b", InputReadError)


def test_kept_memory_stays_claimed():
    memory = Memory(10 * MB)
    with memory.claim() as claim:
        claim.take(9 * MB, "a", InputReadError)
        claim.keep(2 * MB)
    assert not memory.take(9 * MB)
    assert memory.take(8 * MB)


def test_a_claim_keeps_at_most_what_it_has_taken():
    memory = Memory(10 * MB)
    with memory.claim() as claim:
        claim.take(MB, "a", InputReadError)
        claim.keep(2 * MB)
    assert memory.take(9 * MB)
    assert not memory.take(1)
