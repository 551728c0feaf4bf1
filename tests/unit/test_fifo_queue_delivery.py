"""What Lambda does with a batch of the model queue, and with the function's answer."""

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


def left(queue):
    return [message.body for message in queue.messages]


def failing(*bodies):
    def handler(event, _context):
        failed = [record["messageId"] for record in event["Records"] if record["body"] in bodies]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    return handler


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_answer_without_failures_deletes_the_batch(queue, answer):
    send(queue, "a1", "b1")
    assert deliver(queue, lambda *_: answer).failed == set()
    assert left(queue) == []


def test_all_but_what_the_answer_names_is_deleted(queue):
    send(queue, "a1", "b1", "c1")
    assert deliver(queue, failing("b1")).failed == {"message-2"}
    assert left(queue) == ["b1"]


@pytest.mark.parametrize(
    "answer",
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
def test_an_answer_that_makes_no_sense_returns_the_batch(queue, answer):
    send(queue, "a1", "b1")
    assert deliver(queue, lambda *_: answer).failed is None
    assert left(queue) == ["a1", "b1"]


@pytest.mark.parametrize("error", [RuntimeError(), Killed()])
def test_an_invocation_that_raises_or_dies_returns_the_batch_when_the_timeout_ends(queue, clock, error):
    def handler(*_):
        raise error

    send(queue, "a1")
    assert deliver(queue, handler).error is error
    assert (left(queue), queue.receive()) == (["a1"], [])
    clock.advance(60)
    assert [record["body"] for record in queue.receive()] == ["a1"]


def test_a_message_that_became_visible_again_meanwhile_is_not_deleted(queue, clock):
    def too_long(*_):
        clock.advance(60)

    send(queue, "a1")
    deliver(queue, too_long)
    assert left(queue) == ["a1"]


def test_nothing_is_handed_over_where_nothing_waits(queue):
    assert deliver(queue, failing("never called")).records == []
