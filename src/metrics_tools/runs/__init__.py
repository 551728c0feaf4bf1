"""Runs that the command line computes: their requests, and their results as text, tables, plots and files."""
