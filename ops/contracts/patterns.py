r"""The worker's rules about text, as patterns.

ECMA-262's dialect, as JSON Schema has it, and the part of it that other engines share: no look-ahead,
no `\d`, no `\u` (what can't be printed stands for itself). Python's `re` lets a newline follow at `$`.
"""

import re

from metrics_worker import names


def _unprintable() -> str:
    """The worker's class of characters, without half surrogate pairs: no JSON text holds one."""
    shared = names.UNPRINTABLE.pattern.strip("[]").replace(r"\ud800-\udfff", "")
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), shared)


def whole(pattern: str) -> str:
    """A pattern of the whole text."""
    return f"^{pattern}$"


BUCKET = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
ADDRESS = f"s3://{BUCKET}/"
ID = names.ID.pattern
_HIDDEN = _unprintable()
LINE = f"[^{_HIDDEN}]*"
_C = f"[^/{_HIDDEN}]"
_NO_DOT = f"[^/.{_HIDDEN}]"
SEGMENT = rf"(?:{_NO_DOT}{_C}*|\.{_NO_DOT}{_C}*|\.\.{_C}+)"
"""Of a key: not empty, neither `.` nor `..`."""
KEY = f"{SEGMENT}(?:/{SEGMENT})*"
FOLDERS = f"(?:{SEGMENT}/)*"
TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
TIME_MS = TIME.replace("Z", "[.][0-9]{3}Z")
VERSION = TIME.replace(":", "-").removesuffix("Z")
LONGEST_ADDRESS = len("s3://") + 63 + len("/")
