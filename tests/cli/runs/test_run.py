"""`metrics run` computes and publishes metrics in a location, and `metrics demo` writes the demo data."""

import inspect
import json
import os
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import obstore
import pyarrow.parquet as pq
import pytest
from obstore.store import LocalStore

from metrics_tools.command_line.app import SUMMARIES
from metrics_worker import __version__
from metrics_worker.dataset.rows import rows_of
from tests.builders import day, parquet, ratio, request, rows, series, window
from tests.cli.given import as_process
from tests.cli.runs.conftest import files

ROOT = Path(__file__).parents[3]
NOTHING = ratio(series("A"), {"op": "subtract", "left": series("B"), "right": series("B")})


def test_a_request_is_computed_and_nothing_is_published(metrics, folder, ask):
    before = files(folder)
    done = metrics("run", ask(), "--folder", folder)
    assert done.exit_code == 0
    assert "SUCCESS  10 rows" in done.stdout
    assert "nothing is published" in done.stdout
    assert files(folder) == before


def test_the_first_and_last_rows_and_the_number_of_requests_are_shown(metrics, folder, ask):
    done = metrics("run", ask(), "--folder", folder, "--rows", 1)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("2026-01")]
    assert rows == [["2026-01-01", "0.5"], ["2026-01-10", "5"]]
    assert "8 more" in done.stdout
    assert "A ÷ B" in done.stdout
    # The GETs are of two part files, the dataset manifest, the marker, `current`, and the written data.
    assert "6 GET, 4 PUT, 0 LIST" in done.stdout


def test_json_has_the_outcome_rows_inputs_requests_and_events(metrics, folder, ask):
    done = metrics("run", ask(), "--folder", folder, "--json", "--rows", 2)
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["outcome"], run["row_count"], run["published"]) == ("SUCCESS", 10, False)
    assert run["requests"] == {"get": 6, "put": 4, "list": 0}
    assert [row["value"] for row in run["first"] + run["last"]] == [0.5, 1.0, 4.5, 5.0]
    assert run["first"][0]["obs_time"] == "2026-01-01T00:00:00Z"
    assert [(found["series_code"], found["observations"]) for found in run["inputs"]] == [
        ("A", 10),
        ("B", 10),
    ]
    assert [found["event"]["type"] for found in run["events"]] == [
        "metric_run_started",
        "metric_run_completed",
    ]


def test_a_published_version_is_complete_and_current(metrics, folder, ask):
    done = metrics("run", ask(run_id="of-the-file"), "--folder", folder, "--publish")
    assert done.exit_code == 0
    assert "no status events were sent" in done.stdout
    (marker,) = (folder / "metrics/ratio.a_to_b/runs").glob("*.ok")
    said = json.loads(marker.read_text())
    assert marker.stem == said["run_id"] != "of-the-file"
    assert f"published: version {said['version_ts']}, run {said['run_id']}" in done.stdout
    manifest = (folder / said["manifest"]).read_bytes()
    assert (folder / "metrics/ratio.a_to_b/current/manifest.json").read_bytes() == manifest
    outputs = json.loads(manifest)["outputs"]
    assert pq.read_table(folder / outputs["data_prefix"] / outputs["files"][0]).num_rows == 10


def test_a_run_with_the_run_id_of_the_file_is_computed_once(metrics, folder, ask):
    words = ("run", ask(run_id="mine"), "--folder", folder, "--publish", "--keep-run-id")
    assert "published: version" in metrics(*words).stdout
    published = files(folder)
    assert "was committed before, nothing was computed" in metrics(*words).stdout
    assert files(folder) == published
    assert "run mine is committed already" in metrics(*words[:-2], "--keep-run-id").stdout


def test_a_version_with_far_fewer_rows_than_the_one_before_is_published_with_a_warning(metrics, folder, ask):
    words = ("run", ask(), "--folder", folder)
    before = metrics(*words, "--publish")
    assert "warning" not in before.stdout
    assert json.loads(metrics(*words, "--json").stdout)["runs"][0]["shrunk"] is None
    part_file = "datasets/fx/projections/A/year=2026/month=01/data.parquet"
    obstore.put(LocalStore(folder), part_file, parquet(rows("A", [day(1)], [1.0])))
    assert "10 in version" in json.loads(metrics(*words, "--json").stdout)["runs"][0]["shrunk"]
    done = metrics(*words, "--publish")
    assert done.exit_code == 0
    assert "warning: fewer rows than the version before: 1 rows, 10 in version " in done.stdout
    assert "A has 1 observations in 1 part file, before 10 in 1 part file" in done.stdout


def test_a_successful_run_prints_the_warnings_of_validate_and_reads_no_part_file_again(
    metrics, folder, ask, monkeypatch
):
    read = list[str]()

    def counted(tables, code):
        read.append(code)
        return rows_of(tables, code)

    monkeypatch.setattr("metrics_worker.dataset.datasets.rows_of", counted)
    assert "warning" not in metrics("run", "A + 0.5", "--folder", folder).stdout
    done = metrics("run", "diff(A, 6)", "--folder", folder)
    assert done.exit_code == 0
    assert "SUCCESS  4 rows" in done.stdout
    assert "it loses 6 of 10 to warm up" in done.stdout
    assert read == ["A", "A"]
    words = (ask({"op": "diff", "series": series("A"), "window": 6}, kind="window_op"), "--folder", folder)
    (run,) = json.loads(metrics("run", *words, "--json").stdout)["runs"]
    texts = [warning["text"] for warning in run["warnings"]]
    assert any(text.startswith("it loses 6 of 10 to warm up") for text in texts)
    validated = json.loads(metrics("validate", *words, "--json").stdout)["requests"]
    assert [problem["text"] for problem in validated[0]["problems"]] == texts


def test_an_empty_result_is_explained_by_the_warning(metrics, folder):
    done = metrics("run", "lag(A, 20)", "--folder", folder)
    assert "SUCCESS  0 rows" in done.stdout
    assert "it has no observation: of 10 times 10 to warm up" in done.stdout


def test_a_failed_run_shows_a_remedy_and_writes_nothing(metrics, folder, ask):
    before = files(folder)
    path = ask(ratio(series("A"), series("C")), inputs={"A": "fx", "C": "fx"})
    done = metrics("run", path, "--folder", folder, "--publish")
    assert done.exit_code == 1
    assert "FAILURE  INPUT_READ_ERROR" in done.stdout
    assert "Failed to read input series: C" in done.stdout
    assert "Correct the dataset" in done.stdout
    assert files(folder) == before
    (run,) = json.loads(metrics("run", path, "--folder", folder, "--json").stdout)["runs"]
    assert (run["outcome"], run["error"]["code"], run["published"]) == ("FAILURE", "INPUT_READ_ERROR", False)


def test_an_invalid_expression_fails_with_the_code_of_the_worker(metrics, folder, ask):
    done = metrics("run", ask(window("smaa", series("A"), 3), kind="window_op"), "--folder", folder)
    assert done.exit_code == 1
    assert "EXPRESSION_EVAL_ERROR" in done.stdout


def test_an_unanswerable_request_fails(metrics, folder, ask):
    done = metrics("run", ask(metric="a/b"), "--folder", folder)
    assert done.exit_code == 1
    assert "metricCode" in done.stdout


def test_an_expression_that_is_defined_nowhere_gives_an_empty_version(metrics, folder, ask):
    done = metrics("run", ask(NOTHING), "--folder", folder, "--plot")
    assert done.exit_code == 0
    assert "SUCCESS  0 rows" in done.stdout
    assert "defined nowhere" in done.stdout
    assert "too few for a plot" in done.stdout


def test_dropped_rows_are_counted_by_reason(metrics, folder, ask):
    table = rows("A", [day(1), day(2), day(2), day(3)], [1.0, float("nan"), 2.0, float("inf")])
    obstore.put(
        LocalStore(folder), "datasets/fx/projections/A/year=2026/month=01/data.parquet", parquet(table)
    )
    done = metrics("run", ask(), "--folder", folder)
    assert "1 nan, 1 infinite" in done.stdout


def test_the_rows_are_written_to_files(metrics, folder, ask, tmp_path):
    names = [tmp_path / f"out.{kind}" for kind in ("csv", "parquet", "png")]
    options = [word for name in names for word in (f"--{name.suffix[1:]}", name)]
    assert metrics("run", ask(), "--folder", folder, *options).exit_code == 0
    csv, data, png = names
    lines = csv.read_text().splitlines()
    assert (lines[0], lines[1], len(lines)) == ("obs_time,value", "2026-01-01T00:00:00Z,0.5", 11)
    table = pq.read_table(data)
    assert table["value"].to_pylist() == [n / 2 for n in range(1, 11)]
    assert table.schema.metadata[b"metric_code"] == b"ratio.a_to_b"
    assert png.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("option", "begins"),
    [
        ("--csv", b"obs_time,value\n2026-01-01T00:00:00Z,0.5\n"),
        ("--parquet", b"PAR1"),
        ("--png", b"\x89PNG"),
        ("--html", b"<!doctype html>"),
    ],
)
def test_a_file_named_minus_is_standard_output_and_the_report_goes_to_standard_error(
    folder, ask, tmp_path, option, begins
):
    done = subprocess.run(
        [sys.executable, "-m", "metrics_tools", "run", ask(), "--folder", folder, option, "-"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(begins)
    assert b"SUCCESS  10 rows" in done.stderr
    assert b"2026-01-10" in done.stderr, "tables too"
    assert not (tmp_path / "-").exists()


def test_only_one_output_can_go_to_standard_output(metrics, folder, ask):
    for words in (("--csv", "-", "--json"), ("--csv", "-", "--png", "-")):
        done = metrics("run", ask(), "--folder", folder, *words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "can write to standard output" in done.stderr


def test_a_request_is_read_from_standard_input(folder, ask):
    done = as_process("run", "-", "--folder", folder, "--json", stdin=ask().read_text())
    assert json.loads(done.stdout)["runs"][0]["row_count"] == 10


def test_the_version_of_the_package_is_printed(metrics):
    done = metrics("--version")
    assert (done.exit_code, done.stdout) == (0, f"metrics {__version__}\n")


def test_several_requests_need_one_file_each(metrics, folder, tmp_path):
    asked = (request(run_id=f"run-of-{code}", metric=code) for code in ("m.one", "m.two"))
    bodies = [{"body": json.dumps(one)} for one in asked]
    path = tmp_path / "both.json"
    path.write_text(json.dumps({"Records": bodies}))
    done = metrics("run", path, "--folder", folder, "--csv", tmp_path / "x.csv")
    assert done.exit_code == 2
    assert "x-{metric}.csv" in done.stderr
    assert "'{metric}.csv'" in metrics("run", path, "--folder", folder, "--csv", "-").stderr
    done = metrics("run", path, "--folder", folder, "--csv", tmp_path / "x-{metric}.csv")
    assert done.exit_code == 0
    assert (tmp_path / "x-m.one.csv").read_text() == (tmp_path / "x-m.two.csv").read_text()


def test_a_plot_in_a_file_has_no_escape_sequences(metrics, folder, ask):
    done = metrics("run", ask(), "--folder", folder, "--plot")
    assert "┌" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--demo", "--publish"), "metrics demo FOLDER"),
        (("--publish",), "metrics demo FOLDER"),
        ((), "Where is the data?"),
        (("--folder", "nowhere"), "no such folder"),
        (("--demo", "--folder", "."), "Choose one"),
        (("--bucket", "My bucket"), "not the name of a bucket"),
        (("--demo", "--bucket", "abc"), "Choose one"),
        (("--bucket", "abc", "--folder", "."), "Choose one"),
    ],
)
def test_invalid_options_end_the_command_with_the_reason(metrics, ask, words, says):
    done = metrics("run", ask(), *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_missing_file_ends_the_command_with_the_reason(metrics, tmp_path):
    done = metrics("run", tmp_path / "nothing.json", "--demo")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "nothing.json: No such file" in done.stderr


def test_the_hint_for_an_expression_without_a_location_is_a_command_that_works(metrics, tmp_path):
    path = tmp_path / "my mean.json"
    path.write_text(json.dumps(window("sma", series("ECB_USD_EUR_D"), 3)))
    for argument in ("sma(ECB_USD_EUR_D, 3)", "lag('ECB_USD_EUR_D', 3)", str(path)):
        done = metrics("run", argument)
        assert done.exit_code == 2
        command = shlex.split(done.stderr.partition("`")[2].partition("`")[0])
        assert command == ["metrics", "run", argument, "--demo"]


def test_an_output_file_that_cannot_be_written_is_an_error_after_the_report(metrics, folder, ask, tmp_path):
    done = metrics("run", ask(), "--folder", folder, "--publish", "--csv", tmp_path / "no" / "x.csv")
    assert done.exit_code == 2
    assert "published: version" in done.stdout, "the published version is reported all the same"
    assert "x.csv: No such file or directory" in done.stderr


def test_an_invalid_environment_variable_is_named(metrics, folder, ask, monkeypatch):
    monkeypatch.setenv("OUTPUT_COMPRESSION", "zip")
    done = metrics("run", ask(), "--folder", folder)
    assert done.exit_code == 2
    assert "OUTPUT_COMPRESSION" in done.stderr


def test_a_committed_version_whose_data_is_missing_is_not_a_success(metrics, folder, ask):
    words = ("run", ask(run_id="mine"), "--folder", folder, "--publish", "--keep-run-id")
    assert metrics(*words).exit_code == 0
    (data,) = folder.glob("metrics/*/2*/data/metrics.parquet")
    data.unlink()
    done = metrics(*words)
    assert done.exit_code == 2
    assert "committed as version" in done.stdout
    assert "can't be read back" in done.stdout


# The demo data


def test_without_a_location_the_demo_data_is_used(metrics):
    done = metrics("run", ROOT / "events/change.json", "--json")
    found = json.loads(done.stdout)
    assert found["place"] == "the demo data"
    assert found["runs"][0]["row_count"] == 4792


def test_the_demo_data_has_every_currency_that_the_request_names(metrics, tmp_path):
    event = json.loads((ROOT / "events/run.json").read_text().replace("ECB_BRL_EUR_D", "ECB_NOK_EUR_D"))
    path = tmp_path / "nok.json"
    path.write_text(json.dumps(event))
    assert metrics("run", path).exit_code == 0


def test_a_version_is_published_to_a_folder_with_the_demo_data(metrics, tmp_path):
    folder = tmp_path / "demo"
    done = metrics("demo", folder)
    assert done.exit_code == 0
    assert "62,712 observations of 10 series" in done.stdout
    assert metrics("run", ROOT / "events/change.json", "--folder", folder, "--publish").exit_code == 0
    published = files(folder)
    assert metrics("demo", folder).exit_code == 0
    assert files(folder) == published


def test_the_demo_data_is_not_written_over_a_file(metrics, tmp_path):
    (tmp_path / "file").write_text("")
    done = metrics("demo", tmp_path / "file")
    assert done.exit_code == 2
    assert "File exists" in done.stderr


# A bucket


def test_a_version_is_published_to_a_bucket(metrics, bucket, client, ask):
    done = metrics("run", ask(), "--bucket", bucket, "--publish", "--json")
    assert done.exit_code == 0
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["published"], run["is_current"]) == (True, True)
    current = client("s3").get_object(Bucket=bucket, Key="metrics/ratio.a_to_b/current/manifest.json")
    assert json.load(current["Body"])["version_ts"] == run["version_ts"]


def test_a_run_without_publish_changes_no_object_of_a_bucket(metrics, bucket, client, ask):
    def keys():
        return [found["Key"] for found in client("s3").list_objects_v2(Bucket=bucket)["Contents"]]

    before = keys()
    assert metrics("run", ask(), "--bucket", f"s3://{bucket}/").exit_code == 0
    assert keys() == before


def test_a_missing_bucket_gives_no_outcome(metrics, client, ask):
    client("s3")
    done = metrics("run", ask(), "--bucket", "there-is-no-such-bucket")
    assert done.exit_code == 2
    assert "there is no such bucket" in done.stdout


def test_without_credentials_the_ways_to_set_them_are_named(metrics, ask, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    done = metrics("run", ask(), "--bucket", "abc")
    assert done.exit_code == 2
    assert "No AWS credentials" in done.stderr


def test_the_credentials_of_a_profile_are_used(metrics, bucket, ask, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    kept = tmp_path / "credentials"
    kept.write_text("[mine]\naws_access_key_id = A\naws_secret_access_key = B\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(kept))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert metrics("run", ask(), "--bucket", bucket).exit_code == 0
    monkeypatch.setenv("AWS_PROFILE", "another")
    done = metrics("run", ask(), "--bucket", bucket)
    assert done.exit_code == 2
    assert "another" in done.stderr


# As a separate process


def test_each_command_works_as_a_separate_process(folder, ask, tmp_path):
    def process(*words):
        return subprocess.run(
            [sys.executable, "-m", "metrics_tools", *map(str, words)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    first = process("run", ask(), "--folder", folder, "--publish", "--parquet", tmp_path / "a.parquet")
    assert (first.returncode, first.stderr) == (0, "")
    changed = ask(ratio(series("A"), series("B"), scale=2), name="changed.json")
    compared = process("compare", tmp_path / "a.parquet", changed, "--folder", folder, "--json")
    assert (compared.returncode, json.loads(compared.stdout)["changed"]) == (1, 10)
    history = process("history", "ratio.a_to_b", "--folder", folder, "--json")
    assert (history.returncode, json.loads(history.stdout)["versions_in_all"]) == (0, 1)
    doctor = process("doctor", "ratio.a_to_b", "--folder", folder)
    assert (doctor.returncode, "Healthy" in doctor.stdout) == (0, True)
    sent = process("send", changed)
    assert (sent.returncode, "Give the destination" in sent.stderr) == (2, True)
    assert process("demo", tmp_path / "demo").returncode == 0


@pytest.mark.parametrize(
    "command",
    ["compare", "demo", "doctor", "history", "import", "ls", "prune", "run", "send", "series", "why"],
)
def test_the_help_has_examples_and_exit_codes(metrics, command):
    done = metrics(command, "--help")
    assert done.exit_code == 0
    assert f"metrics {command} " in done.stdout.partition("Examples")[2]
    assert "Exit: 0 " in done.stdout


def test_the_help_of_the_group_lists_every_command_and_loads_none_of_them():
    modules = {
        path.stem.rstrip("_"): path.stem
        for path in (ROOT / "src/metrics_tools/command_line/commands").glob("[a-z]*.py")
    }
    assert set(SUMMARIES) == set(modules)
    for name, summary in SUMMARIES.items():
        command = getattr(
            import_module(f"metrics_tools.command_line.commands.{modules[name]}"), modules[name]
        )
        assert (inspect.getdoc(command) or "").splitlines()[0] == summary
    program = (
        "import sys; from typer.testing import CliRunner; from metrics_tools.command_line.app import app; "
        "print(CliRunner().invoke(app, ['--help']).stdout); "
        "print({'numpy', 'pyarrow', 'boto3', 'pydantic', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.splitlines()[-1] == "set()"
    words = " ".join(shown.split())  # the help is wrapped
    for name, summary in SUMMARIES.items():
        assert f" {name} {summary}" in words
