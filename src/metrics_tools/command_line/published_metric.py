"""The metric that a command about published versions is asked for: its code, its bucket, and its absence."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from metrics_tools.buckets.places import Place, metrics_prefix, open_place
from metrics_tools.console import impossible
from metrics_worker.errors import StoreRefusal, StoreUnavailable

CodeArgument = Annotated[str, typer.Argument(metavar="CODE", help="The metric's code.")]


def published_place(bucket: str | None, folder: Path | None) -> Place:
    """A bucket or folder; the demo data has no versions."""
    place = open_place(bucket, folder, demo=False)
    if place is None:
        raise impossible("Where is it published? Say --bucket NAME or --folder FOLDER.")
    return place


def no_such_metric(code: str, place: Place) -> typer.Exit:
    """Say that nothing is published, and what is that has a like name; to be raised."""
    prefix = metrics_prefix()
    try:
        found = place.bucket.list_folders(prefix)
    except (StoreRefusal, StoreUnavailable):
        found = []
    codes = [name.rstrip("/").rpartition("/")[2] for name in found]
    alike = get_close_matches(code, [name for name in codes if not name.startswith("_")], 3, 0.5)
    hint = f" Did you mean {' or '.join(alike)}?" if alike else ""
    return impossible(f"Nothing is published under {prefix}{code}/ at {place.label}.{hint}")
