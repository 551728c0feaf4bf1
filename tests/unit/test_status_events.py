"""The control plane can parse every status event, even if its fields contain unusual texts or numbers."""

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from metrics_worker.errors import ConfigError, InputReadError
from metrics_worker.messaging.status_events import MAX_ERROR, RunCompleted, RunHeartbeat
from metrics_worker.request import Run
from tests.builders import NOW

PLAIN = Run("run-1", "m.x", v1=False, requested_at=NOW, event={})
V1 = Run("run-1", "m.x", v1=True, requested_at=NOW, event={})


def failure_of(problem, run=PLAIN):
    error = json.loads(RunCompleted.failure(run, InputReadError("A", problem)).wire())["error"]
    return error["message"] if run.v1 else error


@pytest.mark.parametrize("run", [PLAIN, V1])
def test_an_error_has_no_control_characters(run):
    problem = "".join(map(chr, range(0x100))) + "\u2028\u2029\ufffe\uffff"
    assert not [c for c in failure_of(problem, run) if unicodedata.category(c) in {"Cc", "Zl", "Zp"}]
    assert not set(failure_of(problem, run)) & {"\ufffe", "\uffff"}


@pytest.mark.parametrize("run", [PLAIN, V1])
@pytest.mark.parametrize("surrogates", [(0xD800,), (0xDFFF,), (0xDC00, 0xD800)])
def test_an_error_has_no_lone_surrogates(run, surrogates):
    text = failure_of("before" + "".join(map(chr, surrogates)) + "after", run)
    assert text.encode("utf-8")
    assert text.startswith("A: before" if run.v1 else "INPUT_READ_ERROR: A: before")
    assert text.endswith("after")


@pytest.mark.parametrize("run", [PLAIN, V1])
@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_an_error_has_at_most_a_thousand_characters_in_any_unit(run, letter):
    text = failure_of(letter * 2000, run)
    assert len(text) <= MAX_ERROR
    assert MAX_ERROR - 1 <= len(text.encode("utf-16-le")) // 2 <= MAX_ERROR, "the JVM counts UTF-16 units"
    assert text.endswith(letter), "no half of a pair is left"


def test_a_short_error_is_unchanged():
    assert failure_of("naïve “quotes” \\ / 😀") == "INPUT_READ_ERROR: A: naïve “quotes” \\ / 😀"


def test_the_plain_error_has_its_code_before_its_message():
    event = RunCompleted.failure(PLAIN, ConfigError("output.basePath", "no"))
    assert event.error == "CONFIG_ERROR: output.basePath: no"


def test_the_error_of_the_v1_form_has_a_code_and_a_message():
    event = json.loads(RunCompleted.failure(V1, ConfigError("output.basePath", "no")).wire())
    assert event["error"] == {"code": "CONFIG_ERROR", "message": "output.basePath: no"}


@pytest.mark.parametrize("count", [0, 2**31 - 1])
def test_a_row_count_is_a_32_bit_integer(count):
    event = json.loads(
        RunCompleted.success(
            PLAIN, version_ts="v", manifest_key="metrics/m.json", row_count=count, bucket="b"
        ).wire()
    )
    assert event["rowCount"] == count
    assert type(event["rowCount"]) is int


@pytest.mark.parametrize("count", [-1, 2**31])
def test_a_row_count_beyond_32_bits_is_not_sent(count):
    with pytest.raises(ValidationError):
        RunCompleted.success(
            PLAIN, version_ts="v", manifest_key="metrics/m.json", row_count=count, bucket="b"
        )


def test_an_output_manifest_of_more_than_500_characters_is_not_sent():
    assert RunCompleted.success(PLAIN, version_ts="v", manifest_key="m" * 500, row_count=1, bucket="b")
    with pytest.raises(ValidationError):
        RunCompleted.success(PLAIN, version_ts="v", manifest_key="m" * 501, row_count=1, bucket="b")


@pytest.mark.parametrize(
    ("progress", "said"), [(0, 0.0), (1, 1.0), (1 / 3, 0.3333), (1e-9, 0.0), (0.99999, 1.0)]
)
def test_progress_is_between_zero_and_one(progress, said):
    assert json.loads(RunHeartbeat.of(PLAIN, progress, NOW).wire())["progress"] == said


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_a_progress_outside_zero_to_one_is_refused(progress):
    with pytest.raises(ValidationError):
        RunHeartbeat.of(PLAIN, progress, NOW)


def test_a_time_is_written_to_the_second():
    at = datetime(2026, 10, 30, 12, 0, 0, 999_999, tzinfo=UTC)
    assert RunHeartbeat.of(PLAIN, 0.5, at).ts == "2026-10-30T12:00:00Z"
