"""`metrics demo`: the demo data as a folder, to publish into."""

from pathlib import Path
from typing import Annotated

import typer

from metrics_tools import console, ecb
from metrics_tools.buckets.folder import FolderBucket
from metrics_tools.console import JsonOption, emit, impossible
from metrics_worker.errors import MetricsWorkerError


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; it may exist.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Write the demo data into a folder: the ECB's daily exchange rates, laid out as a deployed dataset.

    Then every command takes it with --folder, and `metrics run --publish`
    publishes there. Where that version of the dataset is there already,
    nothing is written.

    Exit: 0 it is there, 2 impossible.

    [bold]Examples[/bold]

      metrics demo data

      metrics run events/run.json --folder data --publish
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = FolderBucket(folder, ecb.BUCKET)
        if place.find(ecb.manifest_key(ecb.version_of(ecb.read_rates()))) is not None:
            if not as_json:
                console.print_line(f"{folder}: the demo data is there already")
                return
            emit({"folder": str(folder), "dataset": ecb.DATASET_ID, "written": False})
            return
        if not as_json:
            console.print_line(f"Writing the demo data into {folder}: some seconds", "dim")
        loaded = ecb.write_dataset(lambda key, body: _put(place, key, body))
    except OSError as error:
        raise impossible(f"{folder}: {error.strerror}") from error
    except MetricsWorkerError as error:
        raise impossible(f"{folder}: {error}") from error
    if as_json:
        version, files = loaded.version, loaded.files
        emit(
            {
                "folder": str(folder),
                "dataset": ecb.DATASET_ID,
                "version": version,
                "part_files": files,
            }
        )
        return
    console.print_line(
        f"{folder}: dataset {ecb.DATASET_ID}, version {loaded.version}: {loaded.observations:,} observations "
        f"of {loaded.series} series, {loaded.first} to {loaded.last}, in {loaded.files:,} part files"
    )
    console.print_line(f"Source: {ecb.SOURCE}, {ecb.SOURCE_URL}", "dim")
    console.print_line(f"Try: metrics run events/run.json --folder {folder} --publish")


def _put(place: FolderBucket, key: str, body: bytes) -> None:
    """Part files as plain files, since nobody reads them before the manifest is there; that one whole."""
    if not key.startswith(ecb.PROJECTIONS):
        place.create(key, body)
        return
    path = place.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
