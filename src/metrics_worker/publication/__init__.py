"""Publication: the objects that a run leaves in S3, the commit protocol, and the pointer `current`."""
