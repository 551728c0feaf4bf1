"""A cold start loads no unnecessary modules. A new Python process simulates the cold start.

The benchmarks measure the time of the imports.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
ENVIRONMENT = {
    "AWS_S3_BUCKET": "bucket",
    "AWS_SNS_EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:events.fifo",
    "AWS_SQS_RUN_REQUEST_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/requests.fifo",
    "PYTHONPATH": str(SOURCE),
}
LATER = {
    "boto3": "loaded for the first event, while the first objects are read",
    "botocore.session": "loaded by boto3",
    "pyarrow.compute": "loaded while the first requests are under way",
    "pyarrow.dataset": "loaded for part files of more than 4 MiB",
    "urllib.request": "loaded for credentials under SnapStart",
    "http.client": "loaded by urllib.request",
    "snapshot_restore_py": "loaded under SnapStart",
}
NEVER = {
    "pandas": "not in the layer",
    "aws_xray_sdk": "not deployed, because Lambda itself traces",
}


def run_in_new_interpreter(code: str, **more: str) -> str:
    """Run Python code in a new process and return its standard output.

    Args:
        code: the Python code.
        more: further environment variables.
    """
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=kept | ENVIRONMENT | more, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Return the names of all modules that are loaded after importing the handler."""
    return set(run_in_new_interpreter("import metrics_worker.handler, sys; print(*sys.modules)").split())


@pytest.mark.parametrize("name", LATER | NEVER)
def test_importing_the_handler_does_not_load_modules_that_can_wait(name: str, loaded: set[str]) -> None:
    assert name not in loaded, (LATER | NEVER)[name]


@pytest.mark.parametrize("name", ["pyarrow.parquet", "numpy", "obstore", "pydantic_settings", "asyncio"])
def test_importing_the_handler_loads_the_modules_that_every_run_needs(name: str, loaded: set[str]) -> None:
    assert name in loaded


def test_the_garbage_collector_is_enabled_after_the_import_of_the_handler() -> None:
    assert run_in_new_interpreter("import gc, metrics_worker.handler; print(gc.isenabled())") == "True\n"


def test_arrow_uses_the_system_memory_allocator() -> None:
    code = "import metrics_worker, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    assert run_in_new_interpreter(code) == "system\n"


def test_functions_restored_from_one_snapshot_have_different_random_jitter() -> None:
    code = """
import random, metrics_worker.handler
from metrics_worker.messaging.request_queue import backoff_seconds
from snapshot_restore_py import get_after_restore
snapshot = random.getstate()
def restored(hooks):
    random.setstate(snapshot)
    for hook, arguments, named in hooks:
        hook(*arguments, **named)
    return [backoff_seconds(5) for _ in range(8)]
hooks = list(get_after_restore())
print(restored([]) == restored([]), restored(hooks) == restored(hooks))
"""
    assert run_in_new_interpreter(code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") == "True False\n"
    assert run_in_new_interpreter(code, AWS_LAMBDA_INITIALIZATION_TYPE="on-demand") == "True True\n"
