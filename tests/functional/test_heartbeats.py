"""The real handler publishes heartbeats of a slow run.

In these tests, a run is slow because its reads wait until heartbeats were published.
"""

import threading

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from metrics_worker.s3.event_loop import CONNECTIONS
from tests.builders import (
    QUEUE_URL,
    TOPIC,
    Cloud,
    day,
    put_a_and_b,
    put_dataset,
    record,
    request,
    rows,
    series,
    window,
)
from tests.faulty_store import DATA, MARKER, denied, raising, throttled

FAST = {"WORKER_HEARTBEAT_INTERVAL_SECONDS": 0.001}


class Beats:
    """An observer of heartbeats, which uses the hooks `before` of the fake cloud's SNS and SQS clients.

    A heartbeat first publishes its event, and then extends the visibility timeout of its message.

    Attributes:
        sns_fault: a function that is called before the event of a heartbeat is published, and may raise an
            error.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._come = threading.Semaphore(0)
        self._goes_out = False
        self.sns_fault = lambda: None
        cloud.sns.before = self._published
        cloud.sqs.before = self._extended

    def _published(self, message):
        if message["TopicArn"] == TOPIC.format("heartbeat"):
            self._goes_out = True
            self.sns_fault()

    def _extended(self, _):
        if self._goes_out:
            self._come.release()  # This is the last call of a heartbeat.

    def wait(self, more: int = 2) -> None:
        """Wait until `more` further heartbeats have ended; fail if one takes more than ten seconds.

        The first of them may already be in progress when this method is called.
        """
        while self._come.acquire(blocking=False):
            pass
        for _ in range(more):
            assert self._come.acquire(timeout=10), "no heartbeat"


@pytest.fixture
def beats(cloud):
    return Beats(cloud)


def heartbeats(cloud):
    return cloud.sns.of_type("metric_run_heartbeat")


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_slow_run_sends_several_heartbeats_whose_progress_never_falls(cloud, invoke, faults, beats):
    count = CONNECTIONS + 2  # The last part file is requested only after another one was read.
    put_dataset(cloud.store, {f"A/{n}.parquet": rows("A", [day(n)], [float(n)]) for n in range(count)})
    for read in ("datasets/*/manifest.json", f"*/A/{count - 1}.parquet"):
        faults.before("GET", read, beats.wait)
    faults.before("PUT", DATA, beats.wait)

    invoke(record(request(window("sma", series("A"), 2), kind="window_op", inputs={"A": "fx"})), **FAST)

    progress = [event["progress"] for event in heartbeats(cloud)]
    assert len(progress) >= 6
    assert progress == sorted(progress)
    assert progress[0] == 0
    assert any(0 < part < 0.8 for part in progress)
    assert progress[-1] == 0.85


def test_a_heartbeat_is_a_numbered_event_of_the_run(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    faults.before("PUT", DATA, lambda: beats.wait(3))

    invoke(record(request(), receive_count=2), **FAST)

    sent = [message for message in cloud.sns.messages if message["TopicArn"] == TOPIC.format("heartbeat")]
    assert len(sent) >= 3
    assert {message["MessageGroupId"] for message in sent} == {"run-1"}
    assert [message["MessageDeduplicationId"] for message in sent] == [
        f"run-1:metric_run_heartbeat:2:{number}" for number in range(1, len(sent) + 1)
    ]
    assert heartbeats(cloud)[0] == {
        "type": "metric_run_heartbeat",
        "runId": "run-1",
        "progress": heartbeats(cloud)[0]["progress"],
        "ts": "2026-10-30T12:00:00Z",
    }


def test_heartbeats_have_the_requested_v1_form(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    faults.before("PUT", DATA, beats.wait)

    invoke(record(request(schema="metrics.run.v1")), **FAST)

    assert {event["schema"] for event in heartbeats(cloud)} == {"metrics.run.v1"}


def test_each_heartbeat_extends_the_visibility_of_the_message(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    faults.before("PUT", DATA, lambda: beats.wait(3))

    invoke(record(request()), WORKER_VISIBILITY_TIMEOUT_SECONDS=77, **FAST)

    # A heartbeat before the started event extends the visibility timeout and is not published.
    assert len(cloud.sqs.calls) >= len(heartbeats(cloud)) >= 3
    assert {call["VisibilityTimeout"] for call in cloud.sqs.calls} == {77}
    assert cloud.sqs.calls[0] == {
        "QueueUrl": QUEUE_URL,
        "ReceiptHandle": "receipt-of-message-1",
        "VisibilityTimeout": 77,
    }


def test_after_the_end_of_the_run_there_is_no_heartbeat_and_no_thread(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    announced: list[str] = []
    faults.before("PUT", DATA, lambda: announced.extend(event["type"] for event in cloud.sns.events))
    faults.before("PUT", MARKER, beats.wait)

    invoke(record(request()), **FAST)

    assert threads() == []
    assert "metric_run_started" in announced
    kinds = [event["type"] for event in cloud.sns.events]
    assert kinds.count("metric_run_started") == 1
    assert kinds[-1] == "metric_run_completed"


def test_the_outcome_is_published_after_a_heartbeat_that_is_in_flight(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    on_its_way = threading.Event()
    never = threading.Event()

    def slow():
        on_its_way.set()
        never.wait(0.005)

    beats.sns_fault = slow
    faults.before("PUT", MARKER, on_its_way.clear)
    faults.before("PUT", MARKER, lambda: on_its_way.wait(10))

    invoke(record(request()), **FAST)

    assert cloud.sns.events[-1]["type"] == "metric_run_completed"
    assert threads() == []


def test_heartbeats_end_with_a_failed_run(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    faults.before("GET", "*/A/*", beats.wait)
    faults.before("GET", "*/A/*", denied)

    invoke(record(request()), **FAST)

    assert threads() == []
    assert cloud.sns.events[-1]["status"] == "FAILURE"


def test_heartbeats_end_with_a_returned_run(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    faults.before("GET", "*/A/*", beats.wait)
    faults.before("GET", "*/A/*", throttled)

    invoke(record(request()), **FAST)

    assert threads() == []
    assert cloud.sns.completed == []
    assert cloud.sqs.calls[-1]["VisibilityTimeout"] <= 10


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "Throttling"}}, "Publish"),
        EndpointConnectionError(endpoint_url="https://sns"),
        RuntimeError("anything at all"),
    ],
)
def test_an_error_of_the_topic_affects_neither_the_run_nor_the_visibility_timeout(
    cloud, invoke, faults, beats, error
):
    put_a_and_b(cloud.store)
    beats.sns_fault = raising(error)
    faults.before("PUT", DATA, lambda: beats.wait(3))

    assert invoke(record(request()), **FAST) == {"batchItemFailures": []}

    assert heartbeats(cloud) == []
    assert len(cloud.sqs.calls) >= 3
    assert cloud.sns.completed[0]["status"] == "SUCCESS"


def test_an_error_of_the_queue_affects_neither_the_run_nor_its_heartbeats(cloud, invoke, faults, beats):
    put_a_and_b(cloud.store)
    faults.before("PUT", DATA, lambda: beats.wait(3))
    extended = cloud.sqs.before

    def refuse(call):
        extended(call)
        raise ClientError({"Error": {"Code": "MessageNotInflight"}}, "ChangeMessageVisibility")

    cloud.sqs.before = refuse

    assert invoke(record(request()), **FAST) == {"batchItemFailures": []}

    assert len(heartbeats(cloud)) >= 3
    assert cloud.sqs.calls == []
    assert cloud.sns.completed[0]["status"] == "SUCCESS"


def test_if_heartbeats_are_disabled_there_is_no_heartbeat_and_no_thread(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    seen = []
    faults.before("PUT", DATA, lambda: seen.extend([threads()]))

    invoke(record(request()), WORKER_HEARTBEAT_ENABLED="false", **FAST)

    assert seen == [[]]
    assert heartbeats(cloud) == cloud.sqs.calls == []
    assert cloud.sns.completed[0]["status"] == "SUCCESS"


def test_a_run_that_is_already_committed_has_no_heartbeats(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    invoke(record(request()))
    cloud.sns.messages.clear()
    seen = []
    faults.before("GET", "*/current/*", lambda: seen.extend([threads()]))

    invoke(record(request()), **FAST)

    assert seen == [[]]
    assert [event["type"] for event in cloud.sns.events] == ["metric_run_completed"]


def test_no_heartbeat_is_published_before_the_started_event(cloud, invoke):
    put_a_and_b(cloud.store)
    extended = threading.Event()
    cloud.sqs.before = lambda _: extended.set()
    before = cloud.sns.before

    def slow_start(message):
        if "run_started" in message["Message"]:
            assert extended.wait(10)
        before(message)

    cloud.sns.before = slow_start

    invoke(record(request()), **FAST)

    assert cloud.sns.events[0]["type"] == "metric_run_started"
    assert cloud.sns.events[-1]["status"] == "SUCCESS"
