"""The report of an attempt, its requests to S3, and the log lines and metrics for operators."""
