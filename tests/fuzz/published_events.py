"""A strict parser of published status events. It was written from docs/contracts and uses no worker code.

`check()` raises an AssertionError if the control plane could not parse an event.
"""

import json
import re
import unicodedata
from datetime import datetime
from typing import Any

from tests.builders import BUCKET, TOPIC

type Json = dict[str, Any]

MAX_SNS_MESSAGE = 262_144
V1 = "metrics.run.v1"
CODES = (
    "INPUT_READ_ERROR",
    "EXPRESSION_EVAL_ERROR",
    "OUTPUT_WRITE_ERROR",
    "MANIFEST_VALIDATION_ERROR",
    "CONFIG_ERROR",
    "INTERNAL_ERROR",
)
TOPICS = {
    "metric_run_started": TOPIC.format("started"),
    "metric_run_heartbeat": TOPIC.format("heartbeat"),
    "metric_run_completed": TOPIC.format("completed"),
}
FIELDS = {
    "metric_run_started": [{"startedAt"}],
    "metric_run_heartbeat": [{"progress", "ts"}],
    "metric_run_completed": [
        {"metricCode", "status", "versionTs", "outputManifest", "rowCount"},
        {"metricCode", "status", "error"},
        {"metricCode", "status", "versionTs", "outputManifest", "rowCount", "error"},
    ],
}
"""The allowed sets of fields of each event, without `type`, `runId` and, in the v1 form, `schema`."""
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)
DEDUPLICATION_ID = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def check(message: Json) -> Json:
    """Assert that a status event follows the contract, and return the event.

    Args:
        message: the arguments with which the worker published the event to SNS.
    """
    text = message["Message"]
    assert len(text.encode("utf-8")) <= MAX_SNS_MESSAGE, "larger than the limit of SNS"
    event: Json = json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_number)
    kind = event.get("type")
    assert kind in FIELDS, f"unknown event type: {kind!r}"
    own = event.keys() - {"schema", "type", "runId"}
    assert own in FIELDS[kind], f"the fields of {kind} are {sorted(own)}"
    if "schema" in event:
        assert (next(iter(event)), event["schema"]) == ("schema", V1), "`schema` is not the first field"
    _match(ID, event["runId"])
    {
        "metric_run_started": _check_started,
        "metric_run_heartbeat": _check_heartbeat,
        "metric_run_completed": _check_completed,
    }[kind](event)
    _check_delivery(message, event)
    return event


def _check_delivery(message: Json, event: Json) -> None:
    assert message["TopicArn"] == TOPICS[event["type"]], f"{event['type']} went to {message['TopicArn']}"
    assert message["MessageGroupId"] == event["runId"], "the message group is not the run id"
    _match(DEDUPLICATION_ID, message["MessageDeduplicationId"])
    attributes = message["MessageAttributes"]
    assert attributes.keys() == {"type", "metricCode"}
    assert all(attribute["DataType"] == "String" for attribute in attributes.values())
    assert attributes["type"]["StringValue"] == event["type"]
    _check_code(attributes["metricCode"]["StringValue"], "printable")
    assert event.get("metricCode") in {None, attributes["metricCode"]["StringValue"]}


def _check_started(event: Json) -> None:
    _check_time(event["startedAt"])


def _check_heartbeat(event: Json) -> None:
    _check_time(event["ts"])
    assert type(event["progress"]) in {int, float}, f"progress is {event['progress']!r}"
    assert 0 <= event["progress"] <= 1, f"progress is {event['progress']!r}"


def _check_completed(event: Json) -> None:
    _check_code(event["metricCode"], event["status"])
    if event.get("error", "") is None:
        assert event["status"] == "SUCCESS", f"a null error of status {event['status']!r}"
    elif "error" in event:
        assert event["status"] == "FAILURE", f"an error of status {event['status']!r}"
        _check_error(event["error"], v1="schema" in event)
        return
    assert event["status"] == "SUCCESS", f"a version of status {event['status']!r}"
    _match(VERSION, event["versionTs"])
    assert type(event["rowCount"]) is int, f"rowCount is {event['rowCount']!r}"
    assert 0 <= event["rowCount"] < 2**31, f"rowCount is {event['rowCount']}"
    where = event["outputManifest"]
    assert len(where) <= 500, f"outputManifest has {len(where)} characters"
    start = f"s3://{BUCKET}/metrics/" if "schema" in event else "metrics/"
    assert where.startswith(start), f"outputManifest is {where!r}"
    assert where == f"{start}{event['metricCode']}/{event['versionTs']}/manifest.json", where


def _check_code(code: Any, status: str) -> None:
    """Assert that the metric code in a completed event is valid.

    The event of a FAILURE may also have the invalid code of the request, if it is short and printable.

    Args:
        code: the metric code in the event.
        status: `SUCCESS` or `FAILURE`.
    """
    if status == "SUCCESS":
        _match(ID, code)
        return
    assert isinstance(code, str), f"metricCode is {code!r}"
    assert 0 < len(code.encode("utf-16-le")) <= 2 * 128, f"metricCode has {len(code)} characters"
    assert code.strip(), f"metricCode is {code!r}"
    assert code.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]", code), code


def _check_error(error: Any, *, v1: bool) -> None:
    if v1:
        assert isinstance(error, dict), f"the error is {error!r}"
        assert error.keys() == {"code", "message"}, f"the error's fields are {sorted(error)}"
        code, text = error["code"], error["message"]
    else:
        assert isinstance(error, str), f"the error is {error!r}"
        code, _, text = error.partition(": ")
    assert code in CODES, f"unknown error code: {code!r}"
    whole = text if v1 else error
    assert text, "an error without a message"
    assert len(whole.encode("utf-16-le")) <= 2 * 1000, f"an error of {len(whole)} characters"
    strange = [c for c in whole if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in "\ufffe\uffff"]
    assert not strange, f"not printable in an error: {strange!r}"
    assert "Traceback" not in whole, "a stack trace in an error"
    assert 'File "' not in whole, "a stack trace in an error"


def _check_time(text: Any) -> None:
    _match(TIME, text)
    datetime.fromisoformat(text)


def _match(pattern: re.Pattern[str], text: Any) -> None:
    assert isinstance(text, str), f"not a string: {text!r}"
    assert pattern.fullmatch(text), f"{text!r} is not {pattern.pattern}"


def _each_key_once(pairs: list[tuple[str, Any]]) -> Json:
    assert len(dict(pairs)) == len(pairs), f"a key occurs twice: {pairs}"
    assert all(value is not None for name, value in pairs if name != "error"), f"a null in {pairs}"
    return dict(pairs)


def _no_number(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")
