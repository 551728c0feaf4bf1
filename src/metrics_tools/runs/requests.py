"""The requests in a file: an event as in events/, a request as the control plane writes it, or an expression.

An argument that is not the name of a file can be the formula of an expression.
For a bare expression, `body_around` makes the body of a request and looks up the series in the datasets of a
bucket.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from metrics_tools.buckets.places import Place
from metrics_tools.console import impossible
from metrics_tools.file_contents import (
    ARGUMENT,
    Asked,
    asked_in,
    is_formula_argument,
    of_formula,
)
from metrics_tools.request_files import (
    metric_code_of,
    request_around,
)
from metrics_tools.runs.computing import settings_for
from metrics_tools.validate.discovery import Discovered, newest, of_manifests
from metrics_tools.validate.json_text import load
from metrics_worker.errors import ExpressionError, StoreUnavailable
from metrics_worker.expression.grammar import ROOT, parse, series_codes
from metrics_worker.request_check import PLACEHOLDER_BUCKET, Bounds
from metrics_worker.settings import Settings

STANDARD_INPUT = "-"
_CODE = re.compile(r"[\w:-]+(\.[A-Z0-9][\w:-]*)*")
"""A series code, but not the name of a file with an extension such as `.json`, which is in lower case."""
_NAMED_BUCKET = r'{}\\*"\s*:\s*\\*"s3://([^/\s"\\]+)/'
"""A pattern for the bucket in a field of a request, whose quotes are escaped if the JSON is in a string."""


class FileUnreadableError(Exception):
    """The error if a file does not exist or can't be read. Its text contains the path and the reason."""


def read_file(file: str) -> list[Asked]:
    """Return the request or bare expression in a file; for an event, one request for each record.

    Invalid content does not raise an error: `Asked.problems` describes it.

    Raises:
        FileUnreadableError: the file does not exist or can't be read.
    """
    try:
        raw = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise FileUnreadableError(f"{file}: {error.strerror}.") from error
    return asked_in(file, raw)


def read_argument(argument: str) -> list[Asked]:
    """Return the requests in a file, as `read_file` does, or the expression of a formula.

    Args:
        argument: the path of the file, or the formula.

    Raises:
        FileUnreadableError: there is no such file and the argument is not meant as a formula, or the file
            can't be read.
    """
    try:
        return read_file(argument)
    except FileUnreadableError as error:
        if is_formula_argument(argument):
            return [of_formula(argument, file=ARGUMENT)]
        if _CODE.fullmatch(argument):
            hint = f"The formula of a series alone is in quotation marks: '\"{argument}\"'"
            if argument.count("-") == 1 and not argument.startswith("-") and not argument.endswith("-"):
                difference = argument.replace("-", " - ")
                hint += f"; that of a difference has blanks around the minus: '{difference}'"
            raise FileUnreadableError(f"{error} {hint}") from error
        raise


def settings_of(place: Place | None) -> Settings:
    """Return the worker's settings from the environment, with the bucket of a location as the data bucket.

    Without a location (None), the data bucket is `PLACEHOLDER_BUCKET`.
    """
    return settings_for(place.bucket.name if place else PLACEHOLDER_BUCKET)


def bounds_of(settings: Settings, body: str, place: Place | None) -> Bounds:
    """Return the limits against which a request is checked, with the data bucket that its paths must name.

    Args:
        settings: the worker's settings, which contain the other limits.
        body: the request as JSON text.
        place: the location of the datasets, whose bucket `settings` names. If it is None, the data bucket is
            the one that the paths in the request name.
    """
    fields = ("basePath", "manifestPath", "projectionsPath") if place is None else ()
    named = [name for field in fields for name in re.findall(_NAMED_BUCKET.format(field), body)]
    bucket = next((name for name in named if name != PLACEHOLDER_BUCKET), settings.bucket)
    return replace(settings.bounds, bucket=bucket)


def _datasets_there(place: Place, settings: Settings, manifests: Sequence[str]) -> Discovered:
    """Return the datasets in which the series of a bare expression are looked up.

    If there are none, the command ends with an error.

    Args:
        place: the location of the datasets.
        settings: the worker's settings.
        manifests: the keys of the manifests to use; if empty, the newest manifest of each dataset.
    """
    try:
        if manifests:
            return of_manifests(place.bucket, manifests)
        discovered = newest(place.bucket, settings.datasets_prefix)
    except ValueError as error:
        raise impossible(f"--manifest: {error}.") from error
    except StoreUnavailable as error:
        raise impossible(f"{place.label}: {error}.") from error
    if not discovered.datasets:
        raise impossible(
            f"{place.label}: there is no {settings.datasets_prefix}*/versions/*/manifest.json. An expression "
            "needs a dataset: name one by --manifest, or write a whole request."
        )
    return discovered


def body_around(asked: Asked, settings: Settings, place: Place | None, manifests: Sequence[str]) -> str:
    """Return the body of a request for a bare expression, with the unchanged text of the expression.

    A series that exactly one dataset contains is listed in the request's `inputs`; the worker looks up any
    other series in the datasets of the catalog. If the expression is not valid, neither is the request.

    Args:
        asked: the expression.
        settings: the worker's settings.
        place: the location of the datasets; None for a request without datasets.
        manifests: the keys of the manifests to search for the series; if empty, the newest of each dataset.
    """
    discovered = _datasets_there(place, settings, manifests) if place else None
    expression = load(asked.body).value
    try:
        codes = series_codes(parse(expression))
    except ExpressionError:
        codes = ()
    homes = discovered.homes(codes) if discovered else {}
    datasets = discovered.datasets if discovered else {}
    needed = set(homes.values()) if codes and len(homes) == len(codes) else set(datasets)
    request = request_around(
        expression,
        metric_code=metric_code_of(Path(asked.file)),
        prefix=settings.metrics_prefix,
        homes=homes,
        datasets=[found for id_, found in datasets.items() if id_ in needed],
    )
    del request[ROOT]
    return f'{json.dumps(request)[:-1]}, "{ROOT}": {asked.body}}}'
