"""The error that ends a local run with one line of explanation."""


class LocalError(Exception):
    """The local run cannot continue; the text gives the reason and the remedy."""
