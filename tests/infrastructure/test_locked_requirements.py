"""The deployed packages are locked: the lock files list each package with one version and its hashes."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;]+)", re.MULTILINE)
EACH_FOLDER = pytest.mark.parametrize("folder", ["src", "layers/pyarrow"])


def pins(path: Path) -> dict[str, str]:
    """Return a dict from package names to the versions that a requirements file fixes with `==`."""
    return dict(PIN.findall(path.read_text(encoding="utf-8")))


@EACH_FOLDER
def test_the_lock_file_has_every_pin_of_the_requirements(folder: str) -> None:
    wanted = pins(ROOT / folder / "requirements.txt")
    assert wanted
    assert wanted.items() <= pins(ROOT / folder / "requirements.lock").items()


@EACH_FOLDER
def test_every_locked_package_has_hashes(folder: str) -> None:
    lock = (ROOT / folder / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(ROOT / folder / "requirements.lock"))
    assert all("--hash=sha256:" in entry for entry in entries)


@EACH_FOLDER
def test_the_tests_run_with_the_locked_versions(folder: str) -> None:
    locked = pins(ROOT / folder / "requirements.lock")
    assert {name: version(name) for name in locked} == locked
