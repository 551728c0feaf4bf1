"""Generators of JSON: arbitrary trees, and valid trees with a few changes.

A string that begins with `RAW` is written without quotes, so that a tree can contain text that the module
`json` does not write (1e999, a thousand digits, many brackets). A key that ends with `AGAIN` is written
without this ending, so that an object can have duplicate keys.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

RAW, AGAIN = "\x01", "\x02"

STRINGS = [
    "", " ", ".", "..", "../..", "/", "//", "a/b", "a//b", "A/../B", "A/./B", "/A", "A/", "\\", "%2e%2e/",
    "\x00", "\t",
    "A\nB", "\x1f", "\x7f", "\x85", "\u2028", "\ud800", "\udfff\ud800", "\ufeff", "\ufffe", "\uffff",
    "\u202e", "A" * 300,
    "é" * 600, "🦆" * 501, "x" * 70_000, "٣", "²", "1", "true", "null", "NaN", "A", "B", "fx", "A ", " A",
    "series_code", "series", "series_math", "window_op", "composite", "metrics.run.v1", "metrics.run.v2",
    "metric_run_requested", "current", "runs", "s3://", "s3://bucket", "s3://bucket/",
    "s3://bucket/metrics/",
    "s3://bucket/metrics/ratio.a_to_b/", "s3://bucket/metrics/deep/ratio.a_to_b",
    "s3://bucket/metrics/../ratio.a_to_b/",
    "s3://bucket/datasets/ratio.a_to_b/", "s3://bucket//metrics/ratio.a_to_b/",
    "s3://data-bucket/datasets/fx/versions/v1/manifest.json",
    "s3://other-bucket/metrics/ratio.a_to_b/", "S3://bucket/metrics/ratio.a_to_b/", "metrics/ratio.a_to_b/",
    "metrics/",
    "datasets/", "datasets", "datasets/fx/", "datasets/fx/versions/v1/manifest.json",
    "datasets/../metrics/x",
    "datasets/fx/projections", "metricsx/", "metrics/" + "m" * 480 + "/ratio.a_to_b/",
    "s3://bucket/metrics/" + "m" * 440 + "/ratio.a_to_b/",
    "datasets/" + "d" * 1100, "${jndi:ldap://x}", "__proto__", "<![CDATA[", "<a>&amp;", "'; --", "{}", "[]",
    '"',
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-10-30", "2026-W44", "24:00",
]  # fmt: skip
"""Strings that are known to cause errors in parsers, paths and logs."""

NUMBERS: list[Any] = [
    0, -0.0, 1, -1, 2, 14.0, 14.5, 2**31, 2**53 + 1, 2**63, 2**64, 10**400, 1e308, 5e-324, 1_000_000,
    1_000_001,
    float("nan"), float("inf"), float("-inf"), True, False, None,
    RAW + "1e999", RAW + "-1e999", RAW + "-0", RAW + "1E400", RAW + "1e-400", RAW + "1.0e+0",
    RAW + "9" * 999, RAW + "9" * 5000, RAW + "1" + "0" * 309,
]  # fmt: skip

SHAPES: list[Any] = [
    RAW + "[" * 800 + "]" * 800,
    RAW + '{"a":' * 800 + "1" + "}" * 800,
    RAW + "[" * 100_000 + "]" * 100_000,
    RAW + '{"operands":[' * 90_000 + "1" + "]}" * 90_000,
    RAW + "[" + "0," * 9_000 + "0]",
    RAW + "[" * 400,
    RAW + "01",
    RAW + "'A'",
    {"series_code": "A"},
    {"series_code": "Z"},
    {"series_code": "A", "seriesCode": "B"},
    {"op": "sma", "series": {"series_code": "A"}, "window": 3},
    {"const": 1},
    {"op": "power", "left": {"const": 1e308}, "right": {"series_code": "A"}},
    {"op": "pct_change", "series": {"series_code": "A"}, "window": 1, "unit": "years", "max_age_days": 3},
    {"op": "median", "series": {"series_code": "A"}, "window": 3, "unit": "months", "tz": "Europe/Berlin"},
    {"op": "quantile", "series": {"series_code": "A"}, "window": 3, "q": 0.9, "min_periods": 1},
    {"op": "round", "series": {"series_code": "A"}, "digits": 2, "window": 1},
    {"op": "clip", "series": {"series_code": "A"}, "lower": -1, "upper": 1},
    {"op": "cumsum", "series": {"series_code": "A"}, "reset": "year"},
    {"op": "rebase", "series": {"series_code": "A"}, "at": "2026-10-02", "base": 1e308},
    {"op": "resample", "series": {"series_code": "A"}, "to": "week", "how": "mean", "stamp": "end"},
    {"op": "fill", "series": {"series_code": "A"}, "like": {"series_code": "B"}, "method": "linear"},
    {"op": "corr", "left": {"series_code": "A"}, "right": {"series_code": "B"}, "window": 2},
    {"op": "sum", "operands": [{"series_code": "A"}] * 600},
    {"op": "avg", "operands": [{"series_code": f"S{n}"} for n in range(30)]},
]

strings = st.one_of(st.sampled_from(STRINGS), st.text(max_size=20))
scalars = st.one_of(
    strings,
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(),
)
any_json: st.SearchStrategy[Any] = st.one_of(
    scalars,
    st.sampled_from(SHAPES).map(copy.deepcopy),
    st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(strings, inner, max_size=4)),
        max_leaves=8,
    ),
)


def text(tree: Any, *, plain: bool = True) -> str:
    """Return the JSON text of a tree.

    Args:
        tree: the tree of JSON values, in which strings and keys may have the marks `RAW` and `AGAIN`.
        plain: whether every non-ASCII character is escaped; otherwise it is written unchanged.
    """
    found = json.dumps(tree, ensure_ascii=plain)
    found = re.sub(r'"\\u0001((?:[^"\\]|\\.)*)"', lambda raw: raw[1].replace('\\"', '"'), found)
    return found.replace("\\u0002", "")


@st.composite
def mutated(draw: st.DrawFn, tree: Any, most: int = 4) -> Any:
    """Generate a copy of a tree of JSON values with at most `most` random changes."""
    root = {"": copy.deepcopy(tree)}
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(root))
        container, key = draw(st.sampled_from(places))
        value = container[key]
        match draw(
            st.sampled_from(["replace", "replace", "scalar", "wrap", "move", "add", "shape", "shape"])
        ):
            case "replace":
                container[key] = draw(any_json)
            case "scalar":
                container[key] = draw(scalars)
            case "wrap":
                container[key] = draw(st.sampled_from([[value], {"a": value}, [value, value], text(value)]))
            case "move":
                other, at = draw(st.sampled_from(places))
                container[key] = copy.deepcopy(other[at])
            case "add" if isinstance(value, dict):
                value[draw(strings)] = draw(any_json)
            case _ if container is not root:
                _reshape(draw, container, key)
    return root[""]


def _reshape(draw: st.DrawFn, container: Any, key: Any) -> None:
    """Remove an element from its list or object, duplicate it, or rename its key.

    Args:
        draw: the source of random choices.
        container: the list or object, which is changed in place.
        key: the index or the key of the element.
    """
    value = container[key]
    match draw(st.sampled_from(["drop", "again", "rename"])):
        case "drop":
            del container[key]
        case "again" if isinstance(container, list):
            container.extend([value] * draw(st.sampled_from([1, 2, 25])))
        case "again":
            container[key + AGAIN] = draw(st.one_of(st.just(value), any_json))
        case _ if isinstance(container, dict):
            container[draw(strings)] = container.pop(key)


@st.composite
def damaged(draw: st.DrawFn, whole: str) -> str:
    """Generate a damaged copy of a text: truncated, or with a piece missing, duplicated or replaced."""
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 40)))
    middle = draw(
        st.sampled_from(["", whole[start:end] * 2, '"', "}", ",", "\x00", "\\", "\\u12", "[", "1e", "\ufeff"])
    )
    return whole[:start] + middle + draw(st.sampled_from([whole[end:], whole[end:], ""]))


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, index or key) for each element at any depth of a tree of JSON values.

    The container is the list or object that contains the element. An element comes before the elements that
    it contains.
    """
    items = enumerate(tree) if isinstance(tree, list) else tree.items()
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)
