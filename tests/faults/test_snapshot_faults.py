"""A fault at any call that concerns a snapshot neither fails nor delays a run.

Only because of snapshots, a run lists the part files, reads the snapshot, and writes it after the outcome.
The tests inject every possible fault at each of these calls. Unless the fault kills the process, the run must
succeed in its first delivery, with the same result as without snapshots. The next run must succeed, too.
"""

from collections import Counter
from functools import cache

import obstore
import pytest

from metrics_worker.dataset import snapshots
from tests.builders import day, parquet, rows
from tests.edge import Call, nothing
from tests.faults.test_every_call import FAULTS, NO_HEARTBEATS, READS, Armed, Fault, Spot
from tests.world import World

PART_FILES = "datasets/fx/projections/"
METRIC = "metrics/m.a/current/manifest.json"


@pytest.fixture(autouse=True)
def _snapshots_of_few_part_files(monkeypatch):
    monkeypatch.setattr(snapshots, "MIN_PART_FILES", 2)
    monkeypatch.setattr(snapshots, "MIN_CHANGED", 1)


def replace_part_file(world: World, values: list[float]) -> None:
    """Replace the second part file of the series A, as an ingestor does when it updates a month.

    Args:
        world: the world with the bucket.
        values: the daily values in the new part file.
    """
    body = parquet(rows("A", [day(10 + n) for n in range(len(values))], values))
    obstore.put(world.cloud.store, f"{PART_FILES}A/month=2/data.parquet", body, use_multipart=False)


def a_first_run(world: World) -> None:
    world.request_run("m.a", "a-1")


def a_run_after_an_update(world: World) -> None:
    """Request a run of the series A and B after an update of A.

    The run replaces the snapshot of A, and only reads the snapshot of B.
    """
    a_first_run(world)
    world.deliver_all()
    replace_part_file(world, [8.0, 9.0])
    world.request_run("m.a", "a-2")


SCENARIOS = [a_first_run, a_run_after_an_update]


def is_of_snapshots(call: Call) -> bool:
    return call.operation == "LIST" or call.key.startswith("metrics/_snapshots/")


@cache
def calls_of(scenario) -> list[Spot]:
    with World.started(**NO_HEARTBEATS) as world:
        scenario(world)
        world.edge.calls.clear()
        world.deliver_all()
        world.check_all_succeeded()
        places = Counter(call.place for call in world.edge.calls if is_of_snapshots(call))
    return sorted((place, n + 1) for place, times in places.items() for n in range(times))


def result(world: World) -> tuple[dict[str, list[float]], object, int]:
    """Return the result that `current` names.

    Returns:
        A dict from the name of each column to its values, the inputs in the manifest, and the row count.
    """
    manifest = world.cloud.read_json(METRIC)
    table = world.cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")
    return table.replace_schema_metadata().to_pydict(), manifest["inputs"], manifest["row_count"]


@cache
def expected_of(scenario) -> tuple[dict[str, list[float]], object, int]:
    with World.started(**NO_HEARTBEATS, WORKER_SNAPSHOTS="off") as world:
        scenario(world)
        world.deliver_all()
        return result(world)


def meets(spot: Spot, fault: Fault) -> bool:
    operation = spot[0][0]
    return operation in fault.at or (operation == "LIST" and fault.at >= READS)


def deliver_once(world: World, spot: Spot, fault: Fault) -> None:
    """Deliver the next message with a fault at one call, and assert that the fault has occurred.

    Args:
        world: the world, in which a message waits.
        spot: the call at which the fault occurs, as in `Armed` (tests/faults/test_every_call.py).
        fault: the fault.
    """
    armed = Armed(spot, fault)
    if fault.after:
        world.edge.after = armed
    else:
        world.edge.before = armed
    world.deliver_next()
    world.edge.before = world.edge.after = nothing
    assert armed.injected_count, "the fault did not occur"


def test_the_scenarios_have_every_call_of_the_snapshot_path():
    operations = {
        (call[0], call[1].split("/")[1]) for scenario in SCENARIOS for call, _ in calls_of(scenario)
    }
    assert operations == {
        ("LIST", "fx"),
        ("GET", "_snapshots"),
        ("PUT", "_snapshots"),
        ("SWAP", "_snapshots"),
    }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_fault_of_a_snapshot_reaches_the_run(scenario, fault, record_testsuite_property):
    expected, chosen, injected = expected_of(scenario), FAULTS[fault], 0
    for spot in filter(lambda spot: meets(spot, chosen), calls_of(scenario)):
        with World.started(**NO_HEARTBEATS) as world:
            scenario(world)
            deliver_once(world, spot, chosen)
            if "killed" in fault:
                world.deliver_all()
            world.check_all_succeeded()
            assert not world.queue.messages, "the run succeeds in its first delivery"
            assert result(world) == expected, f"{fault} at {spot}"
            world.clock.advance(10)
            world.request_run("m.a", "a-later")
            world.deliver_all()
            world.check_all_succeeded()
            assert result(world) == expected, f"a run after {fault} at {spot}"
        injected += 1
    record_testsuite_property(f"snapshot_faults {scenario.__name__} {fault}", injected)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_part_file_that_changes_between_the_listing_and_its_read_is_read_as_it_is_then(number):
    """The run saves the new rows in the snapshot, with the new ETag of the part file.

    The next run therefore reads no part file of A.
    """
    with World.started(**NO_HEARTBEATS) as world:
        a_run_after_an_update(world)

        def change_before_read(call: Call) -> None:
            if call == Call("GET", f"{PART_FILES}A/month=2/data.parquet"):
                world.edge.before = nothing
                replace_part_file(world, [float(number)] * number)

        world.edge.before = change_before_read
        world.deliver_all()
        world.check_all_succeeded()
        assert world.edge.before is nothing
        changed = Call("GET", f"{PART_FILES}A/month=2/data.parquet")
        assert world.edge.calls.count(changed) == 1 + 2, "the first run, the refused request, the newer file"
        read = result(world)
        world.edge.calls.clear()
        world.clock.advance(10)
        world.request_run("m.a", "a-3")
        world.deliver_all()
        assert not [call for call in world.edge.calls if call.key.startswith(PART_FILES + "A/month")]
    with World.started(**NO_HEARTBEATS, WORKER_SNAPSHOTS="off") as world:
        a_first_run(world)
        replace_part_file(world, [float(number)] * number)
        world.deliver_all()
        assert result(world) == read


def test_a_part_file_that_changes_after_the_listing_and_is_not_read_is_read_by_the_next_run():
    """The run during which the part file changes takes the old rows from the snapshot."""
    with World.started(**NO_HEARTBEATS) as world:
        a_run_after_an_update(world)
        world.deliver_all()
        before = result(world)

        def change_after_listing(call: Call) -> None:
            if call == Call("GET", "metrics/m.a/current/manifest.json"):
                return
            if call.operation == "PUT" and call.key.endswith("metrics.parquet"):
                world.edge.before = nothing
                replace_part_file(world, [77.0])

        world.clock.advance(10)
        world.request_run("m.a", "a-3")
        world.edge.before = change_after_listing
        world.deliver_all()
        assert result(world) == before
        world.clock.advance(10)
        world.request_run("m.a", "a-4")
        world.deliver_all()
        world.check_all_succeeded()
        assert 77.0 / 2 in result(world)[0]["value"]


def test_the_snapshot_is_written_after_completed_and_once():
    with World.started(**NO_HEARTBEATS) as world:
        a_first_run(world)
        world.deliver_all()
        operations = [(call.operation, call.key.partition("-")[0]) for call in world.edge.calls]
        completed = operations.index(("PUBLISH", "metric_run_completed:a"))
        writes = [n for n, (operation, key) in enumerate(operations) if operation == "PUT" and "_snap" in key]
        assert len(writes) == 2
        assert min(writes) > completed
        assert operations[-1] == ("ANSWER", "")
