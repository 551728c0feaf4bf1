"""The text that a local run prints: steps, status events, outcomes, and the environment of a served cloud."""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from metrics_tools.console import out, print_line
from metrics_tools.formatting import clock, count
from metrics_tools.local_cloud.outcome import Outcome
from metrics_tools.published.status_event import StatusEvent, print_event
from metrics_tools.request_files import Sample

_INDENT = " " * 9
_STARTED_AT = time.monotonic()
_KEYS = 4
"""The number of objects of a metric with one run: data, manifest, marker and `current`."""


def print_step(text: str, style: str = "bold") -> None:
    """Print the heading of a step, preceded by the seconds since the start of the program."""
    clock = f"{time.monotonic() - _STARTED_AT:5.1f} s"
    out.print(Text.assemble((clock, "dim"), "  ", (text, style)), soft_wrap=True)


def print_detail(text: str, style: str = "") -> None:
    """Print an indented line below the heading of a step."""
    print_line(_INDENT + text, style)


def print_event_of(samples: Sequence[Sample], event: StatusEvent) -> None:
    """Print a status event below the heading of a step, with the metric code of its run.

    Args:
        samples: the requests, in which the metric code of the run is looked up; the code is `?` for other
            runs.
        event: the status event.
    """
    codes = {sample.run_id: sample.metric_code for sample in samples}
    print_event(event, time=_INDENT + clock(event.at), metric_code=codes.get(event.run_id, "?"))


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print each outcome. The keys of published objects are printed only for the first run with keys."""
    with_keys = [outcome for outcome in outcomes if outcome.keys]
    for outcome in outcomes:
        _print_outcome(outcome)
        if with_keys and outcome is with_keys[0]:
            for key in outcome.keys:
                print_detail(f"  {key}", "dim")
            if len(with_keys) > 1 and {len(other.keys) for other in with_keys} == {_KEYS}:
                print_detail("  (the same four keys for each metric)", "dim")
    if len(outcomes) > 1:
        print_detail("(Runs of a batch share the series: later runs reuse what earlier ones have read)")


def _print_outcome(outcome: Outcome) -> None:
    sample, is_right = outcome.sample, not outcome.violations
    mark = ("✓", "green") if is_right else ("✗", "red")
    title = Text.assemble(" " * 7, mark, " ", (sample.metric_code, "bold"), "  ", sample.title)
    out.print(title, soft_wrap=True)
    if outcome.status == "SUCCESS":
        _print_version(outcome)
    elif outcome.status and not any(outcome.error in violation for violation in outcome.violations):
        print_detail(f"{outcome.status}{' (as expected)' if is_right else ''}: {outcome.error}")
    if outcome.dead_letter:
        print_detail(
            f"published by the dead-letter function, which stored the message: {outcome.dead_letter}"
        )
    for violation in outcome.violations:
        print_detail(violation, "red")


def _print_version(outcome: Outcome) -> None:
    taken = "" if outcome.seconds is None else f", {outcome.seconds:.2f} s"
    print_detail(f"SUCCESS  {count(len(outcome.values), 'row')}, version {outcome.version}{taken}")
    if outcome.values:
        first, last = (f"{outcome.times[i]:%Y-%m-%d}  {outcome.values[i]:.6g}" for i in (0, -1))
        print_detail(f"first {first}   last {last}   {outcome.sample.unit}".rstrip())
    if outcome.check and not outcome.check.problem:
        print_detail(
            f"checked: all {outcome.check.checked:,} equal a recomputation in plain Python from the ECB's "
            f"file (largest difference {outcome.check.largest:.1g}, relative for values above 1)"
        )
    elif outcome.check is None:
        print_detail("not checked: the recomputation does not support all of its series and operations")


def print_summary(outcomes: Sequence[Outcome], messages_left: Sequence[str]) -> bool:
    """Print whether all runs ended as expected, and return True if they did.

    Args:
        outcomes: the outcomes of all runs.
        messages_left: a line for each queue that still contains messages, and for each message without a
            usable request. Both are unexpected.
    """
    wrong, runs = [outcome.sample.metric_code for outcome in outcomes if outcome.violations], len(outcomes)
    if wrong:
        some = "The run" if runs == 1 else f"{len(wrong)} of {runs} runs"
        print_step(f"{some} did not end as expected", "red")
    elif not messages_left:
        print_step(f"{'The run' if runs == 1 else f'All {runs} runs'} ended as expected", "green")
    for text in [*wrong, *messages_left]:
        print_detail(f"✗ {text}", "red")
    return not wrong and not messages_left


def print_environment(variables: Mapping[str, str], path: Path) -> None:
    """Print the environment variables for using a served cloud, and write them to a shell script."""
    print_step("Environment of the worker, of AWS clients and of `metrics send`:")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    print_line("\n".join(lines))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print_step(f"In another shell: source {shlex.quote(relative(path))}")
    print_step("Serving until Ctrl-C")


def relative(path: Path) -> str:
    """Return a path below the working folder as a relative path, and any other path unchanged."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
