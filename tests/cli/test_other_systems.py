"""The command line works without the Python modules that Windows does not have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import put_a_and_b, request
from tests.cli.given import ROOT, file_of, folder_of

UNIX_ONLY = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
PROGRAM = """
import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in UNIX_ONLY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in UNIX_ONLY:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refuse())
from metrics_tools.command_line.app import main
main()
"""


def metrics_without_unix(*words: object, folder: Path) -> "subprocess.CompletedProcess[str]":
    program = PROGRAM.replace("UNIX_ONLY", repr(UNIX_ONLY))
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help")])
def test_the_command_line_starts_without_the_modules_of_unix(tmp_path, words):
    done = metrics_without_unix(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_request_is_validated_without_the_modules_of_unix(cloud, tmp_path):
    put_a_and_b(cloud.store)
    data = folder_of(cloud, tmp_path / "data")
    done = metrics_without_unix("validate", file_of(tmp_path, request()), "--folder", data, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "valid, its inputs in" in done.stdout
