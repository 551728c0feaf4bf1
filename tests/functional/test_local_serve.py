"""`metrics send --wait` sends a request to the local cloud of `make serve WORKER=1`, in another process."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metrics_tools.local_cloud.__main__ import main
from tests.functional.test_local_run import CHANGE, shortened

ROOT = Path(__file__).parents[2]
TIMEOUT = 60


@contextmanager
def served(out: Path, *words: str) -> Iterator[dict[str, str]]:
    """Run the local cloud in another process during the body of the `with` statement.

    Args:
        out: the folder for the results.
        words: further arguments of the command that starts the local cloud.

    Yields:
        The environment variables with which commands use the local cloud, by name.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "metrics_tools.local_cloud", "--serve", *words, "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any("Serving until Ctrl-C" in line for line in iter(process.stdout.readline, ""))
        exports = (shlex.split(line) for line in (out / "env").read_text().splitlines())
        yield dict(words[1].split("=", 1) for words in exports if words[:1] == ["export"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert not (out / "env").exists()


def metrics(environment, *words):
    return subprocess.run(
        [sys.executable, "-m", "metrics_tools", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"src{os.pathsep}.", **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_a_request_is_sent_and_followed_to_its_outcome(tmp_path):
    change = shortened(tmp_path, CHANGE)
    with served(tmp_path, "--worker", str(change)) as environment:
        done = metrics(environment, "send", str(change), "--wait", "--timeout", "50")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "SUCCESS  1,507 rows" in done.stdout
        failed = metrics(environment, "send", "events/fails-no-such-series.json", "--wait", "--timeout", "50")
        assert failed.returncode == 1
        assert "FAILURE  INPUT_READ_ERROR" in failed.stdout
        bucket = environment["AWS_S3_BUCKET"]
        doctor = metrics(environment, "doctor", "fx.eur_brl_change", "--bucket", bucket)
        assert (doctor.returncode, "Healthy" in doctor.stdout) == (0, True)


def test_the_option_worker_requires_the_option_serve(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--worker"])
    assert ended.value.code == 2
    assert "--worker requires --serve" in capsys.readouterr().err


def test_without_a_worker_no_request_is_processed(tmp_path):
    few_files = tmp_path / "lira.json"  # A series with few part files is loaded fast.
    few_files.write_text('{"op": "sma", "series": {"series_code": "ECB_TRL_EUR_D"}, "window": 3}')
    with served(tmp_path, str(few_files)) as environment:
        done = metrics(environment, "send", "events/change.json", "--wait", "--timeout", "0")
        assert done.returncode == 2
        assert "No outcome within 0 s" in done.stderr
