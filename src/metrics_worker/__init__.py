"""The data plane of a metrics engine: an AWS Lambda function that computes metrics from series on S3.

A message passes through `handler` (batch in, partial failures out), `contract` (the wire), `pipeline`
(the story of one run), `dataset` (the series it needs), `expression` (what is computed), `publication`
(the commit protocol) and `status` (what the control plane hears).
"""

import os

__version__ = "1.0.0"
"""The version, stated here only: the package, the log lines and the functions' descriptions follow."""

# Two libraries read these once, when they are loaded, so they are set before; what the function's environment
# says goes first. Arrow's own allocators keep pages for each thread that a run has used. OpenBLAS starts a
# thread for each core but one, which spins for 50 to 100 ms at a cold start and then has nothing to do.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
