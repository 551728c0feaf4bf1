"""The requests of a file: an event as in events/, or a bare request, as the control plane writes it."""

from pathlib import Path

from cli.console import impossible
from local.samples import EventFileError, Sample, read_samples


def read_requests(path: Path) -> list[Sample]:
    """The requests of a file; where it holds none, the command ends there."""
    try:
        return read_samples([path])
    except EventFileError as error:
        raise impossible(str(error)) from error
