"""`PartialFile`: a file object over those bytes of a part file that were sent to the child process.

The child process decodes unusual part files.
"""

import os

import pytest

from metrics_worker.dataset.partial_file import PartialFile

CONTENT = bytes(range(100))


@pytest.fixture
def file():
    with PartialFile(len(CONTENT)) as file:
        file.keep([(90, memoryview(CONTENT)[90:]), (10, memoryview(CONTENT)[10:30])])
        yield file


@pytest.mark.parametrize(("start", "length"), [(10, 20), (12, 5), (29, 1), (90, 10), (95, 5)])
def test_bytes_in_memory_are_read(file, start, length):
    assert file.seek(start) == start
    assert file.read(length) == CONTENT[start : start + length]
    assert file.tell() == start + length


@pytest.mark.parametrize(("start", "length"), [(0, 1), (9, 2), (29, 2), (30, 1), (85, 10)])
def test_bytes_that_are_not_in_memory_are_an_error(file, start, length):
    file.seek(start)
    with pytest.raises(OSError, match="are in no column chunk that the footer names"):
        file.read(length)


def test_nothing_is_read_beyond_the_end_of_the_file(file):
    assert (file.seek(0, os.SEEK_END), file.read(5)) == (100, b"")
    assert (file.seek(-4, os.SEEK_END), file.read(50)) == (96, CONTENT[96:])
    assert (file.seek(-2, os.SEEK_CUR), file.read(1)) == (98, CONTENT[98:99])


def test_a_partial_file_can_be_read_and_moved_in_but_not_written(file):
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
