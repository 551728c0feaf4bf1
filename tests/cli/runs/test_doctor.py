"""`metrics doctor` reports the damaged objects of a metric, and `metrics history` lists its versions."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from metrics_worker.publication.dead_letter import DeadLetter

CODE = "ratio.a_to_b"


@pytest.fixture
def versions(metrics, folder, ask) -> list[str]:
    """Publish two versions of the metric `ratio.a_to_b`, and return their timestamps, the older one first."""
    for _ in range(2):
        assert metrics("run", ask(), "--folder", folder, "--publish").exit_code == 0
    return sorted(path.name for path in (folder / "metrics" / CODE).iterdir() if path.name.startswith("2"))


@pytest.fixture
def metric(folder, versions):
    assert len(versions) == 2
    return folder / "metrics" / CODE


@pytest.fixture
def truncated(metrics, folder, ask):
    """Publish a version of `ratio.a_to_b` for which a part file of the series A was not read.

    The dataset manifest lists only one of the two part files.
    """
    incremental(folder)
    assert metrics("run", ask(), "--folder", folder, "--publish").exit_code == 0


def incremental(folder: Path) -> None:
    """Copy the part file of the series A to a second one, which the dataset manifest does not list.

    Args:
        folder: the folder that is used as a bucket.
    """
    (a,) = (folder / "datasets/fx/projections/A").rglob("*.parquet")
    shutil.copy(a, a.with_name("more.parquet"))


def marker_of(metric: Path, version: str) -> tuple[Path, Any]:
    """Return the path and the parsed content of the marker that names a version.

    Args:
        metric: the folder of the metric.
        version: the timestamp of the version.
    """
    for path in (metric / "runs").iterdir():
        said = json.loads(path.read_text())
        if said["version_ts"] == version:
            return path, said
    raise AssertionError(version)


def rewrite(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


# History


def test_versions_are_listed_newest_first(metrics, folder, versions):
    done = metrics("history", CODE, "--folder", folder)
    lines = [line for line in done.stdout.splitlines() if line.startswith("2")]
    assert [line.split()[:2] for line in lines] == [[versions[1], "current"], [versions[0], "committed"]]
    assert "fx v1" in done.stdout


def test_json_output_has_the_fields_of_the_manifests(metrics, folder, versions):
    found = json.loads(metrics("history", CODE, "--folder", folder, "--json").stdout)
    newest = found["versions"][0]
    manifest = json.loads((folder / newest["manifest"]).read_text())
    for name in ("run_id", "requested_at", "created_at", "row_count"):
        assert newest[name] == manifest[name]
    assert [one["current"] for one in found["versions"]] == [True, False]
    assert newest["datasets"] == "fx v1"
    assert versions == sorted(one["version_ts"] for one in found["versions"])


def test_a_version_without_its_marker_is_not_committed(metrics, folder, metric, versions):
    marker_of(metric, versions[0])[0].unlink()
    found = json.loads(metrics("history", CODE, "--folder", folder, "--json").stdout)
    assert [one["committed"] for one in found["versions"]] == [True, False]


def test_a_version_that_its_runs_marker_does_not_name_is_not_committed(metrics, folder, metric, versions):
    shutil.copytree(metric / versions[0], metric / "2020-01-01T00-00-00")  # a lost race
    found = json.loads(metrics("history", CODE, "--folder", folder, "--json").stdout)
    assert [one["committed"] for one in found["versions"]] == [True, True, False]


def test_a_version_without_a_manifest_is_listed_with_that_problem(metrics, folder, metric, versions):
    (metric / versions[0] / "manifest.json").unlink()
    (_, older) = json.loads(metrics("history", CODE, "--folder", folder, "--json").stdout)["versions"]
    assert (older["problem"], older["committed"], older["run_id"]) == ("no manifest", False, None)


@pytest.mark.usefixtures("versions")
def test_a_limit_leaves_out_older_versions(metrics, folder):
    done = metrics("history", CODE, "--folder", folder, "--limit", "1")
    assert "and 1 older" in done.stdout
    assert "committed" not in done.stdout


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize("command", ["history", "doctor"])
def test_the_error_for_an_unknown_metric_suggests_a_similar_one(metrics, folder, command):
    done = metrics(command, "ratio.a_to_bb", "--folder", folder)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Nothing is published under metrics/ratio.a_to_bb/" in done.stderr
    assert "Did you mean ratio.a_to_b?" in done.stderr


@pytest.mark.parametrize("command", ["history", "doctor"])
def test_a_location_is_required(metrics, command):
    done = metrics(command, CODE)
    assert done.exit_code == 2
    assert "--bucket NAME or --folder FOLDER" in done.stderr


@pytest.mark.parametrize("command", ["history", "doctor"])
def test_a_bucket_can_be_the_location(metrics, bucket, ask, command):
    assert metrics("run", ask(), "--bucket", bucket, "--publish").exit_code == 0
    assert metrics(command, CODE, "--bucket", bucket).exit_code == 0
    done = metrics(command, CODE, "--bucket", "there-is-no-such-bucket")
    assert done.exit_code == 2
    assert "there is no such bucket" in done.stderr


# Doctor


@pytest.mark.usefixtures("versions")
def test_a_metric_without_problems_is_healthy(metrics, folder):
    done = metrics("doctor", CODE, "--folder", folder)
    assert done.exit_code == 0
    assert "2 versions, 2 committed, the data of 2 read" in done.stdout
    assert "Healthy" in done.stdout


class Broken(NamedTuple):
    """A metric with two versions; a test damages some of their objects before `metrics doctor` runs.

    Attributes:
        metric: the folder of the metric.
        older: the timestamp of its first version.
        newer: the timestamp of its second version, which is current.
    """

    metric: Path
    older: str
    newer: str


def data_is_gone(at):
    (at.metric / at.newer / "data/metrics.parquet").unlink()
    return f"{at.newer}/data/metrics.parquet", "the data does not exist"


def data_is_cut_short(at):
    path = at.metric / at.older / "data/metrics.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    return f"{at.older}/data/metrics.parquet", "cannot be read"


def data_is_of_another_version(at):
    shutil.copy(at.metric / at.older / "data/metrics.parquet", at.metric / at.newer / "data/metrics.parquet")
    return f"{at.newer}/data/metrics.parquet", "the data is of version_ts"


def rows_differ_from_the_manifest(at):
    rewrite(at.metric / at.older / "manifest.json", row_count=11)
    rewrite(marker_of(at.metric, at.older)[0], row_count=11)
    return f"{at.older}/manifest.json", "the data has 10 rows, the manifest says 11"


def manifest_differs_from_the_marker(at):
    rewrite(marker_of(at.metric, at.older)[0], row_count=11)
    return f"{at.older}/manifest.json", "row_count"


def manifest_is_gone(at):
    (at.metric / at.older / "manifest.json").unlink()
    return ".ok", "committed, but its manifest"


def manifest_names_data_elsewhere(at):
    rewrite(
        at.metric / at.older / "manifest.json",
        outputs={"data_prefix": "metrics/other/", "files": ["x.parquet"]},
    )
    return f"{at.older}/manifest.json", "outputs: names no data"


def marker_is_garbage(at):
    marker_of(at.metric, at.older)[0].write_text("{")
    return ".ok", "cannot be parsed"


def marker_is_of_another_run(at):
    path, said = marker_of(at.metric, at.older)
    (path.parent / "another.ok").write_text(json.dumps(said))
    return "another.ok", f"the marker is of run {said['run_id']}"


def two_runs_have_one_version(at):
    path, said = marker_of(at.metric, at.older)
    (path.parent / "another.ok").write_text(json.dumps(said | {"run_id": "another"}))
    return ".ok", "is named by run"


def current_is_gone(at):
    (at.metric / "current/manifest.json").unlink()
    return "current/manifest.json", f"current does not exist, although version {at.newer}"


def current_is_of_an_older_request(at):
    shutil.copy(at.metric / at.older / "manifest.json", at.metric / "current/manifest.json")
    return "current/manifest.json", f"names version {at.older}, but {at.newer} was requested later"


def current_is_not_committed(at):
    marker_of(at.metric, at.newer)[0].unlink()
    return "current/manifest.json", "which is not committed"


def current_is_not_a_copy(at):
    rewrite(at.metric / "current/manifest.json", row_count=7)
    return "current/manifest.json", "is not a copy"


def current_is_garbage(at):
    (at.metric / "current/manifest.json").write_text("{")
    return "current/manifest.json", "not committed"


@pytest.mark.parametrize(
    "damage",
    [
        data_is_gone,
        data_is_cut_short,
        data_is_of_another_version,
        rows_differ_from_the_manifest,
        manifest_differs_from_the_marker,
        manifest_is_gone,
        manifest_names_data_elsewhere,
        marker_is_garbage,
        marker_is_of_another_run,
        two_runs_have_one_version,
        current_is_gone,
        current_is_of_an_older_request,
        current_is_not_committed,
        current_is_not_a_copy,
        current_is_garbage,
    ],
)
def test_each_kind_of_damage_is_a_finding_with_an_action(metrics, folder, metric, versions, damage):
    where, what = damage(Broken(metric, *versions))
    done = metrics("doctor", CODE, "--folder", folder, "--json")
    assert done.exit_code == 1
    findings = [one for one in json.loads(done.stdout)["findings"] if one["grade"] == "finding"]
    found = [one for one in findings if where in one["where"] and what in one["what"]]
    assert found, findings
    assert all(one["do"] for one in findings)
    assert metrics("doctor", CODE, "--folder", folder).exit_code == 1


def test_an_unreferenced_version_is_a_note_and_is_not_deleted(metrics, folder, metric, versions):
    shutil.copytree(metric / versions[0], metric / "2020-01-01T00-00-00")
    done = metrics("doctor", CODE, "--folder", folder)
    assert done.exit_code == 0
    assert "unreferenced" in done.stdout
    assert "Healthy, 1 note" in done.stdout
    assert (metric / "2020-01-01T00-00-00").is_dir()


def test_a_limit_skips_the_data_of_older_versions(metrics, folder, metric, versions):
    data_is_cut_short(Broken(metric, *versions))
    assert metrics("doctor", CODE, "--folder", folder, "--limit", "1").exit_code == 0
    assert metrics("doctor", CODE, "--folder", folder, "--limit", "0").exit_code == 1


def letter(folder, *, sent, run_id="gone", outcome="FAILURE", code=CODE):
    path = folder / "metrics/_dead-letters/2026-10-30/message.json"
    path.parent.mkdir(parents=True)
    kept = DeadLetter(
        message_id="message",
        outcome=outcome,
        why="gave up",
        run_id=run_id,
        metric_code=code,
        kept_at="2026-10-30T12:00:00Z",
        attributes={"MessageGroupId": code, "SentTimestamp": str(sent)},
        body="{}",
    )
    path.write_bytes(kept.encode())


LATER = 32503680000000  # milliseconds since 1970, in the year 3000


@pytest.mark.usefixtures("versions")
def test_a_dead_letter_without_a_later_request_is_a_finding(metrics, folder):
    letter(folder, sent=LATER)
    done = metrics("doctor", CODE, "--folder", folder)
    assert done.exit_code == 1
    assert "dead letter of run gone, FAILURE: gave up" in done.stdout
    assert "metrics redrive" in done.stdout


@pytest.mark.usefixtures("versions")
def test_a_dead_letter_before_a_later_request_is_a_note(metrics, folder):
    letter(folder, sent=0)
    assert metrics("doctor", CODE, "--folder", folder).exit_code == 0


def test_a_dead_letter_whose_run_is_committed_is_a_note(metrics, folder, metric, versions):
    letter(folder, sent=LATER, run_id=marker_of(metric, versions[0])[1]["run_id"])
    assert metrics("doctor", CODE, "--folder", folder).exit_code == 0


@pytest.mark.usefixtures("versions")
def test_a_dead_letter_of_another_metric_is_ignored(metrics, folder):
    letter(folder, sent=LATER, code="another")
    assert "dead letter" not in metrics("doctor", CODE, "--folder", folder).stdout


def test_a_metric_with_only_dead_letters_is_known(metrics, folder):
    letter(folder, sent=LATER)
    assert metrics("doctor", CODE, "--folder", folder).exit_code == 1


# Part files that a dataset manifest omits


@pytest.mark.usefixtures("truncated")
def test_a_version_computed_from_an_incremental_manifest_is_a_finding(metrics, folder):
    done = metrics("doctor", CODE, "--folder", folder, "--json")
    (found,) = json.loads(done.stdout)["findings"]
    assert done.exit_code == 1
    assert (found["grade"], found["where"]) == ("finding", "datasets/fx/versions/v1/manifest.json")
    assert found["what"] == (
        "lists 1 of the 2 part files of A below datasets/fx/projections/; current was computed from 1"
    )
    assert "WORKER_SERIES_FILES=listing" in found["do"]
    assert "request the metric again" in found["do"]


def test_an_incremental_manifest_is_a_note_if_current_was_computed_from_all_part_files(
    metrics, folder, ask, monkeypatch
):
    incremental(folder)
    monkeypatch.setenv("WORKER_SERIES_FILES", "listing")
    assert metrics("run", ask(), "--folder", folder, "--publish").exit_code == 0
    done = metrics("doctor", CODE, "--folder", folder, "--json")
    (found,) = json.loads(done.stdout)["findings"]
    assert done.exit_code == 0
    assert (found["grade"], found["what"].partition("; ")[2]) == ("note", "current was computed from 2")


@pytest.mark.usefixtures("truncated")
def test_a_few_left_over_part_files_are_a_note(metrics, folder, monkeypatch):
    monkeypatch.setenv("WORKER_SHRINK_RATIO", "0.5")
    done = metrics("doctor", CODE, "--folder", folder, "--json")
    assert done.exit_code == 0
    assert [found["grade"] for found in json.loads(done.stdout)["findings"]] == ["note"]


@pytest.mark.usefixtures("truncated")
def test_a_metric_without_its_dataset_is_not_compared(metrics, folder):
    shutil.rmtree(folder / "datasets")
    done = metrics("doctor", CODE, "--folder", folder, "--json")
    assert (done.exit_code, json.loads(done.stdout)["findings"]) == (0, [])
