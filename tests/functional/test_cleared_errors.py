"""A SUCCESS that may follow a FAILURE of the same run has the field `error: null`, which clears the error."""

import json

import pytest
from botocore.exceptions import ClientError

from metrics_tools.published.dead_letters import message_of
from metrics_worker.publication.dead_letter import DeadLetter
from tests.builders import envelope, put_a_and_b, ratio, record, request, series
from tests.contract.documents import schema_of_event, validate
from tests.faulty_store import CURRENT, throttled
from tests.functional.runs import NOTHING_COMES_BACK, given_back

FORMS = pytest.mark.parametrize("form", [{}, {"schema": "metrics.run.v1"}], ids=["plain", "v1"])


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


def last(cloud):
    event = cloud.sns.completed[-1]
    assert event["status"] == "SUCCESS"
    validate(schema_of_event(event), event)
    return event


@FORMS
def test_the_success_of_a_first_attempt_has_no_error(cloud, invoke, form):
    assert invoke(record(request(**form))) == NOTHING_COMES_BACK

    assert "error" not in last(cloud)


@FORMS
def test_the_success_of_a_second_attempt_clears_the_error(cloud, invoke, form):
    assert invoke(record(request(**form), receive_count=2)) == NOTHING_COMES_BACK

    assert last(cloud)["error"] is None


@FORMS
def test_a_run_that_was_committed_earlier_clears_the_error(cloud, invoke, form):
    def refuse(message):
        if "completed" in message["TopicArn"]:
            raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")

    cloud.sns.before = refuse
    assert given_back(invoke(record(request(**form)))) == ["message-1"]
    cloud.sns.before = lambda _: None

    invoke(record(request(**form)))  # another message for the same run, which is delivered for the first time

    assert last(cloud)["error"] is None


def test_a_run_that_another_worker_commits_at_the_same_time_clears_the_error(cloud, invoke, faults):
    faults.before("PUT", "*/runs/run-1.ok", lambda: invoke(record(request())))

    invoke(record(request()))

    others, own = cloud.sns.completed
    assert "error" not in others
    assert own["error"] is None


@FORMS
def test_the_success_of_a_dead_letter_clears_the_error(cloud, invoke, bury, faults, form):
    faults.before("PUT", CURRENT, throttled, times=4)
    invoke(record(request(**form)))
    faults.clear()

    bury(record(request(**form)))

    assert last(cloud)["error"] is None


@FORMS
def test_the_success_of_a_message_that_redrive_sent_back_clears_the_error(cloud, invoke, bury, form):
    bury(record(request(**form)))
    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE"]

    invoke(sent_back(cloud))

    assert last(cloud)["error"] is None


def test_a_failure_of_a_message_that_was_sent_back_is_an_ordinary_failure(cloud, invoke, bury):
    bury(record(request({"op": "?"})))

    invoke(sent_back(cloud))

    assert cloud.sns.completed[-1]["error"].startswith("EXPRESSION_EVAL_ERROR: ")


def test_sns_drops_no_event_of_a_message_that_was_sent_back_within_five_minutes(cloud, invoke, bury):
    invoke(
        record(request(inputs={"A": "fx", "missing": "fx"}, expression=ratio(series("A"), series("missing"))))
    )
    again = record(request())
    again["messageAttributes"] = {"redriven": {"stringValue": "true", "dataType": "String"}}
    later = json.loads(json.dumps(again))
    later["attributes"]["SentTimestamp"] = "1793361657000"

    for message in (again, later):
        invoke(message)
        bury(message)

    completed = [event["status"] for event in cloud.sns.completed]
    assert completed == ["FAILURE", *["SUCCESS"] * 4]
    ids = [message["MessageDeduplicationId"] for message in cloud.sns.messages]
    assert len(set(ids)) == len(ids) == 7
    assert ids[:3] == [
        "run-1:metric_run_started:1",
        "run-1:metric_run_completed:1",
        "run-1:metric_run_started:1793361597001",
    ]


def test_a_topic_delivers_the_attribute_of_a_request_that_was_sent_again_in_its_notification(cloud, invoke):
    body = envelope(request()) | {"MessageAttributes": {"redriven": {"Type": "String", "Value": "true"}}}

    invoke(record(body))

    assert last(cloud)["error"] is None
    assert cloud.sns.messages[-1]["MessageDeduplicationId"] == "run-1:metric_run_completed:1793361597001"


def sent_back(cloud):
    """Return the only dead letter in the bucket as the SQS record that `metrics redrive` leads to."""
    (key,) = cloud.keys("metrics/_dead-letters/")
    message = message_of(DeadLetter.parse(cloud.read(key)))
    again = record(message["MessageBody"], message_id="again", group=message["MessageGroupId"])
    again["messageAttributes"] = {
        name: {
            "stringValue": value["StringValue"],
            "dataType": value["DataType"],
            "stringListValues": [],
            "binaryListValues": [],
        }
        for name, value in message["MessageAttributes"].items()
    }
    return again
