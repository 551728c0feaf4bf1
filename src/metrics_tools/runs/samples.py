"""The requests that a command computes or sends, and the data from which it computes them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from metrics_tools import ecb
from metrics_tools.buckets.places import Place, currencies_in, demo_place
from metrics_tools.console import impossible, report_on_stderr
from metrics_tools.file_contents import Asked
from metrics_tools.request_files import EventFileError, Sample, samples_of
from metrics_tools.runs.requests import FileUnreadableError, body_around, read_argument, settings_of
from metrics_tools.runs.validation import Validation, print_problems
from metrics_tools.validate.problems import Problem
from metrics_worker.dataset.datasets import Datasets


def read_requests(
    file: str | Path, place: Callable[[], Place | None] = lambda: None, manifests: Sequence[str] = ()
) -> list[Sample]:
    """Return the requests in a file, or a new request for the bare expression or formula that is given.

    If the file cannot be read or contains no usable request, the command ends with an error.

    Args:
        file: the path of the file, or a formula.
        place: returns the location of the datasets of a bare expression; it is not called for other files.
            If it returns None, a bare expression ends the command with an error.
        manifests: the keys of the manifests in which the series of a bare expression are looked up; if empty,
            those of the newest version of each dataset.
    """
    try:
        found = read_argument(str(file))
    except FileUnreadableError as error:
        raise impossible(str(error)) from error
    match found:
        case [Asked(formula=formula, is_expression=is_expression) as asked] if formula or is_expression:
            # An invalid expression in JSON becomes an invalid request, which the worker rejects.
            if formula and _print_errors(found):
                raise impossible(f"{asked.file}: no request can be made, because the formula is not valid.")
            return [_made(asked, place(), manifests)]
    try:
        return samples_of(Path(found[0].file), found)
    except EventFileError as error:
        _print_errors(found)
        raise impossible(str(error)) from error


def _print_errors(found: Sequence[Asked]) -> bool:
    """Print on standard error the problems of requests, and return whether one of them is an error.

    The problems are those that `metrics validate` finds without a location.
    """
    validation, is_wrong = Validation(None), False
    for finding in map(validation.of, found):
        if finding.found.errors:
            is_wrong = True
            with report_on_stderr():
                print_problems(finding.found.problems, finding.asked.formula)
    return is_wrong


def _made(asked: Asked, place: Place | None, manifests: Sequence[str]) -> Sample:
    """Return a request for a bare expression, which ends the command with an error without a location."""
    if place is None:
        raise impossible(
            f"{asked.file}: it is an expression without a request around it. `metrics run "
            f"{asked.as_argument} --demo` (or --folder, --bucket) finds its series; other commands need a "
            "whole request."
        )
    body = body_around(asked, settings_of(place), place, manifests)
    return Sample(Path(asked.file), body, json.loads(body), asked, tuple(manifests))


def print_reasons(sample: Sample, place: Place) -> None:
    """Print every problem that `metrics validate` finds in the request of a failed run.

    The message of the run contains only the first error. Nothing is printed if no problem is an error.

    Args:
        sample: the request.
        place: the location of its datasets.
    """
    asked = _asked(sample)
    found = Validation(place, sample.manifests).of(asked).found
    if found.errors:
        print_problems(found.problems, asked.formula)


def warnings_about(sample: Sample, place: Place, datasets: Datasets) -> tuple[Problem, ...]:
    """Return the warnings of `metrics validate` about a request that was computed.

    Args:
        sample: the request.
        place: the location of its datasets.
        datasets: the datasets of the run. Its series are not read again; the manifests are, and the folders
            of the series are listed.
    """
    found = Validation(place, sample.manifests, datasets=datasets).of(_asked(sample)).found
    return tuple(problem for problem in found.problems if problem.severity == "warning")


def print_warnings(sample: Sample, warnings: Sequence[Problem]) -> None:
    """Print the warnings about a request as `metrics validate` does, with a caret in a formula."""
    print_problems(warnings, _asked(sample).formula)


def _asked(sample: Sample) -> Asked:
    return sample.asked or Asked(str(sample.path), sample.message)


def demo_for(samples: Sequence[Sample], files: Sequence[str | Path]) -> Place:
    """Return a location with demo data for only the currencies that the requests use.

    If a request reads a dataset other than the demo data, the command ends with an error.

    Args:
        samples: the requests.
        files: the files that contain the requests; the currencies are found in their text.
    """
    if any(sample.dataset_ids != {ecb.DATASET_ID} for sample in samples):
        raise impossible(
            "Where is the data? Say --bucket NAME, --folder FOLDER, or --demo for the ECB's exchange rates "
            f"(dataset {ecb.DATASET_ID}, which this request does not read alone)."
        )
    return demo_place(currencies_in(files))
