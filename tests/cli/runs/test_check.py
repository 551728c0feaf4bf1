"""Tests of `metrics check`: each check at its limit, the file of checks, the report, and the exit codes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from metrics_tools.definition_tests.checks import (
    MetricChecks,
    ResultChecks,
    check_age,
    check_drop,
    check_result,
)
from metrics_worker.series import Series

CODE = "ratio.a_to_b"
DAY = 86_400_000_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def series(*values: float) -> Series:
    """Return a series with the given values, one for each day from 1 January 2026 on, at midnight UTC."""
    start = int(FIRST.timestamp() * 1e6)
    return Series(start + DAY * np.arange(len(values)), np.array(values, np.float64))


def failures(checks: dict[str, Any], *values: float) -> list[str]:
    """Check a result, and return for each check the text of its failure, or an empty text if it passed.

    Args:
        checks: the checks of the result, as in a file of checks.
        values: the daily values of the result.
    """
    outcomes = check_result(ResultChecks.model_validate(checks), series(*values))
    return [outcome.failure for outcome in outcomes]


def limit(value: float | str) -> Any:
    """Parse the check `no_drop_over` as in a file of checks, and return its `Limit`.

    Args:
        value: the limit: a number, or a percentage such as `20%`.
    """
    return MetricChecks.model_validate({"no_drop_over": value}).no_drop_over


# Each check


@pytest.mark.parametrize(
    ("checks", "values", "failure"),
    [
        ({"min_rows": 2}, (1, 2), ""),
        ({"min_rows": 2}, (1,), "1 observation found, and at least 2 expected"),
        ({"between": [1, 2]}, (1, 2), ""),
        ({"between": [1, 2]}, (0.9, 1, 2.1), "2 observations of 3 are outside 1 to 2"),
        ({"between": [None, 2]}, (-1e300, 2), ""),
        ({"between": [1, None]}, (0, 1e300), "1 observation of 2 is outside 1 to any"),
        ({"between": [1, 2]}, (), ""),
        ({"max_change": 1}, (1, 2, 1), ""),
        ({"max_change": 1}, (1, 2.1, 1.2), "1 observation differs from the preceding one by more than 1"),
        ({"max_change": "50%"}, (2, 3, 1.5), ""),
        ({"max_change": "50%"}, (-2, -3.1), "1 observation differs from the preceding one by more than 50%"),
        ({"max_change": "50%"}, (0, 0), ""),
        ({"max_change": "50%"}, (0, 1e-9), "1 observation differs from the preceding one by more than 50%"),
        ({"max_change": 1}, (-1e308, 1e308), "1 observation differs from the preceding one by more than 1"),
        ({"max_change": 1}, (), ""),
    ],
)
def test_a_check_of_a_result(checks, values, failure):
    assert failures(checks, *values) == [failure]


def test_a_failure_has_the_first_observations_and_the_number_of_all():
    (outcome,) = check_result(ResultChecks(between=[0, 1]), series(*range(10)))
    assert (outcome.offenders, len(outcome.first)) == (8, 5)
    assert outcome.text().endswith(
        "outside 0 to 1: 2.0 on 2026-01-03, 3.0 on 2026-01-04, "
        "4.0 on 2026-01-05, 5.0 on 2026-01-06, 6.0 on 2026-01-07, …"
    )


@pytest.mark.parametrize(
    ("days", "failure"),
    [(2, ""), (2.01, "the last observation is 2.0 days old, and 2 are allowed"), (-1, "")],
)
def test_the_age_is_that_of_the_last_observation(days, failure):
    now = FIRST + timedelta(days=1 + days)
    assert check_age(2, series(1, 2), now).failure == failure


def test_a_result_without_observations_is_too_old():
    assert check_age(1e9, series(), FIRST).failure == "there is no observation"


@pytest.mark.parametrize(
    ("allowed", "rows", "previous", "passes"),
    [
        (0, 100, 100, True),
        (0, 101, 100, True),
        (0, 99, 100, False),
        (2, 98, 100, True),
        (2, 97, 100, False),
        ("2%", 98, 100, True),
        ("2.5 %", 97, 100, False),
        (0, 0, None, True),
    ],
)
def test_rows_may_drop_by_the_limit(allowed, rows, previous, passes):
    outcome = check_drop(limit(allowed), rows=rows, previous=previous)
    assert bool(outcome.failure) is not passes


# The command


@pytest.fixture
def check(metrics, folder, tmp_path):
    """Return `check(checks, *words)`, which runs `metrics check` on the metrics in the fixture `folder`.

    `checks` is a dict from metric codes to checks, the content of the file of checks, and `words` are further
    arguments. The function returns typer's result.
    """

    def run(checks, *words):
        file = tmp_path / "checks.yaml"
        file.write_text(json.dumps({"checks": checks}))
        return metrics("check", *words, "--folder", folder, "--checks", file)

    return run


@pytest.fixture
def publish(metrics, folder, ask):
    """Return `publish(expression, …)`, which publishes a version of a metric in `folder` and returns None.

    The expression, by default A / B, and further arguments are passed to the fixture `ask`.
    """

    def run(expression=None, **more):
        assert metrics("run", ask(expression, **more), "--folder", folder, "--publish").exit_code == 0

    return run


def test_the_exit_code_depends_on_all_metrics(check, publish):
    publish()
    good, wrong = {"min_rows": 10, "max_age_days": 1e6, "no_drop_over": 0}, {"min_rows": 11}
    assert check({CODE: good}).exit_code == 0
    assert check({CODE: wrong}).exit_code == 1
    assert check({CODE: wrong, "ratio.a_to_bb": good}, CODE).exit_code == 1
    done = check({CODE: wrong, "ratio.a_to_bb": good})
    assert done.exit_code == 2
    assert "Nothing is published under metrics/ratio.a_to_bb/" in done.stdout
    assert "1 check of 2 metrics: 0 passed, 1 failed, 1 metric not checked" in done.stdout


def test_the_versions_in_a_bucket_are_checked(metrics, bucket, ask, tmp_path):
    assert metrics("run", ask(), "--bucket", bucket, "--publish").exit_code == 0
    file = tmp_path / "checks.yaml"
    file.write_text(json.dumps({"checks": {CODE: {"min_rows": 11, "no_drop_over": 0}}}))
    done = metrics("check", "--bucket", bucket, "--checks", file, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["place"]) == (1, f"s3://{bucket}")
    assert [each["failure"] for each in found["metrics"][0]["checks"]] == [
        "10 observations found, and at least 11 expected",
        "",
    ]
    done = metrics("check", "--bucket", "there-is-no-such-bucket", "--checks", file)
    assert (done.exit_code, "there is no such bucket" in done.stdout) == (2, True)


def test_rows_are_compared_with_the_previous_committed_version(check, publish, folder):
    publish()
    publish({"op": "sma", "series": {"series_code": "A"}, "window": 4}, expressionType="window_op")
    assert check({CODE: {"no_drop_over": 3}}).exit_code == 0
    done = check({CODE: {"no_drop_over": "20%"}})
    assert done.exit_code == 1
    assert "10 rows dropped to 7, and a drop of 20% is allowed" in done.stdout
    base = folder / "metrics" / CODE
    older = min(path.name for path in base.iterdir() if path.name.startswith("2"))
    for marker in (base / "runs").iterdir():
        if json.loads(marker.read_text())["version_ts"] == older:
            marker.unlink()  # the older version is not committed any more
    assert check({CODE: {"no_drop_over": "20%"}}).exit_code == 0


def test_json_and_junit_contain_every_check(check, publish, tmp_path):
    publish()
    checks = {CODE: {"min_rows": 10, "between": [0, 4]}, "other": {"min_rows": 1}}
    found = json.loads(check(checks, "--json", "--junit", tmp_path / "report.xml").stdout)
    assert (found["passed"], found["checks"], found["failed"], found["unreadable_metrics"]) == (
        False,
        2,
        1,
        1,
    )
    passed, failed = found["metrics"][0]["checks"]
    assert (passed["check"], passed["passed"], failed["check"], failed["passed"]) == (
        "min_rows",
        True,
        "between",
        False,
    )
    assert failed["offenders"] == 2
    assert failed["first"][0] == {"time": "2026-01-09T00:00:00Z", "value": 4.5, "previous": None}
    report = ET.parse(tmp_path / "report.xml").getroot()
    assert [(suite.get("name"), suite.get("failures"), suite.get("errors")) for suite in report] == [
        (CODE, "1", "0"),
        ("other", "0", "1"),
    ]
    assert "4.5 on 2026-01-09, 5.0 on 2026-01-10" in report.findall(".//failure")[0].get("message", "")


@pytest.mark.parametrize(
    ("checks", "path", "text"),
    [
        ({"m": {"min_row": 1}}, "checks.m.min_row", "did you mean `min_rows`?"),
        ({"m": {}}, "checks.m", "give at least one of min_rows"),
        ({"m": {"between": [2, 1]}}, "checks.m.between", "the first bound is greater than the second"),
        ({"m": {"between": [1]}}, "checks.m.between", "a range is written [0, 1]"),
        ({"m": {"max_change": "20"}}, "checks.m.max_change", "or a percentage, such as 20%"),
        ({"m": {"no_drop_over": -1}}, "checks.m.no_drop_over", "a number that is at least 0"),
        ({"m": {"min_rows": True}}, "checks.m.min_rows", "it should be a valid integer"),
        ({"a/b": {"min_rows": 1}}, "checks.a/b", "a metric code has 1-128 of"),
        ({}, "checks", "at least 1 item"),
    ],
)
def test_every_problem_of_a_file_is_shown_with_its_path(check, checks, path, text):
    done = check(checks)
    assert (done.exit_code, done.stdout) == (2, "")
    assert path in done.stderr
    assert text in done.stderr


def test_a_code_that_is_not_in_the_file_is_an_error(check):
    done = check({"fx.usd_per_brl": {"min_rows": 1}}, "fx.usd_per_brll")
    assert done.exit_code == 2
    assert "no checks of fx.usd_per_brll: did you mean `fx.usd_per_brl`?" in done.stderr
    assert "it has checks of m" in check({"m": {"min_rows": 1}}, "other").stderr


def test_a_file_that_is_missing_is_an_error(metrics, folder, tmp_path):
    done = metrics("check", "--folder", folder, "--checks", tmp_path / "none.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"{tmp_path}/none.yaml: No such file or directory. "
        "Name the file with --checks FILE, or create it as docs/testing-metrics.md describes.\n"
    )
