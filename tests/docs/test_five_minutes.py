"""docs/five-minutes.md: the commands on the page print the output on the page.

A reader of the page runs the file my.json three times, each time with another content. To save time, the
fixture `done` runs the three contents together. tests/functional checks that `make run` runs every file in
events/.
"""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from metrics_tools.request_files import read_samples
from tests.docs.pages import ROOT, blocks, commands, section

PAGE = "docs/five-minutes.md"
REQUEST, CHANGED = (json.loads(block) for block in blocks(PAGE, "json"))
MINE, LOOKED, DEAR, BROKEN, *SHORT = blocks(PAGE, "text")[4:]


def request(number: int, expression: dict[str, Any], metric: str = "fx.gbp_dear") -> Any:
    """Return the JSON of the page's file my.json with another expression, metric code and run id.

    The fixture `done` runs several of these requests together, so their run ids must differ.

    Args:
        number: the last digit of the run id.
        expression: the JSON of the expression.
        metric: the metric code.
    """
    base = REQUEST["output"]["basePath"].replace("fx.usd_per_gbp", metric)
    run = REQUEST["runId"][:-1] + str(number)
    return REQUEST | {
        "runId": run,
        "metricCode": metric,
        "expressionJson": expression,
        "output": {"basePath": base},
    }


def local(folder, *files):
    return subprocess.run(
        [sys.executable, "-m", "metrics_tools.local_cloud", *files, "--out", folder / "out"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("five-minutes")
    broken = json.loads(json.dumps(CHANGED).replace('"sma"', '"smaa"'))
    assert broken != CHANGED
    for name, content in (
        ("my.json", REQUEST),
        ("changed.json", request(1, CHANGED)),
        ("broken.json", request(2, broken)),
    ):
        (folder / name).write_text(json.dumps(content))
    ran = local(folder, *(folder / name for name in ("my.json", "changed.json", "broken.json")))
    return folder, ran


def masked(text: str) -> list[str]:
    """Return the lines of an output, with fixed words in place of the parts that vary.

    A version is replaced by `VERSION`, a time of day by `TIME`, and a duration by `SECONDS`.
    """
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", "VERSION", text)
    text = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", text)
    text = re.sub(r"\d+\.\d\d s$", "SECONDS", text, flags=re.MULTILINE)
    return text.splitlines()


@pytest.mark.parametrize("shown", [MINE, DEAR, BROKEN], ids=["mine", "changed", "broken"])
def test_a_run_prints_the_output_on_the_page(shown, done):
    _, ran = done
    assert set(masked(shown)) <= set(masked(ran.stdout)), ran.stdout + ran.stderr
    assert (ran.returncode, ran.stderr) == (1, ""), "one of the three requests is invalid on purpose"


def test_the_reading_program_prints_the_output_on_the_page(done):
    folder, _ = done
    (program,) = blocks(PAGE, "python")
    (folder / "look.py").write_text(program)
    looked = subprocess.run(
        [sys.executable, "look.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert looked.stdout == LOOKED


def test_the_reading_program_reports_that_a_failed_run_has_published_nothing(tmp_path, monkeypatch):
    (program,) = blocks(PAGE, "python")
    (tmp_path / "out" / "s3").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="the last run failed"):
        exec(program, {})


@pytest.mark.parametrize(
    ("arguments", "file", "status", "shown"),
    [
        (["validate"], "broken.json", 1, SHORT[0]),
        (["explain", "--demo"], "changed.json", 0, SHORT[1]),
        (["run", "--demo"], "changed.json", 0, SHORT[2]),
    ],
    ids=["validate", "explain", "run"],
)
def test_the_command_line_prints_the_output_on_the_page(arguments, file, status, shown, done):
    folder, _ = done
    ran = subprocess.run(
        [sys.executable, "-m", "metrics_tools", *arguments, folder / file],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}.", "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    printed = ran.stdout.replace(str(folder / file), "my.json")
    parts = re.split("^…\n", shown, flags=re.MULTILINE)  # a line `…` marks lines that are left out
    assert re.fullmatch("(?s:.*)".join(map(re.escape, parts)), printed), printed


def test_the_output_of_make_run_on_the_page_agrees_with_the_samples():
    events, outcome, failure, dead_letter = blocks(PAGE, "text")[:4]
    samples = {sample.metric_code: sample for sample in read_samples(list((ROOT / "events").glob("*.json")))}
    for text in (outcome, failure, dead_letter):
        metric, title = re.findall(r"✓ (\S+)  (.*)", text)[0]
        assert samples[metric].title == title
    run = samples["fx.usd_per_brl"]
    assert set(re.findall(r"fx\.\S+ (\w{8})", events)) == {run.run_id[:8]}
    assert re.findall(r"SUCCESS  ([\d,]+) rows", events) == re.findall(r"SUCCESS  ([\d,]+) rows", outcome)
    assert f"requests {len(samples)} metrics" in section(PAGE, "1. See it work")
    assert "INPUT_READ_ERROR" in failure
    assert samples["fx.usd_per_xau"].expected_error == "INPUT_READ_ERROR"
    assert "INTERNAL_ERROR: gave up after 5 attempts" in dead_letter
    assert samples["fx.eur_per_gold_ounce"].expected_error == "INTERNAL_ERROR"
    succeeding = [sample for sample in samples.values() if sample.expected_error is None]
    assert f"computes {len(succeeding)} of them" in section(PAGE, "1. See it work")


def test_every_command_of_the_page_is_tested():
    assert commands(PAGE) == [
        "make run",
        "make run EVENT=my.json",
        ".venv/bin/python look.py",
        "make run EVENT=my.json",
        "make run EVENT=my.json",
        ".venv/bin/metrics validate my.json",
        ".venv/bin/metrics explain my.json --demo",
        ".venv/bin/metrics run my.json --demo",
    ]
