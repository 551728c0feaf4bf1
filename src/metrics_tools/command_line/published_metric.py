"""The location and the keys of the metric on which a command about published versions works."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import typer

from metrics_tools.buckets.places import Place, metrics_prefix, open_place
from metrics_tools.console import impossible
from metrics_tools.published.metric import keys_of
from metrics_tools.published.overview import metric_codes
from metrics_worker.errors import MetricsWorkerError
from metrics_worker.publication.records import Keys


@contextmanager
def published_metric(code: str, *, bucket: str | None, folder: Path | None) -> Iterator[tuple[Place, Keys]]:
    """Yield the location of a metric, and the keys of its objects.

    The command ends with exit code 2 if neither `bucket` nor `folder` is given, or if the `with` block raises
    a MetricsWorkerError.
    """
    with published_place(bucket=bucket, folder=folder) as place:
        yield place, keys_of(code, prefix=metrics_prefix())


@contextmanager
def published_place(*, bucket: str | None, folder: Path | None, demo: bool = False) -> Iterator[Place]:
    """Yield the location that the options --bucket, --folder and --demo select.

    The command ends with exit code 2 if none of the options is given, or if the `with` block raises a
    MetricsWorkerError.
    """
    place = open_place(bucket, folder, demo=demo)
    if place is None:
        raise impossible("Where is the data? Give --bucket NAME or --folder FOLDER.")
    try:
        yield place
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error


def no_such_metric(code: str, place: Place) -> typer.Exit:
    """Print that a metric has no version. Suggest metrics with similar codes.

    Returns:
        The exception to raise, which ends the command with exit code 2.
    """
    return impossible(nothing_published(code, place))


def nothing_published(code: str, place: Place) -> str:
    """Return the message that a metric has no version at a location; it suggests similar metric codes."""
    prefix = metrics_prefix()
    try:
        codes = metric_codes(place.bucket, prefix)
    except MetricsWorkerError:
        codes = []
    alike = get_close_matches(code, codes, 3, 0.5)
    hint = f" Did you mean {' or '.join(alike)}?" if alike else ""
    return f"Nothing is published under {prefix}{code}/ at {place.label}.{hint}"
