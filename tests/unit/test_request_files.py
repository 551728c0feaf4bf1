"""The reader of request files, which also reads the sample requests in events/."""

import hashlib
import json
from pathlib import Path

import pytest

from metrics_tools import ecb
from metrics_tools.local_cloud import THROTTLED_PREFIX
from metrics_tools.request_files import EventFileError, all_samples, metric_code_of, read_samples
from metrics_worker.expression.grammar import children, expression_type, series_codes
from metrics_worker.expression.nodes import Composite, Ema, Lag, SeriesMath, WindowOp
from metrics_worker.request import RunRequest, open_record
from metrics_worker.request_check import Bounds

EVENTS = Path(__file__).parents[2] / "events"
PATHS = all_samples(EVENTS)
BOUNDS = Bounds("some-bucket", "metrics/", "datasets/")

each_file = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def records(path):
    return json.loads(path.read_text())["Records"]


def requests():
    return [sample.request for sample in read_samples(PATHS)]


def nodes(node):
    yield node
    for child in children(node):
        yield from nodes(child)


def test_run_json_is_first_and_files_that_must_fail_are_last():
    assert PATHS[0].name == "run.json"
    assert [path.name for path in PATHS if path.name.startswith("fails-")] == [
        path.name for path in PATHS[-2:]
    ]


@each_file
def test_a_file_is_an_sqs_event_with_one_record(path):
    (record,) = records(path)
    assert set(record) == {
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfBody",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    }
    assert record["eventSource"] == "aws:sqs"
    assert record["messageAttributes"] == {}
    assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()


@each_file
def test_the_body_is_an_sns_notification_of_the_metrics_group(path):
    (record,) = records(path)
    body = json.loads(record["body"])
    request = json.loads(body["Message"])
    assert body["Type"] == "Notification"
    assert {"MessageId", "TopicArn", "Timestamp"} <= set(body)
    attributes = record["attributes"]
    assert attributes["MessageGroupId"] == request["metricCode"]
    assert attributes["MessageDeduplicationId"] == request["runId"]
    assert attributes["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "SequenceNumber"} <= set(attributes)


@each_file
def test_the_worker_understands_the_request(path):
    (record,) = records(path)
    run = open_record(record["body"], record["attributes"]["SentTimestamp"])
    parsed = RunRequest.parse(run, BOUNDS)
    manifest = parsed.datasets["ecb_fx"].manifest_key
    assert manifest == ecb.manifest_key(ecb.version_of(ecb.read_rates()))


@each_file
def test_a_file_is_tidy(path):
    text = path.read_text()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_each_run_and_each_metric_is_requested_once():
    assert len({request["runId"] for request in requests()}) == len(PATHS)
    assert len({request["metricCode"] for request in requests()}) == len(PATHS)


def test_the_samples_cover_the_grammar():
    trees = [sample.expression for sample in read_samples(PATHS)]
    every = [node for tree in trees for node in nodes(tree)]
    kinds = {expression_type(tree) for tree in trees if tree is not None}
    assert kinds == {"series_math", "window_op", "composite"}
    assert {node.op for node in every if isinstance(node, SeriesMath)} == {
        "add",
        "subtract",
        "multiply",
        "ratio",
    }
    windowed = {node.op for node in every if isinstance(node, WindowOp | Ema | Lag)}
    assert windowed >= {"sma", "ema", "max", "min", "lag", "pct_change", "zscore"}
    assert {node.op for node in every if hasattr(node, "op")} >= {"rebase", "resample"}
    assert {node.unit for node in every if isinstance(node, WindowOp | Lag)} >= {"months", "years"}
    assert {node.op for node in every if isinstance(node, Composite)} >= {"avg", "max"}


def test_the_samples_cover_the_forms_of_a_request():
    texts = [json.dumps(request) for request in requests()]
    assert any('"seriesCode": "ECB_GBP_EUR_D"}' in text.partition('"inputs"')[0] for text in texts)
    assert any(request.get("schema") == "metrics.run.v1" for request in requests())
    nested = [
        sample.request
        for sample in read_samples(PATHS)
        if isinstance(sample.expression, Composite)
        and not sample.request["inputs"]
        and series_codes(sample.expression)
    ]
    assert nested, "one leaves out the series of a composite's nested operands, as the control plane does"


def test_one_series_does_not_exist_and_one_dataset_is_throttled_so_their_runs_must_fail():
    samples = read_samples(PATHS)
    missing, throttled = [sample for sample in samples if sample.expected_error is not None]
    assert missing.expected_error == "INPUT_READ_ERROR"
    assert missing.currencies - set(ecb.read_rates()) == {"XAU"}
    assert throttled.expected_error == "INTERNAL_ERROR"
    manifest = throttled.request["catalog"]["datasets"]["gold"]["manifestPath"]
    assert manifest.startswith(THROTTLED_PREFIX)
    others = [sample for sample in samples if sample is not missing]
    assert set().union(*(sample.currencies for sample in others)) <= set(ecb.CURRENCIES)


def test_a_file_may_contain_a_request_without_an_event(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(requests()[0]))
    (sample,) = read_samples([path])
    assert (sample.metric_code, sample.currencies) == ("fx.usd_per_brl", {"USD", "BRL"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("3", "it is not a JSON object"),
        ("{}", "it has no Records"),
        ('{"Records": []}', "its Records are empty"),
        ('{"Records": {}}', "its Records are empty"),
        ('{"Records": [{}]}', "one of its records has no body"),
        ("sma(A, 3)", "it is not JSON: it looks like a formula .rename the file: a formula is read from"),
        ('{"Records": [3]}', "one of its records has no body"),
        ('{"Records": [{"body": "x"}]}', "the body of a record is not a JSON object"),
        ('{"Records": [{"body": "[]"}]}', "the body of a record is not a JSON object"),
        ('{"Records": [{"body": "{\\"Message\\": \\"x\\"}"}]}', "its request is not JSON"),
        ('{"type": "metric_run_requested", "metricCode": "m"}', "its request has no runId"),
        ('{"type": "metric_run_requested", "runId": 3, "metricCode": "m"}', "its request has no runId"),
        ('{"type": "metric_run_requested", "runId": "r"}', "its request has no metricCode"),
    ],
)
def test_a_file_without_a_request_is_an_error_that_says_what_is_expected_in_one_line(tmp_path, text, why):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(EventFileError, match=rf"mine\.json: not an event: {why}") as raised:
        read_samples([path])
    assert "an SQS event with Records" in str(raised.value)
    assert "a bare metric_run_requested, as in docs/five-minutes.md, or only an expression" in str(
        raised.value
    )
    assert "Error" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_for_an_expression_alone_a_request_is_created_that_the_worker_accepts(tmp_path):
    path = tmp_path / "my dollar.json"
    path.write_text('{"op": "sma", "series": {"seriesCode": "ECB_USD_EUR_D"}, "window": 3}')
    (sample,) = read_samples([path])
    request = RunRequest.parse(open_record(sample.message, None), BOUNDS)
    assert (request.run.metric_code, request.declared) == ("my-dollar", {"ECB_USD_EUR_D": "ecb_fx"})
    assert request.datasets["ecb_fx"].manifest_key == "datasets/ecb_fx/versions/v20261030/manifest.json"


def test_a_formula_alone_is_an_expression(tmp_path):
    path = tmp_path / "my dollar.formula"
    path.write_text("sma(ECB_USD_EUR_D, 3)\n")
    (sample,) = read_samples([path])
    node = {"op": "sma", "series": {"series_code": "ECB_USD_EUR_D"}, "window": 3}
    assert (sample.metric_code, sample.request["expressionJson"]) == ("my-dollar", node)
    path.write_text("ECB_USD_EUR_D +")
    with pytest.raises(
        EventFileError, match=r"(?s)formula: not a formula: .* too early\n  ECB_USD_EUR_D \+\n"
    ):
        read_samples([path])


def test_a_formula_in_place_of_a_path_is_an_expression():
    (sample,) = read_samples(['sma("ECB_USD_EUR_D" / ECB_GBP_EUR_D, 3)'])
    assert (sample.metric_code, sample.currencies) == ("formula", {"USD", "GBP"})
    assert sample.request["expressionJson"]["series"]["right"] == {"series_code": "ECB_GBP_EUR_D"}
    with pytest.raises(EventFileError, match=r"neither a file nor a formula: there is no operation `smaa`"):
        read_samples(["smaa(ECB_USD_EUR_D, 3)"])
    with pytest.raises(EventFileError, match=r"`metrics validate 'sma\(\"ECB_USD_EUR_D\", 0\)'` says more"):
        read_samples(['sma("ECB_USD_EUR_D", 0)'])
    with pytest.raises(EventFileError, match=r"^none: No such file or directory\.$"):
        read_samples(["none"])


@pytest.mark.parametrize(
    ("name", "code"),
    [("fx.usd", "fx.usd"), ("fx.usd.json", "fx.usd"), ("fx.usd.txt", "fx.usd"), ("fx.usd.formula", "fx.usd")],
)
def test_a_dot_in_a_file_name_is_part_of_the_metric_code(name, code):
    assert metric_code_of(Path("my.folder") / name) == code
    assert metric_code_of(Path("-")) == "metric"


def test_an_invalid_expression_alone_is_an_error_with_a_remedy(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"op": "smaa", "series": {"series_code": "ECB_USD_EUR_D"}, "window": 3}')
    with pytest.raises(EventFileError, match=r"mine\.json: .* not valid.*found 'smaa'.*validate"):
        read_samples([path])


def test_an_invalid_expression_in_a_request_still_names_its_currencies(tmp_path):
    path = tmp_path / "mine.json"
    half = {"op": "ratio", "left": {"seriesCode": "ECB_GBP_EUR_D"}}
    inputs = [{"datasetId": "ecb_fx", "seriesCode": "ECB_SEK_EUR_D"}]
    path.write_text(json.dumps({**requests()[0], "expressionJson": half, "inputs": inputs}))
    (sample,) = read_samples([path])
    assert sample.expression is None
    assert sample.currencies == {"GBP", "SEK"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EventFileError, match=r"none\.json: No such file"):
        read_samples([tmp_path / "none.json"])


def test_two_samples_with_the_same_run_id_are_refused():
    with pytest.raises(EventFileError, match="more than one sample has the runId"):
        read_samples([PATHS[0], PATHS[0]])
