"""The worker in AWS's own Lambda Runtime Interface Emulator, with the runtime client that Lambda uses.

The emulator is a program that the SAM CLI brings along, so no Docker is needed. It starts the function at the
first invocation and answers HTTP 200 even when the function raises or times out, so the body tells. Two
invocations at once end it, hence the lock. The function's log goes to a file.

The emulator is a Linux program. Elsewhere, or with `EMULATOR=off`, the real handler runs in a process of its
own without it (`direct`).
"""

import http.client
import json
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metrics_tools.local_cloud.cloud import Cloud
from metrics_tools.local_cloud.errors import LocalError
from metrics_tools.local_cloud.event_source import InvocationError
from metrics_tools.local_cloud.leash import leashed
from metrics_tools.local_cloud.template import FUNCTION, Template

HANDLER = "metrics_worker.handler.lambda_handler"
EMULATOR = "EMULATOR"
"""The environment variable that switches the emulator off."""
_DIRECT = Path(__file__).with_name("direct.py")
_INVOCATIONS = "/2015-03-31/functions/function/invocations"
_START_SECONDS = 10
_BUILDS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class Emulator:
    """The function, to be invoked at an address of loopback."""

    def __init__(self, port: int, timeout: float) -> None:
        self._port = port
        self._timeout = timeout
        self._one_at_a_time = threading.Lock()

    def invoke(self, event: dict[str, Any]) -> Any:
        """Invoke the function; its answer.

        Raises:
            InvocationError: it raised, timed out, or did not start.
        """
        with self._one_at_a_time:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
            try:
                connection.request("POST", _INVOCATIONS, json.dumps(event))
                text = connection.getresponse().read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise InvocationError("Emulator", f"it does not answer ({error})") from error
            finally:
                connection.close()
        return answer(text)


def answer(text: str) -> Any:
    """What the emulator's answer means.

    Raises:
        InvocationError: it is an error's.
    """
    try:
        body = json.loads(text)
    except ValueError:  # "Task timed out after 300.00 seconds" is no JSON
        raise InvocationError("Lambda", text.strip() or "an empty answer") from None
    if isinstance(body, dict) and "errorType" in body:
        raise InvocationError(str(body["errorType"]), str(body.get("errorMessage", "")))
    return body


@contextmanager
def emulator(
    root: Path, environment: Mapping[str, str], log: Path, timeout: int, handler: str = HANDLER
) -> Iterator[Emulator]:
    """Start the worker in the emulator, or without it (`why_not`); it ends with the context.

    Args:
        root: the repository's folder.
        environment: the whole of the function's environment.
        log: where the function's log goes.
        timeout: the function's, in seconds.
        handler: the function, `package.module.name`.

    Raises:
        LocalError: there is no emulator for this machine, or it does not start.
    """
    port, api_port = _free_ports()
    if why_not(os.environ):
        command = [sys.executable, "-P", str(_DIRECT), str(port), handler]
    else:
        command = [
            *(str(find_emulator(root)), "--log-level", "warn"),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{api_port}"),
            *(sys.executable, "-m", "awslambdaric", handler),
        ]
    with log.open("wb") as output, leashed(command, environment, stdout=output, stderr=output) as process:
        give_up = time.monotonic() + _START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > give_up:
                raise LocalError(f"The worker did not start: see {log}.")
            time.sleep(0.02)
        yield Emulator(port, timeout + 30.0)


def function_environment(cloud: Cloud, template: Template, root: Path) -> dict[str, str]:
    """The environment that the function gets: the template's, on the local cloud.

    Heartbeats come each second instead of each half minute, so that some are seen. What the caller sets of
    the worker's own (`chosen`) goes before both.
    """
    path = os.pathsep.join(filter(None, (str(root / "src"), os.environ.get("PYTHONPATH"))))
    name = "metrics-worker-local"
    return {
        **os.environ,
        **template.given(cloud.template_values()).environment(),
        "WORKER_HEARTBEAT_INTERVAL_SECONDS": "1",
        **chosen(os.environ),
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(template.of(FUNCTION, "MemorySize")),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(template.of(FUNCTION, "Timeout")),
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
    }


def chosen(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's settings that a caller may give: `OUTPUT_COMPRESSION` and `WORKER_*`."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name == "OUTPUT_COMPRESSION" or name.startswith("WORKER_")
    }


def why_not(environment: Mapping[str, str]) -> str:
    """Return why the worker runs without the emulator; empty if it runs in it.

    Raises:
        LocalError: `EMULATOR` is neither on nor off.
    """
    said = environment.get(EMULATOR, "") or "on"
    if said not in {"on", "off"}:
        raise LocalError(f"{EMULATOR}={said}: it is on or off.")
    if said == "off":
        return f"{EMULATOR} is off"
    if sys.platform != "linux":
        return "the emulator is a Linux program"
    machine = platform.machine()
    return "" if machine.lower() in _BUILDS else f"there is no emulator for {machine}"


def check(root: Path) -> None:
    """Check that the worker can be started: before anything else takes time.

    Raises:
        LocalError: it can't.
    """
    if not why_not(os.environ):
        find_emulator(root)


def find_emulator(root: Path) -> Path:
    """The emulator's program for this machine.

    Raises:
        LocalError: there is none.
    """
    build = _BUILDS.get(platform.machine().lower())
    found = sorted(
        root.glob(f".venv-sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{build}")
    )
    if not found:
        raise LocalError(
            f"No Lambda emulator for {platform.machine()} in .venv-sam: run `make install` "
            "(it comes with the SAM CLI)."
        )
    return found[0]


def _free_ports() -> tuple[int, int]:
    """Two ports of loopback that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
