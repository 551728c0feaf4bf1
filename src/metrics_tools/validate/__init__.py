"""Validation of requests: every problem at once, each with its JSON path and a suggestion."""
