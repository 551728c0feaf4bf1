"""The process of a command that has used the bucket ends normally, although the S3 client has threads.

If the interpreter finalises just after a request, these threads abort about a quarter of the processes. The
tests therefore execute a command fifty times. Each execution is a fork of a process that has already imported
everything, so that fifty executions take a few seconds.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUNS = 50
FORKED = """
import os, sys
from metrics_tools.published.following import follow_bucket
from metrics_tools.process_exit import run_and_exit
from metrics_worker.s3.s3_bucket import S3Bucket

def follow():
    url = os.environ["AWS_ENDPOINT_URL"]
    bucket = S3Bucket.connect(sys.argv[1], region="us-east-1", endpoint_url=url)
    bases = {"mine": "metrics/ratio.a_to_b/"}
    (seen,) = follow_bucket(bucket, bases, prefix="metrics/", seconds=10)
    print(seen.status)

statuses = []
for _ in range(int(sys.argv[2])):
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        run_and_exit(follow)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print("statuses:", *statuses)
"""


def program(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a separate process, whose output is buffered.

    Args:
        code: the source of the program.
        words: the arguments of the program.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**environment, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture
def committed(client, bucket, ask):
    """Write the marker of a run to `bucket` and a file with the run's request, and create a request queue.

    Returns:
        The path of the file with the request, and the URL of the queue.
    """
    client("s3").put_object(
        Bucket=bucket,
        Key="metrics/ratio.a_to_b/runs/mine.ok",
        Body=json.dumps({"version_ts": "2026-10-30T12-00-00", "row_count": 10}),
    )
    return ask(run_id="mine"), client("sqs").create_queue(QueueName=bucket[:80])["QueueUrl"]


def test_fifty_processes_that_follow_a_run_in_the_bucket_all_end_with_status_0(committed, bucket):  # noqa: ARG001
    done = program(FORKED, bucket, str(RUNS))

    assert done.stdout.splitlines()[:-1] == ["SUCCESS"] * RUNS
    assert done.stdout.splitlines()[-1] == "statuses:" + " 0" * RUNS


def test_the_command_ends_with_status_0(committed, bucket):
    asked, queue = committed
    words = ("--keep-run-id", "--queue", queue, "--wait", "--bucket", bucket)

    done = program("from metrics_tools.command_line.app import main; main()", "send", str(asked), *words)

    assert (done.returncode, "SUCCESS  10 rows" in done.stdout) == (0, True)


ENDING = "import sys; from metrics_tools.process_exit import run_and_exit; {}"


@pytest.mark.parametrize(
    ("main", "status"),
    [
        ("run_and_exit(lambda: None)", 0),
        ("run_and_exit(lambda: 3)", 3),
        ("run_and_exit(lambda: sys.exit(4))", 4),
        ("run_and_exit(lambda: sys.exit())", 0),
        ("run_and_exit(lambda: sys.exit('why'))", 1),
        ("run_and_exit(lambda: 1 / 0)", 1),
    ],
)
def test_the_exit_status_is_the_one_that_the_interpreter_would_give(main, status):
    assert program(ENDING.format(main)).returncode == status


def test_output_is_written_and_registered_exit_functions_are_called():
    done = program(
        ENDING.format("import atexit; atexit.register(print, 'last'); run_and_exit(lambda: print('first'))")
    )
    assert done.stdout.splitlines() == ["first", "last"]


def test_an_error_is_reported_as_by_the_interpreter():
    done = program(ENDING.format("run_and_exit(lambda: 1 / 0)"))
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert program(ENDING.format("run_and_exit(lambda: sys.exit('why'))")).stderr == "why\n"


def test_output_that_cannot_be_written_is_a_failure():
    code = "import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1); run_and_exit(lambda: print('lost'))"
    assert program(ENDING.format(code)).returncode == 120


def test_every_program_that_may_use_the_bucket_ends_with_run_and_exit():
    without_bucket = {
        "src/metrics_tools/local_cloud/subprocess_guard.py": "it only starts another process",
        "benchmarks/s3.py": "it is a server of S3",
        "src/metrics_tools/process_exit.py": "it defines run_and_exit",
        "src/metrics_tools/local_cloud/handler_server.py": "it serves until it is killed",
        "src/metrics_tools/local_cloud/moto_server.py": "it serves until it is killed",
        "src/metrics_tools/local_cloud/__init__.py": "its docstring mentions __main__.py",
        "src/metrics_tools/__init__.py": "its docstring mentions __main__.py",
    }
    programs = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("src/metrics_tools", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    used = {name for name, text in programs.items() if "sys.exit(" in text or "__main__" in text}
    offenders = [
        name
        for name in sorted(used - set(without_bucket))
        if "run_and_exit(" not in programs[name] and "/contracts/" not in name  # it uses no bucket
    ]
    assert offenders == []
