"""The choice of a run's version: the first second in UTC, from the present one on, that is free.

A version is free if no other run of the metric has written it. An attempt to write a version that is not free
costs a refused PUT. The version in `current` does not suffice to find a free one, because runs in progress
have newer versions, and a late request does not move `current`. Therefore a process also stores the versions
that it has written itself. If two processes compute runs of one metric, each process then tries a version of
the other at most once for each run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MAX_TRIES = 60
"""The number of versions (one for each second) that a run tries before it raises StoreUnavailable."""

_FORMAT = "%Y-%m-%dT%H-%M-%S"
_MAX_METRICS = 1000


@dataclass(frozen=True, slots=True)
class NewestVersions:
    """The newest version of each metric that this process has written. Several threads can use the object."""

    _by_metric: dict[str, str] = field(default_factory=dict)

    def find(self, metric_code: str) -> str:
        """Return the newest version of the metric that this process has written; "" if none is known."""
        return self._by_metric.get(metric_code, "")

    def remember(self, metric_code: str, version_ts: str) -> None:
        """Store the version that a run of the metric has written. The number of metrics is limited."""
        if len(self._by_metric) >= _MAX_METRICS:
            self._by_metric.clear()
        self._by_metric[metric_code] = version_ts


def versions_to_try(newest: Iterable[str], now: datetime) -> Iterable[str]:
    """Return the versions that a run tries to write, in this order, from the newest known version on.

    A known version more than `2 * MAX_TRIES` seconds ahead is from a wrong clock and is ignored. If every
    version within `MAX_TRIES` seconds is known to be taken, only the present second is returned.

    Args:
        newest: the known versions. A text that is not a version is ignored.
        now: the current time.
    """
    first = now.astimezone(UTC).replace(microsecond=0)
    known = [seconds for each in newest if (seconds := _seconds_after(first, each)) < 2 * MAX_TRIES]
    begin = max([0, *(seconds + 1 for seconds in known)])
    tries = range(begin, MAX_TRIES) if begin < MAX_TRIES else range(1)
    return ((first + timedelta(seconds=later)).strftime(_FORMAT) for later in tries)


def _seconds_after(first: datetime, version_ts: str) -> int:
    """Return the seconds from a time to the time of a version; a negative number if it is not a version."""
    try:
        return (datetime.strptime(version_ts, _FORMAT).replace(tzinfo=UTC) - first) // timedelta(seconds=1)
    except ValueError:
        return -1
