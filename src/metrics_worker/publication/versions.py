"""The choice of a run's version: the first second in UTC, from now on, that no other run of the metric has.

A run that tries a taken version pays for a refused PUT. `current` names a recent version, but it lags behind
runs in progress, and a late request does not move it. Therefore a process also remembers the versions that it
has written itself: of two processes that compute runs of one metric, each meets a version of the other once.
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
    """The newest version of each metric that this process has written. Several threads may use it."""

    _by_metric: dict[str, str] = field(default_factory=dict)

    def find(self, metric_code: str) -> str:
        """Return the newest version that this process has written; "" if none is known."""
        return self._by_metric.get(metric_code, "")

    def remember(self, metric_code: str, version_ts: str) -> None:
        """Store the version that a run of the metric has got. The number of stored metrics is limited."""
        if len(self._by_metric) >= _MAX_METRICS:
            self._by_metric.clear()
        self._by_metric[metric_code] = version_ts


def versions_to_try(newest: Iterable[str], now: datetime) -> Iterable[str]:
    """Return the versions that a run tries in turn, beginning after the newest known version.

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
