"""`metrics prune`: list and delete the objects that nothing refers to."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from metrics_tools import console
from metrics_tools.buckets.places import metrics_prefix
from metrics_tools.command_line.options import BucketOption, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import published_place
from metrics_tools.console import emit, impossible
from metrics_tools.formatting import age, count, size
from metrics_tools.pruning import Unreferenced, delete, find_unreferenced
from metrics_worker.request import iso
from metrics_worker.s3.s3_bucket import S3Bucket


def prune(
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    days: Annotated[
        float, typer.Option("--days", min=1, help="Keep everything that was written in the last DAYS days.")
    ] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Delete the listed objects.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list, which is the default.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List versions and snapshots that nothing refers to; delete them with --yes.

    A version is listed if neither a marker nor current names it: it is from
    an attempt that was killed or that lost a race against another attempt.
    A snapshot is listed if none of its part files exists, or if it cannot
    be decoded. Without --yes, nothing is deleted. Before a version is
    deleted, its metric is checked again. Committed versions, markers,
    current, dead letters and datasets are never deleted.

    Exit: 0 listed or deleted, 2 the command could not complete.

    [bold]Examples[/bold]

      metrics prune --bucket my-data

      metrics prune --bucket my-data --days 7 --yes
    """
    if yes and dry_run:
        raise impossible("Choose one of --yes and --dry-run.")
    before = datetime.now(UTC) - timedelta(days=days)
    with published_place(bucket=bucket, folder=folder) as place:
        store = place.bucket
        assert isinstance(store, S3Bucket)  # no other bucket can be selected by these options
        found = list(find_unreferenced(store, metrics_prefix(), before=before))
        outcomes = []
        for one in found:
            kept = delete(store, one, before=before) if yes else one.kept
            outcomes.append((one, kept))
            if not as_json:
                _print(one, kept, is_deleted=yes and not kept)
    removable = [one for one, kept in outcomes if not kept]
    octets = sum(one.size for one in removable)
    if as_json:
        documents = [_document(one, kept, is_deleted=yes and not kept) for one, kept in outcomes]
        emit({"place": place.label, "deleted": yes, "bytes": octets, "unreferenced": documents})
        return
    total = (
        f"{count(len(removable), 'unreferenced version or snapshot', 'unreferenced versions and snapshots')}"
    )
    if yes:
        console.print_line(f"{place.label}: {total} deleted, {size(octets)}", "green")
    else:
        hint = " Nothing was deleted: --yes deletes them." if removable else ""
        console.print_line(f"{place.label}: {total}, {size(octets)}.{hint}")


def _print(one: Unreferenced, kept: str, *, is_deleted: bool) -> None:
    old = age((datetime.now(UTC) - one.modified_at).total_seconds())
    mark = "kept" if kept else "deleted" if is_deleted else "unreferenced"
    reason = f"{one.why}; kept, because {kept}" if kept else one.why
    console.print_line(f"{mark:12}  {one.where}  {size(one.size)}, {old} old", "dim" if kept else "")
    console.print_line(f"              {reason}", "dim")


def _document(one: Unreferenced, kept: str, *, is_deleted: bool) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "where": one.where,
        "keys": list(one.keys),
        "bytes": one.size,
        "modified_at": iso(one.modified_at, "milliseconds"),
        "why": one.why,
        "kept": kept or None,
        "deleted": is_deleted,
    }
