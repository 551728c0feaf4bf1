"""docs/trying-metrics.md, followed word by word: each `$` line does what the page shows that it does."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from typer.testing import CliRunner

from cli import send
from cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "trying-metrics.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
VOLATILE = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<run>"),
    (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", "<version>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\d+\.\d+ s\b", "<seconds>"),
    (r"\d+\.\d\d MB", "<size>"),
)


def steps():
    """Each command of the page, and what it shows."""
    for block in BLOCKS:
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def settled(text):
    """Without what differs from run to run, and without spaces at the ends of lines."""
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text)
    return [line.rstrip() for line in text.splitlines()]


def output(command):
    """What a command prints, as in a shell in the working folder."""
    if not command.startswith("metrics "):
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    words, _, target = command.removeprefix("metrics ").partition(" > ")
    done = CliRunner().invoke(app, shlex.split(words))
    assert done.exit_code in {0, 1}, done.output
    if target:
        Path(target).write_text(done.stdout)
        return ""
    return done.stdout


def test_the_page_shows_what_its_commands_print(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "events", tmp_path / "events")
    monkeypatch.chdir(tmp_path)
    asked = list(steps())
    assert len(asked) == 9
    for command, shown in asked:
        assert settled(output(command)) == settled(shown), command


def test_every_command_of_the_page_is_one():
    commands = {"run", "compare", "history", "doctor", "rollback", "send", "demo"}
    assert commands <= {found.callback.__name__ for found in app.registered_commands if found.callback}
    assert commands == set(re.findall(r"^\| `metrics (\w+)", PAGE.read_text(), re.MULTILINE))


def test_every_variable_of_the_command_stands_on_the_page():
    assert set(re.findall(r"^\| `(METRICS_\w+)`", PAGE.read_text(), re.MULTILINE)) == {
        send.TOPIC,
        send.STATUS_QUEUE,
    }
