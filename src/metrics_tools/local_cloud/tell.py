"""How things are told on the terminal: a status event, an outcome, the environment of a served cloud."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metrics_tools.local_cloud.cloud import Cloud
from metrics_tools.local_cloud.emulator import function_environment
from metrics_tools.local_cloud.events_heard import HEARTBEAT, STARTED, Heard
from metrics_tools.local_cloud.outcome import Outcome
from metrics_tools.local_cloud.samples import Sample
from metrics_tools.local_cloud.template import Template
from metrics_tools.local_cloud.terminal import Terminal

if TYPE_CHECKING:
    from metrics_tools.local_cloud.run import Options

_INDENT = " " * 9
_KEYS = 4
"""A run leaves data, its manifest, a copy of that as the current one, and a marker."""
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
        detail, style = f"SUCCESS  {count(body['rowCount'], 'row')}, version {body['versionTs']}", "green"
    else:
        error = body.get("error")
        text = f"{error['code']}: {error['message']}" if isinstance(error, dict) else str(error)
        detail, style = f"{body.get('status')}  {text}", "yellow"
    time = terminal.styled(f"{event.at:%H:%M:%S}.{event.at.microsecond // 1000:03d}", "dim")
    who = f"{metric} {event.run_id[:8]}"
    return f"{_INDENT}{time}  {terminal.styled(f'{kind:9}', style)}  {who}  {detail}".rstrip()


def outcomes(found: Sequence[Outcome], terminal: Terminal) -> None:
    """The lines for every run. The keys are listed once: of the first run that left any."""
    listed = next((one for one in found if one.keys), None)
    alike = {len(one.keys) for one in found if one.keys}
    several = sum(bool(one.keys) for one in found) > 1
    for one in found:
        _outcome(one, terminal)
        if one is listed:
            for key in one.keys:
                terminal.line(terminal.styled(f"{_INDENT}  {key}", "dim"))
            if several and alike == {_KEYS}:
                text = "(the same four keys for each metric)"
                terminal.line(terminal.styled(f"{_INDENT}  {text}", "dim"))
    if len(found) > 1:
        terminal.line(f"{_INDENT}(Runs of a batch share the series: later ones reuse what was already read)")


def _outcome(found: Outcome, terminal: Terminal) -> None:
    """The lines for a run: status, rows, version, time taken, first and last observation, check."""
    right = not found.complaints
    mark = terminal.styled("✓", "green") if right else terminal.styled("✗", "red")
    sample = found.sample
    terminal.line(f"       {mark} {terminal.styled(sample.metric_code, 'bold')}  {sample.title}")
    if found.status == "SUCCESS":
        _version(found, terminal)
    elif found.status is not None and not found.error_in_complaints:
        expected = " (as it should)" if right else ""
        terminal.line(f"{_INDENT}{found.status}{expected}: {found.error}")
    for complaint in found.complaints:
        terminal.line(terminal.styled(f"{_INDENT}{complaint}", "red"))


def _version(found: Outcome, terminal: Terminal) -> None:
    taken = "" if found.seconds is None else f", {found.seconds:.2f} s"
    rows = count(len(found.values), "row")
    terminal.line(f"{_INDENT}SUCCESS  {rows}, version {found.version}{taken}")
    if found.values:
        ends = (f"{found.times[i]:%Y-%m-%d}  {found.values[i]:.6g}" for i in (0, -1))
        terminal.line(f"{_INDENT}first {next(ends)}   last {next(ends)}   {found.sample.unit}".rstrip())
    if found.check and not found.check.problem:
        largest = found.check.largest
        terminal.line(
            f"{_INDENT}checked: all {found.check.checked:,} as recomputed in plain Python from the ECB's "
            f"file (largest difference {largest:.1g}, relative for values above 1)"
        )


def not_right(wrong: Sequence[Outcome], runs: int, left: Sequence[str], terminal: Terminal) -> None:
    """Sum up what is not as it should be: which runs (the outcomes say how), and messages left over."""
    if wrong:
        text = "The run" if runs == 1 else f"{len(wrong)} of {runs} runs"
        text = f"{text} did not end as {'it' if len(wrong) == 1 else 'they'} should"
        terminal.step(terminal.styled(text, "red"))
        for found in wrong:
            terminal.line(terminal.styled(f"{_INDENT}✗ {found.sample.metric_code}", "red"))
    for text in left:
        terminal.line(terminal.styled(f"{_INDENT}✗ {text}", "red"))


def environment(cloud: Cloud, template: Template, options: "Options", terminal: Terminal) -> Path:
    """Say how to reach a served cloud, and write it down; the file to `source`.

    It is the environment that a worker, or any AWS client, needs.
    """
    terminal.step("The worker's environment:")
    variables = {
        name: value
        for name, value in function_environment(cloud, template, options.root).items()
        if name.startswith(_PREFIXES) and not name.startswith("AWS_LAMBDA_")
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    lines.append("# For `metrics send`: where requests go, and where the status events come to.")
    lines.append(f"export METRICS_REQUEST_TOPIC={shlex.quote(cloud.request_topic)}")
    lines.append(f"export METRICS_STATUS_QUEUE={shlex.quote(cloud.status_queue)}")
    for line in lines:
        terminal.line(line)
    path = options.out / "env"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    terminal.step(f"In another shell: source {shlex.quote(relative(path))}")
    terminal.step("Serving until Ctrl-C")
    return path


def count(number: int, one: str, many: str = "") -> str:
    """A number and what is counted: "1 row", "4,822 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def relative(path: Path) -> str:
    """A path as it is shown: relative to the working folder where it lies below it."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
