"""The modules and functions of the worker that are called for one request in a warm process.

The calls are observed during a real run. `python -m tests.message_path` prints the modules and functions.
"""

import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import metrics_worker
from tests.builders import ENVIRONMENT, Cloud, FakeContext, put_a_and_b, record, request

ROOT = f"{Path(metrics_worker.__file__).parent}{os.sep}"
ANONYMOUS = ("<lambda>", "<genexpr>", "<module>")


def observed(work: Callable[[], object]) -> set[tuple[str, str]]:
    """Call `work`, and return (file, function) of every named function of the worker that it calls.

    The file is a path below the folder of the worker's package, and the function has its qualified name.
    """
    started: set[tuple[str, str]] = set()

    def on_start(code: CodeType, _: int) -> Any:
        name = code.co_qualname
        if code.co_filename.startswith(ROOT) and not name.endswith(ANONYMOUS):
            started.add((code.co_filename.removeprefix(ROOT), name))
        return sys.monitoring.DISABLE

    tool, start = sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START
    sys.monitoring.use_tool_id(tool, "message path")
    try:
        sys.monitoring.register_callback(tool, start, on_start)
        sys.monitoring.restart_events()
        sys.monitoring.set_events(tool, start)
        work()
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)
    return started


def path_of_a_message() -> set[tuple[str, str]]:
    """Return (file, function) of every named function that a successful request calls in a warm process."""
    from metrics_worker import handler  # noqa: PLC0415 - reads the environment

    cloud = Cloud()
    put_a_and_b(cloud.store)

    def run(name: str) -> None:
        sent = record(request(run_id=name, metric=name))
        assert handler.lambda_handler({"Records": [sent]}, FakeContext()) == {"batchItemFailures": []}

    with patch.object(handler, "worker", cloud.worker()), redirect_stdout(StringIO()):
        run("first")
        return observed(lambda: run("second"))


if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)
    with redirect_stderr(StringIO()):
        path = path_of_a_message()
    for module in sorted({module for module, _ in path}):
        names = sorted(name for found, name in path if found == module)
        sys.stdout.write(f"{module:<32} {len(names):>3}  {', '.join(names)}\n")
    sys.stdout.write(f"{len({module for module, _ in path})} modules, {len(path)} functions\n")
