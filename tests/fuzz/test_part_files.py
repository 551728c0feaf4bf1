"""Arbitrary part files never crash the process and never lead to a finding of the judge.

tests/fuzz/judge.py contains the judge.
"""

from tests.fuzz.batches import judged
from tests.fuzz.budget import TIMES

FILES = 150


def test_the_handler_survives_any_part_file(tmp_path):
    tally = judged("suite" if TIMES == 1 else f"suite, {TIMES} times", FILES * TIMES, tmp_path)
    assert not tally.findings, tally.findings
    assert tally.tried.total() == FILES * TIMES
