"""The alarms of both templates have correct metrics, thresholds, descriptions and topics."""

import re
from typing import Any

import pytest

from metrics_worker.deadline import RESERVED_SECONDS
from metrics_worker.observability.telemetry import DEFECTS
from tests.infrastructure.published import exists, of_alarm, simulated_day
from tests.infrastructure.stack import MONITORING, TEMPLATE, alarms

ARN = "arn:aws:sns:eu-west-1:111122223333:"
ALARM_TOPIC, TICKET_TOPIC = f"{ARN}on-call", f"{ARN}tickets"
WHOLE = {
    "RequestTopicArn": f"{ARN}requests.fifo",
    "AlarmTopicArn": ALARM_TOPIC,
    "TicketTopicArn": TICKET_TOPIC,
}
ALARMS = alarms(**WHOLE)
ONE_OFF = {
    "DefectsAlarm",
    "RunsGivenUpAlarm",
    "UnanswerableAlarm",
    "VersionDefectsAlarm",
    "VersionErrorsAlarm",
    "VersionsShrunkAlarm",
}
"""Alarms about single incidents; they do not notify when they return to OK, which is no useful news."""
PAGES = {
    "CompletedDeliveriesAlarm",
    "DeadLettersStuckAlarm",
    "FailureRateAlarm",
    "FreshnessAlarm",
    "FunctionErrorsAlarm",
    "OldestRequestAlarm",
    "RequestDeliveriesAlarm",
    "VersionsShrunkAlarm",
}
"""Alarms that a person should see at once. All others are tickets, which can wait for a working day."""

EACH = pytest.mark.parametrize("name", ALARMS)


def of_story(name: str, *dimensions: str) -> list[tuple[int, float]]:
    return simulated_day().points(name, "service", "function_name", *dimensions)


@EACH
def test_every_metric_of_an_alarm_exists_with_exactly_these_dimensions(name: str) -> None:
    metrics = [metric for metric, _, _ in of_alarm(ALARMS[name])]
    assert metrics
    for metric in metrics:
        assert exists(metric), metric


@EACH
def test_the_description_of_an_alarm_has_an_instruction_and_a_link_to_the_runbook(name: str) -> None:
    description = ALARMS[name]["AlarmDescription"]
    assert "What to do - " in description
    assert description.endswith(f"docs/operating.md#{name.lower()}")
    assert "\n" not in description
    assert "${" not in description.replace("${MetricsWorkerFunction}", "")


def test_every_description_fits_with_the_longest_address_of_a_runbook() -> None:
    address = f"https://{'x' * 192}"
    assert re.fullmatch(TEMPLATE["Parameters"]["RunbookUrl"]["AllowedPattern"], address)
    for name, alarm in alarms(**WHOLE, RunbookUrl=address, MetricsPrefix="deeply/nested/metrics/").items():
        assert len(alarm["AlarmDescription"]) <= 1024, name
        assert alarm["AlarmDescription"].endswith(f" {address}#{name.lower()}")


@EACH
def test_the_name_of_an_alarm_consists_of_the_stack_name_and_its_logical_id(name: str) -> None:
    assert ALARMS[name]["AlarmName"] == f"worker-{name}"


@EACH
def test_missing_data_triggers_only_the_alarm_about_freshness(name: str) -> None:
    missing = "breaching" if name == "FreshnessAlarm" else "notBreaching"
    assert ALARMS[name]["TreatMissingData"] == missing


@EACH
def test_an_alarm_notifies_the_topic_of_its_severity_and_also_when_the_problem_is_over(name: str) -> None:
    topic = ALARM_TOPIC if name in PAGES else TICKET_TOPIC
    assert ALARMS[name]["AlarmActions"] == [topic]
    assert ALARMS[name].get("OKActions", []) == ([] if name in ONE_OFF else [topic])


@EACH
def test_the_description_of_an_alarm_states_its_severity_and_the_reason(name: str) -> None:
    severity = "page" if name in PAGES else "ticket"
    expected = rf"\. Severity - {severity}, because .+\. What to do - "
    assert re.search(expected, ALARMS[name]["AlarmDescription"])


def test_without_a_topic_for_tickets_all_alarms_go_to_one_topic() -> None:
    for alarm in alarms(AlarmTopicArn=ALARM_TOPIC).values():
        assert alarm["AlarmActions"] == [ALARM_TOPIC]
        assert alarm.get("OKActions", [ALARM_TOPIC]) == [ALARM_TOPIC]


def test_tickets_alone_can_have_a_topic() -> None:
    notifying = {
        name
        for name, alarm in alarms(TicketTopicArn=TICKET_TOPIC).items()
        if alarm.get("AlarmActions") == [TICKET_TOPIC]
    }
    assert notifying == ALARMS.keys() - PAGES - {"RequestDeliveriesAlarm"}


def test_alarms_exist_without_a_topic_but_notify_nobody() -> None:
    silent = alarms()
    assert silent.keys() == ALARMS.keys() - {"RequestDeliveriesAlarm"}
    for alarm in silent.values():
        assert not {"AlarmActions", "OKActions"} & alarm.keys()


@pytest.mark.parametrize("parameter", ["AlarmTopicArn", "TicketTopicArn"])
def test_a_fifo_topic_is_not_accepted_for_alarms(parameter: str) -> None:
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert re.fullmatch(pattern, ALARM_TOPIC)
    assert not re.fullmatch(pattern, ALARM_TOPIC + ".fifo")


@pytest.mark.parametrize("outcome", ["UNANSWERABLE", "FAILURE"])
def test_a_dead_letter_triggers_the_alarm_of_its_outcome(outcome: str) -> None:
    alarm = ALARMS[{"UNANSWERABLE": "UnanswerableAlarm", "FAILURE": "RunsGivenUpAlarm"}[outcome]]
    (((_, metric, dimensions), statistic, _),) = of_alarm(alarm)
    assert metric == "dead_letters_total"
    assert dimensions["outcome"] == outcome
    assert dimensions["function_name"] == "DeadLetterFunction"
    assert (statistic, alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 1)
    written = [blob["outcome"] for blob in simulated_day().blobs if "dead_letters_total" in blob]
    assert outcome in written


def test_a_dead_letter_queue_that_does_not_become_empty_triggers_an_alarm() -> None:
    alarm = ALARMS["DeadLettersStuckAlarm"]
    total, *counted = alarm["Metrics"]
    assert total["Expression"] == " + ".join(metric["Id"] for metric in counted)
    for (_, _, dimensions), _, period in of_alarm(alarm):
        assert dimensions == {"QueueName": "DeadLetterQueue.QueueName"}
        assert alarm["EvaluationPeriods"] * period == 1800, "the description names half an hour"


@pytest.mark.parametrize("seconds", [60, 7200])
def test_requests_that_wait_too_long_trigger_an_alarm(seconds: int) -> None:
    alarm = alarms(OldestRequestSeconds=seconds)["OldestRequestAlarm"]
    assert [dimensions for (_, _, dimensions), _, _ in of_alarm(alarm)] == [
        {"QueueName": "RequestQueue.QueueName"}
    ]
    assert alarm["Threshold"] == str(seconds)
    assert f"more than {seconds} s" in alarm["AlarmDescription"]


def test_the_alarm_for_single_failures_counts_only_defects_of_the_worker() -> None:
    (((_, metric, dimensions), _, _),) = of_alarm(ALARMS["DefectsAlarm"])
    assert (metric, dimensions["function_name"]) == ("metric_run_defects_total", "MetricsWorkerFunction")
    failed = [line["error_code"] for line in simulated_day().closing() if line["outcome"] == "FAILURE"]
    assert {"INPUT_READ_ERROR", "EXPRESSION_EVAL_ERROR", "CONFIG_ERROR"} <= set(failed)
    assert sum(value for _, value in of_story(metric)) == sum(code in DEFECTS for code in failed) == 1
    for code in DEFECTS:
        assert code in ALARMS["DefectsAlarm"]["AlarmDescription"]


def test_a_version_that_lost_most_of_its_rows_triggers_an_alarm_that_names_the_usual_cause() -> None:
    alarm = ALARMS["VersionsShrunkAlarm"]
    (((_, metric, dimensions), statistic, _),) = of_alarm(alarm)
    assert (metric, dimensions["function_name"]) == ("metric_versions_shrunk_total", "MetricsWorkerFunction")
    assert (statistic, alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 1)
    assert sum(value for _, value in of_story(metric)) == 1
    assert "incremental manifest" in alarm["AlarmDescription"]
    assert "SeriesFiles=listing" in alarm["AlarmDescription"]


@pytest.mark.parametrize("hours", [1, 168])
def test_no_version_of_any_metric_for_some_hours_triggers_an_alarm(hours: int) -> None:
    alarm = alarms(FreshnessHours=hours)["FreshnessAlarm"]
    (((_, metric, dimensions), statistic, period),) = of_alarm(alarm)
    assert dimensions == {"service": "metrics-worker", "function_name": "MetricsWorkerFunction"}
    assert (statistic, period, alarm["EvaluationPeriods"]) == ("SampleCount", 3600, str(hours))
    assert "DatapointsToAlarm" not in alarm, "the alarm needs all hours without a version"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert f"for {hours} hours" in alarm["AlarmDescription"]
    succeeded = [line for line in simulated_day().closing() if line["outcome"] == "SUCCESS"]
    assert 0 < len(of_story(metric)) <= len(succeeded) < len(of_story("metric_run_duration_seconds"))


def test_the_hours_of_the_freshness_alarm_stay_within_the_week_that_cloudwatch_allows() -> None:
    parameter = TEMPLATE["Parameters"]["FreshnessHours"]
    assert (parameter["MinValue"], parameter["MaxValue"] * 3600) == (1, 7 * 86_400)
    assert 72 < parameter["Default"] <= parameter["MaxValue"], "a weekend must not trigger the alarm"


def test_the_failure_rate_alarm_needs_enough_finished_runs() -> None:
    rate, *counted = ALARMS["FailureRateAlarm"]["Metrics"]
    assert [metric["Id"] for metric in counted] == ["attempts", "succeeded", "returned"]
    condition, percent, otherwise = _if(rate["Expression"])

    def breaching(succeeded: float, failed: float, returned: float = 0) -> bool:
        attempts = succeeded + failed + returned
        numbers = {"attempts": attempts, "succeeded": succeeded, "returned": returned}
        value = _value(percent, numbers) if _value(condition, numbers) else float(otherwise)
        return bool(value > ALARMS["FailureRateAlarm"]["Threshold"])

    assert breaching(7, 3)
    assert breaching(7, 3, returned=90)
    assert not breaching(8, 2)
    assert not breaching(8, 2, returned=90)
    assert not breaching(0, 9)
    assert not breaching(0, 9, returned=90)
    assert not breaching(0, 0)
    assert not breaching(0, 0, returned=90)


def test_the_failure_rate_alarm_counts_each_failure_that_is_written_by_error_code() -> None:
    terms = {
        metric: (statistic, dimensions["function_name"])
        for (_, metric, dimensions), statistic, _ in of_alarm(ALARMS["FailureRateAlarm"])
    }
    assert terms == {
        "metric_run_duration_seconds": ("SampleCount", "MetricsWorkerFunction"),
        "metric_runs_succeeded_total": ("Sum", "MetricsWorkerFunction"),
        "metric_runs_returned_total": ("Sum", "MetricsWorkerFunction"),
    }
    attempts, succeeded, returned = map(of_story, terms)
    derived = len(attempts) - sum(value for _, value in succeeded) - sum(value for _, value in returned)
    assert derived == sum(value for _, value in of_story("metric_runs_failed_total", "error_code")) > 3


def test_all_metrics_of_the_failure_rate_are_written_at_the_same_times() -> None:
    attempts, *others = (
        [time for time, _ in of_story(metric)]
        for (_, metric, _), _, _ in of_alarm(ALARMS["FailureRateAlarm"])
    )
    assert attempts
    assert others == [attempts, attempts]


def test_an_invocation_that_ends_in_an_error_of_lambda_triggers_an_alarm() -> None:
    alarm = ALARMS["FunctionErrorsAlarm"]
    (((namespace, metric, dimensions), statistic, _),) = of_alarm(alarm)
    assert (namespace, metric, statistic) == ("AWS/Lambda", "Errors", "Sum")
    assert dimensions == {"FunctionName": "MetricsWorkerFunction"}
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)
    for sign in ("Runtime.OutOfMemory", "Status - timeout", "Runtime.ExitError", "CONFIG_ERROR"):
        assert sign in alarm["AlarmDescription"]


@pytest.mark.parametrize("timeout", TEMPLATE["Parameters"]["Timeout"]["AllowedValues"])
def test_an_invocation_that_uses_most_of_the_timeout_triggers_an_alarm(timeout: int) -> None:
    alarm = alarms(Timeout=timeout, VisibilityTimeout=21_600)["SlowInvocationsAlarm"]
    assert alarm["ExtendedStatistic"] == "p99"
    usable = timeout - RESERVED_SECONDS - 2
    assert alarm["Threshold"] == 1000 * min(0.8 * timeout, usable), "the worker stops at that time"
    assert MONITORING["Mappings"]["Timeouts"][str(timeout)]["Whole"] == 1000 * timeout
    assert f"{timeout} s" in alarm["AlarmDescription"]


def test_the_mapping_has_an_entry_for_every_allowed_timeout() -> None:
    allowed = TEMPLATE["Parameters"]["Timeout"]["AllowedValues"]
    assert [*MONITORING["Mappings"]["Timeouts"]] == [str(timeout) for timeout in allowed]
    assert MONITORING["Parameters"]["Timeout"]["AllowedValues"] == allowed


@pytest.mark.parametrize("event", ["Started", "Heartbeat", "Completed"])
@pytest.mark.parametrize("given", [None, f"{ARN}somebody-elses.fifo"])
def test_the_delivery_alarm_watches_the_topic_in_use(event: str, given: str | None) -> None:
    deployed = alarms(**({f"{event}TopicArn": given} if given else {}))
    (((_, _, dimensions), _, _),) = of_alarm(deployed[f"{event}DeliveriesAlarm"])
    assert dimensions == {"TopicName": "somebody-elses.fifo" if given else f"{event}Topic.TopicName"}


def test_the_delivery_alarm_of_requests_watches_the_given_topic() -> None:
    (((_, _, dimensions), _, _),) = of_alarm(ALARMS["RequestDeliveriesAlarm"])
    assert dimensions == {"TopicName": "requests.fifo"}


def test_an_alarm_watches_only_resources_of_its_own_deployment() -> None:
    named: set[str] = set()
    for name, alarm in ALARMS.items():
        for (namespace, _, dimensions), _, _ in of_alarm(alarm):
            own = namespace == "MetricsWorker"
            resource = dimensions.get("function_name") if own else next(iter(dimensions.values()))
            assert resource, f"{name} would mix deployments"
            named.add(resource if isinstance(resource, str) else resource["Ref"])
    assert named == {
        "MetricsWorkerFunction",
        "DeadLetterFunction",
        "RequestQueue.QueueName",
        "DeadLetterQueue.QueueName",
        "StartedTopic.TopicName",
        "HeartbeatTopic.TopicName",
        "CompletedTopic.TopicName",
        "requests.fifo",
    }


def _if(expression: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"IF\((.*), (.*), (.*)\)", expression)
    assert found
    return found[1], found[2], found[3]


def _value(expression: str, numbers: dict[str, Any]) -> Any:
    """Return the value of a metric math expression of CloudWatch.

    The expressions of the alarms have the syntax of Python, so Python evaluates them.

    Args:
        expression: the expression.
        numbers: a dict from the id of each metric in the expression to its value.
    """
    assert re.fullmatch(r"[a-z0-9 +*/()>=-]+", expression)
    return eval(expression, {"__builtins__": {}}, numbers)
