"""The wheel and the sdist in build/dist are complete, and the installed wheel has a working `metrics`.

`make wheel` builds both and runs this file. The name of the file keeps it out of the test suite, because the
installation takes longer than many folders of tests. uv builds the wheel from the sdist, so a complete wheel
shows that the sdist is complete, too.
"""

import json
import os
import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

from metrics_worker import __version__
from tests.infrastructure.test_locked_requirements import pins

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
NAME = f"metrics_worker-{__version__}"
WHEEL = ROOT / "build" / "dist" / f"{NAME}-py3-none-any.whl"
SDIST = ROOT / "build" / "dist" / f"{NAME}.tar.gz"
UV = ROOT / ".venv" / "bin" / "uv"
IN_A_CLONE_ONLY = ("metrics_tools/local_cloud/", "metrics_tools/contracts/")
WORKER = ("src/requirements.txt", "layers/pyarrow/requirements.txt", "requirements-lambda.txt")


def files_in_git() -> set[str]:
    """Return the paths, relative to `src`, of the files in Git that the wheel must contain.

    These are all files of both packages, except those in `IN_A_CLONE_ONLY`.
    """
    listed = subprocess.run(
        ["git", "ls-files", "metrics_worker", "metrics_tools"],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=True,
    )
    return {path for path in listed.stdout.split() if not path.startswith(IN_A_CLONE_ONLY)}


@pytest.fixture(scope="module")
def wheel() -> dict[str, bytes]:
    """Return a dict from the path of each file in the wheel to the content of the file."""
    with ZipFile(WHEEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_two_top_level_modules_and_every_file_of_them(wheel):
    metadata = f"{NAME}.dist-info/"
    assert wheel[f"{metadata}top_level.txt"].decode().split() == ["metrics_tools", "metrics_worker"]
    assert {name for name in wheel if not name.startswith(metadata)} == files_in_git()
    assert {Path(name).suffix for name in files_in_git()} == {".py", ".typed", ".html", ".js", ".css"}


def test_the_sdist_has_the_same_files():
    with tarfile.open(SDIST) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert {f"src/{name}" for name in files_in_git()} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements-tools.txt", *WORKER} <= names
    assert {name.split("/")[1] for name in names if name.startswith("src/")} == {
        "metrics_worker",
        "metrics_tools",
        "metrics_worker.egg-info",
        "requirements.txt",
    }


def test_the_wheel_requires_the_pinned_versions_and_no_library_of_the_tests(wheel):
    metadata = message_from_bytes(wheel[f"{NAME}.dist-info/METADATA"])
    assert metadata["Requires-Python"] == ">=3.13"
    assert metadata.get_all("Provides-Extra") == ["tools"]
    required = metadata.get_all("Requires-Dist", [])
    with_extra = [line for line in required if line.endswith('; extra == "tools"')]
    assert versions(with_extra) == pins(ROOT / "requirements-tools.txt")
    without_extra = [line for line in required if line not in with_extra]
    assert versions(without_extra) == {k: v for file in WORKER for k, v in pins(ROOT / file).items()}


def versions(lines: list[str]) -> dict[str, str]:
    """Return a dict from package names to pinned versions.

    Args:
        lines: requirements such as `uvloop==0.23.0; platform …`.
    """
    return dict(line.partition(";")[0].split("==") for line in lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty folder outside the repository, in which the installed command runs."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture(scope="module")
def metrics(folder):
    """Return `metrics(*words)`, which runs the command `metrics` with these arguments and returns its output.

    The command runs in a new environment that has only the wheel and its extra `tools`.
    """
    environment = folder / ".venv"
    python = environment / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", python, f"{WHEEL}[tools]"]
    subprocess.run(install, cwd=folder, check=True)
    variables = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}

    def run(*words):
        return subprocess.run(
            [environment / "bin" / "metrics", *words],
            cwd=folder,
            env=variables | {"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


def test_the_installed_command_line_works(metrics, folder):
    asked = ROOT / "events" / "momentum.json"

    assert metrics("--version") == f"metrics {__version__}\n"
    assert "redrive" in metrics("--help")
    metrics("demo", "data")
    files = ("--html", "page.html", "--png", "plot.png")
    ran = metrics("run", asked, "--folder", "data", "--publish", "--plot", *files)
    assert "SUCCESS  7,097 rows from data" in ran
    assert "<script>" in (folder / "page.html").read_text(encoding="utf-8")
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    explained = metrics("explain", asked, "--folder", "data")
    assert "sma(ECB_USD_EUR_D, 14)" in explained
    assert json.loads(metrics("redrive", "--folder", "data", "--list", "--json"))["dead_letters"] == []


@pytest.mark.usefixtures("metrics")
def test_the_installation_has_no_library_that_only_tests_or_the_local_cloud_use(folder):
    (site,) = (folder / ".venv" / "lib").glob("python3*/site-packages")
    installed = {path.name.partition("-")[0] for path in site.glob("*.dist-info")}
    assert "typer" in installed
    assert not installed & {"moto", "polars", "duckdb", "playwright", "pytest", "aws_sam_translator", "flask"}
