import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from metrics_worker.publication.dead_letter import DeadLetter, dead_letter_key, dead_letters

FIELDS: dict[str, Any] = {
    "message_id": "message-1",
    "outcome": "FAILURE",
    "why": "gave up",
    "run_id": "run-1",
    "metric_code": "m",
    "kept_at": "2026-10-30T12:00:00Z",
    "attributes": {"SentTimestamp": "1793361597123", "MessageGroupId": "g"},
    "body": '{"x" : "é\u2028\U0001f480\ud800"}',
}
ANONYMOUS = {name: value for name, value in FIELDS.items() if name not in {"run_id", "metric_code"}}


@pytest.mark.parametrize("fields", [FIELDS, ANONYMOUS], ids=["run", "no run"])
def test_a_stored_document_is_indented_ascii_json_of_the_given_fields_in_order(fields):
    document = DeadLetter(**fields).encode()

    assert document == json.dumps(fields, indent=2).encode("ascii")
    assert DeadLetter.parse(document) == DeadLetter(**fields)


def test_a_letter_has_the_group_and_the_time_of_its_message():
    letter = DeadLetter(**FIELDS)

    assert letter.group == "g"
    assert letter.sent_at == datetime(2026, 10, 30, 11, 59, 57, 123_000, tzinfo=UTC)


def test_the_key_of_a_letter_is_in_the_folder_of_the_day_on_which_its_message_was_sent():
    key = dead_letter_key("metrics/", DeadLetter(**FIELDS))

    assert key == "metrics/_dead-letters/2026-10-30/message-1.json"
    assert key.startswith(dead_letters("metrics/", datetime(2026, 10, 30, tzinfo=UTC).date()))
    assert key.startswith(dead_letters("metrics/"))


def test_fields_of_later_versions_are_ignored():
    document = json.dumps(FIELDS | {"more": 1}).encode()

    assert DeadLetter.parse(document) == DeadLetter(**FIELDS)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "Expecting value"),
        (b"\xff", "decode"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "dictionary"),
        (b"{}", "message_id: Field required"),
        (json.dumps(FIELDS | {"outcome": "?"}).encode(), "outcome: Input should be 'SUCCESS'"),
        (json.dumps(FIELDS | {"attributes": 1}).encode(), "attributes: "),
        (json.dumps(FIELDS | {"attributes": {}}).encode(), "attributes.MessageGroupId: missing"),
        (
            json.dumps(FIELDS | {"attributes": {"MessageGroupId": "g", "SentTimestamp": "x"}}).encode(),
            "invalid literal",
        ),
    ],
    ids=range(9),
)
def test_a_document_that_is_not_a_dead_letter_is_refused_in_one_line(document, problem):
    with pytest.raises(ValueError, match=problem) as raised:
        DeadLetter.parse(document)

    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, ValidationError)
