"""`metrics rollback`: make another version of a metric current, until a later request is published."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from metrics_tools import console
from metrics_tools.command_line.options import BucketOption, CodeArgument, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import no_such_metric, published_metric
from metrics_tools.console import emit, impossible
from metrics_tools.published.metric import version_names
from metrics_tools.published.rollback import RollbackRefusedError, roll_back

_FEW = 5


def rollback(
    code: CodeArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `metrics history` lists it.")],
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let readers use another version of a metric until a later request is published.

    The command makes VERSION the current version. All versions are kept, so
    the same command can also return to a newer version. A request from
    before the rollback is still computed and committed, even if its message
    is delivered or redriven later, but its version does not become current.
    The control plane is not notified. VERSION must be committed, and its
    manifest and data must be complete.

    Exit: 0 VERSION is current, 2 the rollback was refused, or the command
    could not complete.

    [bold]Examples[/bold]

      metrics rollback fx.usd_per_brl 2026-10-30T12-00-00 --bucket my-data

      metrics rollback fx.usd_per_brl 2026-10-30T12-00-00 --folder data --json
    """
    with published_metric(code, bucket=bucket, folder=folder) as (place, keys):
        names = version_names(place.bucket, keys)
        if not names:
            raise no_such_metric(code, place)
        subject = f"{code} at {place.label}"
        if version not in names:
            newest = ", ".join(names[:_FEW])
            raise impossible(f"{code} has no version {version} at {place.label}. The newest are {newest}.")
        try:
            done = roll_back(place.bucket, keys, version, now=lambda: datetime.now(UTC))
        except RollbackRefusedError as error:
            raise impossible(f"{subject}: {error} Nothing was changed.") from error
    if as_json:
        emit({"place": place.label, "metric_code": code, **asdict(done)})
    elif not done.changed:
        console.print_line(f"{subject}: current already names version {done.version_ts}")
    else:
        before = done.rolled_back_from
        console.print_line(f"{subject}: current now names version {done.version_ts}", "green")
        console.print_line(f"It named version {before} before." if before else "It did not exist before.")
        console.print_line(f"It stays until a request that is made after {done.rolled_back_at} is published.")
