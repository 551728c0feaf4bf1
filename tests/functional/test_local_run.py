"""`make run` starts a moto server, the Lambda runtime emulator and the worker, and checks the outcomes.

The tests examine three runs, each in its own process.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from metrics_tools.request_files import read_samples

ROOT = Path(__file__).parents[2]
TIMEOUT = 120
CHANGE, THROTTLED = "events/change.json", "events/fails-throttled.json"
SHORT = "ECB_TRL_EUR_D"
"""The series with the fewest part files: loading it takes a fifth of the time of a usual series."""


def shortened(out: Path, event: str) -> Path:
    """Write a copy of a sample request in which all series codes are replaced by `SHORT`, a short series.

    Args:
        out: the folder for the copy.
        event: the path of the sample request, relative to the repository.

    Returns:
        The path of the copy.
    """
    path = out / "short.json"
    path.write_text(re.sub(r"ECB_(BRL|USD)_EUR_D", SHORT, (ROOT / event).read_text()))
    return path


def average_of_short(out: Path) -> Path:
    """Write the expression of a moving average of `SHORT`, and return the path of the file.

    Args:
        out: the folder for the file.
    """
    path = out / "lira.json"
    path.write_text(json.dumps({"op": "sma", "series": {"series_code": SHORT}, "window": 3}))
    return path


def run_locally(out: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the local cloud, as `make run` does, until it ends.

    Args:
        out: the folder for the results.
        arguments: the files of the requests, and options.
        environment: further environment variables.
    """
    return subprocess.run(
        [sys.executable, "-m", "metrics_tools.local_cloud", *map(str, arguments), "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}.", **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.fixture(scope="module")
def succeeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run three requests, which end as expected: a sample, a bare expression, and a sample that S3 throttles.

    Returns:
        The completed process and the folder with the results.
    """
    out = tmp_path_factory.mktemp("succeeded")
    path = average_of_short(out)
    environment = {"AWS_PROFILE": "there-is-no-such-profile", "OUTPUT_COMPRESSION": "zstd"}
    return run_locally(out, CHANGE, path, THROTTLED, **environment), out


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Run two requests that do not end as expected, and return the completed process.

    One request has a missing series, the other an invalid run id.
    """
    out = tmp_path_factory.mktemp("failed")
    missing, unanswerable = out / "expected-to-succeed.json", out / "wrong.json"
    shortened(out, "events/fails-no-such-series.json").rename(missing)
    (sample,) = read_samples([shortened(out, CHANGE)])
    unanswerable.write_text(json.dumps({**sample.request, "runId": "no/run"}))
    return run_locally(out, missing, unanswerable)


@pytest.fixture(scope="module")
def without_emulator(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run the bare expression of `succeeded` without the Lambda runtime emulator.

    Returns:
        The completed process and the folder with the results.
    """
    out = tmp_path_factory.mktemp("without-emulator")
    return run_locally(out, average_of_short(out), EMULATOR="off"), out


def processes() -> dict[int, int]:
    """Return a dict from the id of each process on this machine to the id of its parent process.

    Zombie processes are left out.
    """
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # The process has ended in the meantime.
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


def test_requests_are_computed_and_printed(succeeded):
    done, _ = succeeded
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for expected in (
        "European Central Bank",
        "The worker runs in the Lambda emulator",
        "From your environment: OUTPUT_COMPRESSION=zstd",
        "started    fx.eur_brl_change",
        "SUCCESS  4,792 rows",
        "first 2008-02-13  -2.02614   last 2026-10-30  3.11773   per cent",
        "checked: all 4,792",
        "metrics/fx.eur_brl_change/current/manifest.json",
        "Requested 3 metrics, which the queue delivers after 2 s",
        "Copy of the 9 published objects",
        "All 3 runs ended as expected",
    ):
        assert expected in done.stdout
    assert "\x1b" not in done.stdout, "no colour if the output is not a terminal"


def test_a_run_whose_attempts_all_fail_ends_in_a_failure_by_the_dead_letter_function(succeeded):
    done, out = succeeded
    (sample,) = read_samples([ROOT / THROTTLED])
    assert done.stdout.count(f"started    {sample.metric_code}") == 5
    assert done.stdout.count("INTERNAL_ERROR: gave up after 5 attempts") == 2, "as an event and as an outcome"
    (stored,) = (out / "s3" / "metrics" / "_dead-letters").rglob("*.json")
    letter = json.loads(stored.read_text())
    assert (letter["outcome"], letter["run_id"]) == ("FAILURE", sample.run_id)
    key = stored.relative_to(out / "s3").as_posix()
    assert f"the dead-letter function, which stored the message: {key}" in done.stdout
    page = (out / "metrics.html").read_text()
    assert key in page
    assert "gave up after 5 attempts" in page
    assert "dead letter settled" in (out / "dead-letters.log").read_text()


def test_an_expression_alone_is_computed(succeeded):
    done, out = succeeded
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "checked: all 1,535" in done.stdout
    assert (out / "s3" / "metrics" / "lira" / "current" / "manifest.json").is_file()


def test_the_page_the_log_and_the_objects_are_in_the_output_folder(succeeded):
    _, out = succeeded
    page = (out / "metrics.html").read_text()
    assert '<figure class="chart"' in page
    assert "Requests and stages" in page, "the worker's log has each request"
    assert "fx.eur_brl_change" in (out / "worker.log").read_text()
    (data,) = (out / "s3" / "metrics" / "fx.eur_brl_change").glob("*/data/metrics.parquet")
    assert pq.ParquetFile(data).metadata.row_group(0).column(0).compression == "ZSTD"
    assert (out / "s3" / "metrics" / "fx.eur_brl_change" / "current" / "manifest.json").is_file()


def test_without_the_emulator_the_result_is_the_same_and_the_reason_is_printed(without_emulator):
    done, out = without_emulator
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "a process without the Lambda emulator, because EMULATOR is off" in done.stdout
    assert "checked: all 1,535" in done.stdout
    assert "Requests and stages" in (out / "metrics.html").read_text()


def test_the_output_of_a_single_run_is_in_the_singular(without_emulator):
    done, _ = without_emulator
    for expected in ("Requested 1 metric,", "Copy of the 4 published objects", "The run ended as expected"):
        assert expected in done.stdout


@pytest.mark.parametrize(
    "text", ['{"Records": []}', '{"op": "smaa", "series": {"series_code": "A"}, "window": 3}']
)
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


def test_an_invalid_value_of_emulator_is_refused_before_the_cloud_starts(tmp_path):
    done = run_locally(tmp_path, CHANGE, EMULATOR="maybe")
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "EMULATOR=maybe is not valid: expected on or off" in done.stdout


def test_a_failure_that_was_not_expected_is_an_error(failed):
    assert failed.returncode == 1
    assert "FAILURE instead of the expected SUCCESS: INPUT_READ_ERROR" in failed.stdout
    assert failed.stdout.count("INPUT_READ_ERROR") == 2, "once as an event, and once as an outcome"
    assert "2 of 2 runs did not end as expected" in failed.stdout


def test_for_a_request_that_cannot_be_answered_the_reason_is_printed(failed):
    assert failed.returncode == 1
    assert "no metric_run_completed arrived" in failed.stdout
    assert re.search(r"✗ metrics/_dead-letters/\S+\.json requests no run: runId: expected", failed.stdout)
    assert "times: runId: expected" in failed.stdout
    assert "worker.log" in failed.stdout


def test_a_file_without_a_request_leads_to_one_line_and_status_2(tmp_path):
    wrong = tmp_path / "empty.json"
    wrong.write_text('{"Records": []}')
    done = run_locally(tmp_path, wrong)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.count("\n") == 1
    assert "empty.json: not an event" in done.stdout


def test_a_handler_that_cannot_be_imported_leads_to_an_error_without_a_traceback(tmp_path):
    done = run_locally(
        tmp_path, shortened(tmp_path, CHANGE), "--handler", "metrics_worker.nowhere.lambda_handler"
    )
    assert done.returncode == 1
    assert "The worker failed: Runtime.ImportModuleError" in done.stdout
    assert "worker.log" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_no_process_is_left_if_a_run_is_interrupted(tmp_path):
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "metrics_tools.local_cloud",
            str(shortened(tmp_path, CHANGE)),
            "--out",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert any("The worker runs" in line for line in running.stdout)
        started = descendants(running.pid)
        running.terminate()
        rest = running.stdout.read()
    assert len(started) >= 4, "the local cloud and the emulator, each with its guard"
    assert running.returncode == 130
    assert "Interrupted" in rest
    assert not started & set(processes())
