"""The buckets that a command can use: a deployed bucket, a folder, the demo data, or an overlay in memory."""
