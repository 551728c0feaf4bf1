"""How things are told on the terminal: a status event, an outcome, the environment of a served cloud."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local.cloud import Cloud
from local.emulator import function_environment
from local.events_heard import HEARTBEAT, STARTED, Heard
from local.outcome import Outcome
from local.samples import Sample
from local.template import Template
from local.terminal import Terminal

if TYPE_CHECKING:
    from local.run import Options

_INDENT = " " * 9
_PREFIXES = ("AWS_", "WORKER_", "OUTPUT_", "POWERTOOLS_")


def heard(event: Heard, terminal: Terminal, samples: Sequence[Sample]) -> str:
    """One line for a status event: time, type, run, and how far or how it ended."""
    metric = next((sample.metric_code for sample in samples if sample.run_id == event.run_id), "?")
    kind = event.type.removeprefix("metric_run_")
    body = event.event
    if event.type == STARTED:
        detail, style = "", "cyan"
    elif event.type == HEARTBEAT:
        detail, style = f"{body['progress']:.0%}", "dim"
    elif body.get("status") == "SUCCESS":
        detail, style = f"SUCCESS  {body['rowCount']:,} rows, version {body['versionTs']}", "green"
    else:
        error = body.get("error")
        text = f"{error['code']}: {error['message']}" if isinstance(error, dict) else str(error)
        detail, style = f"{body.get('status')}  {text}", "yellow"
    time = terminal.styled(f"{event.at:%H:%M:%S}.{event.at.microsecond // 1000:03d}", "dim")
    who = f"{metric} {event.run_id[:8]}"
    return f"{_INDENT}{time}  {terminal.styled(f'{kind:9}', style)}  {who}  {detail}".rstrip()


def outcome(found: Outcome, terminal: Terminal) -> None:
    """The lines for a run: status, rows, version, time taken, first and last observation, keys, check."""
    right = not found.complaints
    mark = terminal.styled("✓", "green") if right else terminal.styled("✗", "red")
    sample = found.sample
    terminal.line(f"       {mark} {terminal.styled(sample.metric_code, 'bold')}  {sample.title}")
    if found.status == "SUCCESS":
        _version(found, terminal)
    elif found.status is not None:
        expected = " (as it should)" if right else ""
        terminal.line(f"{_INDENT}{found.status}{expected}: {found.error}")
    for complaint in found.complaints:
        terminal.line(terminal.styled(f"{_INDENT}✗ {complaint}", "red"))


def _version(found: Outcome, terminal: Terminal) -> None:
    taken = "" if found.seconds is None else f", {found.seconds:.2f} s"
    terminal.line(f"{_INDENT}SUCCESS  {len(found.values):,} rows, version {found.version}{taken}")
    if found.values:
        ends = (f"{found.times[i]:%Y-%m-%d}  {found.values[i]:.6g}" for i in (0, -1))
        terminal.line(f"{_INDENT}first {next(ends)}   last {next(ends)}   {found.sample.unit}".rstrip())
    if found.check and not found.check.problem:
        largest = found.check.largest
        terminal.line(
            f"{_INDENT}checked: all {found.check.checked:,} as recomputed in plain Python from the ECB's "
            f"file (largest difference {largest:.1g})"
        )
    for key in found.keys:
        terminal.line(terminal.styled(f"{_INDENT}  {key}", "dim"))


def environment(cloud: Cloud, template: Template, options: "Options", terminal: Terminal) -> None:
    """Say how to reach a served cloud: the environment that a worker, or any AWS client, needs."""
    terminal.step("The worker's environment:")
    variables = {
        name: value
        for name, value in function_environment(cloud, template, options.root).items()
        if name.startswith(_PREFIXES) and not name.startswith("AWS_LAMBDA_")
    }
    for name, value in sorted(variables.items()):
        terminal.line(f"export {name}={shlex.quote(value)}")
    terminal.line(f"# The topic of run requests: {cloud.request_topic}")
    terminal.step("Serving until Ctrl-C")


def relative(path: Path) -> str:
    """A path as it is shown: relative to the working folder where it lies below it."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
