"""Estimates of what a run needs: requests, bytes, seconds and dollars."""
