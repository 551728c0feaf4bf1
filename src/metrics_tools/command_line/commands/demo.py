"""`metrics demo`: write the demo data to a folder. Runs can also publish versions to this folder."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from metrics_tools import console, ecb
from metrics_tools.buckets.folder import FolderBucket
from metrics_tools.command_line.options import JsonOption
from metrics_tools.console import emit, impossible
from metrics_worker.errors import MetricsWorkerError


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder; it may exist.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Write the demo data, the ECB's daily exchange rates, to a folder.

    The files in the folder have the same names as the objects of a deployed
    dataset. Every command can read the folder with --folder, and `metrics
    run --publish` can publish to it. If the folder has this version of the
    dataset already, nothing is written.

    Exit: 0 the folder has the demo data, 2 the command could not complete.

    [bold]Examples[/bold]

      metrics demo data

      metrics run events/run.json --folder data --publish
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        bucket = FolderBucket(folder, ecb.BUCKET)
        loaded = None
        if bucket.find(ecb.manifest_key(ecb.version_of(ecb.read_rates()))) is None:
            if not as_json:
                console.print_line(f"Writing the demo data into {folder}: some seconds", "dim")
            loaded = ecb.write_dataset(lambda key, body: _put(bucket, key, body))
    except OSError as error:
        raise impossible(f"{folder}: {error.strerror}") from error
    except MetricsWorkerError as error:
        raise impossible(f"{folder}: {error}") from error
    written = {"version": loaded.version, "part_files": loaded.files} if loaded else {"written": False}
    if as_json:
        emit({"folder": str(folder), "dataset": ecb.DATASET_ID, **written})
    elif loaded is None:
        console.print_line(f"{folder}: the folder has the demo data already")
    else:
        console.print_line(
            f"{folder}: dataset {ecb.DATASET_ID}, version {loaded.version}: {loaded.observations:,} "
            f"observations of {loaded.series} series, {loaded.first} to {loaded.last}, "
            f"in {loaded.files:,} part files"
        )
        console.print_line(f"Source: {ecb.SOURCE}, {ecb.SOURCE_URL}", "dim")
        console.print_line(f"Try: metrics run events/run.json --folder {quote(str(folder))} --publish")


def _put(bucket: FolderBucket, key: str, body: bytes) -> None:
    """Write an object of the demo dataset to the folder.

    Part files need no conditional write: readers find them only through the dataset manifest, which is
    written last.
    """
    if not key.startswith(ecb.PROJECTIONS):
        bucket.create(key, body)
        return
    path = bucket.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
