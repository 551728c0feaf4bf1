"""The worker in AWS's Lambda Runtime Interface Emulator, with the runtime client that Lambda uses.

The SAM CLI contains the emulator, so Docker is not needed. The emulator starts the function at the first
invocation. It answers HTTP 200 even if the function fails, so only the body shows the outcome, and it ends if
two invocations overlap.

The emulator is a Linux program. On other systems, or with `EMULATOR=off`, the handler runs in a process of
its own without the emulator (`handler_server`).
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

from metrics_tools.local_cloud.cloud import LOOPBACK, Cloud
from metrics_tools.local_cloud.errors import LocalError
from metrics_tools.local_cloud.event_source import InvocationError
from metrics_tools.local_cloud.subprocess_guard import guarded
from metrics_tools.local_cloud.template import FUNCTION, Template

HANDLER = "metrics_worker.handler.lambda_handler"
EMULATOR = "EMULATOR"
"""The environment variable that switches the emulator off."""
_INVOCATIONS = "/2015-03-31/functions/function/invocations"
_START_SECONDS = 10
_BUILDS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class Emulator:
    """A running function that can be invoked.

    Args:
        port: the port of the emulator on the loopback interface.
        timeout: the maximum duration of an invocation, in seconds.
    """

    def __init__(self, *, port: int, timeout: float) -> None:
        self._port = port
        self._timeout = timeout
        self._one_at_a_time = threading.Lock()

    def invoke(self, event: dict[str, Any]) -> Any:
        """Invoke the function and return its answer.

        Raises:
            InvocationError: the function raised an error, timed out or did not start.
        """
        with self._one_at_a_time:
            connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=self._timeout)
            try:
                connection.request("POST", _INVOCATIONS, json.dumps(event))
                text = connection.getresponse().read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise InvocationError("Emulator", f"no answer ({error})") from error
            finally:
                connection.close()
        return parse_answer(text)


def parse_answer(text: str) -> Any:
    """Return the function's answer from the body of the emulator's response.

    Raises:
        InvocationError: the body describes an error.
    """
    try:
        body = json.loads(text)
    except ValueError:  # such as "Task timed out after 300.00 seconds"
        raise InvocationError("Lambda", text.strip() or "an empty answer") from None
    if isinstance(body, dict) and "errorType" in body:
        raise InvocationError(str(body["errorType"]), str(body.get("errorMessage", "")))
    return body


@contextmanager
def emulator(
    root: Path, environment: Mapping[str, str], *, log: Path, timeout: int, handler: str = HANDLER
) -> Iterator[Emulator]:
    """Run the worker in the emulator, or without it (`reason_without_emulator`), while the context is open.

    Args:
        root: the folder of the repository.
        environment: all environment variables of the function.
        log: the file for the log of the function.
        timeout: the timeout of the function, in seconds.
        handler: the function, as `package.module.name`.

    Raises:
        LocalError: there is no emulator for this machine, or the worker does not start.
    """
    port, api_port = _free_ports()
    if reason_without_emulator(os.environ):
        server = Path(__file__).with_name("handler_server.py")
        command = [sys.executable, "-P", str(server), str(port), handler]
    else:
        command = [
            *(str(find_emulator(root)), "--log-level", "warn"),
            *("--runtime-interface-emulator-address", f"{LOOPBACK}:{port}"),
            *("--runtime-api-address", f"{LOOPBACK}:{api_port}"),
            *(sys.executable, "-m", "awslambdaric", handler),
        ]
    with log.open("wb") as output, guarded(command, environment, stdout=output, stderr=output) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not _is_listening(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise LocalError(f"The worker did not start: see {log}.")
            time.sleep(0.02)
        yield Emulator(port=port, timeout=timeout + 30.0)


def function_environment(cloud: Cloud, template: Template, root: Path) -> dict[str, str]:
    """Return the function's environment variables: those of the template, with the local cloud's addresses.

    Heartbeats are sent every second, so that a short run sends some. The worker's settings in the environment
    of the caller (`worker_settings`) take precedence.
    """
    return {
        **os.environ,
        **template.with_values(cloud.template_values()).function_variables(),
        "WORKER_HEARTBEAT_INTERVAL_SECONDS": "1",
        **worker_settings(os.environ),
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "metrics-worker-local",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(template.property(FUNCTION, "MemorySize")),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(template.property(FUNCTION, "Timeout")),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root / "src"), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }


def worker_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the worker that a caller may choose: `OUTPUT_COMPRESSION` and `WORKER_*`."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name == "OUTPUT_COMPRESSION" or name.startswith("WORKER_")
    }


def reason_without_emulator(environment: Mapping[str, str]) -> str:
    """Return why the worker runs without the emulator, or an empty text if it runs in the emulator.

    Raises:
        LocalError: the variable `EMULATOR` is neither on nor off.
    """
    value = environment.get(EMULATOR, "") or "on"
    if value not in {"on", "off"}:
        raise LocalError(f"{EMULATOR}={value} is not valid: expected on or off.")
    if value == "off":
        return f"{EMULATOR} is off"
    if sys.platform != "linux":
        return "the emulator is a Linux program"
    machine = platform.machine()
    return "" if machine.lower() in _BUILDS else f"there is no emulator for {machine}"


def check_emulator(root: Path) -> None:
    """Check that the worker can be started, before anything that takes time.

    Raises:
        LocalError: the emulator is needed but not installed, or the variable `EMULATOR` is invalid.
    """
    if not reason_without_emulator(os.environ):
        find_emulator(root)


def find_emulator(root: Path) -> Path:
    """Return the path of the emulator for this machine.

    Raises:
        LocalError: it is not installed.
    """
    build = _BUILDS.get(platform.machine().lower())
    found = root.glob(f".venv-sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{build}")
    if (path := min(found, default=None)) is None:
        raise LocalError(
            f"There is no Lambda emulator for {platform.machine()} in .venv-sam: run `make install`, which "
            "installs it with the SAM CLI."
        )
    return path


def _free_ports() -> tuple[int, int]:
    """Return two ports of the loopback interface that are not in use."""
    with socket.create_server((LOOPBACK, 0)) as one, socket.create_server((LOOPBACK, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
