"""Functions for the tests of the command line, which write files and folders and run commands."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from metrics_tools.command_line.app import app
from tests.builders import Cloud

ROOT = Path(__file__).parents[2]
BOXES = "│─╭╮╰╯├└┌┐┘┤━┃"


def metrics(*arguments: object, stdin: str | None = None) -> Result:
    """Run `metrics` with these arguments in this process, and return typer's result: exit code and output.

    Args:
        arguments: the subcommand and its arguments.
        stdin: the text on standard input.
    """
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)


def document(*arguments: object, stdin: str | None = None) -> Any:
    """Run a command of `metrics` with `--json` in this process, and return the parsed JSON that it prints.

    Args:
        arguments: the subcommand and its arguments.
        stdin: the text on standard input.
    """
    return json.loads(metrics(*arguments, "--json", stdin=stdin).stdout)


def as_process(
    *arguments: object, stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `metrics` in a separate process, whose output goes to pipes.

    Args:
        arguments: the subcommand and its arguments.
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


def on_terminal(*arguments: object, columns: int) -> str:
    """Run `metrics` in a process on a pseudo-terminal, and return all of its output.

    Args:
        arguments: the subcommand and its arguments.
        columns: the width of the terminal.
    """
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


def file_of(folder: Path, value: Any, name: str = "my.json") -> Path:
    """Write a file and return its path.

    Args:
        folder: the folder of the file.
        value: the content; a string is written unchanged, and any other value as JSON.
        name: the name of the file.
    """
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


def described(problems: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return a dict from the JSON path of each problem to its text, followed by its suggestion in brackets.

    Args:
        problems: the problems in the JSON output of a command.
    """
    return {problem["path"]: f"{problem['text']} ({problem['suggestion']})" for problem in problems}
