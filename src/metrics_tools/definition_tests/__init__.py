"""Unit tests of metrics: the file format, the run of a test with the worker's own code, and JUnit reports."""
