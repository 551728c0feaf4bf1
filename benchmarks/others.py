"""Implementations of the job of `workload.py` with pandas and pyarrow.dataset, and with polars.

Both implementations do less than the worker: they publish no events and write neither manifests nor markers.
They read each series once for all metrics, as the worker does for a batch.
"""

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

import pandas as pd
import polars as pl
import pyarrow.dataset as ds
from pyarrow.fs import S3FileSystem

from benchmarks.workload import BUCKET, EXPRESSIONS, MANIFEST, PROJECTIONS, SERIES, codes_of

_COLUMNS = ["obs_time", "value"]
_attempts = count()


class WithPandas:
    """An implementation that reads with pyarrow.dataset and computes with pandas."""

    def __init__(self, url: str) -> None:
        self._fs = S3FileSystem(
            access_key="bench",
            secret_key="bench",  # noqa: S106 - not a real account
            region="us-east-1",
            endpoint_override=url.removeprefix("http://"),
            scheme="http",
        )

    def run(self, names: Iterable[str]) -> None:
        """Compute metrics, by their names in `EXPRESSIONS`, and write one Parquet file for each."""
        names = list(names)
        with self._fs.open_input_stream(f"{BUCKET}/{MANIFEST}") as stream:
            files = json.loads(stream.read())["parquet_files"]
        series = {code: self._read(files, code) for code in sorted(codes_of(names))}
        attempt = next(_attempts)
        for name in names:
            values = _METRICS[name](pd, series).dropna()
            path = f"{BUCKET}/others/pandas/{name}/{attempt}.parquet"
            values.rename("value").to_frame().to_parquet(path, filesystem=self._fs)

    def _read(self, files: list[str], code: str) -> pd.Series:
        paths = [f"{BUCKET}/{PROJECTIONS}{file}" for file in files if file.startswith(f"{code}/")]
        found = ds.dataset(paths, filesystem=self._fs, format="parquet")
        frame = found.to_table(columns=_COLUMNS, filter=ds.field("internal_series_code") == code).to_pandas()
        frame = frame.drop_duplicates("obs_time", keep="last").set_index("obs_time").sort_index()
        values: pd.Series = frame["value"].dropna()
        return values


def _basket(_: Any, series: dict[str, pd.Series]) -> pd.Series:
    return pd.concat([series[code] for code in SERIES], axis=1).mean(axis=1)


_METRICS: dict[str, Any] = {
    "ratio": lambda _, s: s[SERIES[0]] / s[SERIES[1]],
    "momentum": lambda _, s: s[SERIES[2]].rolling(14).mean() - s[SERIES[2]].rolling(30).mean(),
    "basket": _basket,
    "change": lambda _, s: s[SERIES[3]] / s[SERIES[3]].shift(30) - 1,
    "high": lambda _, s: s[SERIES[4]].rolling(250).max(),
    "smooth": lambda _, s: (s[SERIES[0]] / s[SERIES[4]]).dropna().ewm(span=20, adjust=False).mean(),
}


class WithPolars:
    """An implementation that reads with scan_parquet and computes with polars expressions."""

    def __init__(self, url: str) -> None:
        self._options = {
            "aws_access_key_id": "bench",
            "aws_secret_access_key": "bench",
            "aws_region": "us-east-1",
            "aws_endpoint_url": url,
            "aws_allow_http": "true",
        }
        self._fs = WithPandas(url)._fs  # noqa: SLF001 - reads the manifest

    def run(self, names: Iterable[str]) -> None:
        """Compute metrics, by their names in `EXPRESSIONS`, and write one Parquet file for each."""
        names = list(names)
        with self._fs.open_input_stream(f"{BUCKET}/{MANIFEST}") as stream:
            files = json.loads(stream.read())["parquet_files"]
        series = {code: self._read(files, code) for code in sorted(codes_of(names))}
        attempt = next(_attempts)
        for name in names:
            found = _EXPRESSIONS[name](series).drop_nulls().select("obs_time", "value")
            found.write_parquet(
                f"s3://{BUCKET}/others/polars/{name}/{attempt}.parquet", storage_options=self._options
            )

    def _read(self, files: list[str], code: str) -> pl.DataFrame:
        paths = [f"s3://{BUCKET}/{PROJECTIONS}{file}" for file in files if file.startswith(f"{code}/")]
        scan = pl.scan_parquet(paths, storage_options=self._options, hive_partitioning=False)
        scan = scan.filter(pl.col("internal_series_code") == code).select(_COLUMNS)
        frame: pl.DataFrame = scan.drop_nulls().collect()
        return frame.unique("obs_time", keep="last").sort("obs_time")


def _joined(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    return left.join(right, on="obs_time", suffix="_right").sort("obs_time")


def _ratio(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    return _joined(left, right).with_columns(value=pl.col("value") / pl.col("value_right"))


def _mean_of_all(series: dict[str, pl.DataFrame]) -> pl.DataFrame:
    everything = pl.concat([series[code] for code in SERIES])
    return everything.group_by("obs_time").agg(pl.col("value").mean()).sort("obs_time")


_V = pl.col("value")
_EXPRESSIONS: dict[str, Any] = {
    "ratio": lambda s: _ratio(s[SERIES[0]], s[SERIES[1]]),
    "momentum": lambda s: s[SERIES[2]].with_columns(value=_V.rolling_mean(14) - _V.rolling_mean(30)),
    "basket": _mean_of_all,
    "change": lambda s: s[SERIES[3]].with_columns(value=_V / _V.shift(30) - 1),
    "high": lambda s: s[SERIES[4]].with_columns(value=_V.rolling_max(250)),
    "smooth": lambda s: _ratio(s[SERIES[0]], s[SERIES[4]]).with_columns(
        value=_V.ewm_mean(span=20, adjust=False)
    ),
}
assert _EXPRESSIONS.keys() == _METRICS.keys() == EXPRESSIONS.keys()
