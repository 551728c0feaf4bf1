"""Fixtures that many tests share, the environment of all tests, and the order of the folders."""

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest

from metrics_worker.settings import Settings
from tests.builders import ENVIRONMENT, Cloud, FakeContext

for _name in [name for name in os.environ if name.startswith(("AWS_", "WORKER_", "OUTPUT_"))]:
    del os.environ[_name]  # Tests must not use the AWS account or the settings of the developer.
os.environ.update(ENVIRONMENT)
# Tests must not read the developer's .env file either. test_settings.py sets another value.
Settings.model_config["env_file"] = None

SLOWEST_FOLDERS = ["faults", "infrastructure", "functional", "browser", "cli", "docs"]
"""The folders of the slowest test files, which are executed first.

If a slow file came last, one process would execute it while the other processes had nothing left to do.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of the slowest folders to the front, and keep the order within each folder."""
    ranks = {name: rank for rank, name in enumerate(SLOWEST_FOLDERS)}

    def rank(item: pytest.Item) -> int:
        folder = item.nodeid.removeprefix("tests/").partition("/")[0]
        return ranks.get(folder, len(ranks))

    items.sort(key=rank)


def pytest_collectstart() -> None:
    """Collect no garbage while the tests are collected: they stay until the end. An import may enable it."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave what the collection created out of the later garbage collections, which would examine it."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def cloud() -> Cloud:
    """Return an empty fake cloud."""
    return Cloud()


@pytest.fixture
def invoke(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that invokes the real handler of the worker in the fake cloud.

    `invoke(*records, context=…, **settings)` passes the SQS records to the handler as one batch, and returns
    the handler's response. `context` is the `FakeContext` (tests/builders.py) that replaces the Lambda
    context. `settings` replace environment variables of the worker.
    """
    from metrics_worker import handler  # noqa: PLC0415 - It reads the environment, which is set above.

    def run(*records: dict[str, Any], context: FakeContext | None = None, **settings: Any) -> dict[str, Any]:
        worker = cloud.worker(**settings)
        monkeypatch.setattr(handler, "worker", worker)
        response: dict[str, Any] = handler.lambda_handler(
            {"Records": list(records)}, context or FakeContext()
        )
        return response

    return run
