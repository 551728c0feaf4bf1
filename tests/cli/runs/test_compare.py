"""`metrics compare` reports the differences between the series of two versions of a metric."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_tools.runs.comparing import differences
from metrics_worker.series import Series
from tests.builders import day, parquet, ratio, rows, series, window

VALUES = st.dictionaries(st.integers(0, 9), st.sampled_from([-2.0, -1.0, 0.0, 1.0, 1.0000001, 3.0]))


@pytest.fixture
def publish(metrics, folder, ask):
    """Return `publish(expression, …)`, which publishes a version of a metric and returns its timestamp.

    The expression, by default A / B, and further arguments are passed to the fixture `ask`.
    """

    def run(expression=None, **more):
        done = metrics("run", ask(expression, **more), "--folder", folder, "--publish", "--json")
        (found,) = json.loads(done.stdout)["runs"]
        return found["version_ts"]

    return run


def test_two_equal_versions_have_no_difference(metrics, folder, publish):
    first, second = publish(), publish()
    done = metrics("compare", f"ratio.a_to_b@{first}", f"ratio.a_to_b@{second}", "--folder", folder)
    assert done.exit_code == 0
    assert "The same: 10 rows" in done.stdout


def test_a_changed_request_is_compared_with_the_current_version(metrics, folder, publish, ask):
    publish()
    changed = ask(ratio(series("A"), series("B"), scale=2), name="changed.json")
    done = metrics("compare", "ratio.a_to_b@current", changed, "--folder", folder, "--rows", 1)
    assert done.exit_code == 1
    assert "0 added, 0 gone, 10 changed, 0 the same" in done.stdout
    largest = next(line for line in done.stdout.splitlines() if line.startswith("2026-01-10"))
    assert largest.split() == ["2026-01-10", "5", "10", "+5", "0.5"]


def test_added_and_missing_rows_are_counted(metrics, folder, publish, ask):
    publish(window("sma", series("A"), 3), kind="window_op", inputs={"A": "fx"})
    changed = ask(window("lag", series("A"), 5), kind="window_op", inputs={"A": "fx"}, name="changed.json")
    done = metrics("compare", "ratio.a_to_b@current", changed, "--folder", folder, "--json")
    found = json.loads(done.stdout)
    assert (found["added"], found["gone"], found["changed"], found["same"]) == (0, 3, 5, False)
    assert [row["obs_time"][:10] for row in found["first_gone"]] == ["2026-01-03", "2026-01-04", "2026-01-05"]
    back = metrics("compare", changed, "ratio.a_to_b@current", "--folder", folder, "--json")
    assert json.loads(back.stdout)["added"] == 3


def test_parquet_files_need_no_location(metrics, tmp_path):
    for name, last in (("a", 3.0), ("b", 3.0000001)):
        (tmp_path / f"{name}.parquet").write_bytes(
            parquet(rows(None, [day(1), day(2), day(3)], [1.0, 2.0, last]))
        )
    words = ("compare", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert metrics(*words).exit_code == 1
    assert metrics(*words, "--tolerance", "1e-6").exit_code == 0
    assert "within 1e-06" in metrics(*words, "--tolerance", "1e-6").stdout


def test_a_plot_shows_both_and_the_difference(metrics, folder, publish, ask):
    publish()
    changed = ask(ratio(series("A"), series("B"), scale=2), name="changed.json")
    done = metrics("compare", "ratio.a_to_b@current", changed, "--folder", folder, "--plot")
    assert "A and B" in done.stdout
    assert "B - A, where they differ" in done.stdout


def test_a_file_with_zoned_times_and_integers_is_accepted(metrics, tmp_path):
    times = pa.array([day(1)], pa.timestamp("us", "America/Argentina/Buenos_Aires"))
    pq.write_table(pa.table({"obs_time": times, "value": [1]}), tmp_path / "a.parquet")
    assert metrics("compare", tmp_path / "a.parquet", tmp_path / "a.parquet").exit_code == 0


@pytest.mark.parametrize(
    ("sides", "says"),
    [
        (("ratio.a_to_b@2020-01-01T00-00-00", "ratio.a_to_b@current"), "The newest versions are 20"),
        (("ratio.a_to_b@yesterday", "ratio.a_to_b@current"), "a version looks like"),
        (("nothing@current", "ratio.a_to_b@current"), "The metric has no version."),
        (("ratio.a_to_b", "ratio.a_to_b@current"), "did you mean ratio.a_to_b@current?"),
        (("none.parquet", "ratio.a_to_b@current"), "none.parquet: No such file"),
        (("../x@current", "ratio.a_to_b@current"), "not a metric's code"),
    ],
)
def test_an_invalid_side_ends_the_command_with_the_reason(metrics, folder, publish, sides, says):
    publish()
    done = metrics("compare", *sides, "--folder", folder)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_versions_need_a_location(metrics):
    done = metrics("compare", "a@current", "b@current")
    assert done.exit_code == 2
    assert "--bucket NAME or --folder FOLDER" in done.stderr


def test_a_request_that_fails_cannot_be_compared(metrics, folder, publish, ask):
    publish()
    failing = ask(ratio(series("A"), series("C")), inputs={"A": "fx", "C": "fx"}, name="failing.json")
    done = metrics("compare", "ratio.a_to_b@current", failing, "--folder", folder)
    assert done.exit_code == 2
    assert "INPUT_READ_ERROR" in done.stderr


def test_a_file_that_is_not_parquet_ends_the_command_with_the_reason(metrics, tmp_path):
    (tmp_path / "a.parquet").write_text("no")
    done = metrics("compare", tmp_path / "a.parquet", tmp_path / "a.parquet")
    assert done.exit_code == 2
    assert "not readable as Parquet" in done.stderr


# The differences between two series


@settings(deadline=None)
@given(VALUES, VALUES, st.sampled_from([0.0, 1e-6, 0.5]))
def test_differences_equal_those_of_two_dictionaries(before, after, tolerance):
    found = differences(_series(before), _series(after), tolerance)
    assert _pairs(found.gone) == {time: before[time] for time in before.keys() - after.keys()}
    assert _pairs(found.added) == {time: after[time] for time in after.keys() - before.keys()}
    changed = {
        time
        for time in before.keys() & after.keys()
        if abs(after[time] - before[time]) > tolerance * max(abs(before[time]), abs(after[time]))
    }
    assert set(found.times.tolist()) == changed
    assert found.both == len(before.keys() & after.keys())
    sizes = [abs(after[time] - before[time]) for time, *_ in found.largest(10)]
    assert sizes == sorted(sizes, reverse=True)


def test_values_whose_difference_overflows_differ():
    huge = differences(_series({1: -1.7e308}), _series({1: 1.7e308}), 1.0)
    assert [change.relative for change in huge.largest(1)] == [2.0]
    assert len(huge.changed) == 0


def test_very_large_values_are_compared_but_not_plotted(metrics, tmp_path):
    for name, sign in (("a", -1), ("b", 1)):
        table = rows(None, [day(1), day(2)], [1.7e308 * sign, 1.6e308 * sign])
        (tmp_path / f"{name}.parquet").write_bytes(parquet(table))
    words = ("compare", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert "too large for a plot" in metrics(*words, "--plot").stdout
    assert [row["relative"] for row in json.loads(metrics(*words, "--json").stdout)["largest"]] == [2.0, 2.0]


def _series(values):
    times = sorted(values)
    return Series(np.array(times, np.int64), np.array([values[time] for time in times], np.float64))


def _pairs(found):
    return dict(zip(found.times.tolist(), found.values.tolist(), strict=True))
