"""`make invoke`: SAM runs the built function in Lambda's own image, against the local cloud. It needs Docker.

Usage: `python -m metrics_tools.local_cloud.sam_invoke EVENT SAM`, after `sam build`. With `--check`, it only
tests whether Docker is running.

A container cannot use the local cloud without two changes. SAM passes only the variables that a template
defines, so `--env-vars` cannot set `AWS_ENDPOINT_URL`: the local values are written into a copy of the built
template. And a container has its own loopback interface: with Docker on Linux it reaches this machine at the
address of Docker's bridge (`reachable`), and Docker Desktop has a host name for it.
"""

import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from metrics_tools.local_cloud import ecb
from metrics_tools.local_cloud.cloud import Cloud, isolated, local_cloud
from metrics_tools.local_cloud.ending import run_and_exit
from metrics_tools.local_cloud.errors import LocalError
from metrics_tools.local_cloud.events_heard import COMPLETED, Ear
from metrics_tools.local_cloud.samples import Sample, read_samples
from metrics_tools.local_cloud.template import FUNCTION, Template
from metrics_tools.local_cloud.terminal import Terminal

_ROOT = Path(__file__).resolve().parents[3]
_LAYER = "PyArrowLayer"
_LAST_EVENTS_SECONDS = 5.0
_LOCAL_TEMPLATE = "template.local.json"
_GATEWAY = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
_CHUNK = 65_536


class _Forward(socketserver.BaseRequestHandler):
    """One connection, forwarded to a port of loopback until either side ends."""

    server: "_Bridge"

    def handle(self) -> None:
        """Copy both ways."""
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            back = threading.Thread(target=_copy, args=(target, self.request), daemon=True)
            back.start()
            _copy(self.request, target)
            back.join()


class _Bridge(socketserver.ThreadingTCPServer):
    """Listens on one address of this machine that containers reach, and forwards to `target` on loopback."""

    daemon_threads = True

    def __init__(self, address: str, target: int) -> None:
        super().__init__((address, 0), _Forward)
        self.target = target


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # the other side has hung up: so do we
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def reachable(endpoint: str, gateway: str) -> Iterator[str]:
    """The same server as `endpoint`, a URL on loopback, by a URL that a container can use.

    Args:
        endpoint: on this machine's loopback.
        gateway: the address of Docker's bridge network on the machine that runs the daemon.
    """
    port = urlsplit(endpoint).port
    assert port is not None
    try:
        bridge = _Bridge(gateway, port)
    except OSError:  # no address of this machine: the daemon is in a virtual machine of Docker Desktop
        yield f"http://host.docker.internal:{port}"
        return
    with bridge:
        threading.Thread(target=bridge.serve_forever, daemon=True).start()
        yield f"http://{gateway}:{bridge.server_address[1]}"
        bridge.shutdown()


def docker_gateway() -> str:
    """The address of Docker's bridge network.

    Raises:
        LocalError: there is no Docker, or its daemon does not answer.
    """
    command = ["docker", "network", "inspect", "bridge", "--format", _GATEWAY]
    found = shutil.which("docker") and subprocess.run(command, capture_output=True, text=True, check=False)
    if not found or found.returncode:
        raise LocalError(
            "`make invoke` runs the function in Lambda's container image and needs a running Docker daemon: "
            "there is none here. `make run` needs none: it runs the handler in Lambda's runtime emulator."
        )
    return next(iter(found.stdout.split()), "172.17.0.1")


def local_template(
    built: Mapping[str, Any], cloud: Cloud, template: Template, endpoint: str
) -> dict[str, Any]:
    """The built template with the local cloud's values as the function's environment.

    Args:
        built: what `sam build` wrote; the architecture it was built for stands in the layer's metadata.
        cloud: the local cloud.
        template: template.yaml.
        endpoint: the local cloud, as a container reaches it.
    """
    variables = template.given(cloud.template_values()).environment()
    queue = cloud.request_queue.replace(cloud.endpoint, endpoint)
    variables |= {"AWS_ENDPOINT_URL": endpoint, "AWS_SQS_RUN_REQUEST_QUEUE_URL": queue}
    copy: dict[str, Any] = json.loads(json.dumps(built))
    function = copy["Resources"][FUNCTION]["Properties"]
    function["Environment"] = {"Variables": variables}
    function["Architectures"] = [copy["Resources"][_LAYER]["Metadata"]["BuildArchitecture"]]
    return copy


def invoke(event: Path, sam: Path, terminal: Terminal) -> int:
    """Invoke the built function with an event; 0 where its runs ended in SUCCESS.

    Raises:
        LocalError: there is no Docker, or nothing was built.
    """
    gateway = docker_gateway()
    samples = read_samples([event])
    built = _ROOT / ".aws-sam" / "build" / "template.yaml"
    if not built.exists():
        raise LocalError("Nothing is built yet: `make build` (or `make invoke`, which builds first).")
    template, rates = Template.read(_ROOT / "template.yaml"), ecb.read_rates()
    out = _ROOT / "out"
    out.mkdir(exist_ok=True)
    with local_cloud(template, out / "cloud.log") as cloud, reachable(cloud.endpoint, gateway) as endpoint:
        terminal.step(f"The local cloud listens; containers reach it at {endpoint}")
        currencies = set[str]().union(*(sample.currencies for sample in samples)) & set(rates)
        ecb.load(rates, sorted(currencies) or ["USD"], cloud.endpoint)
        copy = built.with_name(_LOCAL_TEMPLATE)
        body = local_template(Template.read(built).body, cloud, template, endpoint)
        copy.write_text(json.dumps(body, indent=1), encoding="utf-8")
        terminal.step("SAM runs the function in Lambda's image (the first time, Docker fetches that)")
        with Ear(cloud, lambda heard: terminal.line(f"         {json.dumps(heard.event)}")) as ear:
            command = [str(sam), "local", "invoke", FUNCTION, "--event", str(event), "--template", str(copy)]
            status = subprocess.run(command, check=False).returncode
            ended = [_completed(ear, sample) for sample in samples]
    return status or int(not all(ended))


def _completed(ear: Ear, sample: Sample) -> bool:
    """Whether a run's SUCCESS is heard, or was while the last events arrived."""
    give_up = time.monotonic() + _LAST_EVENTS_SECONDS
    while not (heard := ear.story(sample.run_id).first(COMPLETED)) and time.monotonic() < give_up:
        time.sleep(0.1)
    return heard is not None and heard.event["status"] == "SUCCESS"


def main(arguments: Sequence[str]) -> int:
    """`EVENT SAM`: the request's file, and the SAM CLI; or `--check`: is there Docker? The exit status."""
    environment = isolated(os.environ)  # also for the clients of this process
    os.environ.clear()
    os.environ.update(environment)
    terminal = Terminal()
    try:
        if arguments == ["--check"]:
            docker_gateway()
            return 0
        event, sam = map(Path, arguments)
        return invoke(event, sam, terminal)
    except LocalError as error:
        terminal.line(terminal.styled(str(error), "red"))
        return 1


if __name__ == "__main__":
    run_and_exit(lambda: main(sys.argv[1:]))
