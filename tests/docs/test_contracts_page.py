"""docs/contracts/README.md: the commands and the code on the page work, and the page lists every schema."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.documents import CONTRACTS, SCHEMAS

PAGE = (CONTRACTS / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line
]
CHECKS = [shlex.split(line) for line in COMMANDS if line.startswith("check-jsonschema ")]
INSTALLED = Path(sys.executable).parent


def test_the_page_installs_the_version_that_the_tests_use():
    requirements = (CONTRACTS.parents[1] / "requirements.txt").read_text().splitlines()
    installs = [line.removeprefix("pip install ") for line in COMMANDS if line.startswith("pip install ")]
    assert len(installs) == 1
    assert set(installs) <= set(requirements)
    assert len(COMMANDS) == len(installs) + len(CHECKS) == 4


@pytest.mark.parametrize("command", CHECKS, ids=[Path(command[2]).stem for command in CHECKS])
def test_a_check_accepts_a_valid_document_and_rejects_an_invalid_one(command, tmp_path):
    def status(arguments: list[str]) -> int:
        program = INSTALLED / arguments[0]
        return subprocess.run(
            [program, *arguments[1:]], cwd=CONTRACTS, capture_output=True, check=False
        ).returncode

    assert status(command) == 0
    wrong = tmp_path / "wrong.json"
    document = json.loads((CONTRACTS / command[-1]).read_text())
    document.pop(next(name for name in ("runId", "parquet_files") if name in document))
    wrong.write_text(json.dumps(document))
    assert status([*command[:-1], str(wrong)]) == 1


def test_the_python_code_finds_every_problem_with_its_path(tmp_path, monkeypatch):
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(CONTRACTS)
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["problems"] == []

    (tmp_path / "schemas").symlink_to(CONTRACTS / "schemas")
    (tmp_path / "examples").mkdir()
    invalid = names["request"] | {"runId": "/", "inputs": [{"datasetId": "x", "seriesCode": 7}]}
    (tmp_path / "examples" / "metric_run_requested.json").write_text(json.dumps(invalid))
    monkeypatch.chdir(tmp_path)
    exec(text, names)
    paths = [problem.partition(":")[0] for problem in names["problems"]]
    assert sorted(paths) == ["$.inputs", "$.runId"]


def test_the_page_lists_every_schema():
    table = PAGE.partition("\n## ")[0]
    for name in SCHEMAS:
        kind = re.sub(r"\.(plain|v1)$", "", name)
        assert kind in table, name
