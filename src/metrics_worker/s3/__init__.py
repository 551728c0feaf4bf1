"""Access to the bucket: reads, listings and conditional writes, on one event loop per invocation."""
