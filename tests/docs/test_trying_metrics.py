"""docs/trying-metrics.md: each command (a line that begins with `$`) prints the output that follows it."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from metrics_tools.command_line.app import SUMMARIES, app
from metrics_tools.command_line.options import STATUS_QUEUE, TOPIC

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "trying-metrics.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
VOLATILE = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<run>"),
    (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", "<version>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\d+(\.\d+)? m?s\b", "<duration>"),
    (r"\d+(\.\d+)? [kM]?B\b", "<size>"),
)


def steps() -> Iterator[tuple[str, str]]:
    """Yield (command, output on the page) for each command of the page."""
    for block in BLOCKS:
        yield from steps_in(block)


def steps_in(block: str) -> list[tuple[str, str]]:
    """Return (command, output in the block) for each command of a code block."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def masked(text: str) -> list[str]:
    """Return the lines of an output, with words such as `<time>` in place of the parts that vary.

    Spaces at the end of a line are removed.
    """
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text)
    return [line.rstrip() for line in text.splitlines()]


def output(command: str) -> str:
    """Run a command in the working folder, and return its standard output.

    A command of `metrics` may end with exit code 0 or 1, and `> FILE` writes its output to a file instead.
    """
    if not command.startswith("metrics "):
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    words, _, target = command.removeprefix("metrics ").partition(" > ")
    done = CliRunner().invoke(app, shlex.split(words))
    assert done.exit_code in {0, 1}, done.output
    if target:
        Path(target).write_text(done.stdout)
        return ""
    return done.stdout


def test_the_commands_print_the_output_on_the_page(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "events", tmp_path / "events")
    monkeypatch.chdir(tmp_path)
    found = list(steps())
    assert len(found) == 10
    for command, shown in found:
        assert masked(output(command)) == masked(shown), command


def test_the_page_lists_exactly_the_commands_for_trying_metrics():
    of_data, of_versions = {"demo", "import", "series"}, {"ls", "history", "doctor", "rollback"}
    commands = {"run", "compare", "redrive", "send"} | of_data | of_versions
    assert commands <= set(SUMMARIES)
    assert commands == set(re.findall(r"^\| `metrics (\w+)", PAGE.read_text(), re.MULTILINE))


def test_the_page_lists_every_variable_of_the_send_command():
    assert set(re.findall(r"^\| `(METRICS_\w+)`", PAGE.read_text(), re.MULTILINE)) == {
        TOPIC,
        STATUS_QUEUE,
    }
