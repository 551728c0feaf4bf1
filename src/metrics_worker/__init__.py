"""The data plane of a metrics engine: an AWS Lambda function that computes metrics from series on S3.

A message passes through `handler` (batch in, partial failures out), `contract` (the wire), `pipeline`
(the story of one run), `dataset` (the series it needs), `expression` (what is computed), `publication`
(the commit protocol) and `status` (what the control plane hears).
"""
