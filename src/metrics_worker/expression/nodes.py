"""The nodes of expressions: one frozen pydantic model for each shape of a JSON object.

The models are strict, refuse unknown fields and check every field, so code that receives a node does not
check the node again. In every optional field, null means the same as a missing field. The module `shapes`
recognises the type of a node by its fields and its operation.
"""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AliasChoices,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from metrics_worker.expression import fields
from metrics_worker.expression.fields import BaseNode, known_op
from metrics_worker.expression.shapes import KIND_BY_OP, kind_of

_MISPLACED = "a constant can only be left or right of series_math, or an operand of a composite"


def _not_constant(node: "Node") -> "Node":
    """Return the node unchanged. Raise ValueError if the node is a constant."""
    if isinstance(node, Constant):
        raise ValueError(_MISPLACED)  # noqa: TRY004 - pydantic catches ValueError
    return node


def _not_only_constants(operands: tuple["Node", ...]) -> tuple["Node", ...]:
    """Return the operands unchanged. Raise ValueError if all operands are constants."""
    if all(isinstance(operand, Constant) for operand in operands):
        raise ValueError("at least one operand must not be a constant")
    return operands


Operand = Annotated["Node", AfterValidator(_not_constant)]
"""An operand that cannot be a constant."""


class SeriesRef(BaseNode):
    """A reference to one input series: `{"series_code": "X"}`."""

    series_code: fields.SeriesCode = Field(validation_alias=AliasChoices("series_code", "seriesCode"))


class Constant(BaseNode):
    """A number as an operand of series_math or of a composite: `{"const": 1}`."""

    const: fields.Number


class SeriesMath(BaseNode):
    """An operation on two values of the same time: `{"op": "ratio", "left": node, "right": node}`."""

    op: fields.MathOp
    left: "Node"
    right: "Node"
    scale: fields.Number = 1.0

    @field_validator("op", mode="before")
    @classmethod
    def _known_op(cls, value: Any) -> Any:
        return known_op(value, (*get_args(fields.MathOp), *get_args(fields.PairOp)))

    @field_validator("right")
    @classmethod
    def _not_both_constants(cls, right: "Node", info: ValidationInfo) -> "Node":
        if isinstance(right, Constant) and isinstance(info.data.get("left"), Constant):
            raise ValueError("left and right must not both be constants")  # noqa: TRY004 - for pydantic
        return right


class Pair(BaseNode):
    """A statistic, such as the correlation, of two series over the last `window` times that both have."""

    op: fields.PairOp
    left: Operand
    right: Operand
    window: fields.WindowOfTwo


class Composite(BaseNode):
    """An operation on all operands that have a value at a time: `{"op": "avg", "operands": [node, node]}`."""

    op: fields.CompositeOp
    operands: Annotated[
        tuple["Node", ...], Field(min_length=2, strict=False), AfterValidator(_not_only_constants)
    ]


class _OverTime(BaseNode):
    """The base class of the operations that look back by `window` observations or calendar units."""

    op: str
    series: Operand
    window: fields.Window
    unit: fields.Unit = "observations"
    tz: fields.Zone = "UTC"

    @field_validator("tz", "max_age_days", check_fields=False)
    @classmethod
    def _needs_a_calendar_unit(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("unit") == "observations":
            raise ValueError("it has no effect if the unit is observations")
        return value


class _Windowed(_OverTime):
    """The base class of the operations on windows. One window ends at each observation of `series`."""

    min_periods: fields.Window | None = None

    @field_validator("min_periods")
    @classmethod
    def _at_most_the_window(cls, least: int, info: ValidationInfo) -> int:
        window = info.data.get("window")
        if info.data.get("unit") == "observations" and window is not None and least > window:
            raise ValueError(f"a window of {window} observations never has so many")
        return least


class WindowOp(_Windowed):
    """An operation on the observations of a window: `{"op": "sma", "series": node, "window": 14}`."""

    op: fields.RollingOp

    @field_validator("op", mode="before")
    @classmethod
    def _known_op(cls, value: Any) -> Any:
        return known_op(value, tuple(KIND_BY_OP))


class Quantile(_Windowed):
    """The quantile `q` (0-1) of the observations of a window, by linear interpolation."""

    op: Literal["quantile"]
    q: fields.Share


class Ema(BaseNode):
    """An average with exponential weights: `{"op": "ema", "series": node, "window": 14}`."""

    op: Literal["ema"]
    series: Operand
    window: fields.Window


class Lag(_OverTime):
    """The value some time earlier, or the change since then: `{"op": "diff", "series": node, "window": 1}`.

    With a calendar unit, the value may be up to `max_age_days` older than the date `window` units earlier.
    """

    op: fields.LagOp
    max_age_days: fields.Age = 7


class Transform(BaseNode):
    """A function that is applied to each value: `{"op": "log", "series": node}`."""

    op: fields.TransformOp
    series: Operand


class Clip(BaseNode):
    """A lower or upper limit for all values: `{"op": "clip", "series": node, "lower": 0, "upper": 100}`."""

    op: Literal["clip"]
    series: Operand
    lower: fields.Number | None = None
    upper: fields.Number | None = None

    @field_validator("upper")
    @classmethod
    def _not_below_lower(cls, upper: float, info: ValidationInfo) -> float:
        lower = info.data.get("lower")
        if lower is not None and upper < lower:
            raise ValueError(f"upper must not be less than lower ({lower})")
        return upper

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("clip needs lower or upper")
        return self


class Round(BaseNode):
    """A series with rounded values: `{"op": "round", "series": node, "digits": 2}`."""

    op: Literal["round"]
    series: Operand
    digits: fields.Digits


class Cumulative(BaseNode):
    """The running sum, maximum or minimum of all observations so far: `{"op": "cumsum", "series": node}`.

    With `reset`, only the observations of the same calendar year, quarter or month count.
    """

    op: fields.CumulativeOp
    series: Operand
    reset: Literal["year", "quarter", "month"] | None = None
    tz: fields.Zone = "UTC"

    @field_validator("tz")
    @classmethod
    def _has_effect(cls, value: Any, info: ValidationInfo) -> Any:
        if "reset" in info.data and info.data["reset"] is None:
            raise ValueError("it has no effect without reset")
        return value


class Rebase(BaseNode):
    """A series divided by its first value on or after the civil date `at`, and multiplied by `base`."""

    op: Literal["rebase"]
    series: Operand
    at: fields.CivilDate
    base: fields.Number = 100.0
    tz: fields.Zone = "UTC"


class Resample(BaseNode):
    """A series with one observation for each calendar period; `partial` includes an incomplete last one."""

    op: Literal["resample"]
    series: Operand
    to: Literal["week", "month", "quarter", "year"]
    how: fields.How
    stamp: Literal["last", "start", "end"] = "last"
    partial: bool = False
    tz: fields.Zone = "UTC"


class Fill(BaseNode):
    """The values of `series` at the times of `like`: the previous value, or a linear interpolation."""

    op: Literal["fill"]
    series: Operand
    like: Operand
    method: Literal["previous", "linear"]
    max_age_days: fields.Age | None = None

    @field_validator("max_age_days")
    @classmethod
    def _has_effect(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("method") == "linear":
            raise ValueError("it has no effect if the method is linear")
        return value


def _tag(value: Any) -> str | None:
    """Return the tag, such as `<lag>`, that selects a node's pydantic model; None if the value is no node."""
    kind = _KINDS.get(type(value)) or kind_of(value)
    return kind and f"<{kind}>"


type Node = Annotated[
    Annotated[SeriesRef, Tag("<series>")]
    | Annotated[Constant, Tag("<constant>")]
    | Annotated[SeriesMath, Tag("<series_math>")]
    | Annotated[Pair, Tag("<pair>")]
    | Annotated[Composite, Tag("<composite>")]
    | Annotated[WindowOp, Tag("<window_op>")]
    | Annotated[Quantile, Tag("<quantile>")]
    | Annotated[Ema, Tag("<ema>")]
    | Annotated[Lag, Tag("<lag>")]
    | Annotated[Transform, Tag("<transform>")]
    | Annotated[Clip, Tag("<clip>")]
    | Annotated[Round, Tag("<round>")]
    | Annotated[Cumulative, Tag("<cumulative>")]
    | Annotated[Rebase, Tag("<rebase>")]
    | Annotated[Resample, Tag("<resample>")]
    | Annotated[Fill, Tag("<fill>")],
    Discriminator(
        _tag,
        custom_error_type="node_shape",
        custom_error_message=(
            "not a node: give series_code; or op, left, right; or op, series, window; or op, operands"
        ),
    ),
]
"""Any node. The angle brackets distinguish a tag from a field name in the path of an error."""

NODES: dict[str, type[BaseNode]] = {
    tagged.__metadata__[0].tag.strip("<>"): tagged.__origin__
    for tagged in get_args(get_args(Node.__value__)[0])
}
"""The model of each kind of node."""
_KINDS = {model: kind for kind, model in NODES.items()}
