r"""The worker's rules for strings, as regular expressions for JSON Schema.

The patterns use only the part of the ECMA-262 dialect that other regular expression engines share: no
look-ahead, no `\d` and no `\u`. Unprintable characters appear in the patterns literally. Note that `$` in
Python's `re` also matches before a final newline.
"""

import re

from metrics_worker import names


def whole(pattern: str) -> str:
    """Return a pattern between `^` and `$`, so that it matches only whole strings."""
    return f"^{pattern}$"


BUCKET = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
ADDRESS = f"s3://{BUCKET}/"
ID = names.ID.pattern
_HIDDEN = re.sub(
    r"\\u([0-9a-f]{4})",
    lambda found: chr(int(found[1], 16)),
    names.UNPRINTABLE.pattern.strip("[]").replace(r"\ud800-\udfff", ""),  # no JSON text has a lone surrogate
)
"""The unprintable characters, which the worker rejects, as the inside of a character class."""
LINE = f"[^{_HIDDEN}]*"
_C = f"[^/{_HIDDEN}]"
_NO_DOT = f"[^/.{_HIDDEN}]"
SEGMENT = rf"(?:{_NO_DOT}{_C}*|\.{_NO_DOT}{_C}*|\.\.{_C}+)"
"""A pattern for one segment of a key: not empty, and neither `.` nor `..`."""
KEY = f"{SEGMENT}(?:/{SEGMENT})*"
FOLDERS = f"(?:{SEGMENT}/)*"
TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
TIME_MS = TIME.replace("Z", "[.][0-9]{3}Z")
VERSION = TIME.replace(":", "-").removesuffix("Z")
LONGEST_ADDRESS = len("s3://") + 63 + len("/")
