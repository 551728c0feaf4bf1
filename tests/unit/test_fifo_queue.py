"""`FifoQueue` (tests/fifo_queue.py), the model of an SQS FIFO queue, has the documented behaviour of SQS."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.builders import QUEUE_URL
from tests.fifo_queue import Clock, FifoQueue, deliver


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    dead = FifoQueue(clock)
    return FifoQueue(clock, visibility_timeout=60, max_receive_count=3, dead_letters=dead)


def send(queue: FifoQueue, *names: str) -> None:
    """Send one message for each name.

    The name is the body and the deduplication id of the message, and its first letter is the message group.
    """
    for name in names:
        queue.send(name, group=name[0], deduplication_id=name)


def receive(queue: FifoQueue, limit: int = 10) -> list[str]:
    """Receive up to `limit` messages, and return their bodies."""
    return [record["body"] for record in queue.receive(limit)]


def bodies(queue: FifoQueue) -> list[str]:
    """Return the bodies of all messages in the queue, whether they are visible or not."""
    return [message.body for message in queue.messages]


def change(queue, record, seconds):
    queue.change_message_visibility(
        QueueUrl=QUEUE_URL, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
    )


def succeed(_event, _context):
    return {"batchItemFailures": []}


# Sending


def test_a_message_sent_again_within_five_minutes_is_dropped_even_if_the_first_was_deleted(queue, clock):
    first = queue.send("a1", group="a", deduplication_id="same")
    deliver(queue, succeed)
    clock.advance(299)

    assert queue.send("a1", group="a", deduplication_id="same") == first
    assert bodies(queue) == []


def test_a_message_sent_again_after_five_minutes_is_a_new_message(queue, clock):
    first = queue.send("a1", group="a", deduplication_id="same")
    clock.advance(300)

    assert queue.send("a1", group="a", deduplication_id="same") != first
    assert bodies(queue) == ["a1", "a1"]


def test_a_message_cannot_be_received_before_its_delay_has_passed(clock):
    queue = FifoQueue(clock, delay=2)
    send(queue, "a1")
    assert (receive(queue), queue.seconds_until_next()) == ([], 2)

    clock.advance(2)

    assert receive(queue) == ["a1"]


# Receiving


def test_a_received_message_is_a_record_as_lambda_delivers_it(queue, clock):
    queue.send('{"a": 1}', group="a", deduplication_id="1")
    clock.advance(5)

    (record,) = queue.receive()

    assert record["messageId"] == "message-1"
    assert json.loads(record["body"]) == {"a": 1}
    assert record["attributes"] == {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": str(int((clock.now - 5) * 1000)),
        "SequenceNumber": "00000000000000000001",
        "MessageGroupId": "a",
    }


def test_a_batch_contains_the_messages_of_several_groups_with_each_group_in_order(queue):
    send(queue, "a1", "b1", "a2", "c1", "b2")
    assert receive(queue) == ["a1", "a2", "b1", "b2", "c1"]


def test_a_batch_has_at_most_ten_messages(queue):
    send(queue, *(f"a{n}" for n in range(12)), "b1")
    assert len(receive(queue)) == 10
    assert receive(queue) == ["b1"]


def test_no_message_is_received_from_a_group_with_a_message_in_flight(queue):
    send(queue, "a1", "a2", "b1")
    assert receive(queue, limit=1) == ["a1"]

    assert receive(queue) == ["b1"]


def test_the_first_message_of_a_group_is_not_received_while_the_second_is_in_flight(queue):
    send(queue, "a1", "a2")
    first, _ = queue.receive()
    change(queue, first, 0)

    assert receive(queue) == []


def test_a_message_is_received_again_in_its_old_place_after_its_visibility_timeout(queue, clock):
    send(queue, "a1", "a2")
    receive(queue, limit=1)
    clock.advance(59)
    assert (receive(queue), queue.seconds_until_next()) == ([], 1)

    clock.advance(1)
    again = queue.receive()

    assert [record["body"] for record in again] == ["a1", "a2"]
    assert [record["attributes"]["ApproximateReceiveCount"] for record in again] == ["2", "1"]


# Visibility


def test_a_visibility_timeout_can_be_shortened_and_extended(queue, clock):
    send(queue, "a1", "b1")
    a, b = queue.receive()
    change(queue, a, 10)
    change(queue, b, 100)

    clock.advance(10)
    assert receive(queue) == ["a1"]
    clock.advance(89)
    assert receive(queue) == ["a1"]
    clock.advance(1)
    assert receive(queue) == ["b1"]


def test_a_message_with_a_visibility_timeout_of_0_is_received_again_at_once(queue):
    send(queue, "a1")
    (record,) = queue.receive()
    change(queue, record, 0)
    assert receive(queue) == ["a1"]


@pytest.mark.parametrize("call", ["change", "delete"])
def test_the_receipt_handle_of_an_earlier_receive_is_rejected(queue, clock, call):
    send(queue, "a1")
    (record,) = queue.receive()
    clock.advance(60)
    receive(queue)

    with pytest.raises(ClientError, match="InvalidParameterValue"):
        change(queue, record, 5) if call == "change" else queue.delete(record["receiptHandle"])
    assert bodies(queue) == ["a1"]


def test_the_receipt_handle_of_a_message_that_is_visible_again_is_rejected(queue, clock):
    send(queue, "a1")
    (record,) = queue.receive()
    clock.advance(60)

    with pytest.raises(ClientError, match="InvalidParameterValue"):
        change(queue, record, 5)


def test_no_message_stays_in_flight_for_more_than_twelve_hours(queue, clock):
    send(queue, "a1")
    (record,) = queue.receive()
    clock.advance(50)

    with pytest.raises(ClientError, match="InvalidParameterValue"):
        change(queue, record, 43_200)
    change(queue, record, 43_150)


def test_a_failed_entry_in_a_batch_of_changes_does_not_affect_the_others(queue, clock):
    send(queue, "a1", "b1")
    a, b = queue.receive()
    queue.delete(b["receiptHandle"])

    answer = queue.change_message_visibility_batch(
        QueueUrl=QUEUE_URL,
        Entries=[
            {"Id": "1", "ReceiptHandle": b["receiptHandle"], "VisibilityTimeout": 5},
            {"Id": "2", "ReceiptHandle": a["receiptHandle"], "VisibilityTimeout": 5},
        ],
    )

    assert answer["Successful"] == [{"Id": "2"}]
    assert [(failed["Id"], failed["Code"]) for failed in answer["Failed"]] == [("1", "InvalidParameterValue")]
    clock.advance(5)
    assert receive(queue) == ["a1"]


@pytest.mark.parametrize("ids", [[], ["1", "1"], [str(n) for n in range(11)]])
def test_a_batch_of_changes_without_one_to_ten_distinct_ids_is_rejected(queue, ids):
    entries = [{"Id": name, "ReceiptHandle": "?", "VisibilityTimeout": 5} for name in ids]
    with pytest.raises(ClientError):
        queue.change_message_visibility_batch(QueueUrl=QUEUE_URL, Entries=entries)


# The dead-letter queue


def test_the_receive_after_the_last_allowed_one_moves_a_message_to_the_dead_letter_queue(queue, clock):
    send(queue, "a1", "a2")
    for _ in range(3):
        assert receive(queue) == ["a1", "a2"]
        assert bodies(queue.dead_letters) == []
        clock.advance(60)

    assert receive(queue) == []

    assert bodies(queue) == []
    dead = queue.dead_letters.receive()
    assert [record["body"] for record in dead] == ["a1", "a2"]
    assert [record["messageId"] for record in dead] == ["message-1", "message-2"]
    assert [record["attributes"]["MessageGroupId"] for record in dead] == ["a", "a"]


def test_the_next_message_of_a_group_is_received_when_the_one_before_it_has_moved(queue, clock):
    send(queue, "a1")
    for _ in range(3):
        receive(queue)
        clock.advance(60)
    send(queue, "a2")

    assert receive(queue) == ["a2"]
    assert bodies(queue.dead_letters) == ["a1"]
