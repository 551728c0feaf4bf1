"""The HTML page about runs: its texts, its data for scripts, and the escaping of texts from requests."""

# ruff: noqa: RUF001 - formulas with typographic minus signs

import base64
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any, ClassVar

import numpy as np
import pytest

from metrics_tools.describe.nodes import counted, outlined
from metrics_tools.formatting import duration, iso_time, shown_time, size
from metrics_tools.page.document import SPARKLINE_WIDTH, page, sparkline
from metrics_tools.page.numbers import Numbers, thinned
from metrics_tools.page.shown import ShownEvent, ShownRun, Source
from metrics_tools.page.waterfall import MAX_ROWS, breakable, lanes, rows, summary
from metrics_worker.dataset.snapshots import MIN_PART_FILES
from metrics_worker.expression.grammar import parse
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.observability.report import RunReport
from metrics_worker.observability.traffic import Timed, Trace
from metrics_worker.request import open_record
from metrics_worker.run import complete_run
from metrics_worker.series import Series
from tests.builders import NOW as NOW_OF_THE_CLOUD
from tests.builders import Cloud, day, put_dataset, request
from tests.builders import rows as table_of

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
DAY = 86_400_000_000
START = 18_262 * DAY  # 2020-01-01, in microseconds since 1970
A, B = {"series_code": "A"}, {"series_code": "B"}
RATIO = parse({"op": "ratio", "left": A, "right": B})


def series(values, step=DAY, start=START):
    return Series(start + step * np.arange(len(values)), np.array(values, dtype=float))


INPUTS = {"A": series([1.0, 6.0, 3.0, 8.0]), "B": series([-1.0, 2.0, 1.5, 0.0])}


def success(**fields):
    shown = ShownRun(
        metric_code="m.x",
        run_id="r-1",
        title="A over B",
        unit="A per B",
        status="SUCCESS",
        expression=counted(RATIO, INPUTS),
        inputs=INPUTS,
        metric=series([-1.0, 3.0, 2.0]),
        facts=[("Version", "2026-11-02T09-29-00")],
        keys=["metrics/m.x/runs/r-1.ok"],
        events=[
            ShownEvent(NOW, "metric_run_started"),
            ShownEvent(NOW + timedelta(seconds=1.5), "metric_run_completed", "SUCCESS"),
        ],
        manifest={"row_count": 3},
    )
    return replace(shown, **fields)


def failure(**fields):
    shown = ShownRun("m.x", "r-1", status="FAILURE", error="INPUT_READ_ERROR: no <such> series")
    return replace(shown, **fields)


def page_of(*runs, **more):
    return page(runs, **({"title": "Runs", "lead": "", "source": None, "now": NOW} | more))


def embedded(text: str) -> Any:
    """Return the JSON document in an HTML page, from which the page's scripts take their data."""
    found = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


class Checker(HTMLParser):
    """An HTML parser that asserts that tags are nested correctly and that the page loads no other files.

    Attributes:
        open: the names of the elements that have not been closed yet, from the outermost on.
        ids: the ids of all elements.
        tags: the names of all opening tags.
    """

    VOID: ClassVar = {"meta", "wbr"}

    def __init__(self):
        super().__init__()
        self.open = []
        self.ids = []
        self.tags = []

    def handle_starttag(self, tag, attributes):
        assert tag not in {"link", "img", "iframe"}
        assert not ({"src", "srcset"} & {name for name, _ in attributes})
        self.ids += [value for name, value in attributes if name == "id"]
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attributes):
        assert tag == "path"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(text):
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    return checker.tags


def test_the_page_is_valid_html_and_needs_no_network():
    text = page_of(success(trace=trace_of(Timed("GET", "k", 0.0, 0.1))), failure())
    checked(text)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "fetch(" not in text


def test_the_content_security_policy_allows_only_the_script_of_the_page():
    text = page_of(success())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy is not None
    assert script is not None
    digest = base64.b64encode(sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]


def test_the_page_shows_the_facts_events_and_objects_of_a_run():
    source = Source("The ECB", "https://ecb.example/")
    text = page([success()], title="Runs", lead="So they are.", source=source)
    for expected in (
        "<title>Runs</title>",
        "1 of 1 runs ended as they should",
        "So they are.",
        "A over B",
        "A ÷ B",
        "2 on <time>2020-01-03</time>",
        "<dt>Minimum</dt><dd>−1 on <time>2020-01-01</time></dd>",
        "<dt>Maximum</dt><dd>3 on <time>2020-01-02</time></dd>",
        "<dt>Rows</dt><dd>3</dd>",
        "<dt>Version</dt><dd>2026-11-02T09-29-00</dd>",
        "metrics/m.x/runs/r-1.ok",
        '<a href="https://ecb.example/">The ECB</a>',
        "data to 2020-01-03",
        "&#34;row_count&#34;: 3",
        "09:30:01.500",
        "+1.50 s",
        "Status events: 2",
        "Objects that the run wrote: 1",
    ):
        assert expected in text


def test_a_chart_has_a_description_for_screen_readers():
    text = page_of(success())
    assert (
        "Line chart of A over B: 3 observations from 2020-01-01 to 2020-01-03, between −1 and 3, "
        "last 2 A per B. Below: 2 inputs: A, B."
    ) in text


def test_a_long_formula_can_be_collapsed_and_a_very_long_one_is_collapsed_at_first():
    def shown(terms):
        tree = {"op": "avg", "operands": [A] * terms}
        text = page_of(success(expression=outlined(parse(tree))))
        checked(text)
        return re.findall(r'<details class="formula soft"( open)?>', text)

    assert [shown(terms) for terms in (2, 40, 400)] == [[], [" open"], [""]]


def test_each_node_shows_its_observations_and_the_reasons_for_lost_ones():
    text = page_of(success())
    assert '<span class="count">3 observations</span>' in text
    assert '<span class="lost">1 lost: division by zero</span>' in text
    assert text.count('<span class="count">4 observations</span>') == 2


def test_an_expression_without_counts_is_shown_as_a_tree():
    text = page_of(failure(expression=outlined(RATIO)))
    assert "the ratio of left to right" in text
    assert 'class="count"' not in text


def test_a_page_of_several_runs_begins_with_a_table_of_links_to_them():
    text = page_of(success(), failure())
    assert "All 2 runs" in text
    assert '<a href="#run-1">m.x</a>' in text
    assert text.count('class="spark"') == 1


def test_a_failed_run_shows_its_error_and_no_chart():
    text = page_of(failure())
    assert "INPUT_READ_ERROR: no &lt;such&gt; series" in text
    assert "<figure" not in text
    assert "data to" not in text


def test_a_failed_run_shows_its_existing_inputs():
    text = page_of(failure(inputs={"A": INPUTS["A"]}))
    assert "Line chart of the inputs of m.x: A" in text


def test_a_failure_that_was_expected_is_not_shown_as_an_alarm():
    assert '<span class="badge calm">FAILURE, as it should</span>' in page_of(failure())
    assert '<span class="badge bad">FAILURE</span>' in page_of(failure(is_right=False))


def test_a_card_shows_an_error_only_once():
    wrong = failure(
        is_right=False, error="E: none", complaints=["FAILURE where SUCCESS was expected: E: none"]
    )
    assert page_of(wrong).count("E: none") == 1


def test_differences_from_the_expected_outcome_are_shown():
    text = page_of(success(is_right=False, complaints=["row counts differ"]))
    assert "row counts differ" in text
    assert "0 of 1 runs" in text


def test_a_run_without_an_outcome_or_an_expression_is_shown():
    text = page_of(ShownRun("m.x", "r-1", is_right=False))
    checked(text)
    assert "no outcome" in text
    assert "not a valid expression" in text


def test_a_version_without_rows_is_shown_without_a_chart():
    text = page_of(success(metric=series([]), inputs={}))
    assert "<dt>Rows</dt><dd>0</dd>" in text
    assert "<figure" not in text


NASTY = '</script><script>alert(1)</script><!--"><b onload=x>&amp;'


def test_text_of_a_request_cannot_become_markup():
    shown = success(
        metric_code=NASTY,
        title=NASTY,
        unit=NASTY,
        error=NASTY,
        keys=[NASTY],
        complaints=["not " + NASTY.replace("alert", "confirm")],
        inputs={NASTY: INPUTS["A"]},
        facts=[(NASTY, NASTY)],
        events=[ShownEvent(NOW, NASTY, NASTY)],
        manifest={NASTY: NASTY},
        trace=trace_of(Timed("GET", NASTY, 0.0, 0.1, 0, NASTY)),
    )
    plain, nasty = (
        page_of(success(trace=shown.trace), success()),
        page_of(shown, success(), title=NASTY, lead=NASTY),
    )
    assert checked(nasty).count("script") == checked(plain).count("script") == 2
    assert "<b " not in nasty
    assert embedded(nasty)["runs"][0]["code"] == NASTY


def decoded(document: dict[str, Any], place: int) -> tuple[list[int], list[Any]]:
    """Return (times, values) of a series in the page's JSON document, as the page's script decodes them.

    Args:
        document: the JSON document of the page.
        place: the index of the series in the list `series` of the document.
    """
    found = document["series"][place]
    grid = document["grids"][found["grid"]]
    times = grid["start"] + grid["unit"] * np.cumsum([0, *grid["steps"]])
    return times.tolist(), found["values"]


@pytest.mark.parametrize(
    ("values", "times"),
    [
        ([0.1 + 0.2, -1e-300, 1.7976931348623157e308, 5e-324], [0, DAY, 4 * DAY, 5 * DAY]),
        ([1.0], [-(2**52)]),
        ([1.0, 2.0, 3.0], [1, 3, 2**50]),
    ],
)
def test_the_embedded_numbers_equal_those_of_the_series_exactly(values, times):
    metric = Series(np.array(times), np.array(values))
    document = embedded(page_of(success(metric=metric)))
    assert decoded(document, document["runs"][0]["metric"]) == (times, values)


def test_a_series_of_several_runs_is_embedded_once():
    document = Numbers.of([success(), success(metric=series([4.0, 5.0, 6.0]))])
    assert len(document["series"]) == 4
    assert document["runs"][0]["inputs"] == document["runs"][1]["inputs"]


def test_a_shortened_series_keeps_its_extremes_and_its_ends():
    values = np.sin(np.arange(10_000.0))
    values[7_777], values[3_331] = 9, -9
    whole = series(values)
    part = thinned(whole, 100)
    assert len(part) <= 102
    assert {9.0, -9.0} <= set(part.values)
    assert [part.times[0], part.times[-1]] == [whole.times[0], whole.times[-1]]
    assert set(part.times) <= set(whole.times)
    assert thinned(whole, 10_000) is whole


def trace_of(*requests, stages=(("read", 0.0, 1.0),)):
    return Trace(0.0, NOW.timestamp(), list(requests), list(stages))


def part_file(code, start, seconds=0.1):
    return Timed("GET", f"datasets/fx/projections/{code}/year=2025/data.parquet", start, seconds, 1000)


def test_the_part_files_of_a_series_share_a_row_and_other_requests_have_their_own():
    trace = trace_of(
        Timed("GET", "datasets/fx/manifest.json", 0.0, 0.1),
        part_file("B", 0.3),
        part_file("internal_series_code=A", 0.2),
        part_file("A", 0.25),
        part_file("A_B", 0.5),
    )
    found = rows(success(trace=trace))
    assert [[(one[2], one[-1]) for one in row] for row in found] == [
        [(0.0, 0)],
        [(200.0, 0), (250.0, 1)],
        [(300.0, 0)],
        [(500.0, 0)],
    ]


SNAPSHOT = "metrics/_snapshots/A-0123456789abcdef.snapshot"


def of_snapshots(*more: Timed, problem: str = "") -> list[Timed]:
    """Return the S3 requests, with their times, of a run that reads the series A and B.

    The series A has a snapshot, which the run reads and then replaces.

    Args:
        more: further requests, which are added at the end.
        problem: the reason why the run cannot use the snapshot of A; empty if it can.
    """
    return [
        Timed("LIST", "datasets/fx/projections/A/", 0.1, 0.1, 3000),
        Timed("GET", SNAPSHOT, 0.1, 0.1, 9000, problem),
        part_file("A", 0.2),
        Timed("PUT", SNAPSHOT, 0.4, 0.1, 9000),
        part_file("B", 0.2),
        *more,
    ]


def kinds_of(text: str) -> list[tuple[str, str]]:
    """Return (kind, text) of each row in the timeline of an HTML page that shows requests to S3.

    The kind is the class of the row that follows `request`.
    """
    found = re.findall(r'<tr class="request (\w+)"><th scope="row">(.*?)</th>', text)
    return [(kind, re.sub("<.*?>", "", name).strip()) for kind, name in found]


def test_the_listing_the_snapshot_and_the_changed_part_files_have_rows_of_their_own():
    manifest = {"inputs": [{"series_code": "A", "part_files": 2}, {"series_code": "B", "part_files": 1}]}
    assert kinds_of(page_of(success(trace=trace_of(*of_snapshots()), manifest=manifest))) == [
        ("listing", "A, listing 3.0 kB"),
        ("snapshot", "A, snapshot 9.0 kB"),
        ("changed", "A, changed part files 1.0 kB"),
        ("read", "B 1.0 kB"),
        ("write", "A, snapshot written 9.0 kB"),
    ]


def test_part_files_that_are_all_read_are_not_called_changed():
    manifest = {"inputs": [{"series_code": "A", "part_files": 1}]}
    for run in (
        success(trace=trace_of(*of_snapshots()), manifest=manifest),  # the snapshot could not be used
        success(trace=trace_of(*of_snapshots(problem="ObjectNotFound"))),
    ):
        assert ("read", "A 1.0 kB") in kinds_of(page_of(run))


def test_a_series_whose_rows_all_come_from_its_snapshot_was_not_read_by_another_run():
    requests = [one for one in of_snapshots() if "/year=2025/" not in one.key]
    text = page_of(success(trace=trace_of(*requests), inputs={"A": INPUTS["A"]}))
    assert "read by another run" not in text
    assert [kind for kind, _ in kinds_of(text)] == ["listing", "snapshot", "write"]


def test_the_snapshot_of_a_series_whose_code_is_no_key_is_shown_by_its_key():
    key = SNAPSHOT.replace("A-", "series-")
    assert kinds_of(page_of(success(trace=trace_of(Timed("GET", key, 0.1, 0.1))))) == [
        ("snapshot", f"GET {key}")
    ]


def test_the_timeline_of_a_recorded_run_shows_its_use_of_a_snapshot(cloud):
    names = [f"A/month={month}.parquet" for month in range(MIN_PART_FILES)]
    files = {name: table_of("A", [day(month + 1)], [1.0]) for month, name in enumerate(names)}
    event = request(A, kind="series", inputs={"A": "fx"}, metric="m.x")
    put_dataset(cloud.store, files)
    assert recorded(cloud, event) == {
        "listing": ["A, listing"],
        "snapshot": ["A, snapshot"],
        "read": [f"GET {MANIFEST}", "A"],
        "write": ["A, snapshot written"],
    }
    newest = dict(list(files.items())[-1:])
    put_dataset(cloud.store, newest, parquet_files=names)
    cloud.now = lambda: NOW_OF_THE_CLOUD + timedelta(hours=1)  # for another version name
    assert recorded(cloud, event | {"runId": "run-2"}) == {
        "listing": ["A, listing"],
        "snapshot": ["A, snapshot"],
        "read": [f"GET {MANIFEST}"],
        "changed": ["A, changed part files"],
    }


MANIFEST = "datasets/fx/versions/v1/manifest.json"


def recorded(cloud: Cloud, event: dict[str, Any]) -> dict[str, list[str]]:
    """Run a request with the worker, and return the rows for reads of its inputs in the timeline of the page.

    The result is a dict from the kind of request to the texts of the rows, without numbers and sizes.
    """
    worker, run = cloud.worker(), open_record(json.dumps(event), "0")
    report = RunReport(run_id=run.run_id, metric_code=run.metric_code, attempt=1)
    report.traffic.trace = Trace()
    with Invocation.begin(worker.settings, 1, lambda: 300_000) as invocation:
        assert complete_run(Attempt(run=run, report=report, worker=worker, invocation=invocation)) is None
    manifest = json.loads(cloud.read(f"metrics/m.x/{report.version_ts}/manifest.json"))
    found: dict[str, list[str]] = {}
    for kind, text in kinds_of(page_of(success(trace=report.traffic.trace, manifest=manifest))):
        name = re.sub(r"( \d+ requests,)?( [\d.]+ k?B(, \w+)?| ObjectNotFound)$", "", text)
        if "…" not in name and not name.startswith("PUBLISH"):
            found.setdefault(kind, []).append(name)
    return found


def test_requests_share_a_row_if_there_would_be_too_many_rows():
    many = [Timed("GET", f"k/{number}", number, 0.5) for number in range(MAX_ROWS + 1)]
    assert [len(row) for row in rows(success(trace=trace_of(part_file("A", 0.0), *many)))] == [
        1,
        MAX_ROWS + 1,
    ]


def test_requests_that_overlap_are_drawn_in_different_lanes():
    spans = [(0.0, 5.0), (1.0, 1.0), (1.5, 1.0), (2.0, 1.0), (6.0, 1.0)]
    assert lanes([Timed("GET", "k", start, seconds) for start, seconds in spans]) == [0, 1, 2, 1, 0]


def test_the_timeline_names_series_that_another_run_of_the_batch_read():
    other = "read by another run of the batch"
    both = trace_of(part_file("A", 0.1), part_file("B", 0.1))
    assert page_of(success(trace=trace_of(part_file("A", 0.1)))).count(other) == 1
    assert other not in page_of(success(trace=both))
    assert other not in page_of(success(trace=Trace(left_out=1)))
    assert other not in page_of(failure(inputs=INPUTS, trace=trace_of()))


def test_the_waterfall_has_stages_requests_and_events_with_their_times():
    request = Timed("GET", "metrics/m.x/runs/r-1.ok", 0.25, 0.5, 0, "ObjectNotFound")
    text = page_of(success(trace=trace_of(request, stages=[("marker", 0.0, 2.0)])))
    assert "GET …/<wbr>runs/<wbr>r-1.<wbr>ok" in text
    assert "ObjectNotFound" in text
    assert 'd="M125.0 0.5h250.0"' in text
    assert 'class="bar" style="left:0.00%;width:100.00%"' in text
    assert text.count('class="mark"') == 2


def test_a_summary_has_the_number_the_bytes_and_the_durations_of_requests():
    trace = trace_of(
        Timed("GET", "a", 0.0, 0.01, 1500),
        Timed("GET", "b", 0.0, 0.03, 500, "ObjectNotFound"),
        Timed("PUT", "c", 1.0, 1.5, 20),
    )
    trace.left_out = 3
    assert summary(trace) == (
        "2.50 s in total; 2 GET, 1 PUT; 2.0 kB read, 20 B written; median 30 ms, slowest 1.50 s; "
        "1 request for objects that do not exist (normal in a first run); 3 more requests not traced."
    )
    assert summary(Trace(requests=[], stages=[])) == "1.0 ms in total; 0 B read, 0 B written."


def path(line):
    (found,) = re.findall(r'<path d="([^"]*)"', sparkline(line))
    return found


def test_a_sparkline_has_few_points_but_includes_the_extremes():
    values = [float(number % 97) for number in range(20_000)]
    values[7_777], values[13_331] = 1e4, -1e4
    drawn = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.-]+)", path(series(values)))]
    assert (min(drawn), max(drawn)) == (2, 30)
    assert len(drawn) <= 4 * (SPARKLINE_WIDTH + 1)


@pytest.mark.parametrize(
    "values", [[5.0], [0.0], [-2.0, -2.0], [1e-9, 2e-9], [1e12, -1e12], [1.7e308, -1.7e308]]
)
def test_a_sparkline_stays_within_its_height_for_any_values(values):
    found = [float(y) for y in re.findall(r"[ML][\d.]+ (\S+?)(?=[MLh])", path(series(values)))]
    assert len(found) == len(values)
    assert all(math.isfinite(y) and 0 <= y <= 32 for y in found)


def test_a_sparkline_is_interrupted_by_a_long_gap():
    days = np.arange(30) * DAY
    whole = Series(np.concatenate((days, days + 900 * DAY)), np.array([1.0, 2.0] * 30))
    assert path(whole).count("M") == 2


def test_a_sparkline_of_monthly_observations_is_not_interrupted():
    assert path(series([1.0, 2.0] * 20, step=31 * DAY)).count("M") == 1


def test_durations_sizes_and_days_are_formatted_for_readers():
    assert [duration(seconds) for seconds in (0, 0.0004, 0.0123, 1.234, 12.34)] == [
        "0 s",
        "0.4 ms",
        "12 ms",
        "1.23 s",
        "12.3 s",
    ]
    assert [size(octets) for octets in (999, 1500, 2_000_000)] == ["999 B", "1.5 kB", "2.0 MB"]
    assert [shown_time(NOW), shown_time(NOW.replace(hour=0, minute=0))] == ["2026-11-02 09:30", "2026-11-02"]


def test_times_beyond_the_years_of_a_datetime_are_formatted():
    far = 253_402_300_800_000_000
    assert (iso_time(far), shown_time(far)) == ("10000-01-01T00:00:00Z", "10000-01-01")
    assert (iso_time(1), shown_time(1)) == ("1970-01-01T00:00:00.000001Z", "1970-01-01 00:00:00.000001")


def test_a_line_can_break_after_the_separators_of_a_key():
    assert breakable("a/b_c.<d>") == "a/<wbr>b_<wbr>c.<wbr>&lt;d&gt;"
