"""No part file makes the handler do what it must not, nor ends its process."""

from tests.fuzz.batches import judged
from tests.fuzz.budget import TIMES

FILES = 150


def test_no_part_file_makes_the_handler_do_what_it_must_not(tmp_path):
    tally = judged("suite" if TIMES == 1 else f"suite, {TIMES} times", FILES * TIMES, tmp_path)
    assert not tally.findings, tally.findings
    assert tally.tried.total() == FILES * TIMES
