"""The exception that ends a local run with a one-line message."""


class LocalError(Exception):
    """The local run cannot continue. The text of the exception contains the reason and the remedy."""
