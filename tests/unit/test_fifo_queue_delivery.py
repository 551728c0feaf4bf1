"""The model of Lambda's event source mapping (tests/fifo_queue.py) delivers batches and acts on responses."""

import pytest

from tests.fifo_queue import Clock, FifoQueue, Killed, deliver


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return FifoQueue(clock, visibility_timeout=60)


def send(queue, *names):
    for name in names:
        queue.send(name, group=name[0], deduplication_id=name)


def bodies(queue):
    return [message.body for message in queue.messages]


def failing(*failed_bodies):
    def handler(event, _context):
        failed = [record["messageId"] for record in event["Records"] if record["body"] in failed_bodies]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    return handler


@pytest.mark.parametrize("response", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_a_response_without_failures_deletes_the_batch(queue, response):
    send(queue, "a1", "b1")
    assert deliver(queue, lambda *_: response).failed == set()
    assert bodies(queue) == []


def test_all_messages_that_the_response_does_not_name_are_deleted(queue):
    send(queue, "a1", "b1", "c1")
    assert deliver(queue, failing("b1")).failed == {"message-2"}
    assert bodies(queue) == ["b1"]


@pytest.mark.parametrize(
    "response",
    [
        "no",
        {"failures": []},
        {"batchItemFailures": "message-1"},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "message-1"}]},
        {"batchItemFailures": [{"itemIdentifier": "message-9"}]},
    ],
)
def test_an_invalid_response_returns_the_batch_to_the_queue(queue, response):
    send(queue, "a1", "b1")
    assert deliver(queue, lambda *_: response).failed is None
    assert bodies(queue) == ["a1", "b1"]


@pytest.mark.parametrize("error", [RuntimeError(), Killed()])
def test_the_batch_of_an_invocation_that_raises_or_dies_is_visible_again_after_its_timeout(
    queue, clock, error
):
    def handler(*_):
        raise error

    send(queue, "a1")
    assert deliver(queue, handler).error is error
    assert (bodies(queue), queue.receive()) == (["a1"], [])
    clock.advance(60)
    assert [record["body"] for record in queue.receive()] == ["a1"]


def test_a_message_that_became_visible_again_during_the_invocation_is_not_deleted(queue, clock):
    def take_too_long(*_):
        clock.advance(60)

    send(queue, "a1")
    deliver(queue, take_too_long)
    assert bodies(queue) == ["a1"]


def test_the_function_is_not_invoked_if_the_queue_is_empty(queue):
    assert deliver(queue, failing("never called")).records == []
