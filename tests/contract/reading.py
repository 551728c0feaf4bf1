"""Functions that build requests and datasets for tests, and a reader of the series of a request."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import obstore
import pyarrow as pa
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
    """Return the `Datasets` of a new invocation, which find and read the part files of its series.

    Args:
        files: whether part files are found in the manifest of their dataset or by a listing of S3.
        part_files: the largest number of part files of a run.
        rows: the largest number of rows of a run.
        manifest_bytes: the largest size of a dataset manifest in bytes.
        memory: the memory in bytes that the runs of the invocation share.
    """
    return Datasets(
        files,
        Limits(part_files=part_files, rows=rows, manifest_bytes=manifest_bytes),
        Memory(memory),
        DECODER,
    )


@dataclass
class Reader:
    """A callable that reads the series of a request as a run does, and returns their values by series code.

    Attributes:
        bucket: the bucket with the datasets.
        inputs: the `InputSeries` of the last call, by series code.
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


def only(code: str = "A", **more: Any) -> dict[str, Any]:
    """Return a request for one series of the dataset fx; `more` are arguments of `builders.request`."""
    return request(series(code), kind="series", inputs={code: "fx"}, **more)


def left_out(code: str = "A", datasets: Sequence[str] = ("fx", "gx")) -> dict[str, Any]:
    """Return a request for one series that does not say in its `inputs` which dataset has the series.

    Args:
        code: the series code.
        datasets: the ids of the datasets in the catalog of the request.
    """
    return request(series(code), kind="series", inputs={}, datasets=datasets)


def put_manifest(cloud, body, dataset="fx"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    obstore.put(cloud.store, f"datasets/{dataset}/versions/v1/manifest.json", content, use_multipart=False)


def failure(
    read: Callable[..., object], *args: Any, kind: type[Exception] = InputReadError, **options: Any
) -> str:
    """Assert that a call raises an error, and return the message of the error.

    Args:
        read: the function that is called with the further arguments.
        args: its positional arguments.
        kind: the expected class of the error.
        options: its keyword arguments.
    """
    with pytest.raises(kind) as raised:
        read(*args, **options)
    return str(raised.value)


def month(code: str | None, number: int, *, first: float = 1) -> pa.Table:
    """Return the rows of a part file with observations on the first two days of one month.

    All months have 31 days, and month 0 begins on 1 January 2026.

    Args:
        code: the series code of the rows; if it is None, the table has no column `internal_series_code`.
        number: the number of the month.
        first: the value of the first day; the value of the second day is larger by 1.
    """
    return rows(code, [day(31 * number + 1), day(31 * number + 2)], [float(first), float(first + 1)])
