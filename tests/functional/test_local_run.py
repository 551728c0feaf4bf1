"""`make run`, in a process of its own: the real emulator, a local cloud, the ECB's rates, one request."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from metrics_tools.local_cloud.samples import read_samples

ROOT = Path(__file__).parents[2]
TIMEOUT = 120


@pytest.fixture
def run_locally(tmp_path):
    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "metrics_tools.local_cloud", *arguments, "--out", str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"src{os.pathsep}.", **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    return run


def processes():
    """Process → its parent, of all that run on this machine; those that wait to be reaped are none."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended in between
            pid, _, rest = stat.read_text().partition(" (")
            state, parent = rest.rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(pid)] = int(parent)
    return found


def descendants(pid):
    parents = processes()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def test_a_request_is_computed_and_shown(run_locally, tmp_path):
    done = run_locally(
        "events/change.json", AWS_PROFILE="there-is-no-such-profile", OUTPUT_COMPRESSION="zstd"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for expected in (
        "European Central Bank",
        "started    fx.eur_brl_change",
        "SUCCESS  4,792 rows",
        "first 2008-02-13  -2.02614   last 2026-10-30  3.11773   per cent",
        "checked: all 4,792",
        "metrics/fx.eur_brl_change/current/manifest.json",
        "Asked for 1 metric; the queue holds it back",
        "What was published, 4 objects",
        "The run ended as it should",
    ):
        assert expected in done.stdout
    assert "\x1b" not in done.stdout, "no colour where output is not a terminal"
    page = (tmp_path / "metrics.html").read_text()
    assert '<figure class="chart"' in page
    assert "Requests and stages" in page, "the worker's log has each request"
    assert "fx.eur_brl_change" in (tmp_path / "worker.log").read_text()
    (data,) = (tmp_path / "s3" / "metrics" / "fx.eur_brl_change").glob("*/data/metrics.parquet")
    assert pq.ParquetFile(data).metadata.row_group(0).column(0).compression == "ZSTD"
    assert (tmp_path / "s3" / "metrics" / "fx.eur_brl_change" / "current" / "manifest.json").is_file()


def test_without_the_emulator_the_same_is_computed_and_that_is_said(run_locally, tmp_path):
    done = run_locally("events/change.json", EMULATOR="off")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "a process without the Lambda emulator, since EMULATOR is off" in done.stdout
    assert "checked: all 4,792" in done.stdout
    assert "Requests and stages" in (tmp_path / "metrics.html").read_text()


def test_an_expression_alone_is_computed(run_locally, tmp_path):
    path = tmp_path / "dollar.json"
    path.write_text('{"op": "sma", "series": {"series_code": "ECB_USD_EUR_D"}, "window": 3}')
    done = run_locally(str(path))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "checked: all 7,124" in done.stdout
    assert "metrics/dollar/current/manifest.json" in done.stdout


@pytest.mark.parametrize("text", ['{"Records": []}', '{"op": "log", "series": {"series_code": "A"}}'])
def test_a_file_is_checked_before_anything_that_takes_time_is_loaded(tmp_path, text):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    program = (
        "import sys; from metrics_tools.local_cloud.__main__ import main; "
        f"status = main([{str(path)!r}]); "
        "print(status, *sorted({'boto3', 'pyarrow', 'numpy', 'samtranslator'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": f"src{os.pathsep}."}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "2"


def test_a_switch_that_is_none_is_refused_before_the_cloud_starts(run_locally):
    done = run_locally("events/change.json", EMULATOR="maybe")
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "EMULATOR=maybe: it is on or off" in done.stdout


def test_a_request_that_does_not_end_as_it_should_is_an_error(run_locally, tmp_path):
    event = (ROOT / "events" / "fails-no-such-series.json").read_text()
    wrong = tmp_path / "expected-to-succeed.json"
    wrong.write_text(event)
    done = run_locally(str(wrong))
    assert done.returncode == 1
    assert "FAILURE where SUCCESS was expected: INPUT_READ_ERROR" in done.stdout
    assert done.stdout.count("INPUT_READ_ERROR") == 2, "as an event, and as an outcome"


def test_a_message_that_can_not_be_answered_is_told_with_its_reason(run_locally, tmp_path):
    (mine,) = read_samples([ROOT / "events" / "change.json"])
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**mine.request, "runId": "no/run"}))
    done = run_locally(str(wrong))
    assert done.returncode == 1
    assert "no metric_run_completed arrived" in done.stdout
    assert "1 message left in the dead-letter queue" in done.stdout
    assert "times: runId: expected" in done.stdout
    assert "worker.log" in done.stdout


def test_a_file_that_is_no_event_is_a_line_and_status_2(run_locally, tmp_path):
    wrong = tmp_path / "empty.json"
    wrong.write_text('{"Records": []}')
    done = run_locally(str(wrong))
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.count("\n") == 1
    assert "empty.json: not an event" in done.stdout


def test_a_worker_that_can_not_start_is_told_kindly(run_locally):
    done = run_locally("events/change.json", "--handler", "metrics_worker.nowhere.lambda_handler")
    assert done.returncode == 1
    assert "The worker failed: Runtime.ImportModuleError" in done.stdout
    assert "worker.log" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_no_process_is_left_when_a_run_is_interrupted(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "metrics_tools.local_cloud", "events/change.json", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert any("The worker waits" in line for line in running.stdout)
        started = descendants(running.pid)
        running.terminate()
        rest = running.stdout.read()
    assert len(started) >= 4, "the local cloud and the emulator, each on its leash"
    assert running.returncode == 130
    assert "Interrupted" in rest
    assert not started & set(processes())
