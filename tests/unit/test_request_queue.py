import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from metrics_worker.errors import QueueUnavailable
from metrics_worker.request_queue import LONGEST_BACKOFF_SECONDS, RequestQueue, backoff_seconds
from metrics_worker.settings import Settings
from tests.builders import QUEUE_URL, FakeSqs
from tests.faulty_store import raising


def test_a_visibility_time_is_set_on_one_message_of_the_configured_queue():
    sqs = FakeSqs()

    RequestQueue(Settings(), sqs).set_visibility("receipt", 7)

    assert sqs.calls == [{"QueueUrl": QUEUE_URL, "ReceiptHandle": "receipt", "VisibilityTimeout": 7}]


def test_an_extension_is_the_whole_visibility_time_of_the_settings():
    sqs = FakeSqs()

    RequestQueue(Settings(WORKER_VISIBILITY_TIMEOUT_SECONDS=99), sqs).extend("receipt")

    assert sqs.calls[0]["VisibilityTimeout"] == 99


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "ChangeMessageVisibility"), "AccessDenied"),
        (ClientError({}, "ChangeMessageVisibility"), "an error"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)
def test_a_refusal_names_the_queue_and_says_what_aws_said(error, problem):
    sqs = FakeSqs(before=lambda _: raising(error)())

    with pytest.raises(QueueUnavailable, match=problem) as raised:
        RequestQueue(Settings(), sqs).set_visibility("receipt", 7)

    assert raised.value.subject == QUEUE_URL
    assert raised.value.__cause__ is error


def test_the_client_is_made_at_the_first_call_and_kept(monkeypatch):
    made = []
    sqs = FakeSqs()

    def client(service, **options):
        made.append((service, options["region_name"], options["endpoint_url"]))
        return sqs

    monkeypatch.setattr(boto3, "client", client)
    queue = RequestQueue(Settings(AWS_ENDPOINT_URL="http://127.0.0.1:1"))
    assert made == []

    queue.set_visibility("receipt", 1)
    queue.set_visibility("receipt", 2)

    assert made == [("sqs", "us-east-1", "http://127.0.0.1:1")]
    assert len(sqs.calls) == 2


@pytest.mark.parametrize("receive_count", [-1, 0, 1, 2, 3, 5, 100, 10**6])
def test_a_wait_grows_threefold_with_each_attempt_up_to_five_minutes_less_a_jitter_of_half(receive_count):
    longest = min(300, 10 * 3 ** min(max(0, receive_count - 1), 10))

    waits = {backoff_seconds(receive_count) for _ in range(200)}

    assert min(waits) >= longest // 2
    assert max(waits) <= longest <= LONGEST_BACKOFF_SECONDS
    assert len(waits) > 1
