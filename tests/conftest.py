"""Fixtures that many tests share: the environment, an empty fake cloud, and the handler that runs in it."""

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


@pytest.fixture
def cloud() -> Cloud:
    """Return an empty fake cloud."""
    return Cloud()


@pytest.fixture
def invoke(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return `invoke(*records, context=…, **settings)`, which calls the real handler in the fake cloud."""
    from metrics_worker import handler  # noqa: PLC0415 - It reads the environment, which is set above.

    def run(*records: dict[str, Any], context: FakeContext | None = None, **settings: Any) -> dict[str, Any]:
        worker = cloud.worker(**settings)
        monkeypatch.setattr(handler, "worker", worker)
        response: dict[str, Any] = handler.lambda_handler(
            {"Records": list(records)}, context or FakeContext()
        )
        return response

    return run
