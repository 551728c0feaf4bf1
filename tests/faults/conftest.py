"""Fixtures: the count of interleavings, and the processes of the worker that is killed (see `killing`)."""

from collections import Counter
from collections.abc import Iterator

import pytest

from metrics_tools.local_cloud.cloud import Cloud, local_cloud
from metrics_tools.local_cloud.emulator import function_environment
from metrics_tools.local_cloud.template import Template
from tests.faults.killing import put_a_and_b
from tests.processes import ROOT, Lambda, LandingProxy, World


@pytest.fixture(scope="module")
def interleavings(record_testsuite_property):
    """Count the executed orders by scenario, and add their total to the test report."""
    counted: Counter[str] = Counter()
    yield counted
    record_testsuite_property("interleavings", counted.total())


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[tuple[Cloud, LandingProxy, Lambda]]:
    """Yield a local AWS with a dataset, a proxy to it, and the function that calls the proxy."""
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


@pytest.fixture
def world(processes) -> Iterator[World]:
    """Yield a world without runs."""
    world = World(*processes)
    yield world
    world.forget()
