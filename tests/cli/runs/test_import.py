"""`metrics import` makes a file a series of a dataset, and `metrics run` then computes a metric of it."""

import json
import shlex

import pytest

TEXT = "date,close\n2025-01-30,1.5\n2025-01-31,\n2025-02-03,1.8\n2025-02-04,2\n2025-02-05,2\n"


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_the_next_commands_that_are_printed_compute_a_metric(metrics, prices, tmp_path, request, kind):
    where = tmp_path / "new" / "data" if kind == "folder" else request.getfixturevalue("bucket")
    done = metrics("import", prices, "--dataset", "mine", "--series", "P", f"--{kind}", where)
    assert done.exit_code == 0
    *_, run = done.stdout.splitlines()
    assert "4 observations, 2025-01-30 to 2025-02-05, in 2 part files" in done.stdout
    assert "1 row without a time or a value left out" in done.stdout
    words = shlex.split(run.removeprefix("  metrics "))
    assert words == ["run", "sma(P, 3)", f"--{kind}", str(where)]
    (computed,) = json.loads(metrics(*words, "--json").stdout)["runs"]
    assert computed["outcome"] == "SUCCESS"
    (listed,) = json.loads(metrics("series", "mine", f"--{kind}", where, "--json").stdout)["series"]
    assert (listed["observations"], listed["part_files"]) == (4, 2)


def test_a_second_import_reports_what_it_replaces(metrics, prices, tmp_path, monkeypatch):
    words = ("import", prices, "--dataset", "mine", "--series", "P", "--folder", tmp_path / "data")
    first = json.loads(metrics(*words, "--json").stdout)
    assert (first["version"], first["observations"], first["null"]) == ("v00000001", 4, 1)
    prices.write_text(f"{TEXT}2025-02-05,3\n")
    monkeypatch.setenv("WORKER_SERIES_FILES", "listing")
    second = metrics(*words)
    assert "replaces 4 observations, 2025-01-30 to 2025-02-05; 1 part file changed" in second.stdout
    assert "because a later row has the same time" in second.stdout
    assert "WORKER_SERIES_FILES=listing" in second.stdout


def test_the_part_files_that_a_second_import_replaces_are_not_a_fault(metrics, prices, tmp_path):
    """Import four months, then change the second one and leave out the last one."""
    where = ("--folder", tmp_path / "data")
    months = [f"2025-0{month},{month}\n" for month in range(1, 5)]
    for rows in (months, [months[0], "2025-02,9\n", months[2]]):
        prices.write_text("date,close\n" + "".join(rows))
        done = metrics("import", prices, "--dataset", "mine", "--series", "P", *where, "--json")
    assert json.loads(done.stdout)["part_files_written"] == 1
    assert len(list((tmp_path / "data" / "datasets" / "mine" / "projections").rglob("*.parquet"))) == 5
    checked = metrics("validate", "sma(P, 2)", *where, "--strict")
    assert (checked.exit_code, "part files of" in checked.stdout) == (0, False)
    mean = tmp_path / "mean.formula"
    mean.write_text("sma(P, 2)")
    assert metrics("run", mean, *where, "--publish").exit_code == 0
    healthy = metrics("doctor", "mean", *where)
    assert (healthy.exit_code, "part files of" in healthy.stdout) == (0, False)
    (manifest,) = (tmp_path / "data" / "datasets").glob("mine/versions/v00000002/manifest.json")
    manifest.write_text(manifest.read_text().replace("metrics import", "an ingestor"))
    warned = metrics("validate", "sma(P, 2)", *where)
    assert "the manifest of `mine` lists 3 of the 5 part files of P" in warned.stdout


def test_a_series_that_another_dataset_has_is_a_warning(metrics, prices, tmp_path):
    where = ("--folder", tmp_path / "data")
    first = metrics("import", prices, "--dataset", "mine", "--series", "P", *where)
    assert "also in" not in first.stdout
    for dataset, others in (("two", ["mine"]), ("three", ["mine", "two"]), ("mine", ["three", "two"])):
        done = metrics("import", prices, "--dataset", dataset, "--series", "P", *where, "--json")
        assert json.loads(done.stdout)["also_in"] == others
    shown = metrics("import", prices, "--dataset", "two", "--series", "P", *where).stdout
    assert "P is also in mine, three: a formula with P ends with an error" in shown
    assert "delete datasets/two/versions/v00000002/manifest.json" in shown
    assert "metrics run" not in shown  # it would end with the error
    other = metrics("import", prices, "--dataset", "two", "--series", "Q", *where)
    assert "also in" not in other.stdout
    lone = metrics("import", prices, "--dataset", "four", "--series", "P", *where, "--json")
    (tmp_path / "data" / json.loads(lone.stdout)["manifest"]).unlink()
    assert metrics("run", "sma(Q, 3)", *where).exit_code == 0


def test_a_refused_import_writes_nothing(metrics, prices, tmp_path, folder):
    prices.write_text("date,close\n2025-01-30,1.5\n2025-01-31,many\n")
    new = tmp_path / "new"
    done = metrics("import", prices, "--dataset", "mine", "--series", "P", "--folder", new)
    assert (done.exit_code, "line 3, column close" in done.stderr, new.exists()) == (2, True, False)
    prices.write_text(TEXT)
    foreign = metrics("import", prices, "--dataset", "fx", "--series", "A", "--folder", folder)
    assert (foreign.exit_code, "Choose another --dataset" in foreign.stderr) == (2, True)
    for dataset, series in (("a/b", "P"), ("mine", "_x")):
        wrong = metrics("import", prices, "--dataset", dataset, "--series", series, "--folder", new)
        assert (wrong.exit_code, "expected 1-128 of" in wrong.stderr) == (2, True)
    assert metrics("import", prices, "--dataset", "mine", "--series", "P").exit_code == 2
