"""Hypothesis settings of the fuzz tests, with a number of examples that METRICS_TEST_EXAMPLES multiplies."""

import os

from hypothesis import HealthCheck, settings

TIMES = max(1, int(os.environ.get("METRICS_TEST_EXAMPLES", "1")))
"""The factor by which the numbers of examples are multiplied."""


def bounded(examples: int) -> settings:
    """Return Hypothesis settings for a number of examples, multiplied by METRICS_TEST_EXAMPLES.

    If this environment variable is not set or 1, the examples are the same in each run.
    """
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
