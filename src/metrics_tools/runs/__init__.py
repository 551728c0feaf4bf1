"""Requests that the command line computes on this machine, and their results.

    requests.py     the requests in a file, and a request around a bare expression
    validation.py   the validation of these requests, and the printing of their problems
    samples.py      the requests that a command computes or sends
    computing.py    the computation with the worker's own code
    tables.py       the result as tables for people and as JSON
    plots.py        the result as a plot in the terminal or as a PNG
    pages.py        the result as an HTML page
    written.py      the files that `metrics run` writes
    comparing.py    the two sides of `metrics compare`, and their differences

Only `metrics run --publish` writes to the bucket or folder of the datasets.
"""
