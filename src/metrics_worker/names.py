"""The rules for text in requests: the definitions of a valid id, a valid S3 key and printable text."""

import re
from typing import Any, TypeIs

from metrics_worker.errors import ConfigError

MAX_ID = 128
MAX_KEY_BYTES = 1024

ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_ID - 1}}}")
ID_RULE = f"1-{MAX_ID} of A-Za-z0-9._-, beginning with a letter or digit"
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def is_id(value: Any) -> TypeIs[str]:
    """Return whether a value is a string that is valid as a run id or metric code.

    Such an id can be a part of S3 keys; `ID_RULE` states the rule in words.
    """
    return isinstance(value, str) and ID.fullmatch(value) is not None


def is_key(path: str) -> bool:
    """Return whether a path is a plain S3 key.

    A plain key has at most `MAX_KEY_BYTES` bytes in UTF-8, no unprintable character, and no segment that is
    empty, `.` or `..`; so it begins and ends without a slash. A dataset's manifest can have thousands of
    paths, so ASCII paths are checked without regular expressions.
    """
    is_simple = path.isascii() and path.isprintable()
    parts = f"/{path}/"
    return (
        (is_simple or not UNPRINTABLE.search(path))
        and (len(path) if is_simple else len(path.encode(errors="replace"))) <= MAX_KEY_BYTES
        and "//" not in parts
        and "/./" not in parts
        and "/../" not in parts
    )


def metric_base(metrics_prefix: str, metric_code: str) -> str:
    """Return the key prefix of all objects of a metric: the metrics prefix, the metric code and a slash.

    Raises:
        ConfigError: the metric code is not a valid id (`is_id`).
    """
    if not is_id(metric_code):
        raise ConfigError("metricCode", f"expected {ID_RULE}, found {metric_code!r:.200}")
    return f"{metrics_prefix}{metric_code}/"


def printable(text: str, units: int) -> str:
    """Return the text with spaces for unprintable characters, cut to at most `units` UTF-16 code units."""
    clean = UNPRINTABLE.sub(" ", text)
    return clean.encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore")
