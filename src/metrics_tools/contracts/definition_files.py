"""The schemas of the files that authors of metrics write: `*.test.yaml` and `checks.yaml`, for editors.

With these schemas, an editor completes and checks field names. `metrics test` and `metrics check` also check
rules that a schema cannot express, such as that the names of tests are different.
"""

from metrics_tools.contracts.expression import NODE, request_definitions
from metrics_tools.contracts.patterns import ID, whole
from metrics_tools.contracts.schema import Meanings, Schema, described, document, fields, model
from metrics_tools.definition_tests.checks import CheckFile, MetricChecks, ResultChecks
from metrics_tools.definition_tests.model import (
    DefinitionTest,
    DefinitionTests,
    Expectation,
    ExpectedError,
    Tolerance,
)
from metrics_tools.definition_tests.observations import Regular
from metrics_worker.expression.fields import MAX_SERIES_CODE

_TIME = {"$ref": "#/$defs/time"}
_OBSERVATIONS = {"$ref": "#/$defs/observations"}
_OBSERVATIONS_OR_NULL = {"anyOf": [_OBSERVATIONS, {"type": "null"}]}
_LIMIT = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": whole(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?%")},
        {"type": "null"},
    ]
}
_RESULT_CHECKS: Meanings = {
    "min_rows": "The smallest allowed number of observations.",
    "between": described(
        "The smallest and the largest allowed value; null in place of a bound means that there is none.",
        anyOf=[
            {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 2, "maxItems": 2},
            {"type": "null"},
        ],
    ),
    "max_change": described(
        "The largest allowed difference between an observation and the preceding one: a number in the unit of"
        " the metric, or a percentage of the preceding value, such as 20%.",
        **_LIMIT,
    ),
}
_METRIC_CHECKS: Meanings = {
    **_RESULT_CHECKS,
    "max_age_days": "The largest allowed age of the last observation, in days of 24 hours.",
    "no_drop_over": described(
        "The largest allowed drop of the number of rows against the previous version: a number of rows, or a"
        " percentage of the rows of the previous version, such as 1%.",
        **_LIMIT,
    ),
}
_EXPECTATION: Meanings = {
    "observations": described("The expected observations.", **_OBSERVATIONS_OR_NULL),
    "none": described("The times at which the result must have no observation.", type="array", items=_TIME),
    "others": "Whether an observation at any other time fails the test.",
    "tolerance": described(
        "The largest allowed difference between two values.", **{"$ref": "#/$defs/tolerance"}
    ),
    "checks": described("Checks of the result.", anyOf=[{"$ref": "#/$defs/checks"}, {"type": "null"}]),
    "error": described(
        "The expected error, instead of all other fields.",
        anyOf=[{"$ref": "#/$defs/error"}, {"type": "null"}],
    ),
}
_TEST: Meanings = {
    "name": "A text that says what the test shows.",
    "tz": "The time zone of times without an offset, such as America/New_York; UTC if missing.",
    "series": described(
        "The input series: observations by series code.",
        additionalProperties=_OBSERVATIONS,
        propertyNames={"minLength": 1, "maxLength": MAX_SERIES_CODE},
        type="object",
    ),
    "expression": "The expression, as in `expressionJson` of a request, or its formula as a text.",
    "request": "Instead of `expression`: the path of a file with one request, event, expression or formula,"
    " relative to this file.",
    "expect": described("The expected result.", **{"$ref": "#/$defs/expectation"}),
}
_TOLERANCE = {
    "relative": "A share of the expected value.",
    "absolute": "An amount. A value may differ by the larger of the two.",
}
_ERROR = {
    "code": "The error code, such as EXPRESSION_EVAL_ERROR.",
    "text": "A text that the message contains, such as a JSON path.",
}
_REGULAR: Meanings = {
    "start": described("The first date.", **_TIME),
    "every": "The step between two dates.",
    "values": described(
        "The values in order; null or _ means that there is no observation.",
        type="array",
        items={"$ref": "#/$defs/value"},
    ),
}


def metric_tests() -> Schema:
    """Return the schema document of a file with tests of metrics."""
    tests = fields(DefinitionTests, {"tests": "The tests, with different names."})
    tests["properties"]["tests"]["items"] = {"$ref": "#/$defs/test"}
    test = model(DefinitionTest, _TEST, "A test of a metric.")
    test["oneOf"] = [{"required": ["expression"]}, {"required": ["request"]}]
    # A test that expects an error may have an expression that is not valid.
    test["if"] = {"properties": {"expect": {"type": "object", "required": ["error"]}}}
    test["else"] = {"properties": {"expression": {"anyOf": [{"type": ["string", "null"]}, NODE]}}}
    return document(
        "metric_tests",
        {
            "additionalProperties": False,
            **tests,
            "$defs": {
                "test": test,
                "expectation": model(Expectation, _EXPECTATION, "The expected result of a test."),
                "tolerance": model(Tolerance, _TOLERANCE, "The largest allowed difference."),
                "error": model(ExpectedError, _ERROR, "An expected error; one of the fields is enough."),
                "checks": model(ResultChecks, _RESULT_CHECKS, "Checks of a result; at least one."),
                **_observation_definitions(),
                **request_definitions(),
            },
        },
        title="Tests of metrics",
        description="A file `*.test.yaml` or `*.test.json` for `metrics test`.",
    )


def metric_checks() -> Schema:
    """Return the schema document of a file with checks of published metrics."""
    body = fields(CheckFile, {"checks": "The checks by metric code."})
    body["properties"]["checks"] |= {
        "additionalProperties": {"$ref": "#/$defs/checks"},
        "propertyNames": {"pattern": whole(ID)},
    }
    checks = model(MetricChecks, _METRIC_CHECKS, "The checks of a metric; at least one.")
    return document(
        "metric_checks",
        {"additionalProperties": False, **body, "$defs": {"checks": checks | {"minProperties": 1}}},
        title="Checks of metrics",
        description="The file `checks.yaml` for `metrics check`.",
    )


def _observation_definitions() -> dict[str, Schema]:
    """Return the JSON Schema `$defs` for observations, by name: time, value, regular and observations.

    Observations are an object of times and values, a list of pairs, or regular dates with values.
    """
    value: Schema = {"anyOf": [{"type": ["number", "null"]}, {"const": "_"}]}
    value |= described("A finite number; null or _ means that there is no observation.")
    pair = {"type": "array", "prefixItems": [_TIME, {"$ref": "#/$defs/value"}], "minItems": 2, "maxItems": 2}
    regular = model(Regular, _REGULAR, "Observations at regular dates.")
    mapping = {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}}
    marks = [{"required": [name]} for name in ("values", "start", "every")]
    forms = {"if": {"anyOf": marks}, "then": {"$ref": "#/$defs/regular"}, "else": mapping}
    return {
        "time": described("A time in ISO 8601, such as 2026-01-31 or 2026-01-31T09:30Z.", type="string"),
        "value": value,
        "regular": regular,
        "observations": described(
            "Observations: {time: value, …}, [[time, value], …] or {start, every, values}.",
            anyOf=[{"type": "array", "items": pair}, {"type": "object", **forms}],
        ),
    }
