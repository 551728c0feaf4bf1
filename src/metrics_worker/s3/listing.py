"""Corrections to the listings of the S3 client (obstore), which treats keys as if they were paths.

The client removes the slash at the end of a folder marker's key. If one key in a listing has an empty
segment, a segment `.` or `..`, or a control character, the client raises an error for the whole listing.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from metrics_worker.s3.bucket import ListedObject

if TYPE_CHECKING:
    from obstore import ObjectMeta

UNUSABLE = (
    "the client cannot request this key (empty segment, '.', '..' or control character); rename the object"
)
_INVALID_PATH = re.compile(
    r'invalid path: (?:Error parsing )?Path "(.*?)"(?: contained |: Encountered )', re.DOTALL
)
"""The client's error message about an unusable key. Only the text of the error contains that key."""


def objects_below(prefix: str, listed: Iterable["ObjectMeta"]) -> list[ListedObject]:
    """Return the objects of a listing, sorted by key, and leave out folder markers.

    A folder marker is an empty object whose key ends in a slash. The client lists the folder marker without
    that slash, and a request for this changed key would fail.

    Args:
        prefix: the prefix that was listed, which ends in a slash.
        listed: the metadata of the objects, as the client returns them.
    """
    found: dict[str, ListedObject] = {}
    for meta in listed:
        key, size = meta["path"], meta["size"]
        if key not in found or size > found[key].size:  # an object and a folder marker may share a key
            found[key] = ListedObject(key, meta["e_tag"] or "", size)
    empty = {key for key, (_, _, size) in found.items() if not size}
    folders = {key[:end] for key in found if empty for end, char in enumerate(key) if char == "/"}
    return sorted(found[key] for key in found.keys() - (empty & folders) if key.startswith(prefix))


def unusable_key(message: str) -> str | None:
    """Return the key that the client refused to list, from its error message; None for other messages."""
    found = _INVALID_PATH.search(message)
    return found[1] if found else None
