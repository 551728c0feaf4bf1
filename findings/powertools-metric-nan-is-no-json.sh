#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0: one NaN metric makes the whole line of metrics invalid JSON, and nothing fails.
#
# Input: two metrics of one invocation, a count of 1 and a ratio that is NaN because its denominator was 0 in numpy.
#
# Behaviour: add_metric checks that the value is a number, and NaN is one. flush_metrics prints the line with
# json.dumps, which writes the literal NaN. The specification of the embedded metric format requires a valid JSON object
# as RFC 8259 defines it, without NaN (section 6), so a strict parser refuses the line and with it the metric that was
# fine. Infinity does the same. Powertools raises MetricValueError for a value that is not a number, and
# SchemaValidationError for a wrong namespace or too many dimensions, so it is natural to rely on it here.
#
# Output seen:
#
#     {"_aws": …, "service": "worker", "runs": [1.0], "ratio": [NaN]}
#     a strict parser: not JSON, NaN
#
# Why it matters: CloudWatch extracts metrics only from a line that follows the specification. Neither metric can be
# relied on after such a line, with no error in the function, and an alarm on the count may see no data in just those
# invocations in which something was odd. Python's json.loads accepts NaN, so a test that parses the line with it
# passes. Check math.isfinite before add_metric, and parse the lines in tests with `parse_constant` set to a function
# that raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-lambda-powertools==3.37.0
"$folder/venv/bin/python" -W error - <<'PYTHON'
import contextlib
import io
import json
import math

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit, MetricValueError


def line(ratio):
    """Return the line that Powertools prints for a count of 1 and this ratio."""
    metrics = Metrics(namespace="Worker", service="worker")
    metrics.add_metric(name="runs", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="ratio", unit=MetricUnit.NoUnit, value=ratio)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        metrics.flush_metrics()
    return printed.getvalue()


def refuse(constant):
    raise ValueError(constant)


json.loads(line(0.5), parse_constant=refuse)
for value, literal in ((math.nan, "NaN"), (math.inf, "Infinity")):
    text = line(value)
    assert json.loads(text)["runs"] == [1.0]
    try:
        json.loads(text, parse_constant=refuse)
    except ValueError as error:
        print(f"{text.strip()}\na strict parser: not JSON, {error}")
        assert str(error) == literal
    else:
        raise SystemExit("Powertools no longer prints a number that JSON does not have")
metrics = Metrics(namespace="Worker", service="worker")
try:
    metrics.add_metric(name="ratio", unit=MetricUnit.NoUnit, value="0.5")
except MetricValueError:
    pass
else:
    raise SystemExit("Powertools no longer refuses a value that is not a number")
PYTHON
echo "As described."
