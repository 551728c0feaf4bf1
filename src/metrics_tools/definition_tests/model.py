"""The format of a file with tests of metrics, as pydantic models; docs/testing-metrics.md describes it."""

from datetime import UTC, tzinfo
from io import BytesIO
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from metrics_tools.definition_tests.checks import ResultChecks
from metrics_tools.definition_tests.observations import Observations, Part, Points, Time, microseconds, points
from metrics_worker.expression.fields import SeriesCode, Zone
from metrics_worker.time_zones import zone_file


class Tolerance(Part):
    """The largest allowed difference between an actual and an expected value.

    The limit is `absolute`, or `relative` times the absolute expected value, whichever is larger.
    """

    relative: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-9
    absolute: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    def allows(self, actual: float, expected: float) -> bool:
        """Return whether an actual value is close enough to the expected value."""
        return abs(actual - expected) <= max(self.absolute, self.relative * abs(expected))


class ExpectedError(Part):
    """The expected error: its wire code, a text that the message contains, or both."""

    code: str | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _has_a_field(self) -> Self:
        if not self.code and not self.text:
            raise ValueError("give the `code` of the error, or a `text` that its message contains")
        return self


class Expectation(Part):
    """The expected result of a test: an error, or observations, times without an observation and checks.

    At least one of the three must be given if no error is expected.
    """

    observations: Observations | None = None
    none: list[Time] = Field(default_factory=list)
    others: Literal["fail", "allow"] = "fail"
    tolerance: Tolerance = Tolerance()
    checks: ResultChecks | None = None
    error: ExpectedError | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if self.error is not None and self.model_fields_set != {"error"}:
            raise ValueError("an expected `error` excludes all other fields")
        if self.error is None and self.checks is None and not self.has_times:
            raise ValueError("give `observations`, times with `none`, `checks`, or an `error`")
        return self

    @property
    def has_times(self) -> bool:
        """Return whether the test says at which times the result has observations or has none.

        If false, the result is not compared with observations.
        """
        return self.observations is not None or bool(self.none)


class DefinitionTest(Part):
    """A test: the input series, either an expression or the file of a request, and the expected result."""

    name: Annotated[str, Field(min_length=1)]
    tz: Zone | None = None
    series: dict[SeriesCode, Observations] = Field(default_factory=dict)
    expression: Any = None
    request: Annotated[str, Field(min_length=1)] | None = None
    expect: Expectation

    @property
    def zone(self) -> tzinfo:
        """Return the time zone of the times that are written without an offset."""
        return UTC if self.tz is None else ZoneInfo.from_file(BytesIO(zone_file(self.tz)), key=self.tz)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.expression is None) == (self.request is None):
            raise ValueError("give either an `expression` or the file of a `request`")
        self.inputs()
        self.expected()
        return self

    def inputs(self) -> dict[str, Points]:
        """Return the input series by series code, each as a dict from time to value.

        A time is in microseconds since 1970-01-01 UTC.

        Raises:
            ValueError: a series has two values for one time, or a date that is not allowed.
        """
        return {code: _points(f"series.{code}", given, self.zone) for code, given in self.series.items()}

    def expected(self) -> Points:
        """Return the expected values by time (microseconds since 1970-01-01 UTC).

        A value of None means that the result must not have an observation at this time.

        Raises:
            ValueError: a time occurs twice, or a date is not allowed.
        """
        points = _points("expect.observations", self.expect.observations or {}, self.zone)
        for time in self.expect.none:
            at = microseconds(time, self.zone)
            if points.setdefault(at, None) is not None:
                raise ValueError(f"expect.none: {time} has a value in expect.observations")
        return points


class DefinitionTests(Part):
    """The content of a file with tests of metrics: one or more tests with different names."""

    tests: Annotated[list[DefinitionTest], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_distinct_names(self) -> Self:
        names = [test.name for test in self.tests]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two tests have the name {twice!r}: give each test a name of its own")
        return self


def _points(path: str, given: Observations, zone: tzinfo) -> Points:
    """Return the values of observations by time (microseconds since 1970-01-01 UTC).

    Args:
        path: the path of the observations in the file, with which the text of an error begins.
        given: the observations, in any of the three forms.
        zone: the zone of times without an offset.

    Raises:
        ValueError: a time occurs twice, or a date is not allowed.
    """
    try:
        return points(given, zone)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
