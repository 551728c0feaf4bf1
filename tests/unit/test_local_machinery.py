"""The modules that run the worker locally: they read the template and start the function in a child process.

They also copy published objects into a folder.
"""

import io
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from metrics_tools.ecb import BUCKET
from metrics_tools.local_cloud import LocalError, emulator, outcome
from metrics_tools.local_cloud.cloud import Cloud, isolated
from metrics_tools.local_cloud.event_source import InvocationError
from metrics_tools.local_cloud.subprocess_guard import guarded
from metrics_tools.local_cloud.template import FUNCTION, REQUEST_QUEUE, Template
from metrics_tools.local_cloud.worker_log import returned_messages

ROOT = Path(__file__).parents[2]
RESOURCES = {
    "DataBucketName": "some-bucket",
    "RequestQueue": "http://localhost/q.fifo",
    "StartedTopic": "started",
    "HeartbeatTopic": "heartbeat",
    "CompletedTopic": "completed",
}


@pytest.fixture(scope="module")
def template():
    return Template.read(ROOT / "template.yaml")


def test_the_queue_has_the_properties_of_the_template(template):
    assert template.property(REQUEST_QUEUE, "DelaySeconds") == 10
    assert template.property(REQUEST_QUEUE, "VisibilityTimeout") >= 6 * template.property(FUNCTION, "Timeout")
    assert template.property(REQUEST_QUEUE, "RedrivePolicy", "maxReceiveCount") == 5


def test_the_function_has_the_variables_of_the_template(template):
    environment = template.with_values(RESOURCES).function_variables()
    assert environment["AWS_S3_BUCKET"] == "some-bucket"
    assert environment["AWS_SNS_METRIC_RUN_STARTED_TOPIC_ARN"] == "started"
    assert environment["AWS_SQS_RUN_REQUEST_QUEUE_URL"] == "http://localhost/q.fifo"
    assert environment["AWS_S3_METRICS_PREFIX"] == "metrics/"


def test_the_value_of_a_parameter_takes_precedence_over_its_default(template):
    environment = template.with_values({**RESOURCES, "StartedTopicArn": "existing"}).function_variables()
    assert environment["AWS_SNS_METRIC_RUN_STARTED_TOPIC_ARN"] == "existing"


def test_a_reference_without_a_value_is_an_error_that_names_it(template):
    with pytest.raises(ValueError, match=r"DataBucketName: template\.yaml refers to it, but"):
        template.function_variables()


def test_an_unsupported_intrinsic_function_is_an_error_that_names_it():
    body = {"Resources": {"X": {"Properties": {"Name": {"Fn::Sub": "a-${B}"}}}}}
    with pytest.raises(ValueError, match="Fn::Sub"):
        Template(body).property("X", "Name")


def test_no_aws_setting_of_the_caller_is_passed_on():
    mine = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "secret",
        "AWS_ENDPOINT_URL_S3": "https://example.com",
        "BOTO_CONFIG": "x",
        "https_proxy": "http://proxy",
        "PATH": "/bin",
    }
    found = isolated(mine)
    assert found["PATH"] == "/bin"
    assert found["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert not {*mine} - {"PATH"} & {*found}
    assert found["AWS_SECRET_ACCESS_KEY"] != isolated(mine)["AWS_SECRET_ACCESS_KEY"]


def test_a_caller_may_choose_the_settings_of_the_worker(template, monkeypatch):
    for name, value in {
        "OUTPUT_COMPRESSION": "zstd",
        "WORKER_SERIES_FILES": "listing",
        "OUTPUT_X": "x",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_S3_METRICS_PREFIX", "mine/")
    cloud = Cloud("http://127.0.0.1:1", *["unused"] * 9)
    found = emulator.function_environment(cloud, template, ROOT)
    assert found["OUTPUT_COMPRESSION"] == "zstd"
    assert found["WORKER_SERIES_FILES"] == "listing"
    assert found["WORKER_HEARTBEAT_INTERVAL_SECONDS"] == "1"
    assert found["AWS_S3_METRICS_PREFIX"] == "metrics/"
    assert emulator.worker_settings(os.environ) == {
        "OUTPUT_COMPRESSION": "zstd",
        "WORKER_SERIES_FILES": "listing",
    }


def test_the_log_contains_why_messages_were_returned(tmp_path):
    log = tmp_path / "worker.log"
    line = '{"level":"WARNING","message":"message given back","message_id":"m-1","reason":"runId: missing"}'
    log.write_text(f"START RequestId: x\n{line}\n[]\n{line}\n" + line.replace("m-1", "m-2"))
    assert returned_messages(log) == [
        "message m-1 returned to the queue 2 times: runId: missing",
        "message m-2 returned to the queue: runId: missing",
    ]


def test_published_objects_are_copied_and_nothing_is_written_elsewhere(tmp_path, monkeypatch):
    class S3:
        bodies: ClassVar = {"metrics/m/current/manifest.json": b"{}", "metrics/../../out.txt": b"no"}

        def get_paginator(self, _):
            return self

        def paginate(self, Bucket, Prefix):  # noqa: N803 - boto3's names
            assert (Bucket, Prefix) == (BUCKET, "metrics/")
            return [{"Contents": [{"Key": key} for key in self.bodies]}, {}]

        def get_object(self, Bucket, Key):  # noqa: N803 - boto3's names
            assert Bucket == BUCKET
            return {"Body": io.BytesIO(self.bodies[Key])}

    monkeypatch.setattr(outcome, "client", lambda *_: S3())
    folder = tmp_path / "out" / "s3"
    folder.mkdir(parents=True)
    (folder / "of-the-run-before").write_text("x")
    assert outcome.copy_published(Cloud("http://127.0.0.1:1", *["unused"] * 9), "metrics/", folder) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [folder / "metrics" / "m" / "current" / "manifest.json"]


def test_the_answer_of_the_emulator_is_that_of_the_function():
    assert emulator.parse_answer('{"batchItemFailures": []}') == {"batchItemFailures": []}
    assert emulator.parse_answer("null") is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Task timed out after 3.00 seconds", "Lambda: Task timed out after 3.00 seconds"),
        ('{"errorType": "ValueError", "errorMessage": "no", "stackTrace": []}', "ValueError: no"),
        ("", "Lambda: an empty answer"),
    ],
)
def test_an_error_of_the_function_is_recognised_by_the_body(text, error):
    with pytest.raises(InvocationError) as raised:
        emulator.parse_answer(text)
    assert str(raised.value) == error


def test_a_missing_emulator_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(LocalError, match="run `make install`"):
        emulator.find_emulator(tmp_path)


@pytest.mark.parametrize(
    ("system", "machine", "switch", "reason"),
    [
        ("linux", "x86_64", "", ""),
        ("linux", "aarch64", "on", ""),
        ("linux", "x86_64", "off", "EMULATOR is off"),
        ("linux", "riscv64", "", "there is no emulator for riscv64"),
        ("darwin", "arm64", "", "the emulator is a Linux program"),
        ("darwin", "arm64", "on", "the emulator is a Linux program"),
    ],
)
def test_the_worker_runs_in_the_emulator_if_it_can(monkeypatch, system, machine, switch, reason):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert emulator.reason_without_emulator({"EMULATOR": switch}) == reason


def test_a_value_of_emulator_that_is_neither_on_nor_off_is_refused():
    with pytest.raises(LocalError, match="EMULATOR=maybe is not valid: expected on or off"):
        emulator.reason_without_emulator({"EMULATOR": "maybe"})


FUNCTIONS = """
def answers(event, context):
    left, arn = context.get_remaining_time_in_millis(), context.invoked_function_arn
    return {"event": event, "left": left, "arn": arn}

def raises(event, context):
    raise ValueError("no")
"""


@pytest.fixture
def without_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Yield a function that starts a Lambda function in a child process, and returns its `Emulator`.

    Its argument is the name of the handler, such as `functions.answers`. The child process takes the place of
    Lambda's runtime emulator, and ends with the test.
    """
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "broken.py").write_text("raise RuntimeError('settings')")
    monkeypatch.setenv("EMULATOR", "off")
    named = {"NAME": "local", "VERSION": "1", "MEMORY_SIZE": "1769", "TIMEOUT": "300"}
    environment = {f"AWS_LAMBDA_FUNCTION_{name}": value for name, value in named.items()}
    with ExitStack() as stack:

        def start(handler):
            given = os.environ | environment | {"PYTHONPATH": str(tmp_path)}
            return stack.enter_context(
                emulator.emulator(tmp_path, given, log=tmp_path / "worker.log", timeout=30, handler=handler)
            )

        yield start


def test_without_the_emulator_a_function_answers_and_knows_its_time(without_emulator):
    function = without_emulator("functions.answers")
    for number in (1, 2):
        answer = function.invoke({"number": number})
        assert answer["event"] == {"number": number}
        assert 290_000 < answer["left"] <= 300_000
        assert answer["arn"].endswith(":function:local")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("functions.raises", "ValueError: no"),
        ("functions.missing", "Runtime.ImportModuleError"),
        ("nowhere.handler", "Runtime.ImportModuleError: Unable to import 'nowhere'"),
        ("broken.handler", "RuntimeError: settings"),
    ],
)
def test_without_the_emulator_an_error_has_lambda_s_form_and_a_traceback(
    without_emulator, tmp_path, handler, error
):
    with pytest.raises(InvocationError, match=error):
        without_emulator(handler).invoke({})
    assert "Traceback" in (tmp_path / "worker.log").read_text()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid, seconds=10.0):
    give_up = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < give_up:
        time.sleep(0.01)
    return not alive(pid)


SLEEPER = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]


def test_a_guarded_process_ends_with_its_context():
    with guarded(SLEEPER, os.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
    assert gone(pid)


def test_a_guarded_process_ends_if_its_parent_is_killed():
    parent = (
        "import os, subprocess, sys, time\n"
        "from metrics_tools.local_cloud.subprocess_guard import guarded\n"
        f"with guarded({SLEEPER!r}, os.environ, stdout=subprocess.PIPE, stderr=None) as process:\n"
        "    print(int(process.stdout.readline()), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    assert gone(pid)
