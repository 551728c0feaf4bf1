"""The errors that end a local run with one line of explanation."""


class LocalError(Exception):
    """The local run cannot continue; the text gives the reason and the remedy."""


class EventFileError(LocalError):
    """A file contains no request that can be sent; the text names the file and the expected content."""
