"""The number of examples that a test tries: a few fixed ones, or more with METRICS_TEST_EXAMPLES."""

import os

from hypothesis import HealthCheck, settings

TIMES = max(1, int(os.environ.get("METRICS_TEST_EXAMPLES", "1")))
"""The factor by which the numbers of examples are multiplied."""


def bounded(examples: int) -> settings:
    """Return Hypothesis settings for a number of examples.

    The examples are the same in each run if `TIMES` is 1, and random otherwise.
    """
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
