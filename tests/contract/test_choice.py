"""The worker finds the dataset and the part files of a series in a manifest or by a listing.

The setting `WORKER_SERIES_FILES` selects the way: "manifest" or "listing".
"""

import asyncio
from collections.abc import Callable

import boto3
import obstore
import pytest

from metrics_worker.errors import UnusableKey
from tests.builders import BUCKET, put_dataset, ratio, request, series
from tests.contract.reading import Reader, datasets_of, failure, left_out, month, only, put_manifest

NOT_FOUND = "INPUT_READ_ERROR: Failed to read input series: A: it is not in inputs, and "


# The mode "listing": only the listing determines the part files


def test_listing_reads_a_series_that_the_last_update_did_not_touch(cloud, read):
    put_dataset(
        cloud.store,
        {"A/1.parquet": month("A", 0), "B/1.parquet": month("B", 0, first=5)},
        parquet_files=["B/1.parquet"],
        series_codes=["B"],
    )
    assert "not in series_codes" in failure(read)
    assert read(files="listing") == {"A": [1, 2], "B": [5, 6]}


def test_listing_finds_an_omitted_series_where_its_files_are(cloud, read):
    put_dataset(cloud.store, {"B/1.parquet": month("B", 0)}, dataset="fx", series_codes=["A", "B"])
    put_dataset(
        cloud.store, {"A/1.parquet": month("A", 0, first=7)}, dataset="gx", parquet_files=[], series_codes=[]
    )
    assert read(left_out(), files="listing") == {"A": [7, 8]}
    assert read.inputs["A"].dataset_id == "gx"


def test_listing_reads_only_the_manifest_of_the_dataset_that_has_the_omitted_series(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)}, dataset="gx", version_id="v7")
    assert read(left_out(datasets=("gone", "gx")), files="listing") == {"A": [1, 2]}
    assert read.inputs["A"].dataset_version == "v7"


def test_listing_names_an_omitted_series_that_no_dataset_has(cloud, read):
    for dataset in ("fx", "gx"):
        put_dataset(cloud.store, {"A_B/1.parquet": month("A_B", 0)}, dataset=dataset, series_codes=["A"])
    said = failure(read, left_out(), files="listing")
    assert said == NOT_FOUND + "no dataset of the catalog has part files of it (fx, gx)"
    assert failure(read, left_out(datasets=()), files="listing").endswith("of it (none)")


def test_listing_names_an_omitted_series_that_two_datasets_have(cloud, read):
    for dataset in ("fx", "gx"):
        put_dataset(cloud.store, {"A/1.parquet": month("A", 0)}, dataset=dataset, series_codes=[])
    said = failure(read, left_out(), files="listing")
    assert said == NOT_FOUND + "more than one dataset has part files of it (fx, gx)"


def test_the_folder_of_an_omitted_series_is_listed_once(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": month("B", 0)})
    event = request(inputs={}, datasets=("fx",))
    datasets = datasets_of("listing")
    read(event, datasets=datasets)
    read(event, datasets=datasets)
    assert (read.traffic.lists, read.traffic.gets) == (2, 1 + 2)


# Files that are not part files

HIDDEN = [
    "_temporary/0/part-0.parquet",
    "_delta_log/00000000000000000010.checkpoint.parquet",
    ".spark-staging/year=2026/part-0.parquet",
    "year=2026/_temporary/part-0.parquet",
    "_part-0.parquet",
    ".part-0.parquet",
    "year=2026/.part-0.parquet",
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_listing_ignores_names_that_begin_with_an_underscore_or_a_dot(cloud, read, hidden):
    put_dataset(cloud.store, {"A/year=2026/1.parquet": month("A", 0), f"A/{hidden}": month("A", 1, first=90)})
    assert read(only("A"), files="listing") == {"A": [1, 2]}
    assert read.inputs["A"].part_files == 1


def test_a_series_code_can_begin_with_an_underscore(cloud, read):
    put_dataset(cloud.store, {"_A/1.parquet": month("_A", 0)})
    assert read(only("_A"), files="listing") == {"_A": [1, 2]}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_manifest_may_list_any_name(cloud, read, hidden):
    put_dataset(cloud.store, {f"A/{hidden}": month("A", 0)})
    assert read(only("A")) == {"A": [1, 2]}


# Hive layouts with percent-encoded names

ENCODED = [
    ("FX:USD", "FX%3AUSD"),
    ("A B", "A%20B"),
    ("50% off", "50%25%20off"),
    ("Q[1]", "Q%5B1%5D"),
    ("é", "%C3%A9"),
]
BOTH = pytest.mark.parametrize("files", ["manifest", "listing"])


@BOTH
@pytest.mark.parametrize("column", [True, False])
@pytest.mark.parametrize("name", ["", "series=", "internal_series_code="])
@pytest.mark.parametrize(("code", "encoded"), ENCODED)
def test_a_folder_names_the_decoded_code(cloud, read, code, encoded, name, column, files):
    put_dataset(
        cloud.store,
        {
            f"{name}{encoded}/year=2026/1.parquet": month(code if column else None, 0),
            f"{name}{encoded}X/year=2026/1.parquet": month("other" if column else None, 1, first=90),
        },
    )
    assert read(only(code), files=files) == {code: [1, 2]}
    assert read.inputs[code].part_files == 1


@BOTH
@pytest.mark.parametrize("folder", ["internal_series_code=a%3Ab c", "series=a:b c", "a%3Ab%20c"])
def test_a_folder_may_encode_all_of_a_code_or_a_part_of_it(cloud, read, folder, files):
    put_dataset(cloud.store, {f"{folder}/1.parquet": month(None, 0)})
    assert read(only("a:b c"), files=files) == {"a:b c": [1, 2]}


@BOTH
def test_a_code_with_a_percent_sign_is_first_compared_without_decoding(cloud, read, files):
    put_dataset(cloud.store, {"A%25/1.parquet": month(None, 0), "A%2525/1.parquet": month(None, 1, first=90)})
    assert read(only("A%25"), files=files) == {"A%25": [1, 2]}


def test_files_with_and_without_an_encoded_code_are_read_in_the_order_of_the_manifest(cloud, read):
    files = {"series=a%3Ab/1.parquet": month(None, 0), "a:b/2.parquet": month(None, 1, first=3)}
    put_dataset(cloud.store, files)
    assert read(only("a:b")) == {"a:b": [1, 2, 3, 4]}


def test_an_encoded_folder_of_another_series_is_ignored(cloud, read):
    files = {"a%3Ab/1.parquet": month(None, 0), "all.parquet": month("A", 0, first=7)}
    put_dataset(cloud.store, files, series_codes=["A", "a:b"])
    assert read(only("A")) == {"A": [7, 8]}


def test_hive_folders_are_only_listed_if_the_folder_of_the_code_is_empty(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "series=B/1.parquet": month("B", 0)})
    read(only("A"), files="listing")
    assert read.traffic.lists == 1
    read(only("B"), files="listing")
    assert read.traffic.lists == 1 + 3


@pytest.fixture
def concurrent_listings(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return `require(number)`: after this call, each listing waits until `number` listings were requested.

    A listing fails if fewer listings are requested within 20 seconds.
    """
    list_objects = obstore.list

    def require(number):
        barriers: dict[asyncio.AbstractEventLoop, asyncio.Barrier] = {}

        class Listing:
            def __init__(self, store, prefix):
                self.found = list_objects(store, prefix)

            async def collect_async(self):
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(20):
                    await barriers.setdefault(loop, asyncio.Barrier(number)).wait()
                return await self.found.collect_async()

        monkeypatch.setattr(obstore, "list", Listing)

    return require


def test_the_series_of_a_run_are_listed_concurrently(cloud, read, concurrent_listings):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": month("B", 0)})
    concurrent_listings(2)
    assert read(files="listing") == {"A": [1, 2], "B": [1, 2]}
    assert read.traffic.lists == 2


def test_omitted_series_are_looked_for_concurrently_in_all_datasets(cloud, read, concurrent_listings):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)}, dataset="fx")
    put_dataset(cloud.store, {"series=B/1.parquet": month("B", 0)}, dataset="gx")
    event = request(ratio(series("A"), series("B")), inputs={}, datasets=("fx", "gx"))
    concurrent_listings(2)  # four folders with codes as names, and six Hive folders
    assert read(event, files="listing") == {"A": [1, 2], "B": [1, 2]}
    assert read.traffic.lists == 4 + 6


# Manifests that list JSON files


@pytest.mark.parametrize("parquet_files", [{}, {"parquet_files": None}])
@BOTH
def test_the_error_for_a_manifest_of_json_files_explains_the_problem(cloud, read, files, parquet_files):
    manifest = {"version_id": "v1", "json_files": ["A/1.json"], **parquet_files}
    put_manifest(cloud, manifest)
    assert failure(read, only("A"), files=files) == (
        "INPUT_READ_ERROR: manifest datasets/fx/versions/v1/manifest.json: parquet_files missing: this "
        "manifest lists JSON files (json_files), and the worker reads Parquet"
    )


def test_a_manifest_may_list_json_files_too(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)}, json_files=["A/1.json"])
    assert read(only("A")) == {"A": [1, 2]}


# On S3: keys that the S3 client cannot request, and objects that mark folders


@pytest.fixture
def s3_client(s3):
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1")
    yield client
    client.close()


@pytest.fixture
def on_s3_read(on_s3):
    return Reader(on_s3)


def dataset_of(request_: pytest.FixtureRequest) -> str:
    """Return the id of the dataset of the running test, which no other test uses."""
    return f"choice{abs(hash(request_.node.name))}"


@pytest.mark.parametrize(
    "odd", ["A//x.parquet", "A/./x.parquet", "A/../x.parquet", "A/x\x7f.parquet", "A/\t.csv"]
)
def test_a_key_that_the_client_cannot_request_ends_the_run_and_is_named(
    request, s3_client, s3_store, on_s3, on_s3_read, odd
):
    dataset = dataset_of(request)
    put_dataset(s3_store, {"A/1.parquet": month("A", 0)}, dataset=dataset)
    key = f"datasets/{dataset}/projections/{odd}"
    s3_client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    event = only("A", datasets=(dataset,)) | {"inputs": [{"datasetId": dataset, "seriesCode": "A"}]}
    assert on_s3_read(event) == {"A": [1, 2]}, "a manifest that does not list it is not harmed"
    said = failure(on_s3_read, event, files="listing")
    assert said.startswith(
        f"INPUT_READ_ERROR: Failed to read input series: A: {key}: LIST: the client cannot "
    )
    with pytest.raises(UnusableKey):
        on_s3.list(f"datasets/{dataset}/projections/A/")


def test_folder_markers_are_not_part_files(request, s3_client, s3_store, on_s3_read):
    dataset = dataset_of(request)
    code = "x.parquet"
    put_dataset(s3_store, {f"{code}/y.parquet/1.parquet": month(code, 0)}, dataset=dataset)
    for marker in (f"{code}/", f"{code}/y.parquet/"):
        s3_client.put_object(Bucket=BUCKET, Key=f"datasets/{dataset}/projections/{marker}", Body=b"")
    event = only(code, datasets=(dataset,)) | {"inputs": [{"datasetId": dataset, "seriesCode": code}]}
    assert on_s3_read(event, files="listing") == {code: [1, 2]}


def test_an_encoded_folder_on_s3_is_listed_as_it_is(request, s3_store, on_s3_read):
    dataset = dataset_of(request)
    put_dataset(s3_store, {"internal_series_code=FX%3AUSD/1.parquet": month(None, 0)}, dataset=dataset)
    event = only("FX:USD", datasets=(dataset,)) | {"inputs": [{"datasetId": dataset, "seriesCode": "FX:USD"}]}
    for files in ("manifest", "listing"):
        assert on_s3_read(event, files=files) == {"FX:USD": [1, 2]}


def test_a_ratio_reads_both_of_its_series_by_listing(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": month("B", 0)}, parquet_files=[])
    assert read(request(ratio(series("A"), series("B"))), files="listing") == {"A": [1, 2], "B": [1, 2]}
