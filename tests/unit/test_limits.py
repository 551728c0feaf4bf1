from contextlib import suppress

import pytest

from metrics_worker.errors import ExpressionError, InputReadError, OutOfMemory
from metrics_worker.limits import Memory

MB = 1_000_000


def test_what_is_claimed_is_there_again_when_the_claim_ends():
    memory = Memory(10 * MB)
    for _ in range(3):
        with memory.claim() as claim:
            claim.take(6 * MB, "a", InputReadError)
            claim.take(4 * MB, "b", InputReadError)


def test_what_fails_gives_back_too():
    memory = Memory(10 * MB)
    with suppress(ValueError), memory.claim() as claim:
        claim.take(10 * MB, "a", InputReadError)
        raise ValueError
    assert memory.take(10 * MB)


def test_what_would_never_fit_is_refused_for_good_and_says_what_to_set():
    with Memory(10 * MB).claim() as claim:
        claim.take(6 * MB, "a", InputReadError)
        with pytest.raises(InputReadError, match=r"b: .*would need 11 MB .*may take 10 MB"):
            claim.take(5 * MB, "b", InputReadError)
        with pytest.raises(ExpressionError, match="WORKER_MAX_MEMORY_MB"):
            claim.take(MB, "expressionJson", ExpressionError, beside=4 * MB)


def test_what_others_hold_is_waited_for_elsewhere():
    memory = Memory(10 * MB)
    with memory.claim() as another:
        another.take(6 * MB, "a", InputReadError)
        with memory.claim() as claim, pytest.raises(OutOfMemory, match=r"b: other runs .* the 5 MB"):
            claim.take(5 * MB, "b", InputReadError)
    with memory.claim() as claim:
        claim.take(5 * MB, "b", InputReadError)


def test_what_is_kept_stays_taken():
    memory = Memory(10 * MB)
    with memory.claim() as claim:
        claim.take(9 * MB, "a", InputReadError)
        claim.keep(2 * MB)
    assert not memory.take(9 * MB)
    assert memory.take(8 * MB)


def test_no_more_is_kept_than_was_taken():
    memory = Memory(10 * MB)
    with memory.claim() as claim:
        claim.take(MB, "a", InputReadError)
        claim.keep(2 * MB)
    assert memory.take(9 * MB)
    assert not memory.take(1)
