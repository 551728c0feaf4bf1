"""Estimates of the requests, bytes, seconds and dollars that a run needs."""
