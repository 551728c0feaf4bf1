"""Functions that kill the process of the worker at a call, and check the state after that.

The processes are real: the handler runs in Lambda's Runtime Interface Emulator and calls a local AWS through
an HTTP proxy. At one call, the emulator and the runtime get SIGKILL, either before the proxy forwards the
call, or after the call has had its effect and before the worker gets the response. The message is then
delivered to a new process, and the state of the bucket and the topics is checked against every invariant of
`tests/invariants.py`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from threading import Condition
from urllib.parse import parse_qs, unquote

from metrics_tools.ecb import BUCKET
from metrics_tools.local_cloud.cloud import Cloud, client
from tests.builders import day, parquet, rows
from tests.faulty_proxy import REFUSED, Call, Fault
from tests.picture import Picture
from tests.processes import World

HOLD_SECONDS = 8
"""The longest time that a call is held: less than the S3 client's timeout, after which it would retry."""

MARKER = "metrics/{metric}/runs/{run}.ok"
CURRENT = "metrics/{metric}/current/manifest.json"
MANIFEST = "metrics/{metric}/{version}/manifest.json"
DATA = "metrics/{metric}/{version}/data/metrics.parquet"
PARTS = [f"{code}/month={month}/data.parquet" for code in "AB" for month in (1, 2)]
READS_OF_PARTS = [f"GET datasets/fx/projections/{part}" for part in PARTS]
FIRST_READ = READS_OF_PARTS[0]
HEARTBEAT = ["PUBLISH metric_run_heartbeat {run}", "ChangeMessageVisibility"]
COMPLETED = "PUBLISH metric_run_completed {run}"
CALLS = [
    f"GET {MARKER}",
    f"GET {CURRENT}",
    "PUBLISH metric_run_started {run}",
    "GET datasets/fx/versions/v1/manifest.json",
    *READS_OF_PARTS,
    *HEARTBEAT,
    f"PUT {DATA}",
    f"PUT {MANIFEST}",
    f"PUT {MARKER}",
    f"PUT {CURRENT}",
    COMPLETED,
]
"""The calls of a run, with its first heartbeat. Some calls are concurrent, so this is not an order."""
CALLS_ONCE_COMMITTED = [f"GET {MANIFEST}", f"PUT {CURRENT}", COMPLETED]
"""The calls of a redelivery of a committed run, without its reads of the marker and of `current`."""
NEVER = "no call has this name"


def with_an_effect(calls: Iterable[str]) -> list[str]:
    """Return those of the named calls that change the bucket, a topic or the queue.

    A read has no effect, so a kill just after a read leaves the same state as a kill just before it.
    """
    return [call for call in calls if not call.startswith("GET")]


def name_of(call: Call) -> str:
    """Return the name of an HTTP call from the worker to AWS, such as `PUT metrics/m/current/manifest.json`.

    The name contains the run id and the metric code, but `{version}` in place of a version.
    """
    if action := call.headers.get("x-amz-target"):
        return action.removeprefix("AmazonSQS.")
    if call.method == "POST":
        return name_of_event(parse_qs(call.body.decode())["Message"][0])
    return f"{call.method} {without_version(unquote(call.target).removeprefix(f'/{BUCKET}/'))}"


def name_of_event(message: str) -> str:
    event = json.loads(message)
    return f"PUBLISH {event['type']} {event['runId']}"


def without_version(key: str) -> str:
    return re.sub(r"/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d/", "/{version}/", key)


def of_run(name: str, run: str) -> str:
    """Return the name of a call of one run, such as `PUT metrics/m/runs/m-1.ok`.

    The run ids of these tests have the form `metric-number`, so the metric code follows from the run id.

    Args:
        name: an element of `CALLS`, with `{run}` and `{metric}` in place of the run id and the metric code.
        run: the run id.
    """
    return name.replace("{run}", run).replace("{metric}", metric_of(run))


def metric_of(run: str) -> str:
    return run.rpartition("-")[0]


class Death:
    """A decision function of the proxy (tests/faulty_proxy.py) that kills the Lambda function at one call.

    Earlier calls are forwarded, and later calls are refused.

    Args:
        world: the `World` (tests/processes.py) whose Lambda function is killed.
        at: the name of the fatal call; with `NEVER`, all calls pass.
        after: whether the fatal call has its effect before the kill.
        holds: a dict from the name of each call that is delayed to the names of the calls that must arrive
            before it.

    Attributes:
        arrived: the number of calls that have arrived at the proxy, by name.
    """

    def __init__(self, world: World, at: str, *, after: bool, holds: Mapping[str, set[str]]) -> None:
        self._world = world
        self._at = at
        self._after = after
        self._holds = holds
        self._changed = Condition()
        self._has_come = False
        self.arrived: Counter[str] = Counter()

    @property
    def has_come(self) -> bool:
        """Return whether the Lambda function was killed; if the kill is in progress, wait for its end."""
        with self._changed:
            return self._has_come

    def __call__(self, call: Call) -> Fault:
        name = name_of(call)
        with self._changed:
            self.arrived[name] += 1
            self._changed.notify_all()
            needed = self._holds.get(name, set())
            self._changed.wait_for(lambda: self._has_come or needed <= self.arrived.keys(), HOLD_SECONDS)
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


def put_a_and_b(cloud: Cloud) -> None:
    """Write the dataset fx with the series A and B.

    Each series has two part files with five daily observations.
    """
    s3 = client("s3", cloud.endpoint)
    for number, part in enumerate(PARTS):
        table = rows(part[0], [day(5 * (number % 2) + n) for n in range(1, 6)], [3.0] * 5)
        s3.put_object(Bucket=BUCKET, Key=f"datasets/fx/projections/{part}", Body=parquet(table))
    listed = json.dumps({"parquet_files": PARTS, "version_id": "v1"}).encode()
    s3.put_object(Bucket=BUCKET, Key="datasets/fx/versions/v1/manifest.json", Body=listed)


def request_run(world: World, *runs: str) -> None:
    for run in runs:
        world.request_run(metric_of(run), run)


def deliver_to(death: Death, world: World) -> bool:
    """Deliver the messages of the queue while `death` decides what happens to the calls of the function.

    Returns:
        Whether the function succeeded: it was not killed, and no message failed.
    """
    world.proxy.decide = death
    done = world.deliver()
    assert death.has_come != done
    world.proxy.forget()
    return done


def with_a_heartbeat(run: str) -> dict[str, set[str]]:
    """Return a dict for the argument `holds` of `Death`, which orders two calls of a run.

    The run's first read of a part file is delayed until a heartbeat of the run was published and has extended
    the visibility timeout.
    """
    return {FIRST_READ: {of_run(name, run) for name in HEARTBEAT}}


def kill(world: World, run: str, call: str, when: str) -> Picture:
    """Deliver the messages of the queue, kill the function at a call, and return the state after the kill.

    Args:
        world: the world, in which the message of the run waits.
        run: the run id.
        call: the name of the fatal call, as in `CALLS`.
        when: `before` if the fatal call must have no effect, `after` if it must have its effect.
    """
    before, fatal = world.picture, of_run(call, run)
    assert not deliver_to(Death(world, fatal, after=when == "after", holds=with_a_heartbeat(run)), world)
    dead = world.observe()
    landed = {key for key, body in dead.objects.items() if before.objects.get(key) != body}
    effects = {f"PUT {without_version(key)}" for key in landed}
    effects |= {name_of_event(message["Message"]) for message in dead.messages[len(before.messages) :]}
    if call.startswith(("PUT", "PUBLISH")):
        assert (fatal in effects) == (when == "after")
    return dead


def assert_the_next_delivery_ends_the_run(world: World, run: str, dead: Picture) -> None:
    """Assert that the next delivery of a killed run ends the run with SUCCESS.

    The delivery after that must repeat only the completed event. Neither of the two deliveries may add an
    unreferenced version.

    Args:
        world: the world, in which the message of the run waits.
        run: the run id.
        dead: the state after the kill.
    """
    assert world.deliver(delete=False)
    ended = world.observe()
    assert {event["status"] for event in ended.completed(run)} == {"SUCCESS"}
    assert unreferenced(ended) == unreferenced(dead)
    assert len(unreferenced(dead)) <= 1

    assert world.deliver(), "a message whose response Lambda did not get is redelivered"
    world.check_all_succeeded()
    assert world.picture.objects == ended.objects
    assert len(world.picture.completed(run)) == len(ended.completed(run)) + 1


def unreferenced(picture: Picture) -> set[str]:
    """Return `metric/version` of each version that has objects but that no marker names."""
    found = {tuple(key.split("/")[1:3]) for key in picture.objects}
    markers = [marker for run in picture.requested if (marker := picture.marker(run))]
    named = {(marker["metric_code"], marker["version_ts"]) for marker in markers}
    return {"/".join(version) for version in found - named if version[1] not in {"current", "runs"}}
