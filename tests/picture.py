"""A picture: the state of the bucket, the topics and the queues at one moment, which tests check."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

type Json = dict[str, Any]

COMPLETED = "metric_run_completed"


@dataclass(frozen=True)
class Picture:
    """The state at one moment that is visible to other systems.

    Attributes:
        objects: the body of each object under `metrics/`, by key.
        messages: the arguments of each publication to SNS, in order.
        requested: a dict from the id of each run that was requested so far to its metric code.
        waiting: the ids of runs whose message is in the request queue, in flight or not.
        dead_letters: the ids of runs whose message is in the dead-letter queue or is kept in the bucket.
    """

    objects: Mapping[str, bytes] = field(default_factory=dict)
    messages: Sequence[Json] = ()
    requested: Mapping[str, str] = field(default_factory=dict)
    waiting: Collection[str] = ()
    dead_letters: Collection[str] = ()

    def currents(self) -> Iterator[tuple[str, bytes]]:
        """Yield the key prefix of each metric that has a `current` manifest, with the manifest's bytes."""
        for metric in sorted(set(self.requested.values())):
            body = self.objects.get(f"metrics/{metric}/current/manifest.json")
            if body is not None:
                yield f"metrics/{metric}/", body

    def marker(self, run: str) -> Json | None:
        """Return the parsed marker of a run, or None if the run has no marker."""
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
        """Return the run's completed events in order; an event that was published twice occurs twice."""
        return self._completed.get(run, [])


def event_of(message: Json) -> Json:
    """Return the status event, parsed from JSON, of a recorded publication to SNS.

    Args:
        message: the arguments with which the worker called `publish` of SNS.
    """
    return parsed(message["Message"])


@cache
def parsed(body: bytes | str) -> Json:
    """Return the JSON object in a text. The result is cached, so the caller must not change it."""
    content: Json = json.loads(body)
    return content
