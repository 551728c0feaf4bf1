"""The worker's process killed before and after each call of a run: the next delivery brings it to its end.

Processes are real here: the handler runs in Lambda's Runtime Interface Emulator, and between it and a local
AWS that speaks HTTP is a proxy. At one call emulator and runtime get SIGKILL: before the call is let through,
or when it has had its effect and its answer is not back. A new process is given the message again, and what
is seen in the bucket and on the topics is held against every promise of `tests/invariants.py`. All calls of
a run are here, each part file's and a heartbeat's too; which they are is a test of its own.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from threading import Condition
from urllib.parse import parse_qs, unquote

import pytest

from metrics_tools.local_cloud.cloud import BUCKET, Cloud, client, local_cloud
from metrics_tools.local_cloud.emulator import function_environment
from metrics_tools.local_cloud.template import Template
from tests.builders import day, parquet, rows
from tests.faulty_proxy import REFUSED, Call, Fault
from tests.picture import Picture
from tests.processes import ROOT, Lambda, LandingProxy, World

HOLD_SECONDS = 8
"""The longest that a call is held: less than the S3 client's patience, after which it would ask again."""

MARKER = "metrics/{metric}/runs/{run}.ok"
CURRENT = "metrics/{metric}/current/manifest.json"
MANIFEST = "metrics/{metric}/{version}/manifest.json"
DATA = "metrics/{metric}/{version}/data/metrics.parquet"
PARTS = [f"{code}/month={month}/data.parquet" for code in "AB" for month in (1, 2)]
FIRST_READ = f"GET datasets/fx/projections/{PARTS[0]}"
HEARTBEAT = ["PUBLISH metric_run_heartbeat {run}", "ChangeMessageVisibility"]
COMPLETED = "PUBLISH metric_run_completed {run}"
CALLS = [
    f"GET {MARKER}",
    f"GET {CURRENT}",
    "PUBLISH metric_run_started {run}",
    "GET datasets/fx/versions/v1/manifest.json",
    *(f"GET datasets/fx/projections/{part}" for part in PARTS),
    *HEARTBEAT,
    f"PUT {DATA}",
    f"GET {DATA}",
    f"PUT {MANIFEST}",
    f"PUT {MARKER}",
    f"PUT {CURRENT}",
    COMPLETED,
]
"""Of a run, with the first of its heartbeats. Some are side by side, so this is no order."""
CALLS_ONCE_COMMITTED = [f"GET {MANIFEST}", f"PUT {CURRENT}", COMPLETED]
"""Those of a redelivery that only has to go on, beside the two looks at how things stand."""
NEVER = "no call has this name"


def name_of(call: Call) -> str:
    """A call's name as in `CALLS`, with its run and metric."""
    if action := call.headers.get("x-amz-target"):
        return action.removeprefix("AmazonSQS.")
    if call.method == "POST":
        return name_of_event(parse_qs(call.body.decode())["Message"][0])
    return f"{call.method} {whatever_the_version(unquote(call.target).removeprefix(f'/{BUCKET}/'))}"


def name_of_event(message: str) -> str:
    event = json.loads(message)
    return f"PUBLISH {event['type']} {event['runId']}"


def whatever_the_version(key: str) -> str:
    return re.sub(r"/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d/", "/{version}/", key)


def of_run(name: str, run: str) -> str:
    """A call's name with a run, and its metric, in it. Runs are named for their metric here."""
    return name.replace("{run}", run).replace("{metric}", metric_of(run))


def metric_of(run: str) -> str:
    return run.rpartition("-")[0]


class Death:
    """Decides what becomes of the calls of a delivery: they pass until one is fatal, and none does after it.

    Args:
        world: whose function dies.
        at: name of the fatal call; with `NEVER` all pass.
        after: the fatal call has its effect.
        holds: which calls, the fatal one as well, wait until which others are met.
    """

    def __init__(self, world: World, at: str, *, after: bool, holds: Mapping[str, set[str]]) -> None:
        self._world = world
        self._at = at
        self._after = after
        self._holds = holds
        self._changed = Condition()
        self._has_come = False
        self.met: Counter[str] = Counter()

    @property
    def has_come(self) -> bool:
        """Known when the last process has ended: until then this waits, as other calls do."""
        with self._changed:
            return self._has_come

    def __call__(self, call: Call) -> Fault:
        name = name_of(call)
        with self._changed:
            self.met[name] += 1
            self._changed.notify_all()
            needed = self._holds.get(name, set())
            self._changed.wait_for(lambda: self._has_come or needed <= self.met.keys(), HOLD_SECONDS)
            if self._has_come:
                return REFUSED
            if name != self._at:
                return self._world.proxy.let_through(call)
            if self._after:
                self._world.proxy.forward(call)
            self._world.function.kill()
            self._has_come = True
            self._changed.notify_all()
            return REFUSED


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory) -> Iterator[tuple[Cloud, LandingProxy, Lambda]]:
    folder = tmp_path_factory.mktemp("killed")
    template = Template.read(ROOT / "template.yaml").with_values({"DeliveryDelay": "0", "StatusGap": "0"})
    with local_cloud(template, folder / "aws.log") as cloud, LandingProxy(cloud.endpoint) as proxy:
        put_a_and_b(cloud)
        environment = {
            **function_environment(cloud, template, ROOT),
            "AWS_ENDPOINT_URL": proxy.url,
            "WORKER_HEARTBEAT_INTERVAL_SECONDS": "0.05",
        }
        function = Lambda(environment, folder / "worker.log")
        yield cloud, proxy, function
        function.close()
        assert function.processes() == []


def put_a_and_b(cloud: Cloud) -> None:
    """Two series of two part files, five days each."""
    s3 = client("s3", cloud.endpoint)
    for number, part in enumerate(PARTS):
        table = rows(part[0], [day(5 * (number % 2) + n) for n in range(1, 6)], [3.0] * 5)
        s3.put_object(Bucket=BUCKET, Key=f"datasets/fx/projections/{part}", Body=parquet(table))
    listed = json.dumps({"parquet_files": PARTS, "version_id": "v1"}).encode()
    s3.put_object(Bucket=BUCKET, Key="datasets/fx/versions/v1/manifest.json", Body=listed)


@pytest.fixture
def world(surroundings) -> Iterator[World]:
    world = World(*surroundings)
    yield world
    world.forget()


def ask(world: World, *runs: str) -> None:
    for run in runs:
        world.ask(metric_of(run), run)


def deliver_to(death: Death, world: World) -> bool:
    """A delivery that may be deadly; whether all of it is done."""
    world.proxy.decide = death
    done = world.deliver()
    assert death.has_come != done
    world.proxy.forget()
    return done


def with_a_heartbeat(run: str) -> dict[str, set[str]]:
    """What makes sure that there is one: a read waits for it."""
    return {FIRST_READ: {of_run(name, run) for name in HEARTBEAT}}


def kill(world: World, run: str, call: str, when: str) -> Picture:
    """A delivery that dies at a call, which has its effect or not; what can be seen then."""
    before, fatal = world.picture, of_run(call, run)
    assert not deliver_to(Death(world, fatal, after=when == "after", holds=with_a_heartbeat(run)), world)
    dead = world.look()
    landed = {key for key, body in dead.objects.items() if before.objects.get(key) != body}
    effects = {f"PUT {whatever_the_version(key)}" for key in landed}
    effects |= {name_of_event(message["Message"]) for message in dead.messages[len(before.messages) :]}
    if call.startswith(("PUT", "PUBLISH")):
        assert (fatal in effects) == (when == "after")
    return dead


def the_next_delivery_ends(world: World, run: str, dead: Picture) -> None:
    """With a SUCCESS and not a version more than that takes; and one more says the same and does nothing."""
    assert world.deliver(delete=False)
    ended = world.look()
    assert {event["status"] for event in ended.completed(run)} == {"SUCCESS"}
    assert unreferenced(ended) == unreferenced(dead)
    assert len(unreferenced(dead)) <= 1

    assert world.deliver(), "as Lambda does where it has not heard the answer"
    world.check_all_succeeded()
    assert world.picture.objects == ended.objects
    assert len(world.picture.completed(run)) == len(ended.completed(run)) + 1


def unreferenced(picture: Picture) -> set[str]:
    """Versions of which there is something, and that no marker names; with their metric."""
    found = {tuple(key.split("/")[1:3]) for key in picture.objects}
    markers = [marker for run in picture.asked if (marker := picture.marker(run))]
    named = {(marker["metric_code"], marker["version_ts"]) for marker in markers}
    return {"/".join(version) for version in found - named if version[1] not in {"current", "runs"}}


def test_these_are_all_the_calls_of_a_run(world):
    ask(world, "m.alive-1")
    life = Death(world, NEVER, after=False, holds=with_a_heartbeat("m.alive-1"))
    assert deliver_to(life, world)
    world.check_all_succeeded()
    assert life.met.keys() == {of_run(name, "m.alive-1") for name in CALLS}
    once = life.met.keys() - {of_run(name, "m.alive-1") for name in HEARTBEAT}
    assert {life.met[name] for name in once} == {1}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_a_run_that_is_killed_at_a_call_is_ended_by_the_next_delivery(call, when, world):
    run = f"m.{CALLS.index(call)}.{when}-1"
    ask(world, run)
    dead = kill(world, run, call, when)
    the_next_delivery_ends(world, run, dead)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS_ONCE_COMMITTED)
def test_a_committed_run_that_is_killed_again_while_it_goes_on_is_ended_by_the_next(call, when, world):
    run = f"m.committed.{CALLS_ONCE_COMMITTED.index(call)}.{when}-1"
    ask(world, run)
    committed = kill(world, run, f"PUT {MARKER}", "after")
    dead = kill(world, run, call, when)
    assert dead.marker(run) == committed.marker(run)
    the_next_delivery_ends(world, run, dead)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_as_it_moves_current_on_from_another_is_ended_by_the_next_delivery(when, world):
    metric = f"m.moved.{when}"
    ask(world, f"{metric}-1")
    assert world.deliver()
    world.check_all_succeeded()
    ask(world, f"{metric}-2")
    dead = kill(world, f"{metric}-2", f"PUT {CURRENT}", when)
    the_next_delivery_ends(world, f"{metric}-2", dead)
    current = json.loads(world.picture.objects[of_run(CURRENT, f"{metric}-2")])
    assert current["run_id"] == f"{metric}-2"


def test_a_batch_that_is_killed_in_its_middle_is_ended_group_by_group(world):
    """One group is done, one is about to commit, one about to write."""
    runs = done, committing, writing = "m.batch.a-1", "m.batch.b-1", "m.batch.c-1"
    ask(world, *runs)
    marker, data = of_run(f"PUT {MARKER}", committing), of_run(f"PUT {DATA}", writing)
    holds = {marker: {of_run(COMPLETED, done), data}, data: {NEVER}}
    assert not deliver_to(Death(world, marker, after=False, holds=holds), world)
    dead = world.look()
    assert [dead.marker(run) is not None for run in runs] == [True, False, False]
    (left,) = unreferenced(dead)
    assert left.startswith(f"{metric_of(committing)}/")

    assert world.deliver()

    world.check_all_succeeded()
    assert unreferenced(world.picture) == {left}
    assert [len(world.picture.completed(run)) for run in (committing, writing)] == [1, 1]
