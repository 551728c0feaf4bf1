"""A request with a valid run id and an invalid metric code ends with FAILURE; no key contains the code."""

import json

import pytest

from tests.builders import put_a_and_b, record, request
from tests.functional.runs import NOTHING_COMES_BACK

RULE = "expected 1-128 of A-Za-z0-9._-, beginning with a letter or digit"
CODES = [
    ("cpi/us", "cpi/us"),
    ("a:b%c+d(e)", "a:b%c+d(e)"),
    ("_dead-letters", "_dead-letters"),
    (".hidden", ".hidden"),
    ("../victim", "../victim"),
    ("a\x00\nb", "a  b"),
    ("", "-"),
    ("é" * 400, "é" * 128),
    (None, "null"),
    (7, "7"),
    (["a"], "an array"),
]


@pytest.fixture(params=["worker", "dead letters"])
def answer(request, invoke, bury):
    return {"worker": invoke, "dead letters": bury}[request.param]


@pytest.mark.parametrize("form", [{}, {"schema": "metrics.run.v1"}])
@pytest.mark.parametrize(("code", "shown"), CODES)
def test_the_run_fails_with_an_error_that_names_the_code_and_the_rule(cloud, answer, code, shown, form):
    put_a_and_b(cloud.store)

    assert answer(record(request(metricCode=code, **form), group="g")) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert (event["runId"], event["metricCode"], event["status"]) == ("run-1", shown, "FAILURE")
    error = event["error"]
    text = f"{error['code']}: {error['message']}" if form else error
    assert text.startswith(f"CONFIG_ERROR: metricCode: {RULE}, found ")
    if isinstance(code, str):
        assert repr(code)[:100] in text


def test_the_message_attribute_is_valid_for_sns(cloud, answer):
    answer(record(request(metricCode=""), group="g"))

    (message,) = cloud.sns.messages
    assert message["MessageAttributes"]["metricCode"] == {"DataType": "String", "StringValue": "-"}


def test_a_run_with_a_missing_code_has_an_outcome(cloud, answer):
    body = request()
    del body["metricCode"]

    assert answer(record(body, group="g")) == NOTHING_COMES_BACK

    assert cloud.sns.completed[0]["error"] == f"CONFIG_ERROR: metricCode: {RULE}, no such field"


@pytest.mark.parametrize("code", [code for code, _ in CODES])
def test_no_key_contains_the_code(cloud, answer, faults, code):
    answer(record(request(metricCode=code), group="g"))

    assert [call for call in faults.calls if "_dead-letters/2026-10-30/message-1.json" not in call[1]] == []
    assert set(cloud.keys("")) <= {"metrics/_dead-letters/2026-10-30/message-1.json"}


def test_the_kept_dead_letter_names_the_run_and_the_code(cloud, bury):
    bury(record(request(metricCode="cpi/us"), group="g"))

    letter = json.loads(cloud.read("metrics/_dead-letters/2026-10-30/message-1.json"))
    assert (letter["run_id"], letter["metric_code"], letter["outcome"]) == ("run-1", "cpi/us", "FAILURE")


def test_the_next_message_of_the_group_is_handled(cloud, invoke):
    put_a_and_b(cloud.store)

    invoke(
        record(request(metricCode="a/b", run_id="bad"), group="g"),
        record(request(run_id="good"), group="g", message_id="2"),
    )

    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE", "SUCCESS"]
