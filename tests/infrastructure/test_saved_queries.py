"""The saved queries of CloudWatch use only fields that log lines have, and select the intended log lines."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.infrastructure.published import simulated_day
from tests.infrastructure.stack import Monitoring
from tests.infrastructure.test_dashboards import WIDGETS

type Line = Mapping[str, Any]

KIND = "AWS::Logs::QueryDefinition"
SAVED = Monitoring().of_type(KIND)
QUERIES = {name: query["QueryString"] for name, query in SAVED.items()} | {
    widget["properties"]["title"]: widget["properties"]["query"]
    for widget in WIDGETS
    if widget["type"] == "log"
}
ONE_RUN = "PUT THE RUN'S ID HERE"

BY_LOGS = {"@timestamp", "@message"}
BY_LAMBDA = {"@type", "@initDuration", "@maxMemoryUsed", "@memorySize"}
"""Fields that CloudWatch Logs adds to every line, and fields that it finds in the lines of Lambda itself."""
WORDS = {"fields", "filter", "stats", "sort", "limit", "by", "as", "and", "in", "asc", "desc"}
COMMANDS = {"fields", "filter", "stats", "sort", "limit", "SOURCE"}
FUNCTIONS = {"bin", "count", "count_distinct", "latest", "max", "pct", "sum"}
EACH = pytest.mark.parametrize("name", QUERIES)


def flat(line: Line, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of each field of a log line, with the names of Logs Insights.

    Logs Insights joins the names of nested fields by dots.

    Args:
        line: the parsed log line, or an object in it.
        path: the names above `line`, each followed by a dot.
    """
    for key, value in line.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield path + key, value


LINES = [dict(flat(line)) for line in simulated_day().lines]


def commands(query: str) -> list[str]:
    return [part.strip() for part in query.split("|")]


def fields(query: str) -> set[str]:
    """Return the names of the log fields that a query of Logs Insights reads.

    These are all names in the query, without keywords, functions and the query's own aliases.
    """
    bare = re.sub(r'"[^"]*"|\'[^\']*\'|\bSOURCE\b', "", query)
    names = set(re.findall(r"(?<![\w@.])@?[a-z_][A-Za-z_.0-9]*(?!\()\b(?!\()", bare))
    own = set(re.findall(r"\bas ([a-z_0-9]+)", bare))
    return names - own - WORDS - {"1h"}


def passes(line: Line, query: str) -> bool:
    """Return whether a log line passes all filters of a query of Logs Insights."""
    return all(
        _holds(line, term)
        for command in commands(query)
        if command.startswith("filter ")
        for term in command.removeprefix("filter ").split(" and ")
    )


def _holds(line: Line, term: str) -> bool:
    found = re.fullmatch(r"(@?[\w.]+) (=|in|>) (.+)", term)
    assert found, f"this test does not support the filter {term}"
    value, wanted = line.get(found[1]), json.loads(found[3])
    match found[2]:
        case "=":
            return bool(value == wanted)
        case "in":
            return value in wanted
        case _:
            return value is not None and value > wanted


def chosen(name: str, **replaced: str) -> list[Line]:
    query = QUERIES[name]
    for old, new in replaced.items():
        query = query.replace({"run": ONE_RUN}[old], new)
    return [line for line in LINES if passes(line, query)]


@EACH
def test_every_field_of_a_query_is_in_some_log_line(name: str) -> None:
    written = {field for line in LINES for field in line}
    used = fields(QUERIES[name])
    assert used
    assert used <= written | BY_LOGS | BY_LAMBDA
    assert not used & BY_LAMBDA or '@type = "REPORT"' in QUERIES[name]


@EACH
def test_a_query_uses_only_known_commands_and_functions(name: str) -> None:
    for command in commands(QUERIES[name]):
        assert command.split()[0] in COMMANDS
    assert set(re.findall(r"\b([a-z_]+)\(", QUERIES[name])) <= FUNCTIONS


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - {"ColdStartsQuery"}))
def test_every_field_of_a_query_is_in_the_lines_that_pass_its_filter(name: str) -> None:
    lines = chosen(name, run="given-up")
    present = {field for line in lines for field in line}
    assert lines
    assert fields(QUERIES[name]) - BY_LOGS - present == set()


@pytest.mark.parametrize(
    ("name", "logs"),
    [
        ("OneRunQuery", ["WorkerLogGroup", "DeadLetterLogGroup"]),
        ("GivenBackQuery", ["WorkerLogGroup", "DeadLetterLogGroup"]),
        ("SlowestRunsQuery", ["WorkerLogGroup"]),
        ("ErrorsByCodeQuery", ["WorkerLogGroup"]),
        ("WhatItCostsQuery", ["WorkerLogGroup"]),
        ("LeftOutQuery", ["WorkerLogGroup"]),
        ("ColdStartsQuery", ["WorkerLogGroup"]),
    ],
)
def test_a_query_reads_the_log_groups_that_contain_its_lines(name: str, logs: list[str]) -> None:
    assert SAVED[name]["LogGroupNames"] == logs
    assert SAVED[name]["Name"].startswith("worker/")


def test_every_saved_query_has_a_unique_name() -> None:
    assert len({query["Name"] for query in SAVED.values()}) == len(SAVED) == 8


def test_the_query_for_one_run_selects_all_its_lines_and_no_others() -> None:
    story = chosen("OneRunQuery", run="given-up")
    assert {line["run_id"] for line in story} == {"given-up"}
    assert [line["message"] for line in story] == [
        *["run given back", "message given back"] * 3,
        "dead letter settled",
    ]


def test_the_queries_for_slow_runs_and_costs_select_every_finished_attempt() -> None:
    closed = [line for line in LINES if line["message"] in {"run succeeded", "run failed", "run given back"}]
    assert chosen("SlowestRunsQuery") == chosen("WhatItCostsQuery") == closed


def test_the_queries_for_errors_select_only_failed_runs() -> None:
    failed = [line for line in LINES if line["message"] == "run failed"]
    assert len(failed) >= 4
    assert chosen("ErrorsByCodeQuery") == failed
    assert chosen("Last failures") == failed
    assert all(line["error_code"] and line["error"] for line in failed)


def test_the_query_for_returned_messages_selects_them_with_their_reason() -> None:
    given_back = chosen("GivenBackQuery")
    assert given_back == [
        line for line in LINES if line["message"].endswith("given back") and "reason" in line
    ]
    assert all(line["reason"] and line["comes_back"] for line in given_back)


def test_the_query_for_omitted_rows_selects_only_runs_with_such_rows() -> None:
    lost = chosen("LeftOutQuery")
    assert {line["run_id"] for line in lost} == {"gaps"}
    assert {line["left_out"] for line in lost} == {3}
