"""Functions for the tests of the command line, which write files and folders and run commands."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from metrics_tools.command_line.app import app
from tests.builders import Cloud

ROOT = Path(__file__).parents[2]
BOXES = "│─╭╮╰╯├└┌┐┘┤━┃"


def metrics(*arguments, stdin=None):
    """Run `metrics` with these arguments in this process, and return typer's result: exit code and output."""
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)


def document(*arguments, stdin=None):
    """Run a command of `metrics` with `--json`, and return the JSON document that it prints."""
    return json.loads(metrics(*arguments, "--json", stdin=stdin).stdout)


def as_process(*arguments, stdin=None, **environment):
    """Run `metrics` in a separate process, whose output goes to pipes, and return the completed process.

    Args:
        arguments: the arguments of the command.
        stdin: the text on standard input.
        environment: further environment variables.
    """
    return subprocess.run(
        [sys.executable, "-m", "metrics_tools", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src:."} | environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def on_terminal(*arguments, columns):
    """Run `metrics` on a terminal with the given number of columns, and return all of its output."""
    ours, its = pty.openpty()
    environment = os.environ | {"PYTHONPATH": "src:.", "COLUMNS": str(columns), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "metrics_tools", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=its, stderr=its, stdin=its) as process:
        os.close(its)
        written = b""
        while chunk := _read(ours):
            written += chunk
        process.wait()
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def _read(descriptor):
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # on Linux, the other end of the terminal is closed
        return b""


def file_of(folder, value, name="my.json"):
    """Write a file and return its path. A string is written unchanged, and any other value as JSON."""
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def folder_of(cloud: Cloud, folder: Path) -> Path:
    """Write the objects of a fake cloud as files below a folder, and return the folder."""
    for key in cloud.keys():  # noqa: SIM118 - of a cloud
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(cloud.read(key))
    return folder


def problems_of(tmp_path, value, *arguments):
    (found,) = document("validate", file_of(tmp_path, value), *arguments)["requests"]
    return found["problems"]


def described(problems):
    """Return the text and the suggestion of each problem of a JSON document, by the path of the problem."""
    return {problem["path"]: f"{problem['text']} ({problem['suggestion']})" for problem in problems}
