"""The model of an SQS FIFO queue does what SQS and Lambda document."""

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


def send(queue, *names):
    """A message for each name; the group is its first letter."""
    for name in names:
        queue.send(name, group=name[0], deduplication_id=name)


def receive(queue, limit=10):
    return [record["body"] for record in queue.receive(limit)]


def left(queue):
    return [message.body for message in queue.messages]


def change(queue, record, seconds):
    queue.change_message_visibility(
        QueueUrl=QUEUE_URL, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
    )


def done(_event, _context):
    return {"batchItemFailures": []}


# Sending


def test_a_message_sent_twice_within_five_minutes_is_there_once_even_after_it_was_deleted(queue, clock):
    first = queue.send("a1", group="a", deduplication_id="same")
    deliver(queue, done)
    clock.advance(299)

    assert queue.send("a1", group="a", deduplication_id="same") == first
    assert left(queue) == []


def test_five_minutes_later_it_is_another_message(queue, clock):
    first = queue.send("a1", group="a", deduplication_id="same")
    clock.advance(300)

    assert queue.send("a1", group="a", deduplication_id="same") != first
    assert left(queue) == ["a1", "a1"]


def test_a_message_can_be_received_when_its_delay_is_over(clock):
    queue = FifoQueue(clock, delay=2)
    send(queue, "a1")
    assert (receive(queue), queue.seconds_until_next()) == ([], 2)

    clock.advance(2)

    assert receive(queue) == ["a1"]


# Receiving


def test_a_record_is_as_lambda_hands_it_over(queue, clock):
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


def test_a_batch_holds_several_messages_of_several_groups_each_group_in_order(queue):
    send(queue, "a1", "b1", "a2", "c1", "b2")
    assert receive(queue) == ["a1", "a2", "b1", "b2", "c1"]


def test_a_batch_holds_no_more_than_it_may(queue):
    send(queue, *(f"a{n}" for n in range(12)), "b1")
    assert len(receive(queue)) == 10
    assert receive(queue) == ["b1"]


def test_a_group_with_a_message_in_flight_gives_nothing_more(queue):
    send(queue, "a1", "a2", "b1")
    assert receive(queue, limit=1) == ["a1"]

    assert receive(queue) == ["b1"]


def test_a_group_with_its_second_message_in_flight_does_not_give_the_first(queue):
    send(queue, "a1", "a2")
    first, _ = queue.receive()
    change(queue, first, 0)

    assert receive(queue) == []


def test_after_its_visibility_timeout_a_message_comes_again_in_its_old_place(queue, clock):
    send(queue, "a1", "a2")
    receive(queue, limit=1)
    clock.advance(59)
    assert (receive(queue), queue.seconds_until_next()) == ([], 1)

    clock.advance(1)
    again = queue.receive()

    assert [record["body"] for record in again] == ["a1", "a2"]
    assert [record["attributes"]["ApproximateReceiveCount"] for record in again] == ["2", "1"]


# Visibility


def test_a_message_may_be_made_visible_earlier_or_later(queue, clock):
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


def test_a_message_given_back_at_once_comes_at_once(queue):
    send(queue, "a1")
    (record,) = queue.receive()
    change(queue, record, 0)
    assert receive(queue) == ["a1"]


@pytest.mark.parametrize("deed", ["change", "delete"])
def test_the_handle_of_an_older_receipt_is_refused(queue, clock, deed):
    send(queue, "a1")
    (record,) = queue.receive()
    clock.advance(60)
    receive(queue)

    with pytest.raises(ClientError, match="InvalidParameterValue"):
        change(queue, record, 5) if deed == "change" else queue.delete(record["receiptHandle"])
    assert left(queue) == ["a1"]


def test_the_handle_of_a_message_that_is_visible_again_is_refused(queue, clock):
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


def test_of_a_batch_of_changes_each_is_for_itself(queue, clock):
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
def test_a_batch_of_changes_has_one_to_ten_entries_with_ids_of_their_own(queue, ids):
    entries = [{"Id": name, "ReceiptHandle": "?", "VisibilityTimeout": 5} for name in ids]
    with pytest.raises(ClientError):
        queue.change_message_visibility_batch(QueueUrl=QUEUE_URL, Entries=entries)


# The dead letters


def test_after_so_many_receipts_a_message_moves_to_the_dead_letters_at_the_next(queue, clock):
    send(queue, "a1", "a2")
    for _ in range(3):
        assert receive(queue) == ["a1", "a2"]
        assert left(queue.dead_letters) == []
        clock.advance(60)

    assert receive(queue) == []

    assert left(queue) == []
    dead = queue.dead_letters.receive()
    assert [record["body"] for record in dead] == ["a1", "a2"]
    assert [record["messageId"] for record in dead] == ["message-1", "message-2"]
    assert [record["attributes"]["MessageGroupId"] for record in dead] == ["a", "a"]


def test_the_next_message_of_the_group_comes_when_the_one_before_it_has_moved(queue, clock):
    send(queue, "a1")
    for _ in range(3):
        receive(queue)
        clock.advance(60)
    send(queue, "a2")

    assert receive(queue) == ["a2"]
    assert left(queue.dead_letters) == ["a1"]
