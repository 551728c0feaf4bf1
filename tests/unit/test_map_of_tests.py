"""tests/README.md lists each folder and each shared module of the tests."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
LISTED = set(re.findall(r"`([a-z_]+(?:/|\.py))`", (TESTS / "README.md").read_text(encoding="utf-8")))


def test_every_folder_is_listed() -> None:
    folders = {f"{path.name}/" for path in TESTS.iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    folders |= {f"{path.parent.parent.name}/" for path in TESTS.glob("*/*/test_*.py")}
    assert folders == {name for name in LISTED if name.endswith("/")}


def test_every_shared_module_is_listed() -> None:
    modules = {path.name for path in TESTS.glob("*.py")} - {"__init__.py"}
    assert modules == {name for name in LISTED if name.endswith(".py")}
