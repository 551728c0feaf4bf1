"""docs/operating.md: the page has a section for every alarm, and everything that the page names exists."""

import json
import math
import re
import shlex
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import boto3
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from typer.testing import CliRunner

from metrics_tools.command_line.app import app
from metrics_tools.contracts.events import codes
from metrics_tools.published import run_log
from metrics_worker import errors
from metrics_worker.observability import report
from metrics_worker.publication.records import snapshots
from tests.infrastructure.published import simulated_day
from tests.infrastructure.stack import MONITORING, PSEUDO, TEMPLATE, Monitoring, alarms
from tests.infrastructure.test_saved_queries import BY_LOGS, LINES, SAVED, fields

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
DECISION = (ROOT / "docs" / "decisions" / "0009-those-on-call.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
ALARMS = alarms(RequestTopicArn="arn:aws:sns:eu-west-1:111122223333:requests.fifo")
COMMANDS = ["".join(found) for found in re.findall(r"^(aws .+)$|`(aws [^`\n]+)`", TEXT, re.MULTILINE)]
PARTS = ("**Meaning**", "**Look at**", "**Action**", "**Resolved**")
INSIGHTS = re.findall(r"`(filter [^`]+)`", TEXT)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub creates for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(heading: str, text: str = TEXT) -> str:
    """Return the text below a heading, up to the next heading of the same or a higher level.

    Args:
        heading: the heading, without `#`.
        text: the Markdown text; by default, docs/operating.md.
    """
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, heading
    rest = text[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def table(heading: str) -> list[list[str]]:
    lines = [line for line in section(heading).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def row_of_alarm(name: str, description: str) -> str:
    """Return the Markdown row that the table of alarms on the page must have for an alarm.

    The row has the name of the alarm with a link, and three parts of its description: the severity, the first
    sentence, and the first sentence after `What to do`.

    Args:
        name: the name of the alarm.
        description: the description of the alarm in the template.
    """
    meaning = description.partition(". ")[0]
    severity = re.findall(r" Severity - (page|ticket), because ", description)[0]
    action = description.partition(" What to do - ")[2].partition(". ")[0]
    return f"| [{name}](#{anchor(name)}) | {severity} | {meaning} | {action} |"


def test_the_table_of_alarms_consists_of_their_descriptions():
    with patch.dict(PSEUDO, {"AWS::StackName": "STACK"}):
        found = alarms(RequestTopicArn="arn:aws:sns:eu-west-1:111122223333:the-request-topic.fifo")
    rows = [row_of_alarm(name, found[name]["AlarmDescription"]) for name in found]
    shown = [line for line in section("Alarms").splitlines() if line.startswith("| [")]
    assert shown == sorted(rows, key=lambda row: row.split("|")[2])


def test_every_alarm_has_a_section_and_every_section_has_an_alarm():
    assert set(re.findall(r"^### (\S+)$", section("Alarms"), re.MULTILINE)) == set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_the_section_of_an_alarm_has_all_parts_in_order(name):
    text = section(name)
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", ALARMS)
def test_the_link_in_an_alarms_description_leads_to_its_section(name):
    (link,) = re.findall(r"docs/operating\.md#(\S+)$", ALARMS[name]["AlarmDescription"])
    assert link in {anchor(heading) for heading in HEADINGS}
    assert link == anchor(name)


def test_every_heading_has_a_unique_anchor():
    assert len({anchor(heading) for heading in HEADINGS}) == len(HEADINGS)


@pytest.mark.parametrize("page", ["operating.md", "reliability.md", "decisions/0009-those-on-call.md"])
def test_every_linked_anchor_exists(page):
    path = ROOT / "docs" / page
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    for target, at in links:
        text = (
            (path.parent / target).read_text(encoding="utf-8") if target else path.read_text(encoding="utf-8")
        )
        assert at in {anchor(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, (page, at)


def test_the_former_page_of_the_runbook_links_to_the_new_one():
    assert "(operating.md)" in section("Runbook", RELIABILITY)


def test_the_page_lists_every_saved_query():
    assert {row[0].strip("`") for row in table("Saved queries")} == {
        query["Name"].removeprefix("worker/") for query in SAVED.values()
    }


def test_the_page_names_every_dashboard():
    dashboards = Monitoring().of_type("AWS::CloudWatch::Dashboard").values()
    named = set(re.findall(r"`STACK-(\w+)`", TEXT))
    assert named == {dashboard["DashboardName"].removeprefix("worker-") for dashboard in dashboards}


def test_the_page_lists_every_metric_of_the_worker():
    written = {name for namespace, name, _ in simulated_day().series() if namespace == "MetricsWorker"}
    named = set(re.findall(r"`([a-z0-9_]+_(?:total|seconds|mb))`", section("Metrics")))
    assert named == written - {"ColdStart"}


def test_the_page_explains_every_field_of_the_closing_log_line():
    named = {name for row in table("The closing log line") for name in re.findall(r"`([a-z_.]+)`", row[0])}
    closing = [line for line in LINES if line.get("event_type") == "metric_run_closed"]
    written = {field for line in closing for field in line}
    assert named <= written | {"error_code"}
    of_powertools = {"level", "location", "message", "timestamp", "service", "cold_start", "event_type"}
    also = {"row_count", "started", "inputs"}  # fields that the page need not explain
    left = {name for name in written - named if not name.startswith(("function_", "traffic."))}
    assert left <= of_powertools | also | {"exception", "exception_name"}


def test_the_page_explains_every_reason_for_returning_a_run():
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.TransientError)
        and kind is not errors.TransientError
    }
    explained = {row[0].strip("`") for row in table("The closing log line")}
    assert kinds <= explained


def test_the_page_explains_every_outcome_and_error_code():
    outcomes = get_args(report.RunReport.__annotations__["outcome"])
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert f"`{outcome}`" in TEXT
    assert {row[0].strip("`") for row in table("Who corrects a failure")} == {
        "INPUT_READ_ERROR",
        "EXPRESSION_EVAL_ERROR",
        "CONFIG_ERROR",
    }


def test_named_parameters_exist_and_their_defaults_are_correct():
    names = TEMPLATE["Parameters"].keys() | MONITORING["Mappings"].keys() | ALARMS.keys()
    errors_named = {name for name in vars(errors) if name[0].isupper()}
    for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=[A-Za-z0-9]+)?`", TEXT):
        assert name in names | errors_named | {"MetricsWorker"}, name
    for name, value in re.findall(r"`([A-Z]\w+)` \((\d[\d,]*)\)", TEXT):
        assert TEMPLATE["Parameters"][name]["Default"] == int(value.replace(",", ""))
    for name, value in re.findall(r"`([A-Z]\w+)=(\w+)`", TEXT):
        assert value in map(str, TEMPLATE["Parameters"][name].get("AllowedValues", [value]))


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith("aws s3 ")])
def test_an_aws_command_exists_and_has_the_options_on_the_page(command, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    _, service, operation, *rest = shlex.split(command)
    client = boto3.client(service)
    methods = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    shape = client.meta.service_model.operation_model(methods[operation])
    members = {xform_name(name, "-"): name for name in shape.input_shape.members}
    options = [word.removeprefix("--") for word in rest if word.startswith("--")]
    assert options
    for option in set(options) - {"query"}:
        assert option in members or option.removeprefix("no-") in members, option
    client.close()


def test_the_page_has_seven_aws_commands_and_otherwise_only_copies_from_s3():
    of_s3 = [command for command in COMMANDS if command.startswith("aws s3 ")]
    assert len(COMMANDS) - len(of_s3) == 7
    assert all(command.startswith("aws s3 cp s3://BUCKET/") for command in of_s3)


@pytest.mark.parametrize("query", INSIGHTS)
def test_a_filter_uses_only_existing_log_fields(query):
    used = fields(query.replace("…", "x"))
    assert used
    assert used <= {field for line in LINES for field in line} | BY_LOGS


def test_the_query_of_metrics_why_uses_only_existing_log_fields():
    assert fields(run_log.QUERY) <= {field for line in LINES for field in line} | BY_LOGS


def test_the_lifecycle_rule_for_snapshots_is_valid_and_matches_only_snapshots():
    (rule,) = map(json.loads, re.findall(r"```json\n(.*?)```", section("Deleting snapshots"), re.DOTALL))
    client = boto3.client("s3", region_name="us-east-1")
    shape = client.meta.service_model.operation_model("PutBucketLifecycleConfiguration").input_shape
    given = {"Bucket": "b", "LifecycleConfiguration": {"Rules": [rule]}}
    assert not ParamValidator().validate(given, shape).has_errors()
    assert rule["Filter"] == {"Prefix": snapshots("metrics/")}
    client.close()


def test_the_commands_of_a_rollback_exist_with_their_options():
    (block,) = re.findall(r"```\n(.*?)```", section("A wrong metric was published"), re.DOTALL)
    named = [line.split() for line in block.splitlines()]
    assert [f"{words[0]} {words[1]}" for words in named] == [
        "metrics history",
        "metrics compare",
        "metrics rollback",
    ]
    for _, name, *arguments in named:
        shown = CliRunner().invoke(app, [name, "--help"]).output
        for option in [word for word in arguments if word.startswith("--")]:
            assert f" {option} " in shown, (name, option)


def test_named_log_messages_exist():
    messages = {line["message"] for line in simulated_day().lines}
    for named in re.findall(r"`((?:run|message|dead letter) (?:succeeded|failed|given back|settled))`", TEXT):
        assert named in messages


def test_the_probability_that_a_canary_receives_no_run_is_correct():
    assert round(100 * 0.9**10) == 35
    assert round(100 * 0.9**44) == 1
    assert "none of ten invocations is 35 %, and none of 44 invocations 1 %" in TEXT


def test_the_numbers_behind_the_monthly_cost_are_correct():
    assert len(ALARMS) == 17
    assert "seventeen alarms" in TEXT
    watched = [max(1, len(alarm.get("Metrics", [])) - 1) for alarm in ALARMS.values()]
    assert sorted(watched)[-3:] == [1, 2, 3]
    assert f"${sum(watched) * 0.10:.2f} in total, because one alarm uses two metrics, one uses three" in TEXT
    values = {"error_code": len(codes()), "outcome": 3}
    written = sum(
        math.prod(values.get(dimension, 1) for dimension in dimensions)
        for _, _, dimensions in simulated_day().series()
    )
    assert f"up to {written} metrics" in TEXT
    assert f"at most ${written * 0.30:.2f}" in TEXT
    assert f"| **41** | **{written}** |" in DECISION
