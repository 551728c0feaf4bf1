"""The real handler reports which messages of a batch have failed; these messages return to the queue."""

import obstore
import pytest

from tests.builders import (
    day,
    envelope,
    parquet,
    put_a_and_b,
    ratio,
    record,
    request,
    rows,
    series,
    window,
)
from tests.faulty_store import MARKER, throttled
from tests.functional.runs import NOTHING_COMES_BACK, given_back, outcomes, run_of


def runs_announced(cloud, metric: str) -> list[tuple[str, str]]:
    """Return (run id, kind) of each status event of the runs of a metric, in the order of publication.

    The kind is `started`, `heartbeat` or `completed`.

    Args:
        cloud: the fake cloud.
        metric: the metric code, with which the run ids begin.
    """
    return [
        (event["runId"], event["type"].removeprefix("metric_run_"))
        for event in cloud.sns.events
        if event["runId"].startswith(f"{metric}-")
    ]


def waits(cloud) -> dict[str, int]:
    """Return a dict from message ids to the visibility timeouts, in seconds, that the worker set.

    Messages whose visibility timeout was not changed are missing.
    """
    return {
        call["ReceiptHandle"].removeprefix("receipt-of-"): call["VisibilityTimeout"]
        for call in cloud.sqs.calls
    }


def test_a_run_ends_in_a_version_that_its_completed_event_names(cloud, invoke):
    put_a_and_b(cloud.store)

    assert invoke(record(request())) == NOTHING_COMES_BACK

    (completed,) = cloud.sns.completed
    assert completed["status"] == "SUCCESS"
    assert completed["rowCount"] == 10
    manifest = cloud.read_json(completed["outputManifest"])
    table = cloud.read_table(manifest["outputs"]["data_prefix"] + manifest["outputs"]["files"][0])
    assert table["value"].to_pylist() == [n / 2 for n in range(1, 11)]
    assert cloud.read_json("metrics/ratio.a_to_b/current/manifest.json") == manifest


def test_an_sns_envelope_and_a_raw_body_request_the_same_run(cloud, invoke):
    put_a_and_b(cloud.store)
    body = request(run_id="enveloped", metric="m.enveloped")

    invoke(run_of("m.raw"), record(envelope(body), message_id="2", group="m.enveloped"))

    assert outcomes(cloud) == {"m.raw-1": "SUCCESS", "enveloped": "SUCCESS"}


def test_an_empty_batch_succeeds(cloud, invoke):
    assert invoke() == NOTHING_COMES_BACK
    assert cloud.sns.messages == cloud.sqs.calls == []


def test_the_started_event_is_published_once_and_before_the_completed_event(cloud, invoke):
    put_a_and_b(cloud.store)

    invoke(run_of("m"))

    assert [event["type"] for event in cloud.sns.events] == ["metric_run_started", "metric_run_completed"]


def test_the_response_names_each_returned_message_exactly_once(cloud, invoke):
    put_a_and_b(cloud.store)

    response = invoke(run_of("m.good"), record("no JSON", message_id="poison"))

    assert response == {"batchItemFailures": [{"itemIdentifier": "poison"}]}


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        "[]",
        "null",
        '"text"',
        "{}",
        {"Message": "not JSON either"},
        request(type="metric_run_started"),
        request(run_id="../../etc"),
        request(run_id=""),
        request(runId=7),
        request(run_id="r" * 129),
    ],
)
def test_an_unanswerable_message_returns_at_once_without_any_request(cloud, invoke, faults, body):
    response = invoke(record(body, message_id="poison"))

    assert given_back(response) == ["poison"]
    assert waits(cloud) == {"poison": 0}
    assert cloud.sns.messages == []
    assert faults.calls == []


def test_an_unanswerable_message_does_not_affect_other_groups(cloud, invoke):
    put_a_and_b(cloud.store)

    response = invoke(
        run_of("m.before"), record("poison", message_id="poison", group="m.bad"), run_of("m.after")
    )

    assert given_back(response) == ["poison"]
    assert outcomes(cloud) == {"m.before-1": "SUCCESS", "m.after-1": "SUCCESS"}


def test_after_a_permanent_failure_the_next_run_of_the_group_continues(cloud, invoke):
    put_a_and_b(cloud.store)
    bad = record(request(ratio(series("A"), series("ZZ")), run_id="bad", metric="m"), message_id="bad")

    assert invoke(bad, run_of("m")) == NOTHING_COMES_BACK

    assert outcomes(cloud) == {"bad": "FAILURE", "m-1": "SUCCESS"}
    assert cloud.sqs.calls == []


def test_after_a_transient_failure_later_messages_of_the_group_return_untouched(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", "metrics/m.x/runs/m.x-2.ok", throttled)

    response = invoke(run_of("m.x", 1), run_of("m.x", 2), run_of("m.y"), run_of("m.x", 3), run_of("m.x", 4))

    assert given_back(response) == ["m.x-2", "m.x-3", "m.x-4"]
    assert runs_announced(cloud, "m.x") == [("m.x-1", "started"), ("m.x-1", "completed")]
    assert outcomes(cloud) == {"m.x-1": "SUCCESS", "m.y-1": "SUCCESS"}
    assert {event["runId"] for event in cloud.sns.events} == {"m.x-1", "m.y-1"}
    assert faults.count("GET", "*m.x-3*") == faults.count("GET", "*m.x-4*") == 0


def test_all_messages_of_a_batch_can_fail(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", MARKER, throttled, times=3)

    response = invoke(run_of("m.x"), run_of("m.y"), run_of("m.z"))

    assert sorted(given_back(response)) == ["m.x-1", "m.y-1", "m.z-1"]
    assert cloud.sns.messages == []


def test_a_run_succeeds_after_a_transient_failure_has_passed(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", "datasets/fx/projections/A/*", throttled)

    assert given_back(invoke(run_of("m"))) == ["m-1"]
    assert cloud.sns.completed == []

    assert invoke(run_of("m")) == NOTHING_COMES_BACK
    assert outcomes(cloud) == {"m-1": "SUCCESS"}


def test_a_batch_reads_each_manifest_and_part_file_once(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    swapped = request(ratio(series("B"), series("A")), run_id="2", metric="m.2")
    nested = request(ratio(window("sma", series("A"), 3), series("B")), run_id="3", metric="m.3")

    invoke(run_of("m.1"), record(swapped, message_id="2"), record(nested, message_id="3"))

    assert set(outcomes(cloud).values()) == {"SUCCESS"}
    assert faults.count("GET", "datasets/*/manifest.json") == 1
    assert faults.count("GET", "datasets/*/A/*") == faults.count("GET", "datasets/*/B/*") == 1


def test_a_batch_continues_after_a_run_that_cannot_read_its_series(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", "datasets/fx/projections/A/*", throttled)

    (failed,) = given_back(invoke(run_of("m.1"), run_of("m.2")))

    (other,) = {"m.1-1", "m.2-1"} - {failed}  # The other run could read A.
    assert outcomes(cloud) == {other: "SUCCESS"}


def test_nothing_is_kept_from_one_invocation_to_the_next(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    invoke(run_of("m", 1))
    put_b_of_one(cloud)

    assert invoke(run_of("m", 2)) == NOTHING_COMES_BACK

    first, second = cloud.sns.completed
    assert faults.count("GET", "datasets/*/manifest.json") == 2
    assert values(cloud, first) == [n / 2 for n in range(1, 11)]
    assert values(cloud, second) == [float(n) for n in range(1, 11)]


def test_a_group_that_failed_in_one_invocation_is_tried_in_the_next(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", MARKER, throttled)
    assert given_back(invoke(run_of("m", 1), run_of("m", 2))) == ["m-1", "m-2"]

    assert invoke(run_of("m", 1), run_of("m", 2)) == NOTHING_COMES_BACK

    assert list(outcomes(cloud)) == ["m-1", "m-2"]


def test_each_group_is_run_in_the_order_of_its_messages(cloud, invoke):
    put_a_and_b(cloud.store)
    records = [run_of(metric, number) for number in (1, 2, 3) for metric in ("m.x", "m.y", "m.z")]

    assert invoke(*records) == NOTHING_COMES_BACK

    for metric in ("m.x", "m.y", "m.z"):
        assert runs_announced(cloud, metric) == [
            (f"{metric}-{number}", kind) for number in (1, 2, 3) for kind in ("started", "completed")
        ]


def test_the_same_run_twice_in_a_batch_is_computed_once(cloud, invoke, faults):
    put_a_and_b(cloud.store)

    assert invoke(run_of("m"), run_of("m")) == NOTHING_COMES_BACK

    assert faults.count("PUT", "metrics/*/data/*") == 1
    first, second = cloud.sns.completed
    assert second == first | {"error": None}


def put_b_of_one(cloud) -> None:
    """Overwrite the series B of `put_a_and_b` with ten values of 1."""
    body = parquet(rows("B", [day(n) for n in range(1, 11)], [1.0] * 10))
    obstore.put(cloud.store, "datasets/fx/projections/B/year=2026/month=01/data.parquet", body)


def values(cloud, completed) -> list[float]:
    manifest = cloud.read_json(completed["outputManifest"])
    table = cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")
    found: list[float] = table["value"].to_pylist()
    return found
