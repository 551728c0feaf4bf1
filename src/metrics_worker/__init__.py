"""The data plane of a metrics engine: an AWS Lambda function that computes metrics from series on S3.

A message passes through `handler` (the Lambda entry point), `request` (parsing), `run` (all steps of one
run), `dataset` (reading the input series), `expression` (evaluation), `publication` (the commit protocol) and
`messaging` (status events). docs/how-it-works.md follows a message through the modules.
"""

import os

__version__ = "1.0.0"
"""The version of the package. Log lines and the descriptions of the Lambda functions contain it."""

# pyarrow and numpy read these variables once, when they are loaded, so the variables are set here. Values in
# the function's environment take precedence. Arrow's other allocators would keep pages for each thread of a
# run. OpenBLAS would start a thread for each core but one, each of which uses 50 to 100 ms of a cold start
# for nothing.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
