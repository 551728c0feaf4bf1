"""The page for those on call: a section for every alarm, and nothing in it that does not exist."""

import json
import re
import shlex
from pathlib import Path
from typing import get_args

import boto3
import pytest
from botocore import xform_name

from metrics_worker import errors, report
from tests.infrastructure.published import told
from tests.infrastructure.stack import MONITORING, TEMPLATE, Monitoring, alarms
from tests.infrastructure.test_saved_queries import BY_LOGS, LINES, SAVED, fields

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
ALARMS = alarms(RequestTopicArn="arn:aws:sns:eu-west-1:111122223333:requests.fifo")
COMMANDS = ["".join(found) for found in re.findall(r"^(aws .+)$|`(aws [^`\n]+)`", TEXT, re.MULTILINE)]
PARTS = ("**Meaning**", "**Look at**", "**Action**", "**Resolved**")
INSIGHTS = re.findall(r"`(filter [^`]+)`", TEXT)


def anchor(heading: str) -> str:
    """Where a heading can be linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(heading: str, text: str = TEXT) -> str:
    """What stands below a heading, down to the next of its depth or less."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, heading
    rest = text[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def table(heading: str) -> list[list[str]]:
    lines = [line for line in section(heading).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_alarm_has_a_section_and_every_section_of_theirs_an_alarm():
    assert set(re.findall(r"^### (\S+)$", section("Alarms"), re.MULTILINE)) == set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarms_section_says_what_it_means_where_to_look_what_to_do_and_when_it_is_over(name):
    written = section(name)
    places = [written.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", ALARMS)
def test_the_link_in_an_alarms_description_leads_to_its_section(name):
    (link,) = re.findall(r"docs/operating\.md#(\S+)$", ALARMS[name]["AlarmDescription"])
    assert link in {anchor(heading) for heading in HEADINGS}
    assert link == anchor(name)


def test_no_two_headings_have_one_anchor():
    assert len({anchor(heading) for heading in HEADINGS}) == len(HEADINGS)


@pytest.mark.parametrize("page", ["operating.md", "reliability.md", "decisions/0009-those-on-call.md"])
def test_every_anchor_that_is_linked_to_is_there(page):
    path = ROOT / "docs" / page
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    for target, at in links:
        text = (
            (path.parent / target).read_text(encoding="utf-8") if target else path.read_text(encoding="utf-8")
        )
        assert at in {anchor(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, (page, at)


def test_who_looks_for_the_runbook_where_it_was_is_led_here():
    assert "(operating.md)" in section("Runbook", RELIABILITY)


def test_the_saved_queries_are_those_that_there_are():
    assert {row[0].strip("`") for row in table("Saved queries")} == {
        query["Name"].removeprefix("worker/") for query in SAVED.values()
    }


def test_the_dashboards_are_those_that_there_are():
    dashboards = Monitoring().of_type("AWS::CloudWatch::Dashboard").values()
    named = set(re.findall(r"`STACK-(\w+)`", TEXT))
    assert named == {dashboard["DashboardName"].removeprefix("worker-") for dashboard in dashboards}


def test_the_metrics_are_those_that_are_written():
    written = {name for namespace, name, _ in told().series() if namespace == "MetricsWorker"}
    named = set(re.findall(r"`([a-z0-9_]+_(?:total|seconds|mb))`", section("Metrics")))
    assert named == written - {"ColdStart"}


def test_the_fields_of_the_closing_line_are_those_that_are_written():
    named = {name for row in table("The closing log line") for name in re.findall(r"`([a-z_.]+)`", row[0])}
    closing = [line for line in LINES if line.get("event_type") == "metric_run_closed"]
    written = {field for line in closing for field in line}
    assert named <= written | {"error_code"}
    of_powertools = {"level", "location", "message", "timestamp", "service", "cold_start", "event_type"}
    also = {"row_count", "started", "inputs"}  # the same as rows_out; whether the event went out; the details
    left = {name for name in written - named if not name.startswith(("function_", "traffic."))}
    assert left <= of_powertools | also | {"exception", "exception_name"}


def test_whatever_a_run_is_given_back_for_is_explained():
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.TransientError)
        and kind is not errors.TransientError
    }
    explained = {row[0].strip("`") for row in table("The closing log line")}
    assert kinds <= explained


def test_every_outcome_and_every_code_is_spoken_of():
    outcomes = get_args(report.RunReport.__annotations__["outcome"])
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert f"`{outcome}`" in TEXT
    assert {row[0].strip("`") for row in table("Who corrects a failure")} == {
        "INPUT_READ_ERROR",
        "EXPRESSION_EVAL_ERROR",
        "CONFIG_ERROR",
    }


def test_parameters_that_are_named_exist_and_defaults_are_the_templates():
    names = TEMPLATE["Parameters"].keys() | MONITORING["Mappings"].keys() | ALARMS.keys()
    errors_named = {name for name in vars(errors) if name[0].isupper()}
    for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=[A-Za-z0-9]+)?`", TEXT):
        assert name in names | errors_named | {"MetricsWorker"}, name
    for name, value in re.findall(r"`([A-Z]\w+)` \((\d[\d,]*)\)", TEXT):
        assert TEMPLATE["Parameters"][name]["Default"] == int(value.replace(",", ""))
    for name, value in re.findall(r"`([A-Z]\w+)=(\w+)`", TEXT):
        assert value in map(str, TEMPLATE["Parameters"][name].get("AllowedValues", [value]))


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith("aws s3 ")])
def test_a_command_for_aws_is_one_and_has_these_options(command, monkeypatch):
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


def test_there_are_commands_and_those_for_s3_are_copies():
    of_s3 = [command for command in COMMANDS if command.startswith("aws s3 ")]
    assert len(COMMANDS) - len(of_s3) == 7
    assert all(command.startswith("aws s3 cp s3://BUCKET/") for command in of_s3)


@pytest.mark.parametrize("query", INSIGHTS)
def test_a_filter_is_of_fields_that_are_written(query):
    used = fields(query.replace("…", "x"))
    assert used
    assert used <= {field for line in LINES for field in line} | BY_LOGS


def test_log_lines_that_are_named_are_written():
    messages = {line["message"] for line in told().lines}
    for named in re.findall(r"`((?:run|message|dead letter) (?:succeeded|failed|given back|settled))`", TEXT):
        assert named in messages


def test_the_odds_of_a_canary_that_sees_nothing_are_right():
    assert round(100 * 0.9**10) == 35
    assert round(100 * 0.9**44) == 1
    assert "with a probability of 35 %; with 44 it is 1 %" in TEXT


def test_so_many_alarms_cost_what_is_said():
    numbers = {16: "sixteen", 17: "seventeen"}
    assert f"{numbers[len(ALARMS)]} alarms" in TEXT
    assert sum(len(alarm.get("Metrics", [])) > 1 for alarm in ALARMS.values()) == 3
    written = {json.dumps([name, sorted(dimensions)]) for _, name, dimensions in told().series()}
    assert len(written) <= 40
