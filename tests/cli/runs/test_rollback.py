"""`metrics rollback` makes an older version current, and the other commands and later runs respect that."""

import json
import shutil
from datetime import datetime

import pytest

CODE = "ratio.a_to_b"
CURRENT = f"metrics/{CODE}/current/manifest.json"


@pytest.fixture(params=["folder", "bucket"])
def place(request, folder):
    """Return the option that selects the bucket, and its value: (`--folder`, path) or (`--bucket`, name).

    Each test runs twice: with a folder, and with a bucket on the moto server.
    """
    if request.param == "folder":
        return ("--folder", folder)
    return ("--bucket", request.getfixturevalue("bucket"))


@pytest.fixture
def versions(metrics, place, ask):
    """Publish two versions of `ratio.a_to_b`, and return a list of their timestamps, the older one first."""
    for _ in range(2):
        assert metrics("run", ask(), *place, "--publish").exit_code == 0
    return listed(metrics, place)[::-1]


def history(metrics, place):
    return json.loads(metrics("history", CODE, *place, "--json").stdout)["versions"]


def listed(metrics, place):
    return [one["version_ts"] for one in history(metrics, place)]


def current(metrics, place):
    return [one["version_ts"] for one in history(metrics, place) if one["current"]]


def test_current_names_the_chosen_version_and_doctor_reports_it(metrics, place, versions):
    done = metrics("rollback", CODE, versions[0], *place)
    assert done.exit_code == 0
    assert f"current now names version {versions[0]}" in done.stdout
    assert f"It named version {versions[1]} before" in done.stdout
    assert current(metrics, place) == [versions[0]]

    doctor = metrics("doctor", CODE, *place)
    assert doctor.exit_code == 0
    assert f"rolled back to version {versions[0]} from {versions[1]}, at " in doctor.stdout
    assert "Healthy, 1 note" in doctor.stdout
    assert "current (rolled back)" in metrics("history", CODE, *place).stdout


def test_a_redelivery_does_not_undo_a_rollback_but_a_new_request_moves_current(metrics, place, versions, ask):
    assert metrics("rollback", CODE, versions[0], *place).exit_code == 0
    newest = history(metrics, place)[0]
    wrong = ask(run_id=newest["run_id"], name="wrong.json")
    again = metrics("run", wrong, *place, "--publish", "--keep-run-id", "--json")
    (run,) = json.loads(again.stdout)["runs"]
    assert (run["version_ts"], run["is_current"]) == (versions[1], False)
    assert current(metrics, place) == [versions[0]]

    assert metrics("run", ask(), *place, "--publish").exit_code == 0
    assert current(metrics, place) == listed(metrics, place)[:1]
    assert "Healthy\n" in metrics("doctor", CODE, *place).stdout


def test_a_redelivery_of_the_chosen_run_is_reported_as_current(metrics, place, versions, ask):
    assert metrics("rollback", CODE, versions[0], *place).exit_code == 0
    chosen = ask(run_id=history(metrics, place)[1]["run_id"], name="chosen.json")
    again = metrics("run", chosen, *place, "--publish", "--keep-run-id", "--json")
    assert json.loads(again.stdout)["runs"][0]["is_current"] is True


def test_the_same_command_goes_forward_again(metrics, place, versions):
    for version, before in (versions, versions[::-1]):
        done = json.loads(metrics("rollback", CODE, version, *place, "--json").stdout)
        assert (done["version_ts"], done["rolled_back_from"], done["changed"]) == (version, before, True)
        assert current(metrics, place) == [version]
        assert metrics("doctor", CODE, *place).exit_code == 0


def test_a_rollback_to_the_current_version_changes_nothing(metrics, place, versions):
    for _ in range(2):
        done = metrics("rollback", CODE, versions[1], *place)
        assert (done.exit_code, "already" in done.stdout) == (0, True)
    assert "rolled back" not in metrics("doctor", CODE, *place).stdout


def test_readers_find_the_manifest_with_two_more_fields(metrics, folder, ask):
    for _ in range(2):
        metrics("run", ask(), "--folder", folder, "--publish")
    older = listed(metrics, ("--folder", folder))[1]
    metrics("rollback", CODE, older, "--folder", folder)
    manifest = json.loads((folder / f"metrics/{CODE}/{older}/manifest.json").read_text())
    said = json.loads((folder / CURRENT).read_text())
    assert said.pop("rolled_back_from") > older
    assert datetime.fromisoformat(said.pop("rolled_back_at")).tzinfo is not None
    assert said == manifest
    compared = metrics("compare", f"{CODE}@current", f"{CODE}@{older}", "--folder", folder)
    assert (compared.exit_code, f"A  {CODE}@{older}" in compared.stdout) == (0, True)


# Refused versions


def no_manifest(metric, version):
    (metric / version / "manifest.json").unlink()
    return "has no manifest"


def broken_manifest(metric, version):
    (metric / version / "manifest.json").write_text("{")
    return "can't be used"


def no_data(metric, version):
    (metric / version / "data/metrics.parquet").unlink()
    return "the data does not exist"


def cut_data(metric, version):
    path = metric / version / "data/metrics.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    return "the data cannot be read"


def no_marker(metric, version):
    run = json.loads((metric / version / "manifest.json").read_text())["run_id"]
    (metric / "runs" / f"{run}.ok").unlink()
    return "is not committed"


def another_folder(metric, version):
    shutil.copytree(metric / version, metric / "2020-01-01T00-00-00")
    shutil.rmtree(metric / version)
    return "has no version"


@pytest.mark.parametrize(
    "damage", [no_manifest, broken_manifest, no_data, cut_data, no_marker, another_folder]
)
def test_a_damaged_version_is_refused_and_nothing_is_changed(metrics, folder, ask, damage):
    for _ in range(2):
        metrics("run", ask(), "--folder", folder, "--publish")
    older, before = listed(metrics, ("--folder", folder))[1], (folder / CURRENT).read_bytes()
    why = damage(folder / "metrics" / CODE, older)
    done = metrics("rollback", CODE, older, "--folder", folder)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
    assert (folder / CURRENT).read_bytes() == before


@pytest.mark.parametrize("version", ["2020-01-01T00-00-00", "current", "../x", "runs"])
def test_a_version_that_does_not_exist_is_refused_with_the_newest(metrics, folder, ask, version):
    metrics("run", ask(), "--folder", folder, "--publish")
    done = metrics("rollback", CODE, version, "--folder", folder)
    assert done.exit_code == 2
    assert f"has no version {version}" in done.stderr
    assert "The newest are 20" in done.stderr


def test_a_metric_that_does_not_exist_is_refused(metrics, folder, ask):
    metrics("run", ask(), "--folder", folder, "--publish")
    done = metrics("rollback", "ratio.a_to_bb", "2020-01-01T00-00-00", "--folder", folder)
    assert (done.exit_code, "Did you mean ratio.a_to_b?" in done.stderr) == (2, True)
