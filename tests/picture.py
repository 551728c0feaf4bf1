"""What can be seen from outside at one moment, in the bucket, on the topics and in the queues."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

type Json = dict[str, Any]

COMPLETED = "metric_run_completed"


@dataclass(frozen=True)
class Picture:
    """What can be seen from outside at one moment.

    Attributes:
        objects: bodies by key, of all that is under `metrics/`.
        messages: what SNS was given, in order, as the worker gave it.
        requested: metric by run, of all runs that were asked for so far.
        waiting: runs whose message is in the request queue, in flight or not.
        kept: runs whose message is kept as a dead letter.
    """

    objects: Mapping[str, bytes] = field(default_factory=dict)
    messages: Sequence[Json] = ()
    requested: Mapping[str, str] = field(default_factory=dict)
    waiting: Collection[str] = ()
    dead_letters: Collection[str] = ()

    def currents(self) -> Iterator[tuple[str, bytes]]:
        """Prefix of each metric that has a `current`, and what it says."""
        for metric in sorted(set(self.requested.values())):
            body = self.objects.get(f"metrics/{metric}/current/manifest.json")
            if body is not None:
                yield f"metrics/{metric}/", body

    def marker(self, run: str) -> Json | None:
        """What the run's commit record says."""
        body = self.objects.get(f"metrics/{self.requested[run]}/runs/{run}.ok")
        return None if body is None else parsed(body)

    @cached_property
    def _completed(self) -> dict[str, list[Json]]:
        by_run: dict[str, list[Json]] = {}
        for message in self.messages:
            event = event_of(message)
            if event["type"] == COMPLETED:
                by_run.setdefault(event["runId"], []).append(event)
        return by_run

    def completed(self, run: str) -> list[Json]:
        """The run's outcome, as often as it was published."""
        return self._completed.get(run, [])


def event_of(message: Json) -> Json:
    return parsed(message["Message"])


@cache
def parsed(body: bytes | str) -> Json:
    content: Json = json.loads(body)
    return content
