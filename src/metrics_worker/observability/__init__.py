"""The report of an attempt, its requests to S3, and the logs and metrics that operators see."""
