"""Publication: the objects that a run writes to S3, the commit protocol, and the pointer `current`."""
