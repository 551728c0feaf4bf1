"""The time zones of the IANA time zone database, in the release that the package `tzdata` contains.

`zoneinfo` prefers the database of the operating system, whose release differs between machines and which may
be missing in Lambda. The zones are therefore read from the package: a metric has the same result everywhere.
This module does not import numpy: the dead-letter function checks requests, and is deployed without numpy.
"""

from functools import cache
from importlib import resources

import tzdata


def is_zone(name: str) -> bool:
    """Return whether a name is that of a time zone in the database, such as "Europe/Madrid"."""
    return name in zone_names()


def zone_file(name: str) -> bytes:
    """Return the content of a time zone's file, in the format TZif of RFC 8536.

    Raises:
        ValueError: the database has no such time zone.
    """
    if not is_zone(name):
        raise ValueError(f"no time zone: {name!r}")
    return resources.files(tzdata).joinpath("zoneinfo", name).read_bytes()


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all time zones."""
    return frozenset(resources.files(tzdata).joinpath("zones").read_text(encoding="ascii").split())
