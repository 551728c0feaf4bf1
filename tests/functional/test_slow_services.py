"""AWS services that respond too slowly do not delay an invocation beyond its deadline.

A proxy on the loopback interface sends the responses of a real server one byte at a time, so a timeout for
each read never ends a call. The deadlines are one or two real seconds in the future.
"""

import json
import threading
import time
import uuid
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer

from metrics_worker import dead_letter_handler as dead_letters
from metrics_worker import handler
from metrics_worker.deadline import RESERVED_SECONDS
from metrics_worker.errors import OutOfTime, StatusUnavailable
from metrics_worker.messaging.clients import CALL_SECONDS, client, service_call
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker
from tests.builders import BUCKET, FakeContext, put_a_and_b, request
from tests.faulty_proxy import LOST, PASS, SLOW, Call, FaultyProxy
from tests.functional.runs import given_back, run_of

LEFT = 1.5
"""The number of seconds until the deadline."""
TOLERANCE = 1.5
"""The maximum number of seconds for everything except waiting, on a machine with load."""


@pytest.fixture(scope="module")
def proxy():
    import logging  # noqa: PLC0415 - for the server alone

    import boto3  # noqa: PLC0415 - as above
    from obstore.store import S3Store  # noqa: PLC0415 - as above

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.close()
    put_a_and_b(S3Store(BUCKET, endpoint=url, region="us-east-1", client_options={"allow_http": True}))
    with FaultyProxy(url) as proxy:
        yield proxy
    server.stop()


@pytest.fixture
def settings(proxy):
    """Create the status topics and a request queue on the moto server.

    Return the worker's `Settings`, with which the worker uses them through the proxy.
    """
    import boto3  # noqa: PLC0415 - as above

    proxy.forget()
    made = {}
    sns = boto3.client("sns", endpoint_url=proxy.url, region_name="us-east-1")
    for name in ("started", "heartbeat", "completed"):
        arn = sns.create_topic(Name=f"{name}.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
        made[f"AWS_SNS_METRIC_RUN_{name.upper()}_TOPIC_ARN"] = arn
    sqs = boto3.client("sqs", endpoint_url=proxy.url, region_name="us-east-1")
    url = sqs.create_queue(QueueName="runs.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    sns.close()
    sqs.close()
    proxy.forget()
    return Settings(
        AWS_ENDPOINT_URL=proxy.url,
        AWS_SQS_RUN_REQUEST_QUEUE_URL=url,
        WORKER_HEARTBEAT_INTERVAL_SECONDS=0.01,
        WORKER_STATUS_GAP_SECONDS=0,
        **made,
    )


@pytest.fixture(params=["worker", "dead letters"])
def either(request, settings, monkeypatch, proxy):
    """Return `either(left=…)`, which invokes a Lambda function with a message `left` seconds before its
    deadline.

    It returns (whether the message was returned to the queue, duration of the invocation in seconds). Each
    test runs twice: with the worker, and with the dead-letter function.
    """
    module = handler if request.param == "worker" else dead_letters
    return _function(module, settings, monkeypatch, proxy)


@pytest.fixture
def worker(settings, monkeypatch, proxy):
    """Return `worker(left=…)`, which invokes the worker with a message `left` seconds before its deadline.

    It returns (whether the message was returned to the queue, duration of the invocation in seconds).
    """
    return _function(handler, settings, monkeypatch, proxy)


def _function(module, settings, monkeypatch, proxy):
    monkeypatch.setattr(module, "worker", Worker.start(settings))

    metric = f"m{uuid.uuid4().hex}"

    def run(left=LEFT, metric=metric):
        ends = time.monotonic() + RESERVED_SECONDS + left
        context = FakeContext(remaining_ms=lambda: round(1000 * (ends - time.monotonic())))
        began = time.monotonic()
        response = module.lambda_handler({"Records": [run_of(metric)]}, context)
        return bool(given_back(response)), time.monotonic() - began

    run(left=60, metric="warm")  # not measured: the first call imports modules and makes clients
    proxy.forget()
    return run


def slow(*parts):
    """Return a decision function of the proxy (tests/faulty_proxy.py) that delays some responses.

    Args:
        parts: texts; a response is delayed if all of them occur in the method, address, AWS action or body of
            the call. The other calls are forwarded without a fault.
    """

    def decide(call):
        text = f"{call.method} {call.target} {call.headers.get('x-amz-target', '')} {call.body!r}"
        return SLOW if all(part in text for part in parts) else PASS

    return decide


def published(proxy, kind):
    return [call for call in proxy.calls if f"metric_run_{kind}".encode() in call.body]


@pytest.mark.parametrize(
    "parts",
    [("Action=Publish", "run_completed"), ("GET", "/metrics/"), ("GET", "/runs/")],
    ids=["completed", "GET", "GET-marker"],
)
def test_a_slow_response_to_a_call_of_both_functions_is_cut_off_at_the_deadline(proxy, either, parts):
    proxy.decide = slow(*parts)

    comes_back, seconds = either()

    assert comes_back
    assert LEFT - 0.1 <= seconds <= LEFT + TOLERANCE


@pytest.mark.parametrize(
    "parts",
    [
        ("Action=Publish", "run_started"),
        ("GET", "/datasets/"),
        ("GET", "data.parquet"),
        ("PUT", "data/metrics.parquet"),
        ("PUT", "/current/"),
    ],
    ids=["started", "GET-manifest", "GET-part-file", "PUT-data", "PUT-current"],
)
def test_a_slow_response_to_a_call_of_a_run_is_cut_off_at_the_deadline(proxy, worker, parts):
    proxy.decide = slow(*parts)

    comes_back, seconds = worker()

    assert comes_back
    assert LEFT - 0.1 <= seconds <= LEFT + TOLERANCE
    assert published(proxy, "completed") == []


def test_a_slow_listing_is_cut_off_at_the_deadline(proxy, settings, monkeypatch):
    listing = settings.model_copy(update={"series_files": "listing"})
    run = _function(handler, listing, monkeypatch, proxy)
    proxy.decide = slow("GET", "list-type=2")

    comes_back, seconds = run()

    assert comes_back
    assert seconds <= LEFT + TOLERANCE


@pytest.mark.parametrize("parts", [("Action=Publish", "run_heartbeat"), (".ChangeMessageVisibility ",)])
def test_a_slow_heartbeat_is_cut_off_at_the_deadline_and_no_outcome_is_published(proxy, worker, parts):
    beaten = threading.Event()
    decide = slow(*parts)

    def hold_the_data_until_it_beats(call):
        fault = decide(call)
        if fault is SLOW:
            beaten.set()
        if "data/metrics.parquet" in call.target and call.method == "PUT":
            beaten.wait(10)
        return fault

    proxy.decide = hold_the_data_until_it_beats

    comes_back, seconds = worker()

    assert comes_back
    assert seconds <= LEFT + TOLERANCE  # The message returns in the reserved time.
    assert published(proxy, "completed") == []


def test_returning_messages_is_cut_off_before_the_invocation_ends(proxy, worker):
    proxy.decide = slow("ChangeMessageVisibilityBatch")

    comes_back, seconds = worker(left=3 - RESERVED_SECONDS)

    assert comes_back
    assert seconds <= 3, "Lambda would have killed the function"


@contextmanager
def timed():
    seconds: list[float] = []
    began = time.monotonic()
    yield seconds
    seconds.append(time.monotonic() - began)


def test_a_call_without_a_deadline_has_its_own_time_limit(proxy, settings, monkeypatch):
    monkeypatch.setattr("metrics_worker.messaging.clients.CALL_SECONDS", 1.0)
    proxy.decide = slow("Publish")
    topics = StatusTopics(settings, client("sns", settings))

    with timed() as seconds, pytest.raises(StatusUnavailable, match="did not answer within") as raised:
        topics.publish(_event(), metric_code="m", attempt=1)

    assert seconds[0] <= 1 + TOLERANCE
    assert raised.value.may_arrive
    assert CALL_SECONDS == 9


def _event():
    from metrics_worker.messaging.status_events import RunStarted  # noqa: PLC0415 - as above
    from metrics_worker.request import open_record  # noqa: PLC0415 - here alone
    from tests.builders import NOW  # noqa: PLC0415 - as above

    return RunStarted.of(open_record(json.dumps(request()), None), NOW)


def test_a_name_that_is_not_resolved_in_time_ends_the_call(settings, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: released.wait(20) and [])
    sns = client("sns", settings)

    limit = service_call(StatusUnavailable, "topic", 0.5)
    with timed() as seconds, pytest.raises(OutOfTime) as raised, limit:
        sns.publish(TopicArn="arn", Message="m")
    released.set()

    assert seconds[0] <= 0.5 + TOLERANCE
    assert not raised.value.may_arrive, "nothing was sent"


def test_a_host_with_many_addresses_that_do_not_answer_ends_the_call_in_time(settings, monkeypatch):
    import socket  # noqa: PLC0415 - here alone

    with socket.socket() as full:  # This socket accepts no connection.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(address)
        nowhere = settings.model_copy(update={"endpoint_url": f"http://127.0.0.1:{address[1]}"})
        info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [info] * 8)
        sns = client("sns", nowhere)
        with timed() as seconds, pytest.raises(OutOfTime), service_call(StatusUnavailable, "topic", 1.0):
            sns.publish(TopicArn="arn", Message="m")
        for one in waiting:
            one.close()

    assert seconds[0] <= 1.0 + TOLERANCE


def test_an_unanswered_heartbeat_is_sent_again_before_the_outcome(proxy, worker):
    """Simulate a slow network, in which the request of a heartbeat arrives long after the end of the run."""
    sent = threading.Event()
    hung: list[Call] = []

    def decide(call):
        if b"run_heartbeat" in call.body and len(hung) < 2:  # two attempts of botocore
            hung.append(call)
            sent.set()
            return LOST
        if "data/metrics.parquet" in call.target and call.method == "PUT":
            sent.wait(10)
        return PASS

    proxy.decide = decide

    assert not worker(left=60)[0]

    beats = [_deduplication_id(call) for call in published(proxy, "heartbeat")]
    assert set(map(_deduplication_id, hung)) == {beats[0]}
    answered = beats[2:]
    assert beats[0] in answered, "SNS drops the copy that is still on its way"
    last = max(number for number, call in enumerate(proxy.calls) if call in published(proxy, "heartbeat"))
    outcome = next(n for n, call in enumerate(proxy.calls) if b"run_completed" in call.body)
    assert last < outcome


def test_after_an_unanswered_heartbeat_the_next_attempt_publishes_the_outcome(proxy, worker):
    sent = threading.Event()

    def decide(call):
        if b"run_heartbeat" in call.body:
            sent.set()
            return LOST
        if "data/metrics.parquet" in call.target and call.method == "PUT":
            sent.wait(10)
        return PASS

    proxy.decide = decide

    assert worker(left=60)[0]
    assert published(proxy, "completed") == []
    proxy.forget()

    assert not worker(left=60)[0]
    assert [call for call in published(proxy, "completed") if b"SUCCESS" in call.body]


def _deduplication_id(call):
    (found,) = [part for part in call.body.decode().split("&") if part.startswith("MessageDeduplicationId=")]
    return found
