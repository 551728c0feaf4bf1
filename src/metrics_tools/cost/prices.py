"""The cost of a run: list prices, and measured durations.

docs/performance.md explains both; a test compares these numbers with its table of a million runs.
"""

from dataclasses import dataclass

REGION = "us-east-1"
AS_OF = "2026-11-24"
"""The date of the prices: AWS's list prices without discounts. Check them before you rely on them."""

MEMORY_MIB = 1769
"""The default memory of the function in the template, at which it has one processor."""

_GB_SECOND = 0.0000166667
_INVOCATION = 0.20 / 1e6
_GET = 0.0004 / 1e3
_PUT_OR_LIST = 0.005 / 1e3
_PUBLISH = 0.30 / 1e6
_QUEUE_CALL = 0.50 / 1e6

LATENCY = 0.020
"""The seconds that each request to S3 took when the durations below were measured."""
_RUN, _PART_FILE, _ROW = 0.225, 0.00043, 0.17e-6
"""The seconds of a run without input, and the additional seconds for each part file and for each row."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of a run to AWS.

    Attributes:
        gets: GET requests to S3.
        puts: PUT requests to S3.
        lists: LIST requests to S3.
        publishes: published status events.
        queue_calls: calls to SQS: send, receive and delete.
    """

    gets: int
    puts: int
    lists: int = 0
    publishes: int = 2
    queue_calls: int = 3


def seconds_of(part_files: int, rows: int) -> float:
    """Return the estimated seconds of a run in a warm invocation that handles no other run.

    Args:
        part_files: the number of part files that the run reads.
        rows: the number of rows in these part files.
    """
    return _RUN + _PART_FILE * part_files + _ROW * rows


def dollars_of(requests: Requests, seconds: float) -> float:
    """Return the cost in dollars of a run in an invocation that handles no other run.

    In a batch, a run costs less, since the runs share part files.

    Args:
        requests: the requests of the run to AWS.
        seconds: the duration of the run, for which Lambda is paid.
    """
    gigabytes = MEMORY_MIB / 1024
    return (
        seconds * gigabytes * _GB_SECOND
        + _INVOCATION
        + requests.gets * _GET
        + (requests.puts + requests.lists) * _PUT_OR_LIST
        + requests.publishes * _PUBLISH
        + requests.queue_calls * _QUEUE_CALL
    )
