"""The demo dataset has the ECB's exchange rates in the layout of production datasets."""

import io
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_tools import ecb

COLLECTED = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
RATES = {
    "USD": {date(2025, 10, 31): 1.15, date(2025, 11, 3): 1.1514, date(2025, 11, 5): 1.1492},
    "BRL": {date(2025, 11, 3): 6.1891},
}


def files():
    return dict(ecb.part_files(RATES, COLLECTED))


def test_there_is_one_part_file_for_each_series_and_month():
    assert sorted(files()) == [
        "ECB_BRL_EUR_D/year=2025/month=11/data.parquet",
        "ECB_USD_EUR_D/year=2025/month=10/data.parquet",
        "ECB_USD_EUR_D/year=2025/month=11/data.parquet",
    ]


def test_months_have_two_digits():
    (name,) = dict(ecb.part_files({"USD": {date(2025, 3, 3): 1.0}}, COLLECTED))
    assert name == "ECB_USD_EUR_D/year=2025/month=03/data.parquet"


def test_rows_have_the_published_values_at_midnight_utc_and_missing_days_have_no_row():
    table = pq.read_table(io.BytesIO(files()["ECB_USD_EUR_D/year=2025/month=11/data.parquet"]))
    assert table["obs_time"].to_pylist() == [datetime(2025, 11, 3), datetime(2025, 11, 5)]  # noqa: DTZ001 - naive is UTC
    assert table["value"].to_pylist() == [1.1514, 1.1492]


def test_part_files_have_the_columns_of_production_and_one_row_group():
    parquet = pq.ParquetFile(io.BytesIO(files()["ECB_BRL_EUR_D/year=2025/month=11/data.parquet"]))
    assert parquet.schema_arrow.names == [
        "obs_time",
        "internal_series_code",
        "value",
        "unit",
        "frequency",
        "collection_date",
    ]
    assert parquet.schema_arrow.field("obs_time").type == pa.timestamp("ns")
    assert parquet.num_row_groups == 1
    assert parquet.metadata.row_group(0).column(2).compression == "SNAPPY"
    assert parquet.read().to_pylist()[0] == {
        "obs_time": datetime(2025, 11, 3),  # noqa: DTZ001 - naive is UTC
        "internal_series_code": "ECB_BRL_EUR_D",
        "value": 6.1891,
        "unit": "BRL per EUR",
        "frequency": "D",
        "collection_date": datetime(2026, 11, 2, 9, 30),  # noqa: DTZ001 - naive is UTC
    }


def test_the_manifest_has_every_field_that_the_ingestor_writes():
    body = ecb.manifest(RATES, ["ECB_USD_EUR_D/year=2025/month=11/data.parquet"], COLLECTED)
    assert body == {
        "version_id": "v20251105",
        "dataset_id": "ecb_fx",
        "created_at": "2026-11-02T09:30:00Z",
        "collection_date": "2026-11-02T09:30:00Z",
        "data_points_count": 4,
        "series_count": 2,
        "series_codes": ["ECB_BRL_EUR_D", "ECB_USD_EUR_D"],
        "date_range": {"min_obs_time": "2025-10-31T00:00:00Z", "max_obs_time": "2025-11-05T00:00:00Z"},
        "parquet_files": ["ECB_USD_EUR_D/year=2025/month=11/data.parquet"],
        "partitions": ["ECB_USD_EUR_D/year=2025/month=11/"],
        "partition_strategy": "series_year_month",
    }


def test_the_file_of_the_package_has_rates_since_1999_with_their_gaps():
    rates = ecb.read_rates()
    assert set(ecb.CURRENCIES) <= set(rates)
    assert rates["USD"][date(1999, 1, 4)] == 1.1789
    assert min(rates["BRL"]) == date(2008, 1, 2)
    assert list(rates["USD"]) == sorted(rates["USD"])
    assert not any(date(2009, 1, 1) <= day < date(2018, 1, 1) for day in rates["ISK"])


@pytest.mark.parametrize(
    ("code", "currency"),
    [("ECB_USD_EUR_D", "USD"), ("ECB_USD_EUR", None), ("BCRA_RESERVAS_USD_M_D", None), ("X", None)],
)
def test_the_currency_of_a_series_code(code, currency):
    assert ecb.currency_of(code) == currency
