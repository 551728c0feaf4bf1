"""The error classes: their codes on the wire, their messages, and exactly one remedy for each error.

The base class of an error determines the remedy: a message with a `TransientError`, for example, is
redelivered.
"""

import re
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from metrics_worker import errors
from metrics_worker.errors import (
    InputReadError,
    InternalError,
    MetricsWorkerError,
    PermanentError,
    StoreRefusal,
    TransientError,
    UnanswerableError,
    as_permanent,
)
from metrics_worker.problem import first_error, problems_of

CODES = {
    "ConfigError": "CONFIG_ERROR",
    "ExpressionError": "EXPRESSION_EVAL_ERROR",
    "InputReadError": "INPUT_READ_ERROR",
    "OutputWriteError": "OUTPUT_WRITE_ERROR",
    "ManifestValidationError": "MANIFEST_VALIDATION_ERROR",
    "GaveUp": "INTERNAL_ERROR",
    "InternalError": "INTERNAL_ERROR",
}


def tree(kind=MetricsWorkerError):
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_each_permanent_error_has_its_code():
    assert {kind.__name__: kind.code for kind in PermanentError.__subclasses__()} == CODES


def test_the_docstring_shows_the_whole_error_tree():
    drawn = re.findall(r"[A-Z]\w+", errors.__doc__.partition("The wire")[0])
    for kind in tree():
        assert kind.__name__ in drawn


def test_every_error_has_a_docstring():
    assert all(kind.__doc__ for kind in tree())


def test_no_error_has_two_remedies():
    remedies = (PermanentError, TransientError, UnanswerableError, StoreRefusal)
    for kind in tree():
        if kind is not MetricsWorkerError:
            assert sum(issubclass(kind, remedy) for remedy in remedies) == 1


def test_a_message_is_a_subject_and_its_problem():
    error = InputReadError("datasets/fx/m.json", "there is no such object")
    assert (error.subject, error.problem) == ("datasets/fx/m.json", "there is no such object")
    assert error.message == "datasets/fx/m.json: there is no such object"
    assert str(error) == "INPUT_READ_ERROR: datasets/fx/m.json: there is no such object"


def test_the_error_of_a_series_has_the_text_that_the_control_plane_expects():
    error = InputReadError.of_series("X", "no observation")
    assert str(error) == "INPUT_READ_ERROR: Failed to read input series: X: no observation"


def test_a_permanent_error_stays_unchanged():
    error = InputReadError("a", "b")
    assert as_permanent(error) is error


def test_a_defect_becomes_an_internal_error_without_the_text_of_the_exception():
    error = as_permanent(KeyError("password=hunter2"))
    assert isinstance(error, InternalError)
    assert str(error).startswith("INTERNAL_ERROR: KeyError: ")
    assert "hunter2" not in str(error)


class _Model(BaseModel):
    name: str = Field(max_length=3)
    parts: list[int] = []
    more: dict[str, Any] = {}


def problem_of(value, path="root"):
    with pytest.raises(ValidationError) as raised:
        _Model.model_validate(value, strict=True)
    error = first_error(problems_of(raised.value, (path,) if path else ()))
    return error.subject, error.problem


def test_a_problem_has_the_json_path_of_the_invalid_value():
    assert problem_of({"name": "a", "parts": [1, "x"]})[0] == "root.parts[1]"
    assert problem_of({"name": "a", "parts": [1, "x"]}, "")[0] == "parts[1]"


def test_a_problem_shows_the_invalid_value():
    assert problem_of({"name": 7})[1].endswith(", found 7")
    assert problem_of({"name": None})[1].endswith(", found None")
    assert problem_of({})[1] == "Field required"


def test_a_long_invalid_value_is_truncated():
    assert len(problem_of({"name": "x" * 10_000})[1]) < 200


def test_other_problems_are_counted():
    assert problem_of({"name": 7, "parts": ["x", "y"]})[1].endswith("(and 2 more)")
