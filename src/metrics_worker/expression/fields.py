"""The base class of expression nodes, and the types of their fields: the allowed values of each field."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from metrics_worker.time_zones import is_zone

MAX_WINDOW = 1_000_000
"""The longest window, in any unit. (A window longer than its series gives an empty result anyway.)"""
MAX_AGE_DAYS = 1_000_000
MAX_SERIES_CODE = 256

MathOp = Literal["add", "subtract", "multiply", "ratio", "power"]
PairOp = Literal["corr", "cov", "beta"]
CompositeOp = Literal["sum", "avg", "max", "min"]
RollingOp = Literal["sma", "sum", "max", "min", "std", "var", "median", "zscore", "rank", "count"]
LagOp = Literal["lag", "diff", "pct_change", "log_change"]
TransformOp = Literal["abs", "neg", "log", "exp", "sqrt", "sign"]
CumulativeOp = Literal["cumsum", "cummax", "cummin"]
How = Literal["last", "first", "mean", "sum", "min", "max", "count"]
Unit = Literal["observations", "days", "weeks", "months", "quarters", "years"]


def _whole(value: Any) -> Any:
    """Return a float without a fraction, such as 14.0, as an int, and any other value unchanged.

    JSON Schema also treats 14.0 as an integer. A number such as 14.5 is refused by pydantic afterwards.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_segment(code: str) -> str:
    """Return the series code unchanged if it can be one path segment of a key (`CODE/year=…`).

    Raises:
        ValueError: the code is '.' or '..', contains '/' or a control character, or has spaces around it.
    """
    if code in {".", ".."} or "/" in code or not code.isprintable() or code != code.strip():
        raise ValueError("a series code has no '/', no control characters and no blanks around it")
    return code


def _not_too_large(value: Any, info: ValidationInfo) -> Any:
    """Return the value of a number field unchanged, if pydantic can convert it to a finite float64.

    Raises:
        ValueError: the value is an integer of 2**1023 or more, which pydantic could convert to infinity.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**1023:
        raise ValueError(f"the {info.field_name} is too large")
    return value


def _zone(name: str) -> str:
    """Return the name of a time zone unchanged. Raise ValueError if the time zone does not exist."""
    if not is_zone(name):
        raise ValueError("a time zone has an IANA name, such as America/Argentina/Buenos_Aires")
    return name


def _real_date(text: str) -> str:
    """Return a date in the form YYYY-MM-DD unchanged. Raise ValueError for any other text or date."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError("expected a date in the form YYYY-MM-DD")
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("the calendar has no such date") from None
    return text


def known_op(value: Any, allowed: Sequence[str]) -> Any:
    """Return the `op` of a node unchanged if it is one of the allowed operations.

    Raises:
        PydanticCustomError: the operation is not allowed; the error lists the allowed operations.
    """
    if value in allowed:
        return value
    *others, last = map(repr, allowed)
    expected = f"{', '.join(others)} or {last}"
    raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})


SeriesCode = Annotated[str, Field(min_length=1, max_length=MAX_SERIES_CODE), AfterValidator(_one_segment)]
Window = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_WINDOW)]
WindowOfTwo = Annotated[int, BeforeValidator(_whole), Field(ge=2, le=MAX_WINDOW)]
Age = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=MAX_AGE_DAYS)]
Digits = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=15)]
Number = Annotated[float, BeforeValidator(_not_too_large), Field(allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_not_too_large), Field(ge=0, le=1, allow_inf_nan=False)]
Zone = Annotated[str, AfterValidator(_zone)]
CivilDate = Annotated[str, AfterValidator(_real_date)]


class BaseNode(BaseModel):
    """The base class of the models of all nodes.

    It removes fields that have no effect, both when a node is parsed and when it is dumped.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_ignored_fields(cls, value: Any) -> Any:
        """Return a decoded node without nulls in optional fields and without a `scale` or `window` of 1.

        These values have no effect. The control plane adds a `scale` of 1 to all node types. It finds series
        only below nodes that have a `window`, so each node type with `series` accepts a window of 1.
        """
        if not isinstance(value, dict):
            return value
        return {name: field for name, field in value.items() if not cls._ignores(name, field)}

    @classmethod
    def _ignores(cls, name: str, value: Any) -> bool:
        if (known := cls.model_fields.get(name)) is not None:
            return value is None and not known.is_required()
        is_one = isinstance(value, int | float) and value is not True and value == 1
        if name == "window":
            return is_one and "series" in cls.model_fields
        return name == "scale" and (is_one or value is None)

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the fields as JSON values. Fields with their default values are left out, except `scale`."""
        known = type(self).model_fields
        return {
            name: value
            for name, value in handler(self).items()
            if name == "scale" or known[name].is_required() or value != known[name].default
        }
