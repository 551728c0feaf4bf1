"""The parsing of requests: the envelope, the run id, and the fields of a request.

tests/unit/test_request_bounds.py tests the keys that a request may read and write.
"""

import json
from datetime import UTC, datetime

import pytest

from metrics_worker.errors import ConfigError, ExpressionError, UnanswerableError
from metrics_worker.expression.grammar import dump
from metrics_worker.request import RunRequest, open_record, unwrap_envelope
from metrics_worker.request_check import Bounds
from tests.builders import BUCKET, envelope, ratio, request, series, window

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")
SENT = "1793361597000"
SENT_AT = datetime(2026, 10, 30, 11, 59, 57, tzinfo=UTC)


def opened(event, sent=SENT):
    return open_record(event if isinstance(event, str) else json.dumps(event), sent)


def parsed(event):
    return RunRequest.parse(opened(event), BOUNDS)


def without(event, *fields):
    return {name: value for name, value in event.items() if name not in fields}


# The record, its envelope and the run id


def test_a_raw_body_is_the_event_itself():
    run = opened(request(run_id="r-1", metric="m.x"))
    assert (run.run_id, run.metric_code, run.v1) == ("r-1", "m.x", False)


def test_a_notification_holds_the_event_as_a_string():
    assert opened(envelope(request(run_id="r-1"))).run_id == "r-1"


def test_a_notification_needs_no_type():
    assert opened(without(envelope(request(run_id="r-1")), "Type")).run_id == "r-1"


def test_a_message_that_is_not_a_string_is_not_an_envelope():
    assert opened(request(run_id="r-1", Message={"runId": "r-2"})).run_id == "r-1"


def test_an_envelope_holds_the_text_the_event_and_the_time_of_its_message():
    event = request(run_id="r-1")
    notified = unwrap_envelope(json.dumps(envelope(event, timestamp="2026-10-30T11:59:57Z")))
    raw = unwrap_envelope(json.dumps(event))

    assert notified.message == raw.message == json.dumps(event)
    assert notified.event() == raw.event() == event
    assert (notified.published_at, raw.published_at) == (SENT_AT, None)


def test_an_envelope_of_other_text_is_opened_and_only_its_event_is_refused():
    opened = unwrap_envelope('{"Message": "hello"}')

    assert opened.message == "hello"
    with pytest.raises(UnanswerableError, match=r"^body\.Message: not JSON"):
        opened.event()


def test_the_time_of_the_notification_is_the_time_of_the_request():
    run = opened(envelope(request(), timestamp="2026-10-30T11:59:58.123Z"))
    assert run.requested_at == datetime(2026, 10, 30, 11, 59, 58, 123000, tzinfo=UTC)


def test_the_time_of_a_raw_body_is_that_of_its_message():
    assert opened(request()).requested_at == SENT_AT


@pytest.mark.parametrize("timestamp", [None, "", "yesterday", 17, {}])
def test_without_a_readable_time_of_the_notification_the_request_has_the_time_of_its_message(timestamp):
    assert opened({**envelope(request()), "Timestamp": timestamp}).requested_at == SENT_AT


def test_a_time_with_an_offset_becomes_utc():
    run = opened(envelope(request(), timestamp="2026-10-30T08:59:58-03:00"))
    assert run.requested_at == datetime(2026, 10, 30, 11, 59, 58, tzinfo=UTC)
    assert run.requested_at.tzinfo is UTC


@pytest.mark.parametrize("sent", [None, "", "soon", "9" * 30])
def test_without_any_time_the_request_has_the_current_time(sent):
    before = datetime.now(UTC)
    assert before <= opened(request(), sent).requested_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("schema", "v1"), [({"schema": "metrics.run.v1"}, True), ({"schema": None}, False), ({}, False)]
)
def test_the_schema_asks_for_the_form_of_the_answers(schema, v1):
    assert parsed(request(**schema)).run.v1 is v1


@pytest.mark.parametrize(
    ("body", "culprit"),
    [
        ("", "body: not JSON"),
        ("{", "body: not JSON"),
        ("[" * 100_000, "body: not JSON"),
        ("9" * 5000, "body: expected a JSON object, found float"),
        ("null", "body: expected a JSON object, found NoneType"),
        ("[]", "body: expected a JSON object, found list"),
        (json.dumps({"Message": "hello"}), "body.Message: not JSON"),
        (json.dumps({"Message": "[1]"}), "body.Message: expected a JSON object, found list"),
        (json.dumps({}), "type: expected 'metric_run_requested', found None"),
        (json.dumps(request(type="metric_run_started")), "type: .* found 'metric_run_started'"),
        (json.dumps(request(type=["metric_run_requested"])), "type: expected"),
    ],
)
def test_a_body_that_is_not_a_request_is_unanswerable(body, culprit):
    with pytest.raises(UnanswerableError, match=culprit):
        open_record(body, SENT)


UNUSABLE = [None, "", 17, "a" * 129, "-a", ".a", "_a", "a/b", "..", "a b", "a\n", "é", "\ud800", ["a"]]


@pytest.mark.parametrize("value", UNUSABLE)
def test_an_unusable_run_id_is_unanswerable(value):
    with pytest.raises(UnanswerableError, match=r"^runId: expected 1-128 of A-Za-z0-9\._-"):
        opened(request(runId=value))


def test_a_missing_run_id_is_unanswerable():
    with pytest.raises(UnanswerableError, match=r"^runId: "):
        opened(without(request(), "runId"))


@pytest.mark.parametrize("value", UNUSABLE)
def test_an_unusable_metric_code_can_be_answered_and_is_refused(value):
    run = opened(request(metricCode=value))

    assert not run.has_usable_code
    with pytest.raises(ConfigError, match=r"^CONFIG_ERROR: metricCode: expected 1-128 of A-Za-z0-9\._-, "):
        RunRequest.parse(run, BOUNDS)


def test_a_missing_metric_code_can_be_answered_and_is_refused():
    run = opened(without(request(), "metricCode"))

    with pytest.raises(ConfigError, match=r"metricCode: expected 1-128 .*, no such field$"):
        RunRequest.parse(run, BOUNDS)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("cpi/us:%+(x)", "cpi/us:%+(x)"),
        ("_a", "_a"),
        ("a\nb\x00", "a b "),
        ("\ud800", "-"),
        ("", "-"),
        ("  ", "-"),
        ("é" * 129, "é" * 128),
        ("😀" * 65, "😀" * 64),
        (None, "null"),
        (17, "17"),
        (1.5, "1.5"),
        (True, "true"),
        (["a"], "an array"),
        ({}, "an object"),
    ],
)
def test_an_unusable_metric_code_is_repeated_in_a_form_that_an_event_can_carry(value, shown):
    assert opened(request(metricCode=value)).metric_code == shown


@pytest.mark.parametrize("value", ["a", "7", "A._-z", "a" * 128, "550e8400-e29b-41d4-a716-446655440000"])
def test_an_id_is_letters_digits_dots_underscores_and_dashes(value):
    run = opened(request(run_id=value, metric=value))
    assert (run.run_id, run.metric_code) == (value, value)


# The fields of a request


def test_unknown_fields_of_the_event_are_ignored():
    event = request(traceId="x")
    event["inputs"] = [{"datasetId": "fx", "seriesCode": "A", "unit": "USD"}]
    event["catalog"]["owner"] = {"team": 1}
    event["catalog"]["datasets"]["fx"]["region"] = None
    event["output"]["format"] = "parquet"
    assert parsed(event).declared == {"A": "fx"}


def test_unknown_fields_of_the_expression_are_errors():
    with pytest.raises(ExpressionError, match=r"^EXPRESSION_EVAL_ERROR: expressionJson\.colour: "):
        parsed(request(ratio(series("A"), series("B"), colour="red")))


@pytest.mark.parametrize("name", ["series_code", "seriesCode"])
def test_operands_name_their_series_in_either_way(name):
    expression = parsed(request(ratio({name: "A"}, {name: "B"}, scale=1))).expression
    assert dump(expression) == {"op": "ratio", "left": series("A"), "right": series("B"), "scale": 1.0}


@pytest.mark.parametrize("inputs", [None, []])
def test_inputs_may_be_null_or_empty(inputs):
    assert parsed(request() | {"inputs": inputs}).declared == {}


def test_inputs_may_be_absent():
    assert parsed(without(request(), "inputs")).declared == {}


def test_a_series_that_the_expression_does_not_name_is_not_declared():
    assert parsed(request(inputs={"A": "fx", "Z": "nowhere", "B": "fx"})).declared == {"A": "fx", "B": "fx"}


def test_a_series_may_be_listed_only_once_in_inputs():
    twice = [{"datasetId": "fx", "seriesCode": "A"}, {"datasetId": "gx", "seriesCode": "A"}]
    with pytest.raises(
        ConfigError, match=r"^CONFIG_ERROR: inputs\[1\]\.seriesCode: this series is listed twice, found 'A'"
    ):
        parsed(request() | {"inputs": twice})


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (series("A"), "window_op"),
        (ratio(series("A"), series("B")), "series"),
        (window("sum", series("A"), 3), "composite"),
        ({"op": "sum", "operands": [series("A"), series("B")]}, "window_op"),
        (ratio(series("A"), series("B")), "SERIES_MATH"),
        (ratio(series("A"), series("B")), ""),
    ],
)
def test_the_expression_type_must_agree_with_the_shape(expression, says):
    with pytest.raises(ExpressionError, match=f"^EXPRESSION_EVAL_ERROR: expressionType: says '{says}'"):
        parsed(request(expression, kind=says))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (series("A"), "series"),
        (ratio(series("A"), series("B")), "series_math"),
        (window("sum", series("A"), 3), "window_op"),
        ({"op": "sum", "operands": [series("A"), series("B")]}, "composite"),
    ],
)
def test_each_shape_has_its_expression_type(expression, says):
    assert dump(parsed(request(expression, kind=says)).expression)


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ("expressionType", "EXPRESSION_EVAL_ERROR: expressionType: "),
        ("expressionJson", "EXPRESSION_EVAL_ERROR: expressionJson: "),
        ("catalog", "CONFIG_ERROR: catalog: "),
        ("output", "CONFIG_ERROR: output: "),
    ],
)
def test_a_missing_field_is_named(field, error):
    with pytest.raises((ConfigError, ExpressionError)) as raised:
        parsed(without(request(), field))
    assert str(raised.value).startswith(error)


@pytest.mark.parametrize(
    ("replaced", "culprit"),
    [
        ({"schema": "metrics.run.v2"}, "schema: .*'metrics.run.v2'"),
        ({"schema": 1}, "schema: "),
        ({"catalog": None}, "catalog: "),
        ({"catalog": {}}, "catalog.datasets: "),
        ({"catalog": {"datasets": []}}, "catalog.datasets: "),
        ({"output": {}}, "output.basePath: "),
        ({"output": {"basePath": None}}, "output.basePath: "),
        ({"output": {"basePath": 5}}, "output.basePath: "),
    ],
)
def test_a_field_of_the_wrong_shape_is_named(replaced, culprit):
    with pytest.raises(ConfigError, match=f"^CONFIG_ERROR: {culprit}"):
        parsed(request(**replaced))


@pytest.mark.parametrize(
    ("inputs", "culprit"),
    [
        ({}, "inputs: "),
        ("A", "inputs: "),
        ([None], r"inputs\[0\]: "),
        ([{"seriesCode": "A"}], r"inputs\[0\]\.datasetId: "),
        ([{"datasetId": "fx"}], r"inputs\[0\]\.seriesCode: "),
        (
            [{"datasetId": "fx", "seriesCode": "A"}, {"datasetId": "", "seriesCode": "B"}],
            r"inputs\[1\]\.datasetId: ",
        ),
        ([{"datasetId": "fx", "seriesCode": ""}], r"inputs\[0\]\.seriesCode: "),
        ([{"datasetId": 7, "seriesCode": "A"}], r"inputs\[0\]\.datasetId: "),
    ],
)
def test_inputs_of_the_wrong_shape_are_named(inputs, culprit):
    with pytest.raises(ConfigError, match=f"^CONFIG_ERROR: {culprit}"):
        parsed(request() | {"inputs": inputs})


def test_a_number_of_any_length_in_an_ignored_field_does_not_make_the_message_unanswerable():
    body = json.dumps(request())[:-1] + ', "note": ' + "9" * 5000 + "}"
    assert open_record(body, None).run_id == "run-1"
