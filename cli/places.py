"""Where a command reads, and may publish: a deployed bucket, a plain folder, or the demo data in memory."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import obstore
import typer
from obstore.store import LocalStore, MemoryStore

from cli.console import impossible
from local import ecb
from local.cloud import BUCKET
from metrics_worker.store import Bucket

BucketOption = Annotated[
    str | None,
    typer.Option("--bucket", help="A bucket, with your AWS credentials (AWS_ENDPOINT_URL counts)."),
]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="A folder with the bucket's keys: datasets/…, metrics/…")
]
DemoOption = Annotated[
    bool, typer.Option("--demo", help="The ECB's daily exchange rates, in memory: no cloud, no network.")
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command reads, and may publish.

    Attributes:
        bucket: the worker's own view of it.
        label: what people are told it is.
    """

    bucket: Bucket
    label: str


def open_place(bucket: str | None, folder: Path | None, *, demo: bool) -> Place | None:
    """The place that the options name, or None where they name none. More than one is impossible."""
    if sum((bucket is not None, folder is not None, demo)) > 1:
        raise impossible("Choose one of --bucket, --folder and --demo.")
    if bucket is not None:
        region = os.environ.get("AWS_REGION", "us-east-1")
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        return Place(Bucket.connect(bucket, region=region, endpoint_url=endpoint), f"s3://{bucket}")
    if folder is not None:
        return Place(Bucket(LocalStore(folder), BUCKET), str(folder))
    return demo_place() if demo else None


def demo_place() -> Place:
    """The demo data: the usual currencies of the ECB's file, laid out as the production's."""
    store, rates, now = MemoryStore(), ecb.read_rates(), datetime.now(UTC).replace(microsecond=0)
    chosen = {currency: rates[currency] for currency in ecb.CURRENCIES}
    names = []
    for name, body in ecb.part_files(chosen, now):
        obstore.put(store, ecb.PROJECTIONS + name, body)
        names.append(name)
    version = ecb.version_of(rates)
    manifest = ecb.manifest(chosen, names, now) | {"version_id": version}
    obstore.put(store, ecb.manifest_key(version), json.dumps(manifest).encode())
    return Place(Bucket(store, BUCKET), "the demo data")
