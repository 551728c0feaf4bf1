"""How many examples a test tries: few in the suite, the same each time; more with METRICS_TEST_EXAMPLES."""

import os

from hypothesis import HealthCheck, settings

TIMES = max(1, int(os.environ.get("METRICS_TEST_EXAMPLES", "1")))
"""By which the suite's numbers are multiplied."""


def bounded(examples: int) -> settings:
    """So many examples, always the same ones; others, and new ones each time, where there are to be more."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
