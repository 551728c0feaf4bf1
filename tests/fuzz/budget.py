"""The number of examples that a test tries: a small fixed number, multiplied by METRICS_TEST_EXAMPLES."""

import os

from hypothesis import HealthCheck, settings

TIMES = max(1, int(os.environ.get("METRICS_TEST_EXAMPLES", "1")))
"""The factor by which the numbers of examples are multiplied."""


def bounded(examples: int) -> settings:
    """Return Hypothesis settings for a number of examples, which is multiplied by METRICS_TEST_EXAMPLES.

    The examples are the same in each run unless that variable is greater than 1.
    """
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
