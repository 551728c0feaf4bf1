"""Messages that are returned to the queue get the right delay, even if an invocation has no time left."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.builders import FakeContext, day, put_a_and_b, put_dataset, record, request, rows, series, window
from tests.faulty_store import MARKER, raising, throttled
from tests.functional.runs import NOTHING_COMES_BACK, given_back, outcomes, run_of


def waits(cloud) -> dict[str, int]:
    """Return a dict from message ids to the visibility timeouts, in seconds, that the worker set.

    Messages whose visibility timeout was not changed are missing.
    """
    return {
        call["ReceiptHandle"].removeprefix("receipt-of-"): call["VisibilityTimeout"]
        for call in cloud.sqs.calls
    }


def test_the_delay_of_a_message_grows_with_each_attempt_up_to_a_limit(cloud, invoke, faults):
    longest = []
    for attempt in range(1, 12):
        faults.before("GET", MARKER, throttled)
        invoke(record(request(), receive_count=attempt))
        longest.append(cloud.sqs.calls[-1]["VisibilityTimeout"])

    bounds = [min(300, 10 * 3 ** (attempt - 1)) for attempt in range(1, 12)]
    assert all(bound // 2 <= wait <= bound for wait, bound in zip(longest, bounds, strict=True))
    assert longest[4] > longest[0]


def test_later_messages_of_a_failed_group_have_a_delay_shorter_than_the_visibility_timeout(
    cloud, invoke, faults
):
    faults.before("GET", MARKER, throttled)

    invoke(run_of("m", 1), run_of("m", 2), run_of("m", 3))

    assert waits(cloud).keys() == {"m-1", "m-2", "m-3"}
    assert all(1 <= wait <= 10 for wait in waits(cloud).values())


@pytest.mark.parametrize(
    "refusal",
    [
        ClientError({"Error": {"Code": "MessageNotInflight"}}, "ChangeMessageVisibility"),
        EndpointConnectionError(endpoint_url="https://sqs"),
    ],
)
def test_a_queue_that_refuses_the_visibility_timeout_does_no_harm(cloud, invoke, refusal):
    put_a_and_b(cloud.store)
    cloud.sqs.before = lambda _: raising(refusal)()

    response = invoke(record("poison", message_id="poison"), run_of("m"))

    assert given_back(response) == ["poison"]
    assert outcomes(cloud) == {"m-1": "SUCCESS"}


def test_without_time_left_a_message_is_returned_before_any_work(cloud, invoke, faults):
    put_a_and_b(cloud.store)

    response = invoke(run_of("m.x"), run_of("m.y"), context=FakeContext(lambda: 9_999))

    assert sorted(given_back(response)) == ["m.x-1", "m.y-1"]
    assert faults.calls == []
    assert cloud.sns.messages == []


def test_a_run_whose_time_ends_during_reading_stops_and_its_message_is_returned(cloud, invoke, faults):
    put_dataset(cloud.store, {f"A/{n}.parquet": rows("A", [day(n)], [float(n)]) for n in range(1, 301)})
    asked = request(window("sma", series("A"), 2), kind="window_op", inputs={"A": "fx"})
    left = [300_000]
    faults.after("GET", "datasets/fx/projections/*", lambda: left.__setitem__(0, 1_000))

    response = invoke(record(asked), run_of("m.y"), context=FakeContext(lambda: left[0]))

    assert sorted(given_back(response)) == ["m.y-1", "message-1"]
    assert faults.count("GET", "datasets/fx/projections/*") < 150
    started = [(event["type"], event["runId"]) for event in cloud.sns.events]
    assert ("metric_run_started", "run-1") in started
    assert set(started) <= {("metric_run_started", "run-1"), ("metric_run_started", "m.y-1")}
    assert len(started) == len(set(started))
    assert cloud.keys("metrics/") == []


def test_a_run_whose_time_ends_before_its_commit_leaves_at_most_an_unreferenced_version(
    cloud, invoke, faults
):
    put_a_and_b(cloud.store)
    left = [300_000]
    faults.after("PUT", "metrics/*/data/*", lambda: left.__setitem__(0, 1_000))

    assert given_back(invoke(run_of("m"), context=FakeContext(lambda: left[0]))) == ["m-1"]
    assert not any("runs/" in key or "current/" in key for key in cloud.keys("metrics/"))

    assert invoke(run_of("m")) == NOTHING_COMES_BACK
    (completed,) = cloud.sns.completed
    assert cloud.read_json(completed["outputManifest"])["version_ts"] == completed["versionTs"]
