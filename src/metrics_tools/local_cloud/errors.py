"""The errors that end a local run with a line that says why."""


class LocalError(Exception):
    """The local run can't go on; the text says why and what to do."""


class EventFileError(LocalError):
    """A file without a request that can be sent; the text names the file and says what is expected."""
