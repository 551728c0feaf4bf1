"""Generators of dataset manifests, arbitrary or almost valid, and the part files that they may list."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.builders import Cloud, day, put_dataset, ratio, record, request, rows, series, window
from tests.fuzz.case import Case
from tests.fuzz.json_trees import AGAIN, STRINGS, any_json, damaged, mutated, strings, text

KEY = "datasets/fx/versions/v1/manifest.json"
PROJECTIONS = "datasets/fx/projections/"
FILES = [
    "A/year=2026/month=01/data.parquet",
    "B/year=2026/month=01/data.parquet",
    "series=A/data.parquet",
    "internal_series_code=B/data.parquet",
    "A_B/data.parquet",
    "Z/data.parquet",
    "all.parquet",
    "no-code.parquet",
    "A/no-code.parquet",
    "A/é%2F..%5C x/data.parquet",
]
"""Part files that exist and can be read."""
NO_FILES = ["A/empty.parquet", "A/text.parquet", "A/no-rows.parquet"]
PATHS = [
    *STRINGS, *NO_FILES, "A/missing.parquet", "../../versions/v1/manifest.json",
    "A/../B/year=2026/month=01/data.parquet",
    "/datasets/fx/projections/A/year=2026/month=01/data.parquet",
    "s3://data-bucket/datasets/fx/projections/all.parquet",
    "A//data.parquet", "A/./data.parquet", "./all.parquet", "all.parquet/", "A/\u2028", "..%2f..%2fsecret",
    "A\\..\\B", "~",
    "A/" + "p/" * 500 + "data.parquet", "A/" + "d" * 985, "series=/x.parquet", "internal_series_code=/x",
    "A/" + "é" * 490,
]  # fmt: skip
NEEDED = [*FILES[:2], "Z/data.parquet"]
"""The part files that are sufficient for each of `REQUESTS`."""
MANIFEST: dict[str, Any] = {
    "version_id": "v20251111_014138_730866",
    "dataset_id": "fx",
    "created_at": "2025-11-11T05:13:32Z",
    "series_codes": ["A", "B", "Z"],
    "date_range": {"min_obs_time": "2002-12-31T00:00:00Z", "max_obs_time": None},
    "parquet_files": NEEDED,
    "partitions": ["A/year=2026/month=01/"],
}
REQUESTS = [
    request(),
    request(series("A"), kind="series", inputs={}, schema="metrics.run.v1"),
    request(
        {"op": "sum", "operands": [window("sum", ratio(series("A"), series("B")), 2), series("Z")]},
        kind="composite",
        inputs={"A": "fx", "Z": "fx"},
    ),
]


@cache
def objects() -> dict[str, bytes]:
    """Return a dict from key to body of the part files that the generated manifests may list.

    Most of them have observations on ten days; some are empty or not Parquet.
    """
    days = [day(n) for n in range(1, 11)]
    files: dict[str, Any] = {name: rows("A" if "A" in name else "B", days, range(10)) for name in FILES}
    files["Z/data.parquet"] = rows("Z", days, range(10))
    files["no-code.parquet"] = files["A/no-code.parquet"] = rows(None, days, range(10))
    files["A/no-rows.parquet"] = rows("A", [], [])
    files["A/text.parquet"] = b"PAR1 is how it begins, and how it ends: PAR1"
    files["A/empty.parquet"] = b""
    cloud = Cloud()
    put_dataset(cloud.store, files)
    return {key: cloud.read(key) for key in cloud.keys()}  # noqa: SIM118 - Cloud is not a dict.


_paths = st.one_of(
    st.sampled_from(FILES), st.sampled_from(FILES * 20 + PATHS), st.sampled_from(FILES * 30 + STRINGS)
)


@st.composite
def _trees(draw: st.DrawFn) -> Any:
    """Generate the JSON value of a dataset manifest, which is almost valid or any JSON value."""
    tree = dict(MANIFEST)
    match draw(st.sampled_from(["path", "paths", "thousands", "mutated", "mutated", "codes", "any"])):
        case "path":
            tree["parquet_files"] = [draw(_paths)]
        case "paths":
            tree["parquet_files"] = [*NEEDED, *draw(st.lists(_paths, max_size=4))]
        case "thousands":
            path = draw(st.sampled_from([*FILES, "A/{}.parquet", "{}.parquet", "Z/{}", "\ud800{}"]))
            count = draw(st.sampled_from([39, 40, 41, 1_000, 5_000]))
            tree["parquet_files"] = [path.replace("{}", str(n)) for n in range(count)]
        case "mutated":
            return draw(mutated(tree))
        case "codes":
            codes = st.one_of(st.lists(strings, max_size=4), any_json, st.just(["A"] * 5_000))
            tree["series_codes"] = draw(codes)
        case _:
            return draw(any_json)
    return tree


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """Generate the bytes of a dataset manifest, which may be damaged or have an unusual encoding."""
    tree = draw(_trees())
    if isinstance(tree, dict) and draw(st.integers(0, 3)) == 0:
        tree["parquet_files" + AGAIN] = draw(st.one_of(any_json, st.lists(_paths, max_size=3)))
    whole = text(tree, plain=draw(st.booleans()))
    match draw(st.sampled_from(["as it is"] * 6 + ["damaged", "padded", "utf-16", "bom", "bytes", "raw"])):
        case "damaged":
            whole = draw(damaged(whole))
        case "padded":
            whole += " " * 70_000
        case "utf-16":
            return whole.encode("utf-16", "surrogatepass")
        case "bom":
            return b"\xef\xbb\xbf" + whole.encode("utf-8", "surrogatepass")
        case "bytes":
            return draw(st.binary())
        case "raw":
            whole = draw(st.sampled_from(STRINGS))
        case _:
            pass
    return whole.encode("utf-8", "surrogatepass")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Generate a case with one run, and with a generated manifest in the bucket."""
    event = draw(st.sampled_from(REQUESTS))
    source = draw(st.sampled_from(["manifest", "manifest", "listing"]))
    return Case([record(event)], objects() | {KEY: draw(manifests())}, {"WORKER_SERIES_FILES": source})
