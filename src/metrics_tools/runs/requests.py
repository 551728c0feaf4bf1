"""The requests of a file: an event as in events/, a request as the control plane writes it, or an expression.

An author may have no more than an expression: `full_request` makes a request out of it and a place, whose
datasets are looked through for its series. Commands that need requests take files by `read_requests`.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from metrics_tools import ecb
from metrics_tools.buckets.places import Place, currencies_in, demo_place
from metrics_tools.console import impossible
from metrics_tools.request_files import EventFileError, Sample, metric_code_of, samples_in
from metrics_tools.runs.computing import all_of, settings_for
from metrics_tools.validate.contract import NODE_FIELDS
from metrics_tools.validate.discovery import Shelf, newest, of_manifests
from metrics_tools.validate.json_text import load
from metrics_tools.validate.problems import Problem, shown
from metrics_worker.errors import ExpressionError, StoreUnavailable
from metrics_worker.expression.grammar import ROOT, expression_type, parse, series_codes
from metrics_worker.request import REQUESTED
from metrics_worker.request_check import PLACEHOLDER_BUCKET, Bounds
from metrics_worker.settings import Settings

STANDARD_INPUT = "-"
_NAMED_BUCKET = r'{}\\*"\s*:\s*\\*"s3://([^/\s"\\]+)/'
"""After a field, in the text of a request, which may stand as a text in another."""
_REQUEST_FIELDS = {
    "type",
    "runId",
    "metricCode",
    "expressionType",
    ROOT,
    "inputs",
    "catalog",
    "output",
    "Message",
}

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A request, an event as in events/, or an expression; - is standard input."
    ),
]
FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE", help="Requests, events as in events/, or expressions; - is standard input."
    ),
]
ManifestOption = Annotated[
    list[str] | None,
    typer.Option(
        "--manifest",
        metavar="KEY",
        help="For a bare expression: the key of a dataset's manifest, in place of all datasets' newest.",
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a file asks for.

    Attributes:
        file: its path, as it was given.
        body: the request, or the notification that carries it; of an expression that alone.
        is_expression: whether it is an expression, without a request around it.
        record: its place among the records of an event; None where it stands alone.
        problems: what keeps it from being looked at.
    """

    file: str
    body: str = ""
    is_expression: bool = False
    record: int | None = None
    problems: tuple[Problem, ...] = ()


class FileUnreadableError(Exception):
    """There is no such file, or it can't be read; the text says which and why."""


def read_requests(
    path: Path, place: Callable[[], Place | None] = lambda: None, manifests: Sequence[str] = ()
) -> list[Sample]:
    """The requests of a file; where it holds none, the command ends there.

    Args:
        path: of the file.
        place: asked where the series of an expression are, where the file holds one without a request around
            it. Without a place it is no request.
        manifests: the keys of the manifests to look in; without any, every dataset's newest.
    """
    try:
        raw = _read(str(path))
        asked = _asked(str(path), raw)
        if len(asked) == 1 and asked[0].is_expression and not asked[0].problems:
            return [_made(path, asked[0], place(), manifests)]
        return samples_in(path, raw)
    except (EventFileError, FileUnreadableError) as error:
        raise impossible(str(error)) from error


def read_file(file: str) -> list[Asked]:
    """Return the requests of a file: of an event with several records, all.

    Raises:
        FileUnreadableError: there is no such file, or it can't be read.
    """
    return _asked(file, _read(file))


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise FileUnreadableError(f"{file}: {error.strerror}.") from error


def _asked(file: str, raw: bytes) -> list[Asked]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        text = f"not UTF-8: byte {error.start:,} is 0x{raw[error.start]:02x}"
        return [Asked(file, problems=(Problem("", text, suggestion="save it as UTF-8"),))]
    loaded = load(text)
    if not loaded.is_json:
        return [Asked(file, problems=loaded.problems)]
    match loaded.value:
        case {"Records": list(records)} if records:
            return [_of_record(file, number, record) for number, record in enumerate(records)]
        case {"Records": records}:
            problem = Problem("Records", "an event holds a list of records, one or more", shown(records))
            return [Asked(file, problems=(problem,))]
        case dict() as fields if not fields.keys() & _REQUEST_FIELDS and fields.keys() & set(NODE_FIELDS):
            return [Asked(file, text, is_expression=True)]
    return [Asked(file, text)]


def _of_record(file: str, number: int, record: Any) -> Asked:
    body = record.get("body") if isinstance(record, dict) else None
    if isinstance(body, str):
        return Asked(file, body, record=number)
    text = "a record has a body, a text" if isinstance(record, dict) else "a record is an object with a body"
    path = f"Records[{number}].body" if isinstance(record, dict) else f"Records[{number}]"
    return Asked(file, record=number, problems=(Problem(path, text, shown(body or record)),))


def settings_of(place: Place | None) -> Settings:
    """The worker's settings for reading there."""
    return settings_for(place.bucket.name if place else PLACEHOLDER_BUCKET)


def bounds_of(settings: Settings, body: str, place: Place | None) -> Bounds:
    """Where a request may lead. Without a place, the bucket is the one that the request itself names."""
    fields = ("basePath", "manifestPath", "projectionsPath") if place is None else ()
    named = [name for field in fields for name in re.findall(_NAMED_BUCKET.format(field), body)]
    bucket = next((name for name in named if name != PLACEHOLDER_BUCKET), settings.bucket)
    return replace(settings.bounds, bucket=bucket)


def datasets_there(place: Place, settings: Settings, manifests: Sequence[str] = ()) -> Shelf:
    """The datasets that an expression's series are looked for in; where there are none, the command ends."""
    try:
        if manifests:
            return of_manifests(place.bucket, manifests)
        shelf = newest(place.bucket, settings.datasets_prefix)
    except ValueError as error:
        raise impossible(f"--manifest: {error}.") from error
    except StoreUnavailable as error:
        raise impossible(f"{place.label}: {error}.") from error
    if not shelf.datasets:
        raise impossible(
            f"{place.label}: there is no {settings.datasets_prefix}*/versions/*/manifest.json. An expression "
            "needs a dataset: name one by --manifest, or write a whole request."
        )
    return shelf


def full_request(
    expression: Any, metric_code: str, settings: Settings, shelf: Shelf | None
) -> dict[str, Any]:
    """The request that asks for an expression, which may be wrong: then so is the request.

    Args:
        expression: parsed JSON.
        metric_code: what the metric is to be called.
        settings: the worker's.
        shelf: the datasets that may have its series. A series that exactly one has is said to be in that; any
            other is left to the worker, which looks through the catalog.
    """
    try:
        node = parse(expression)
        kind, codes = expression_type(node), series_codes(node)
    except ExpressionError:
        kind, codes = "series", ()
    homes = shelf.homes(codes) if shelf else {}
    datasets = shelf.datasets if shelf else {}
    needed = set(homes.values()) if codes and len(homes) == len(codes) else set(datasets)
    return {
        "type": REQUESTED,
        "runId": str(uuid4()),
        "metricCode": metric_code,
        "expressionType": kind,
        ROOT: expression,
        "inputs": [{"datasetId": home, "seriesCode": code} for code, home in homes.items()],
        "catalog": {
            "datasets": {
                id_: {"manifestPath": found.manifest_key, "projectionsPath": found.projections_prefix}
                for id_, found in datasets.items()
                if id_ in needed
            }
        },
        "output": {"basePath": f"s3://{PLACEHOLDER_BUCKET}/{settings.metrics_prefix}{metric_code}/"},
    }


def body_around(asked: Asked, settings: Settings, shelf: Shelf | None) -> str:
    """The body of a request for a file's expression, whose text stands in it as it is."""
    request = full_request(load(asked.body).value, metric_code_of(Path(asked.file)), settings, shelf)
    del request[ROOT]
    return f'{json.dumps(request)[:-1]}, "{ROOT}": {asked.body}}}'


def _made(path: Path, asked: Asked, place: Place | None, manifests: Sequence[str]) -> Sample:
    if place is None:
        raise impossible(
            f"{path}: it is an expression without a request around it. `metrics run {path} --demo` (or "
            "--folder, --bucket) finds its series; `metrics send` and the like need a whole request."
        )
    settings = settings_of(place)
    body = body_around(asked, settings, datasets_there(place, settings, manifests))
    return Sample(path, body, json.loads(body))


def demo_for(samples: Sequence[Sample], files: Sequence[str | Path]) -> Place:
    """The demo data, where nobody has chosen a place: for requests that read its dataset, and no others."""
    if not all_of(samples, ecb.DATASET_ID):
        raise impossible(
            "Where is the data? Say --bucket NAME, --folder FOLDER, or --demo for the ECB's exchange rates "
            f"(dataset {ecb.DATASET_ID}, which this request does not read alone)."
        )
    return demo_place(currencies_in(files))
