"""Fixtures of the fault tests: a counter of executed orders, and a worker that runs in real processes.

The tests kill these processes with the helpers in tests/faults/killing.py.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from metrics_tools.local_cloud.cloud import Cloud, local_cloud
from metrics_tools.local_cloud.emulator import function_environment
from metrics_tools.local_cloud.template import Template
from tests.faults.killing import put_a_and_b, request_run
from tests.faults.killing_snapshots import Expected, expected_results
from tests.processes import ROOT, Lambda, LandingProxy, World


@pytest.fixture(scope="module")
def interleavings(record_testsuite_property) -> Iterator[Counter[str]]:
    """Yield a counter: for each scenario, by its name, the number of executed orders of the workers' steps.

    The tests of a module add to the counter. After them, the total is added to the test report.
    """
    counted: Counter[str] = Counter()
    yield counted
    record_testsuite_property("interleavings", counted.total())


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[tuple[Cloud, LandingProxy, Lambda]]:
    """Yield a local AWS with a dataset, a proxy to that AWS, and the Lambda function, which uses the proxy.

    The function has already completed a run, because a first run also imports boto3. On a busy machine, this
    import could take longer than `Death` (killing.py) delays a call until the run's first heartbeat.
    """
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
        world = World(cloud, proxy, function)
        request_run(world, "m.first-1")
        assert world.deliver()
        world.check_all_succeeded()
        world.forget()
        yield cloud, proxy, function
        function.close()
        assert function.processes() == []


@pytest.fixture
def world(processes) -> Iterator[World]:
    """Yield the `World` (tests/processes.py) in which a test requests and delivers runs; it has no runs yet.

    When the test has ended, remove the messages and the recorded calls that the test left.
    """
    world = World(*processes)
    yield world
    world.forget()


@pytest.fixture(scope="module")
def snapshots(processes) -> Expected:
    """Run the worker without kills, and return the snapshots and the data that it writes for a series.

    The tests compare these results with those of killed runs.
    """
    world = World(*processes)
    expected = expected_results(world)
    world.forget()
    return expected
