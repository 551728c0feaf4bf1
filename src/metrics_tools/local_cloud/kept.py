"""out/s3/: a copy of what the runs published, same keys, to look at when the local cloud is gone."""

import shutil
from pathlib import Path

from metrics_tools.local_cloud.cloud import BUCKET, Cloud, client


def keep(cloud: Cloud, prefix: str, folder: Path) -> int:
    """Copy every object under a prefix into a folder; how many.

    A key that leads out of the folder is left out: keys come from requests.

    Args:
        cloud: where the objects are.
        prefix: of the keys, `metrics/`.
        folder: what it held before is removed.
    """
    empty(folder)
    s3 = client("s3", cloud.endpoint)
    count = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        for found in page.get("Contents", []):
            path = folder / found["Key"]
            if not path.resolve().is_relative_to(folder.resolve()):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read())
            count += 1
    return count


def empty(folder: Path) -> None:
    """Make the folder, with nothing in it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
