"""The buckets that a command can use: a bucket on S3, a folder, the demo data, or an overlay in memory."""
