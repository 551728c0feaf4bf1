"""What a run costs: list prices, and how long runs took where they were measured.

The only place with prices. Both are explained in docs/performance.md, and its table of a million runs is what
a test holds these numbers against.
"""

from dataclasses import dataclass

REGION = "us-east-1"
AS_OF = "2026-11-24"
"""When they were written down: AWS's list, without discounts, to be checked before they are relied on."""

MEMORY_MIB = 1769
"""The template's default: one processor."""

_GB_SECOND = 0.0000166667
_INVOCATION = 0.20 / 1e6
_GET = 0.0004 / 1e3
_PUT_OR_LIST = 0.005 / 1e3
_PUBLISH = 0.30 / 1e6
_QUEUE_CALL = 0.50 / 1e6

LATENCY = 0.020
"""Seconds of a request to S3 for which these were measured, one run in an invocation that is warm:"""
_RUN, _PART_FILE, _ROW = 0.225, 0.00043, 0.17e-6
"""Seconds: of any run, for a part file more, for a row more in a large file."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What a run asks of AWS.

    Attributes:
        gets, puts, lists: of S3.
        publishes: of status events.
        queue_calls: send, receive, delete.
    """

    gets: int
    puts: int
    lists: int = 0
    publishes: int = 2
    queue_calls: int = 3


def seconds_of(part_files: int, rows: int) -> float:
    """How long a run takes that is alone in a warm invocation: an estimate, by what was measured."""
    return _RUN + _PART_FILE * part_files + _ROW * rows


def dollars_of(requests: Requests, seconds: float) -> float:
    """What a run costs that is alone in its invocation. In a batch part files are shared, and it is less."""
    gigabytes = MEMORY_MIB / 1024
    return (
        seconds * gigabytes * _GB_SECOND
        + _INVOCATION
        + requests.gets * _GET
        + (requests.puts + requests.lists) * _PUT_OR_LIST
        + requests.publishes * _PUBLISH
        + requests.queue_calls * _QUEUE_CALL
    )
