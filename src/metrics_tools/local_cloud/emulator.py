"""A function in AWS's Lambda Runtime Interface Emulator, with the runtime client that Lambda uses.

The SAM CLI contains the emulator, so Docker is not needed. `make install` puts the files of the SAM CLI into
`.venv`, without its libraries. The emulator starts the function at the first invocation. The emulator answers
HTTP 200 even if the function fails, so only the body of the response shows the outcome. If two invocations
overlap, the emulator ends.

The emulator is a Linux program. On other systems, or with `EMULATOR=off`, the handler runs in a separate
process without the emulator (`handler_server`).
"""

import http.client
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from metrics_tools.local_cloud import LocalError
from metrics_tools.local_cloud.cloud import LOOPBACK, Cloud, free_ports, server
from metrics_tools.local_cloud.event_source import InvocationError
from metrics_tools.local_cloud.template import DEAD_LETTER_FUNCTION, FUNCTION, Template

HANDLER = "metrics_worker.handler.lambda_handler"
_NAMES = {FUNCTION: "metrics-worker-local", DEAD_LETTER_FUNCTION: "metrics-worker-local-dead-letters"}
_INVOCATIONS = "/2015-03-31/functions/function/invocations"
_BUILDS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Emulator:
    """A client that invokes the function in a running emulator, one invocation at a time.

    Attributes:
        port: the port of the emulator on the loopback interface.
        timeout: the maximum duration of an invocation, in seconds.
    """

    port: int
    timeout: float
    _one_at_a_time: Lock = field(default_factory=Lock)

    def invoke(self, event: dict[str, Any]) -> Any:
        """Invoke the function with an event, and return its result as JSON values.

        Raises:
            InvocationError: the function failed, or the emulator did not answer.
        """
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=self.timeout)
        with self._one_at_a_time, closing(connection):
            try:
                connection.request("POST", _INVOCATIONS, json.dumps(event))
                text = connection.getresponse().read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise InvocationError("Emulator", f"no answer ({error})") from error
        return parse_answer(text)


def parse_answer(text: str) -> Any:
    """Return the function's result from the body of the response; raise an InvocationError for an error."""
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
    """Run a Lambda function during the `with` block, and yield a client that invokes it.

    Args:
        root: the folder of the repository, whose `.venv` contains the emulator.
        environment: all environment variables of the function.
        log: the file to which the function's log is written.
        timeout: the timeout of the function, in seconds.
        handler: the name of the handler function, as `package.module.name`; by default, that of the worker.

    Raises:
        LocalError: the emulator is not installed, or the function does not start.
    """
    port, api_port = free_ports(LOOPBACK)
    if reason_without_emulator(os.environ):
        script = Path(__file__).with_name("handler_server.py")
        command = [sys.executable, "-P", str(script), str(port), handler]
    else:
        command = [
            *(str(find_emulator(root)), "--log-level", "warn"),
            *("--runtime-interface-emulator-address", f"{LOOPBACK}:{port}"),
            *("--runtime-api-address", f"{LOOPBACK}:{api_port}"),
            *(sys.executable, "-m", "awslambdaric", handler),
        ]
    with server("The worker", command, environment, address=(LOOPBACK, port), log=log):
        yield Emulator(port, timeout + 30.0)


def function_environment(
    cloud: Cloud, template: Template, root: Path, *, function: str = FUNCTION
) -> dict[str, str]:
    """Return the environment variables of a function in the local cloud, by name.

    The variables are those of this process and, above them, those of the template, with heartbeats every
    second, so that even a short run sends heartbeats. The worker's settings in the environment of this
    process (`worker_settings`) take precedence over the template.

    Args:
        cloud: the local cloud.
        template: the template of the repository.
        root: the folder of the repository, whose `src` contains the code of the function.
        function: the logical id of the function in the template; by default, that of the worker.
    """
    return {
        **os.environ,
        **template.with_values(cloud.template_values()).function_variables(function),
        "WORKER_HEARTBEAT_INTERVAL_SECONDS": "1",
        **worker_settings(os.environ),
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": _NAMES[function],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(template.property(function, "MemorySize")),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(template.property(function, "Timeout")),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root / "src"), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }


def worker_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables `OUTPUT_COMPRESSION` and `WORKER_*` of an environment, by name."""
    names = (name for name in environment if name == "OUTPUT_COMPRESSION" or name.startswith("WORKER_"))
    return {name: environment[name] for name in sorted(names)}


def reason_without_emulator(environment: Mapping[str, str]) -> str:
    """Return the reason why functions must run without the emulator; an empty string if they can use it.

    Args:
        environment: the environment variables, of which only `EMULATOR` is read.

    Raises:
        LocalError: the variable `EMULATOR` is neither on nor off.
    """
    value = environment.get("EMULATOR") or "on"
    if value not in {"on", "off"}:
        raise LocalError(f"EMULATOR={value} is not valid: expected on or off.")
    if value == "off":
        return "EMULATOR is off"
    if sys.platform != "linux":
        return "the emulator is a Linux program"
    known = platform.machine().lower() in _BUILDS
    return "" if known else f"there is no emulator for {platform.machine()}"


def find_emulator(root: Path) -> Path:
    """Return the path of the emulator for this machine, or raise a `LocalError` if it is not installed."""
    build = _BUILDS.get(platform.machine().lower())
    path = root / ".venv" / "aws-sam-cli" / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{build}"
    if path.exists():
        return path
    raise LocalError(
        f"There is no Lambda emulator for {platform.machine()} in .venv: run `make install`, which "
        "installs it with the SAM CLI."
    )
