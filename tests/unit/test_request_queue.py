from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from metrics_worker.errors import QueueUnavailable
from metrics_worker.messaging.request_queue import LONGEST_BACKOFF_SECONDS, RequestQueue, backoff_seconds
from metrics_worker.settings import Settings
from tests.builders import QUEUE_URL, FakeSqs
from tests.faulty_store import raising


def test_an_extension_restarts_the_visibility_timeout_of_the_settings():
    sqs = FakeSqs()

    RequestQueue(Settings(WORKER_VISIBILITY_TIMEOUT_SECONDS=99), sqs).extend("receipt")

    assert sqs.calls == [{"QueueUrl": QUEUE_URL, "ReceiptHandle": "receipt", "VisibilityTimeout": 99}]


def test_messages_are_returned_in_one_call_each_with_its_own_delay():
    asked: list[object] = []
    sqs = FakeSqs(before=asked.append)

    returns = RequestQueue(Settings(), sqs).give_back([("first", 1), ("second", 5)])

    assert len(asked) == 1
    first, second = sqs.calls
    assert (first["QueueUrl"], first["ReceiptHandle"], second["ReceiptHandle"]) == (
        QUEUE_URL,
        "first",
        "second",
    )
    assert 5 <= first["VisibilityTimeout"] <= 10
    assert 150 <= second["VisibilityTimeout"] <= 300
    assert returns == [f"in {first['VisibilityTimeout']} s", f"in {second['VisibilityTimeout']} s"]


def test_unanswerable_messages_are_returned_without_delay():
    sqs = FakeSqs()

    assert RequestQueue(Settings(), sqs).give_back([("a", 4), ("b", 1)], at_once=True) == ["in 0 s"] * 2

    assert [call["VisibilityTimeout"] for call in sqs.calls] == [0, 0]


def test_returning_no_messages_makes_no_request():
    sqs = FakeSqs(before=lambda _: raising(AssertionError("asked"))())

    assert RequestQueue(Settings(), sqs).give_back([]) == []


def test_a_refusal_of_one_message_is_reported_for_that_message_only(monkeypatch):
    sqs = FakeSqs()
    refused = {"Failed": [{"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}]}
    monkeypatch.setattr(sqs, "change_message_visibility_batch", lambda **_: refused)

    first, second = RequestQueue(Settings(), sqs).give_back([("a", 1), ("b", 1)])

    assert first.startswith("in ")
    assert second == "when the queue's own timeout ends (ReceiptHandleIsInvalid)"


REFUSALS = pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "ChangeMessageVisibility"), "AccessDenied"),
        (ClientError({}, "ChangeMessageVisibility"), "an error"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)


@REFUSALS
def test_a_refusal_names_the_queue_and_the_error_code_of_aws(error, problem):
    sqs = FakeSqs(before=lambda _: raising(error)())

    with pytest.raises(QueueUnavailable, match=problem) as raised:
        RequestQueue(Settings(), sqs).extend("receipt")

    assert raised.value.subject == QUEUE_URL
    assert raised.value.__cause__ is error


@REFUSALS
def test_messages_that_cannot_be_returned_wait_for_the_timeout_of_the_queue(error, problem):
    sqs = FakeSqs(before=lambda _: raising(error)())

    for returns in RequestQueue(Settings(), sqs).give_back([("a", 1), ("b", 1)]):
        assert returns.startswith("when the queue's own timeout ends (")
        assert problem in returns


def test_the_client_is_created_at_the_first_call_and_kept(monkeypatch):
    made = []
    sqs: Any = FakeSqs()

    def client(service, **options):
        made.append((service, options["region_name"], options["endpoint_url"]))
        sqs.meta = SimpleNamespace(
            endpoint_url=options["endpoint_url"], events=SimpleNamespace(register=print)
        )
        return sqs

    monkeypatch.setattr(boto3, "client", client)
    queue = RequestQueue(Settings(AWS_ENDPOINT_URL="http://127.0.0.1:1"))
    assert made == []

    queue.extend("receipt")
    queue.give_back([("receipt", 2)])

    assert made == [("sqs", "us-east-1", "http://127.0.0.1:1")]
    assert len(sqs.calls) == 2


@pytest.mark.parametrize("receive_count", [-1, 0, 1, 2, 3, 5, 100, 10**6])
def test_the_delay_triples_with_each_attempt_up_to_five_minutes_with_jitter(receive_count):
    longest = min(300, 10 * 3 ** min(max(0, receive_count - 1), 10))

    waits = {backoff_seconds(receive_count) for _ in range(200)}

    assert min(waits) >= longest // 2
    assert max(waits) <= longest <= LONGEST_BACKOFF_SECONDS
    assert len(waits) > 1
