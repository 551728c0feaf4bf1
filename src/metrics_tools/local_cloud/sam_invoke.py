"""`make invoke`: SAM runs the built function in Lambda's own image, with the local cloud. It needs Docker.

Usage: `python -m metrics_tools.local_cloud.sam_invoke EVENT SAM`, after `sam build`. With `--check`, it only
tests whether Docker is running.

SAM passes to the function only variables that the template defines, so `--env-vars` cannot set
`AWS_ENDPOINT_URL`. Therefore this module writes the local values to a copy of the built template.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from metrics_tools import ecb
from metrics_tools.console import complain
from metrics_tools.local_cloud import ROOT, LocalError
from metrics_tools.local_cloud.cloud import LOOPBACK, Cloud, isolate_this_process, local_cloud
from metrics_tools.local_cloud.output import print_detail, print_step
from metrics_tools.local_cloud.run import LAST_EVENTS_SECONDS, load
from metrics_tools.local_cloud.status_listener import RunEvents, status_events
from metrics_tools.local_cloud.template import FUNCTION, Template
from metrics_tools.process_exit import run_and_exit
from metrics_tools.published.status_event import COMPLETED
from metrics_tools.request_files import EventFileError, read_samples

_LAYER = "PyArrowLayer"
_GATEWAY = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"


def docker_gateway() -> str:
    """Return the address of Docker's bridge network; raise a LocalError if no Docker daemon answers."""
    command = ["docker", "network", "inspect", "bridge", "--format", _GATEWAY]
    found = shutil.which("docker") and subprocess.run(command, capture_output=True, text=True, check=False)
    if not found or found.returncode:
        raise LocalError(
            "`make invoke` runs the function in Lambda's container image and needs a running Docker daemon, "
            "which was not found. `make run` needs none: it runs the handler in Lambda's runtime emulator."
        )
    return next(iter(found.stdout.split()), "172.17.0.1")


def reachable_hosts(gateway: str) -> tuple[str, str]:
    """Return the address on which the local cloud must listen, and the host name that containers must use.

    A container has its own loopback interface. On Linux, a container reaches this machine at the address of
    Docker's gateway. With Docker Desktop, containers reach this machine by a special host name.
    """
    try:
        with socket.create_server((gateway, 0)):
            return gateway, gateway
    except OSError:  # the address does not belong to this machine
        return LOOPBACK, "host.docker.internal"


def local_template(
    built: Mapping[str, Any], cloud: Cloud, template: Template, endpoint: str
) -> dict[str, Any]:
    """Return a copy of the built template in which the function uses the local cloud.

    Args:
        built: the template that `sam build` wrote, as JSON values.
        cloud: the local cloud.
        template: the template of the repository, for the settings of the function.
        endpoint: the URL at which a container reaches the local cloud.
    """
    copy = deepcopy(dict(built))
    function = copy["Resources"][FUNCTION]["Properties"]
    function["Architectures"] = [copy["Resources"][_LAYER]["Metadata"]["BuildArchitecture"]]
    variables = template.with_values(cloud.template_values()).function_variables()
    queue = cloud.request_queue.replace(cloud.endpoint, endpoint)
    local = {"AWS_ENDPOINT_URL": endpoint, "AWS_SQS_RUN_REQUEST_QUEUE_URL": queue}
    function["Environment"] = {"Variables": variables | local}
    return copy


def invoke(event: Path, *, sam: Path) -> int:
    """Invoke the built function with an event, and return an exit status.

    It is 0 if SAM and every run in the event succeed. Otherwise, it is the exit status of SAM or 1.

    Args:
        event: the path of the event, a JSON file.
        sam: the path of the program `sam`.

    Raises:
        LocalError: Docker is not running, or the function has not been built.
    """
    host, container_host = reachable_hosts(docker_gateway())
    samples = read_samples([event])
    built = ROOT / ".aws-sam" / "build" / "template.yaml"
    if not built.exists():
        raise LocalError(
            "The function has not been built: run `make build`, or `make invoke`, which builds it."
        )
    template, out = Template.read(ROOT / "template.yaml"), ROOT / "out"
    out.mkdir(exist_ok=True)
    with local_cloud(template, out / "cloud.log", host) as cloud:
        endpoint = cloud.endpoint.replace(host, container_host)
        print_step(f"The local cloud is running; containers reach it at {endpoint}")
        currencies = set[str]().union(*(sample.currencies for sample in samples)) & set(ecb.read_rates())
        load(sorted(currencies) or ["USD"], cloud)
        copy = built.with_name("template.local.json")
        body = local_template(Template.read(built).body, cloud, template, endpoint)
        copy.write_text(json.dumps(body, indent=1), encoding="utf-8")
        print_step("SAM runs the function in Lambda's image, which Docker downloads the first time")
        with status_events(cloud, lambda event: print_detail(json.dumps(event.event))) as events:
            command = [str(sam), "local", "invoke", FUNCTION, "--event", str(event), "--template", str(copy)]
            status = subprocess.run(command, check=False).returncode
            succeeded = [_has_succeeded(events[sample.run_id]) for sample in samples]
    return status or int(not all(succeeded))


def _has_succeeded(events: RunEvents) -> bool:
    """Wait up to `LAST_EVENTS_SECONDS` for the outcome of a run, and return whether it is SUCCESS."""
    deadline = time.monotonic() + LAST_EVENTS_SECONDS
    while not (completed := events.first(COMPLETED)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return completed is not None and completed.status == "SUCCESS"


def main(arguments: Sequence[str]) -> int:
    """Invoke the function with the given arguments of the command line, and return the exit status.

    Args:
        arguments: the path of an event and the path of the program `sam`; or only `--check`, which tests
            whether Docker is running.

    Returns:
        0 after a success; 1 after a printed error.
    """
    isolate_this_process()
    try:
        if arguments == ["--check"]:
            docker_gateway()
            return 0
        event, sam = map(Path, arguments)
        return invoke(event, sam=sam)
    except (EventFileError, LocalError) as error:
        complain(str(error))
        return 1


if __name__ == "__main__":
    run_and_exit(lambda: main(sys.argv[1:]))
