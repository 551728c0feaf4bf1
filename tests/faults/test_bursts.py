"""In a burst of runs of one metric, a run finds its version name taken at most once, on average.

S3 refuses the PUT of a data file if another run has already written a version with this name, so the tests
count refused PUTs. The workers take turns at every call to S3, in random orders that a seed determines.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import numpy as np
import pytest

from metrics_worker.errors import StoreUnavailable
from metrics_worker.publication.commit import Draft, commit
from metrics_worker.publication.current import move_current, read_state, version_of
from metrics_worker.publication.records import Keys
from metrics_worker.publication.versions import MAX_TRIES, NewestVersions
from metrics_worker.request import Run
from metrics_worker.series import Series
from tests.builders import NOW, Cloud
from tests.edge import Edge, EdgeStore, nothing
from tests.turns import Turns
from tests.world import World

KEYS = Keys("metrics/m/")
SERIES = Series(np.arange(2, dtype=np.int64), np.array([1.0, 2.0]))
STEP_SECONDS = 0.01
ORDERS: dict[str, list[Sequence[int]]] = {
    "alternating requests": [range(0, 40, 2), range(1, 40, 2)],
    "older and newer requests": [range(20), range(20, 40)],
    "newest request first": [range(39, 19, -1), range(19, -1, -1)],
    "the same request time": [[5] * 20, [5] * 20],
}


def favour(name: str) -> Callable[[random.Random, Sequence[str]], str]:
    """Return a function that chooses the next worker: at random, but one worker ten times as often.

    The function takes a random generator and the names of the workers that can make a step. It returns one of
    these names.

    Args:
        name: the name of the worker that is chosen more often.
    """
    return lambda chance, names: name if name in names and chance.random() < 10 / 11 else names[-1]


CHOICES = {
    "equal": lambda chance, names: chance.choice(names),
    "one is faster": favour("one"),
    "other is faster": favour("other"),
    "one after the other": lambda _, names: names[0],
}


@pytest.fixture
def edge(monkeypatch) -> Edge:
    edge = Edge()
    monkeypatch.setattr("metrics_worker.s3.s3_bucket.obstore", EdgeStore(edge))
    return edge


def compute(cloud: Cloud, run: Run, newest: NewestVersions) -> str:
    """Write a version, commit the run and move `current`, as the worker does.

    Args:
        cloud: the fake cloud.
        run: the run.
        newest: the newest versions that the process remembers, which are updated.

    Returns:
        The timestamp of the version.
    """
    state = read_state(cloud.bucket, KEYS, run)
    known = (version_of(state.current), newest.find("m"))
    draft = Draft(run, KEYS, SERIES, {}, [], "snappy", newest=known)
    committed = commit(cloud.bucket, draft, cloud.now, lambda: None)
    newest.remember("m", committed.marker.version_ts)
    move_current(cloud.bucket, KEYS, committed, state)
    return committed.marker.version_ts


def times() -> Iterator[datetime]:
    """Yield the times of the workers' clock without end: from `NOW` on, `STEP_SECONDS` apart."""
    for step in count():
        yield NOW + timedelta(seconds=STEP_SECONDS * step)


def work(cloud: Cloud, name: str, seconds: Iterable[int], versions: list[str]) -> None:
    """Compute one run of the metric after another, as one process of the worker does.

    Args:
        cloud: the fake cloud.
        name: the name of the worker, with which the run ids begin.
        seconds: the time of each run's request, in seconds after a fixed time.
        versions: the list to which the version of each run is added.
    """
    newest = NewestVersions()
    for number, second in enumerate(seconds):
        at = NOW + timedelta(seconds=second - 99)
        run = Run(f"{name}-{number}", "m", v1=False, requested_at=at, event={})
        versions.append(compute(cloud, run, newest))


def taken_versions(edge: Edge, runs: int) -> int:
    """Return how many PUTs of data files S3 refused because the version name was taken.

    These are all PUTs of data files except one for each run.

    Args:
        edge: the edge, which has recorded the calls.
        runs: the number of runs, each of which has succeeded.
    """
    return sum(call.operation == "PUT" and call.key.endswith(".parquet") for call in edge.calls) - runs


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("order", ORDERS)
def test_runs_of_two_workers_meet_at_most_one_taken_version_each(order, choice, edge):
    for seed in range(3):
        chance = random.Random(seed)
        versions: list[str] = []
        edge.calls.clear()
        cloud = Cloud(now=partial(next, times()))
        requested = zip(("one", "other"), ORDERS[order], strict=True)
        workers = {name: partial(work, cloud, name, seconds, versions) for name, seconds in requested}
        turns = Turns(edge, workers, dict.fromkeys(workers, frozenset()))
        try:
            while turns.pending:
                turns.let_step(CHOICES[choice](chance, sorted(turns.pending)))
        finally:
            turns.stop()
            edge.before = nothing
        assert len(set(versions)) == len(versions) == 40
        assert taken_versions(edge, 40) <= 40


def test_late_requests_meet_no_version_of_the_same_worker():
    """Late requests do not move `current`, so the worker must remember the versions that it has written."""
    with World.started(WORKER_HEARTBEAT_ENABLED="false") as world:
        world.request_run("m.a", "newest")
        world.deliver_all()
        world.edge.calls.clear()
        for number in range(25):
            world.request_run("m.a", f"late-{number}", seconds_ago=999 - number)
        world.deliver_all()
        world.check_all_succeeded()
        assert taken_versions(world.edge, 25) == 0


def test_a_run_tries_one_version_if_all_are_known_to_be_taken(edge):
    cloud, newest = Cloud(), NewestVersions()
    runs = [Run(f"r-{n}", "m", v1=False, requested_at=NOW, event={}) for n in range(MAX_TRIES + 1)]
    for run in runs[:-1]:
        compute(cloud, run, newest)
    assert taken_versions(edge, MAX_TRIES) == 0
    with pytest.raises(StoreUnavailable, match="no free version"):
        compute(cloud, runs[-1], newest)
    assert taken_versions(edge, MAX_TRIES) == 1
