"""Functions that build requests and datasets for tests, and a reader of the series of a request."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import obstore
import pytest

from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.errors import InputReadError
from metrics_worker.limits import Limits, Memory
from metrics_worker.observability.traffic import Traffic
from metrics_worker.request import RunRequest, open_record
from metrics_worker.request_check import Bounds
from metrics_worker.s3.bucket import Bucket
from tests.builders import BUCKET, day, request, rows, series
from tests.decoding import DECODER

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")


def datasets_of(
    files: Literal["manifest", "listing"] = "manifest",
    *,
    part_files: int = 1000,
    rows: int = 1_000_000,
    manifest_bytes: int = 10_000_000,
    memory: int = 1_000_000_000,
) -> Datasets:
    """Return the `Datasets` of a new invocation, with the given limits on the series that it reads."""
    return Datasets(
        files,
        Limits(part_files=part_files, rows=rows, manifest_bytes=manifest_bytes),
        Memory(memory),
        DECODER,
    )


@dataclass
class Reader:
    """A reader that reads the series of a request in the same way as a run.

    Attributes:
        bucket: the bucket of the datasets.
        inputs: the series of the last request, by series code.
    """

    bucket: Bucket
    inputs: dict[str, InputSeries] = field(default_factory=dict)

    @property
    def traffic(self) -> Traffic:
        return self.bucket.traffic

    def __call__(
        self,
        event: dict[str, Any] | None = None,
        *,
        files: Literal["manifest", "listing"] = "manifest",
        on_progress: Callable[[float], None] = lambda _: None,
        datasets: Datasets | None = None,
    ) -> dict[str, list[float]]:
        run = open_record(json.dumps(event or request()), "0")
        found = RunRequest.parse(run, BOUNDS)
        self.inputs = (datasets or datasets_of(files)).read(found, self.bucket, on_progress)
        return {code: found.cleaned.series.values.tolist() for code, found in self.inputs.items()}


def only(code="A", **more):
    """Return a request for one series."""
    return request(series(code), kind="series", inputs={code: "fx"}, **more)


def left_out(code="A", datasets=("fx", "gx")):
    """Return a request for one series without `inputs`; `datasets` are the ids in its catalog."""
    return request(series(code), kind="series", inputs={}, datasets=datasets)


def put_manifest(cloud, body, dataset="fx"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    obstore.put(cloud.store, f"datasets/{dataset}/versions/v1/manifest.json", content, use_multipart=False)


def failure(read, *args, kind=InputReadError, **options):
    """Call a reader with the given arguments, assert that it raises an error, and return the message."""
    with pytest.raises(kind) as raised:
        read(*args, **options)
    return str(raised.value)


def month(code, number, *, first=1):
    """Return the rows of two days of a month; their values are `first` and `first` + 1."""
    return rows(code, [day(31 * number + 1), day(31 * number + 2)], [float(first), float(first + 1)])
