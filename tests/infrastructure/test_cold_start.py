"""What a cold start loads, seen in a fresh interpreter. How long it takes is for the benchmarks to say."""

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
    "boto3": "made when the first event goes out, beside the first reads",
    "botocore.session": "as boto3",
    "pyarrow.compute": "loaded beside the first requests",
    "pyarrow.dataset": "for part files of more than 4 MiB",
    "urllib.request": "for credentials under SnapStart",
    "http.client": "as urllib.request",
    "snapshot_restore_py": "under SnapStart",
}
NEVER = {
    "pandas": "no part of the layer",
    "aws_xray_sdk": "no part of what is deployed: Lambda traces by itself",
}


def in_a_fresh_interpreter(code: str, **more: str) -> str:
    """What the code prints, in a process that has loaded nothing yet."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=kept | ENVIRONMENT | more, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that are there when the handler is."""
    return set(in_a_fresh_interpreter("import metrics_worker.handler, sys; print(*sys.modules)").split())


@pytest.mark.parametrize("name", LATER | NEVER)
def test_importing_the_handler_leaves_out_what_the_first_request_does_not_wait_for(
    name: str, loaded: set[str]
) -> None:
    assert name not in loaded, (LATER | NEVER)[name]


@pytest.mark.parametrize("name", ["pyarrow.parquet", "numpy", "obstore", "pydantic_settings", "asyncio"])
def test_importing_the_handler_loads_what_every_run_needs_at_once(name: str, loaded: set[str]) -> None:
    assert name in loaded


def test_the_collector_is_on_again_when_the_handler_is_imported() -> None:
    assert in_a_fresh_interpreter("import gc, metrics_worker.handler; print(gc.isenabled())") == "True\n"


def test_arrow_allocates_from_the_system_whoever_asks() -> None:
    code = "import metrics_worker, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    assert in_a_fresh_interpreter(code) == "system\n"


def test_what_is_restored_from_one_snapshot_does_not_draw_the_same_jitter() -> None:
    code = """
import random, metrics_worker.handler
from metrics_worker.request_queue import backoff_seconds
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
    assert in_a_fresh_interpreter(code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") == "True False\n"
    assert in_a_fresh_interpreter(code, AWS_LAMBDA_INITIALIZATION_TYPE="on-demand") == "True True\n"
