"""The objects of a listing of S3, as far as the client can name their keys.

The client normalises paths. It removes the slash at the end of a folder marker's key. It fails on a whole
listing if one of the keys has an empty segment, a segment `.` or `..`, or a control character.
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
"""The client's message about a key that it cannot name. Nothing else in its error contains that key."""


def objects_below(prefix: str, listed: Iterable["ObjectMeta"]) -> list[ListedObject]:
    """Return the objects of a listing without folder markers, sorted by key.

    A folder marker is an empty object whose key ends in a slash. The client lists it without that slash, so
    it would be requested at a key that does not exist.

    Args:
        prefix: the prefix that was listed, which ends in a slash.
        listed: the objects, as the client lists them.
    """
    found: dict[str, ListedObject] = {}
    for meta in listed:
        key, size = meta["path"], meta["size"]
        if key not in found or size > found[key].size:  # an object may have the name of a folder marker
            found[key] = ListedObject(key, meta["e_tag"] or "", size)
    empty = {key for key, (_, _, size) in found.items() if not size}
    folders = {key[:end] for key in found if empty for end, char in enumerate(key) if char == "/"}
    return sorted(found[key] for key in found.keys() - (empty & folders) if key.startswith(prefix))


def unusable_key(message: str) -> str | None:
    """Return the key on which the client's listing failed, or None if the message is about something else."""
    found = _INVALID_PATH.search(message)
    return found[1] if found else None
