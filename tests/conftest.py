"""Fixtures that many tests share: the environment, an empty cloud, and the handler standing in it."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from metrics_worker.settings import Settings
from tests.builders import ENVIRONMENT, Cloud, FakeContext

for _name in [name for name in os.environ if name.startswith(("AWS_", "WORKER_", "OUTPUT_"))]:
    del os.environ[_name]  # nothing of the developer's own account or settings reaches a test
os.environ.update(ENVIRONMENT)
Settings.model_config["env_file"] = None  # nor a .env in the working folder; test_settings.py has its own


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def invoke(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`invoke(*records, context=…, **settings)`: the real handler, over the fake cloud."""
    from metrics_worker import handler  # noqa: PLC0415 - it reads the environment, which is set above

    def run(*records: dict[str, Any], context: FakeContext | None = None, **settings: Any) -> dict[str, Any]:
        worker = cloud.worker(**settings)
        monkeypatch.setattr(handler, "worker", worker)
        response: dict[str, Any] = handler.lambda_handler(
            {"Records": list(records)}, context or FakeContext()
        )
        return response

    return run
