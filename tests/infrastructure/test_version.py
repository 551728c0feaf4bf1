"""Every file that contains the version of the project has the value of `metrics_worker.__version__`."""

import json
import re
from importlib.metadata import version
from io import StringIO

from aws_lambda_powertools import Logger

import metrics_worker
from metrics_worker.observability import telemetry
from tests.infrastructure.stack import ROOT, Stack


def test_the_installed_package_has_the_version() -> None:
    assert version("metrics-worker") == metrics_worker.__version__


def test_the_description_of_each_function_names_the_version(stack: Stack) -> None:
    functions = stack.of_type("AWS::Lambda::Function").values()
    assert len(functions) == 2
    for function in functions:
        assert function["Description"].startswith(f"metrics-worker {metrics_worker.__version__}. ")


def test_a_log_line_has_the_version_after_its_state_was_cleared() -> None:
    out = StringIO()
    formatter = telemetry.logger.registered_formatter
    logger = Logger(service="version-test", logger_formatter=formatter, stream=out)
    formatter.clear_state()
    logger.info("a line")
    assert json.loads(out.getvalue())["version"] == metrics_worker.__version__


def test_the_changelog_begins_with_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## (\S+) - (\S+)$", changelog, re.MULTILINE)
    assert heading is not None
    assert heading[1] == metrics_worker.__version__


def test_the_asyncapi_document_has_the_version() -> None:
    document = (ROOT / "docs/contracts/asyncapi.yaml").read_text(encoding="utf-8")
    assert f"\n  version: {metrics_worker.__version__}\n" in document.partition("\nservers:")[0]
