"""`make invoke`: the steps before the container starts. The container needs Docker and is not tested."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from metrics_tools.local_cloud import LocalError
from metrics_tools.local_cloud.cloud import Cloud, local_cloud, message_count
from metrics_tools.local_cloud.sam_invoke import docker_gateway, local_template, reachable_hosts
from metrics_tools.local_cloud.template import Template
from tests.infrastructure.stack import ROOT, TEMPLATE

CLOUD = Cloud(
    endpoint="http://127.0.0.1:5000",
    request_topic="arn:requests",
    request_queue="http://127.0.0.1:5000/1/requests.fifo",
    request_queue_arn="arn:queue",
    dead_letter_queue="http://127.0.0.1:5000/1/dead.fifo",
    dead_letter_queue_arn="arn:dead",
    started_topic="arn:started",
    heartbeat_topic="arn:heartbeat",
    completed_topic="arn:completed",
    status_queue="http://127.0.0.1:5000/1/status.fifo",
)


def test_without_docker_the_error_explains_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"needs a running Docker daemon.*make run"):
        docker_gateway()


def test_a_docker_daemon_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(LocalError):
        docker_gateway()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, Docker runs in a virtual machine")
def test_a_container_reaches_the_local_cloud_at_the_address_of_the_gateway(tmp_path: Path) -> None:
    # All of 127.0.0.0/8 are addresses of this machine, as the gateway of Docker's bridge is on Linux.
    gateway = "127.0.0.2"
    assert reachable_hosts(gateway) == (gateway, gateway)
    template = Template.read(ROOT / "template.yaml")
    with local_cloud(template, tmp_path / "cloud.log", gateway) as cloud:
        assert urlsplit(cloud.endpoint).hostname == gateway
        assert cloud.request_queue.startswith(cloud.endpoint)
        assert message_count(cloud, cloud.request_queue) == 0


def test_a_container_of_docker_desktop_uses_its_name_for_this_machine() -> None:
    # 192.0.2.0/24 is reserved for documentation (RFC 5737). Like the gateway of Docker Desktop's virtual
    # machine, it is not an address of this machine.
    assert reachable_hosts("192.0.2.1") == ("127.0.0.1", "host.docker.internal")


def test_the_function_gets_the_addresses_of_the_local_cloud() -> None:
    built = TEMPLATE | {"Resources": dict(TEMPLATE["Resources"])}
    layer = built["Resources"]["PyArrowLayer"]
    built["Resources"]["PyArrowLayer"] = layer | {"Metadata": {"BuildArchitecture": "arm64"}}
    copy = local_template(built, CLOUD, Template.read(ROOT / "template.yaml"), "http://172.17.0.1:6000")
    function = copy["Resources"]["MetricsWorkerFunction"]["Properties"]
    variables = function["Environment"]["Variables"]
    assert variables["AWS_ENDPOINT_URL"] == "http://172.17.0.1:6000"
    assert variables["AWS_SQS_RUN_REQUEST_QUEUE_URL"] == "http://172.17.0.1:6000/1/requests.fifo"
    assert variables["AWS_SNS_METRIC_RUN_COMPLETED_TOPIC_ARN"] == "arn:completed"
    assert all(isinstance(value, str) for value in variables.values())
    assert function["Architectures"] == ["arm64"]
