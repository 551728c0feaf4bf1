"""Listings of S3: the keys below a prefix, as far as the client can name them.

The client normalises paths. It cuts off the slash at the end of a folder marker, and fails on a whole listing
if one of its keys has an empty segment, a segment `.` or `..`, or a control character.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore import ObjectMeta

UNUSABLE = (
    "the client cannot request this key (empty segment, '.', '..' or control character); rename the object"
)
_INVALID_PATH = re.compile(
    r'invalid path: (?:Error parsing )?Path "(.*?)"(?: contained |: Encountered )', re.DOTALL
)
"""The client's message about a key that it cannot name: there is no other way to learn which key it is."""


def keys_below(prefix: str, found: Sequence["ObjectMeta"]) -> list[str]:
    """Return the sorted keys of a listing, without folder markers.

    A folder marker is an empty object whose key ends in a slash. The client lists it without that slash, so
    it would be requested at a key that does not exist.

    Args:
        prefix: the listed prefix, which ends in a slash.
        found: the objects, as the client lists them.
    """
    sizes: dict[str, int] = {}
    for meta in found:
        sizes[meta["path"]] = max(meta["size"], sizes.get(meta["path"], 0))
    empty = {key for key, size in sizes.items() if not size}
    folders = {key[:end] for key in sizes if empty for end, char in enumerate(key) if char == "/"}
    return sorted(key for key in sizes.keys() - (empty & folders) if key.startswith(prefix))


def unusable_key(message: str) -> str | None:
    """Return the key on which the client's listing failed, or None if the message is about something else."""
    found = _INVALID_PATH.search(message)
    return found[1] if found else None
