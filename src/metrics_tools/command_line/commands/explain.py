"""`metrics explain`: an expression in words and as a tree, its observations, and the cost of a run."""

from collections.abc import Iterator
from typing import Any

import typer
from rich.text import Text
from rich.tree import Tree

from metrics_tools.buckets.places import Place, open_place
from metrics_tools.command_line.options import (
    BucketOption,
    DemoOption,
    FileArgument,
    FolderOption,
    JsonOption,
    ManifestOption,
)
from metrics_tools.console import WRONG, emit, impossible, out
from metrics_tools.cost.needs import Needs, SeriesNeed, WithSnapshots, needs_of
from metrics_tools.cost.prices import AS_OF, LATENCY, REGION, Requests
from metrics_tools.describe.counts import Counts
from metrics_tools.describe.nodes import NodeView
from metrics_tools.formatting import count, duration, size
from metrics_tools.runs.requests import FileUnreadableError, read_argument, settings_of
from metrics_tools.runs.validation import Finding, Validation, print_problem, print_text
from metrics_worker.dataset.snapshots import MIN_PART_FILES
from metrics_worker.expression.nodes import SeriesRef

_LONGEST_WORDS = 300
"""The characters of an expression in words; a longer one is shown only as a tree."""
_OWN_GETS = 3
"""The GETs of a run apart from its inputs: marker, current, and the data that it reads back."""


def explain(
    file: FileArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    manifest: ManifestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain an expression: its meaning, its inputs, its cost, and the observations of each node.

    Without a location, the command shows the formula, the tree in plain
    words, the series and the datasets. With a bucket, a folder or the demo
    data, it reads the series as the worker does. It then also shows the
    observations and losses of each node, the part files, the requests by
    kind, and an estimate of the seconds and dollars of a run. Nothing is
    published.

    Exit: 0 explained, 1 the request is not valid, 2 the command could not
    complete.

    [bold]Examples[/bold]

      metrics explain my.json

      metrics explain events/momentum.json --demo

      metrics explain my.json --bucket my-data --json

      metrics explain "ratio(ECB_USD_EUR_D, lag(ECB_USD_EUR_D, 250)) * 100" --demo
    """
    place = open_place(bucket, folder, demo=demo, files=[file])
    validation = Validation(place, manifest or ())
    try:
        findings = [validation.of(asked) for asked in read_argument(file)]
    except FileUnreadableError as error:
        raise impossible(str(error)) from error
    if as_json:
        emit({"place": place and place.label, "requests": [_document(found, place) for found in findings]})
    else:
        for finding in findings:
            _print(finding, place)
    if any(finding.is_wrong() for finding in findings):
        raise typer.Exit(WRONG)


def _needs(finding: Finding, place: Place | None) -> Needs | None:
    request = finding.found.request
    snapshots = settings_of(place).snapshots == "on"
    inputs = finding.found.inputs if place else None
    return needs_of(request, inputs, snapshots=snapshots) if request else None


def _document(finding: Finding, place: Place | None) -> dict[str, Any]:
    view, needs = finding.found.view, _needs(finding, place)
    return finding.to_json(expression=view and view.to_json(), needs=needs and needs.to_json())


def _print(finding: Finding, place: Place | None) -> None:
    found = finding.found
    print_text(Text(found.metric_code or finding.asked.file, "bold"))
    if found.view is not None:
        print_text(Text(found.view.formula, "cyan"), 2)
        if len(found.view.words) <= _LONGEST_WORDS:
            print_text(Text(found.view.words), 2)
        _print_tree(found.view)
    if (needs := _needs(finding, place)) is not None:
        _print_needs(needs, found.view)
    for problem in found.problems:
        print_problem(problem, finding.asked.formula)
    if needs is not None and place is None:
        print_text(
            Text(
                "With --bucket, --folder or --demo: the observations and losses of each node, and the cost.",
                "dim",
            )
        )


def _print_tree(view: NodeView) -> None:
    """Print the tree of an expression: with connecting lines on a terminal, otherwise with indentation."""
    if not out.is_terminal:
        for line, depth in _lines(view):
            print_text(line, 2 + 2 * depth)
        return
    tree = Tree(_label(view), guide_style="dim")
    rest = [(tree, view)]
    while rest:
        branch, at = rest.pop()
        rest += [(branch.add(_label(operand)), operand) for operand in at.operands]
    out.print(tree)


def _lines(view: NodeView, depth: int = 0) -> Iterator[tuple[Text, int]]:
    yield _label(view), depth
    for operand in view.operands:
        yield from _lines(operand, depth + 1)


def _label(view: NodeView) -> Text:
    """Return the line of the tree for one node, such as `left: the mean of the last 14 observations`.

    The line begins with the position of the node among the operands of its parent (`left`, `right` or a
    number from 1; nothing for a single operand), and ends with the numbers of observations and losses if the
    series were read.
    """
    place = view.path.rpartition(".")[2]
    text = Text()
    if place in {"left", "right"}:
        text.append(f"{place}: ", "dim")
    elif place.startswith("operands["):
        text.append(f"{int(place[9:-1]) + 1}: ", "dim")
    text.append(view.formula if isinstance(view.node, SeriesRef) else view.step)
    if view.counts is not None:
        text.append("  ").append_text(_has(view.counts))
    return text


def _has(counts: Counts) -> Text:
    text = Text(count(counts.observations, "observation"), "green" if counts.observations else "bold red")
    losses = list(counts.losses)
    if counts.of_some:
        losses.append(f"{counts.of_some:,} without some of its operands")
    if losses:
        text.append(f"; {', '.join(losses)}", "yellow")
    return text


def _print_needs(needs: Needs, view: NodeView | None) -> None:
    print_text(Text("Series", "bold"))
    for need in needs.series:
        print_text(_series(need), 2)
    counts = view and view.counts
    if counts and counts.first and counts.last:
        print_text(Text("Result", "bold"))
        rows = count(counts.observations, "row")
        print_text(Text(f"{rows}, {counts.first:%Y-%m-%d} to {counts.last:%Y-%m-%d}"), 2)
    if needs.requests is not None:
        _print_run(needs, needs.requests)


def _print_run(needs: Needs, asked: Requests) -> None:
    """Print the requests that a run makes to AWS, and the seconds and dollars that they cost.

    Args:
        needs: the estimate for a run of which every series was read.
        asked: the requests in this estimate.
    """
    print_text(Text("A run", "bold"))
    files, of_files = needs.part_files or 0, asked.gets - _OWN_GETS - needs.manifests
    reading = (
        count(files, "part file") if files == of_files else f"{of_files:,} for {count(files, 'part file')}"
    )
    lists = f", {count(asked.lists, 'LIST')}" if asked.lists else ""
    manifests = count(needs.manifests, "manifest")
    print_text(Text(f"{asked.gets:,} GETs: {manifests}, {reading}, {_OWN_GETS} of its own{lists}"), 2)
    rest = f"{asked.puts} PUTs, {asked.publishes} status events, {asked.queue_calls} queue calls"
    print_text(Text(f"{rest}, {size(needs.bytes_read or 0)} to read"), 2)
    seconds, dollars = duration(needs.seconds or 0), needs.dollars or 0
    print_text(Text(f"about {seconds} and ${dollars:.6f}: ${dollars * 1e6:,.0f} a million"), 2)
    print_text(Text(_with_snapshots(needs.with_snapshots)), 2)
    basis = (
        f"estimated for a run alone, at {duration(LATENCY)} a request, with list prices of {REGION} on "
        f"{AS_OF}; in a batch over the same series the part files are read once for all"
    )
    print_text(Text(basis, "dim"), 2)


def _with_snapshots(needs: WithSnapshots | None) -> str:
    """Return a line with the requests and the cost of a run that uses snapshots.

    Args:
        needs: the needs of such a run; None if it would use no snapshot.
    """
    if needs is None:
        fewer = f"each series has fewer than {MIN_PART_FILES} part files"
        return f"no snapshot is used: WORKER_SNAPSHOTS is off, or {fewer}"
    lists = f", {count(needs.requests.lists, 'LIST')}" if needs.requests.lists else ""
    return (
        f"with {count(needs.snapshots, 'snapshot')}, if {count(needs.part_files, 'part file')} must be read: "
        f"{needs.requests.gets:,} GETs{lists}, {size(needs.bytes_read)} to read, about "
        f"{duration(needs.seconds)} and ${needs.dollars:.6f}: ${needs.dollars * 1e6:,.0f} a million"
    )


def _series(need: SeriesNeed) -> Text:
    text = Text(need.code, "cyan")
    text.append(f"  {need.dataset_id or 'looked for in the whole catalog'}", "default")
    if need.dataset_version:
        text.append(f" {need.dataset_version}", "default")
    if need.part_files is not None and need.rows is not None:
        text.append(f"  {count(need.part_files, 'part file')}, ", "default")
        text.append(f"{count(need.observations or 0, 'observation')} of {count(need.rows, 'row')}", "default")
    for reason, rows in (need.left_out or {}).items():
        text.append(f", {rows:,} {reason}", "yellow")
    return text
