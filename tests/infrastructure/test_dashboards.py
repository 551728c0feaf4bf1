"""The dashboards are valid and complete, and show only metrics that exist."""

import json
import re
import time
from itertools import combinations
from typing import Any

import pytest

from metrics_worker import errors
from tests.infrastructure.published import Metric, exists, simulated_day
from tests.infrastructure.stack import MONITORING, Monitoring, alarms

type Widget = dict[str, Any]

NAMES = ("BusinessDashboard", "MachineDashboard")
COLUMNS = 24
# CloudWatch's quotas of a dashboard, and of a widget.
MAX_WIDGETS, MAX_METRICS, MAX_METRICS_OF_ONE = 500, 2500, 500
VIEWS = {"timeSeries", "singleValue"}
EACH = pytest.mark.parametrize("name", NAMES)
OPERATORS = re.compile(r"[0-9.+*/() -]+")


def body(name: str, **given: object) -> dict[str, Any]:
    """Return the body of a dashboard as CloudWatch receives it.

    Args:
        name: the logical id of the dashboard.
        given: parameters of the stack.
    """
    properties = Monitoring(**given).properties(name, "AWS::CloudWatch::Dashboard")
    assert "${" not in properties["DashboardBody"], "a parameter is not replaced"
    parsed: dict[str, Any] = json.loads(properties["DashboardBody"])
    return parsed


BODIES = {name: body(name) for name in NAMES}
WIDGETS = [widget for dashboard in BODIES.values() for widget in dashboard["widgets"]]


def rows(widget: Widget) -> list[list[Any]]:
    """Return the metrics of a dashboard widget, each as a full list.

    A list has the namespace, the metric name, the name and the value of each dimension, and perhaps a dict of
    options. A widget may abbreviate the lists: "." repeats the item at the same position of the list above,
    and "..." repeats all items of the list above that are not given.

    Args:
        widget: the widget, as JSON object in the body of a dashboard.
    """
    written: list[list[Any]] = []
    above: list[str] = []
    for row in widget["properties"].get("metrics", []):
        names = [item for item in row if isinstance(item, str)]
        options = row[len(names) :]
        if names and names[0] == "...":
            names = above[: len(above) - len(names) + 1] + names[1:]
        full = [above[place] if item == "." else item for place, item in enumerate(names)]
        above = full or above
        written.append([*full, *options])
    return written


def metrics(widget: Widget) -> list[Metric]:
    """Return the metrics of a widget, each as (namespace, name, dict from dimension names to values)."""
    found = []
    for row in rows(widget):
        names = [item for item in row if isinstance(item, str)]
        if names:
            namespace, name, *rest = names
            assert len(rest) % 2 == 0, row
            found.append((namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))))
    return found


@EACH
def test_the_name_of_a_dashboard_contains_the_name_of_the_stack(name: str) -> None:
    kind = "AWS::CloudWatch::Dashboard"
    dashboards = Monitoring().of_type(kind)
    assert dashboards.keys() == set(NAMES)
    assert dashboards[name]["DashboardName"] == f"worker-{name.removesuffix('Dashboard').lower()}"


@EACH
@pytest.mark.parametrize(
    "given", [{"Architecture": "arm64"}, {"Timeout": 60, "RunbookUrl": "https://x/y.md"}]
)
def test_a_dashboard_is_valid_json_for_any_parameters(name: str, given: dict[str, object]) -> None:
    assert body(name, **given)["widgets"]


@EACH
def test_widgets_do_not_overlap_and_stay_within_the_grid(name: str) -> None:
    taken = [
        {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        for widget in BODIES[name]["widgets"]
    ]
    for cells in taken:
        assert cells
        assert all(0 <= x < COLUMNS for x, _ in cells)
    for one, another in combinations(taken, 2):
        assert not one & another


@EACH
def test_a_dashboard_has_no_gaps_between_widgets(name: str) -> None:
    widgets = BODIES[name]["widgets"]
    height = max(widget["y"] + widget["height"] for widget in widgets)
    assert sum(widget["width"] * widget["height"] for widget in widgets) == COLUMNS * height


@EACH
def test_a_dashboard_stays_within_the_quotas_of_cloudwatch(name: str) -> None:
    widgets = BODIES[name]["widgets"]
    named = [len(rows(widget)) for widget in widgets]
    assert len(widgets) <= MAX_WIDGETS
    assert sum(named) <= MAX_METRICS
    assert max(named) <= MAX_METRICS_OF_ONE


@EACH
def test_every_metric_of_a_dashboard_exists_with_exactly_these_dimensions(name: str) -> None:
    named = [metric for widget in BODIES[name]["widgets"] for metric in metrics(widget)]
    assert len(named) > 10
    for metric in named:
        assert exists(metric), metric


@EACH
def test_a_dashboard_shows_only_the_metrics_of_its_own_deployment(name: str) -> None:
    for widget in BODIES[name]["widgets"]:
        for namespace, metric, dimensions in metrics(widget):
            if namespace == "MetricsWorker":
                assert dimensions["function_name"] in {"MetricsWorkerFunction", "DeadLetterFunction"}, metric
                assert dimensions["service"] == "metrics-worker"


def test_no_dashboard_uses_a_metric_code_as_a_dimension() -> None:
    allowed = {"service", "function_name", "error_code", "outcome"}
    for widget in WIDGETS:
        for namespace, _, dimensions in metrics(widget):
            assert namespace != "MetricsWorker" or dimensions.keys() <= allowed


def test_each_metric_is_written_under_one_set_of_dimensions() -> None:
    sets: dict[str, list[set[str]]] = {}
    for namespace, metric, names in simulated_day().series():
        assert namespace == "MetricsWorker"
        sets.setdefault(metric, []).append(set(names))
    own = {"service", "function_name"}
    further = {"metric_runs_failed_total": {"error_code"}, "dead_letters_total": {"outcome"}}
    defects = sets.pop("metric_run_defects_total")
    assert sets == {metric: [own | further.get(metric, set())] for metric in sets}
    assert sorted(defects, key=len) == [own, own | {"function_version"}], (
        "for a rollback and for all versions"
    )


def test_no_metric_has_a_time_in_the_future() -> None:
    blobs = simulated_day().blobs
    now = time.time() * 1000
    assert blobs
    assert all(blob["_aws"]["Timestamp"] <= now for blob in blobs)


def test_the_dashboards_show_failures_of_every_error_code() -> None:
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PermanentError)
    }
    shown = {
        dimensions["error_code"]
        for widget in WIDGETS
        for _, _, dimensions in metrics(widget)
        if "error_code" in dimensions
    }
    assert shown == codes


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget["properties"].get("title", "text"))
def test_a_widget_has_a_title_a_view_statistics_and_labels(widget: Widget) -> None:
    properties = widget["properties"]
    assert widget["type"] in {"text", "metric", "log", "alarm"}
    assert properties.get("title") or widget["type"] == "text"
    if widget["type"] == "metric":
        assert properties["view"] in VIEWS
        assert properties["region"] == "eu-west-1"
        for row in rows(widget):
            assert "stat" in properties or "stat" in row[-1], row
            assert row[-1].get("label") or row[-1].get("visible") is False


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget["properties"].get("title", "text"))
def test_an_expression_uses_only_metrics_of_its_own_widget(widget: Widget) -> None:
    options = [row[-1] for row in rows(widget)]
    ids = [option["id"] for option in options if "id" in option]
    assert len(ids) == len(set(ids))
    for option in options:
        if "expression" in option:
            used = set(re.findall(r"[a-z_]+", option["expression"]))
            assert used
            assert used <= set(ids) - {option["id"]}
            left = re.sub(r"[a-z_]+", "", option["expression"])
            assert OPERATORS.fullmatch(left), left


@pytest.mark.parametrize(("architecture", "dollars"), [("x86_64", 0.0000166667), ("arm64", 0.0000133334)])
def test_the_cost_widget_multiplies_gigabyte_seconds_and_requests_by_their_prices(
    architecture: str, dollars: float
) -> None:
    (widget,) = [
        widget
        for widget in body("MachineDashboard", Architecture=architecture, MemorySize=2048)["widgets"]
        if "Cost" in widget["properties"].get("title", "")
    ]
    expressions = {row[-1]["id"]: row[-1]["expression"] for row in rows(widget) if "expression" in row[-1]}
    hour = {"milliseconds": 600_000.0, "invocations": 50.0, "requests": 100_000.0, "runs": 500.0}

    def cost(of: str) -> float:
        return float(eval(expressions[of], {"__builtins__": {}}, hour))

    assert cost("lambda") == pytest.approx(600 * 2 * dollars + 50 * 0.0000002)
    assert cost("s3") == pytest.approx((100_000 - 2000) * 0.0000004 + 2000 * 0.000005)
    assert widget["properties"]["period"] == 3600, "the title names an hour"


def test_the_machine_dashboard_shows_every_unconditional_alarm() -> None:
    (shown,) = [widget for widget in BODIES["MachineDashboard"]["widgets"] if widget["type"] == "alarm"]
    prefix = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:"
    assert sorted(shown["properties"]["alarms"]) == sorted(
        prefix + alarm["AlarmName"] for alarm in alarms().values()
    )


def test_every_price_is_a_positive_number_and_is_used() -> None:
    prices = MONITORING["Mappings"]["Prices"]
    text = json.dumps(MONITORING["Resources"]["MachineDashboard"])
    for of, kinds in prices.items():
        for kind, price in kinds.items():
            assert float(price) > 0
            assert json.dumps(["Prices", of, kind]) in text
