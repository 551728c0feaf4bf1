"""A run finds its series if `inputs` omits them, if part files are listed, and if other runs share reads."""

import json

import obstore

from metrics_worker.errors import OutOfTime
from tests.builders import day, put_dataset, ratio, request, rows, series
from tests.contract.reading import datasets_of, failure, left_out, month, only

SUM = {"op": "sum", "operands": [series("A"), series("B")]}


# Series that are not in `inputs`


def test_an_unlisted_series_is_read_from_the_only_dataset_whose_manifest_has_it(cloud, read):
    put_dataset(cloud.store, {"B/data.parquet": month("B", 0)}, dataset="fx")
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0, first=7)}, dataset="gx")
    assert read(left_out()) == {"A": [7, 8]}
    assert read.inputs["A"].dataset_id == "gx"


def test_an_unlisted_series_is_found_by_series_codes(cloud, read):
    put_dataset(cloud.store, {"all.parquet": month("B", 0)}, dataset="fx", series_codes=["B", "A_B"])
    put_dataset(cloud.store, {"all.parquet": month("A", 0, first=7)}, dataset="gx", series_codes=["A"])
    assert read(left_out()) == {"A": [7, 8]}


def test_an_unlisted_series_is_read_from_the_only_dataset_of_the_catalog(cloud, read):
    put_dataset(cloud.store, {"all.parquet": month("A", 0)}, dataset="fx")
    assert read(left_out(datasets=("fx",))) == {"A": [1, 2]}


def test_inputs_can_list_some_series_and_omit_others(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, dataset="fx")
    put_dataset(cloud.store, {"B/data.parquet": month("B", 0, first=7)}, dataset="gx")
    event = request(SUM, kind="composite", inputs={"A": "fx"}, datasets=("fx", "gx"))
    assert read(event) == {"A": [1, 2], "B": [7, 8]}


def test_an_unlisted_series_that_no_dataset_has_is_an_error(cloud, read):
    put_dataset(cloud.store, {"B/data.parquet": month("B", 0)}, dataset="fx", series_codes=["B"])
    put_dataset(cloud.store, {"A_B/data.parquet": month("A_B", 0)}, dataset="gx", series_codes=["A_B"])
    assert failure(read, left_out()) == (
        "INPUT_READ_ERROR: Failed to read input series: A: "
        "it is not in inputs, and no dataset of the catalog has it (fx, gx)"
    )


def test_an_unlisted_series_that_two_datasets_have_is_an_error(cloud, read):
    for dataset in ("fx", "gx"):
        put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, dataset=dataset)
    assert failure(read, left_out()) == (
        "INPUT_READ_ERROR: Failed to read input series: A: "
        "it is not in inputs, and more than one dataset may have it (fx, gx)"
    )


def test_an_unlisted_series_with_an_empty_catalog_is_an_error(read):
    assert "Failed to read input series: A: " in failure(read, left_out(datasets=()))


def test_a_listed_series_is_read_only_from_its_dataset(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, dataset="fx")
    assert read(only("A", datasets=("fx", "missing"))) == {"A": [1, 2]}
    assert read.traffic.gets == 2


def test_a_series_that_the_expression_does_not_contain_is_not_read(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0), "Z/data.parquet": b"broken"})
    assert read(request(series("A"), kind="series", inputs={"A": "fx", "Z": "nowhere"})) == {"A": [1, 2]}


# Listing


def test_listing_finds_part_files_that_are_not_in_the_manifest(cloud, read):
    files = {f"A/year=2026/month={m + 1:02d}/data.parquet": month("A", m, first=2 * m) for m in range(3)}
    last = list(files)[-1:]
    put_dataset(cloud.store, files, parquet_files=last)
    assert read(only("A")) == {"A": [4, 5]}, "by default, only the files of the manifest"
    assert read(only("A"), files="listing") == {"A": [0, 1, 2, 3, 4, 5]}
    assert read.inputs["A"].part_files == 3


def test_listing_matches_whole_segments_and_only_parquet_files(cloud, read):
    put_dataset(
        cloud.store,
        {
            "A/1.parquet": month("A", 0),
            "A/_SUCCESS": b"",
            "A/1.parquet.tmp": b"half",
            "A_B/1.parquet": month("A", 1, first=90),
            "AA.parquet": b"broken",
        },
    )
    assert read(only("A"), files="listing") == {"A": [1, 2]}


def test_listed_files_are_read_in_the_order_of_their_keys(cloud, read):
    put_dataset(
        cloud.store,
        {"A/b.parquet": rows("A", [day(1)], [2.0]), "A/a.parquet": rows("A", [day(1)], [1.0])},
    )
    assert read(only("A")) == {"A": [1]}
    assert read(only("A"), files="listing") == {"A": [2]}


def test_a_listed_file_without_a_code_column_belongs_to_the_series_of_its_folder(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month(None, 0)}, parquet_files=[])
    assert read(only("A"), files="listing") == {"A": [1, 2]}


def test_a_series_without_listed_files_is_an_error_that_names_it(cloud, read):
    put_dataset(cloud.store, {"B/1.parquet": month("B", 0)})
    message = failure(read, only("A"), files="listing")
    expected = "INPUT_READ_ERROR: Failed to read input series: A: no observation in 0 part files"
    assert message.startswith(expected)


def test_listing_finds_unlisted_series_too(cloud, read):
    put_dataset(
        cloud.store, {"A/1.parquet": month("A", 0)}, dataset="fx", series_codes=["A"], parquet_files=[]
    )
    put_dataset(
        cloud.store, {"B/1.parquet": month("B", 0)}, dataset="gx", series_codes=["B"], parquet_files=[]
    )
    assert read(left_out(), files="listing") == {"A": [1, 2]}


# Series that several runs of an invocation read


def test_two_runs_of_an_invocation_share_manifests_and_series(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": month("B", 0, first=5)})
    datasets = datasets_of()
    assert read(only("A"), datasets=datasets) == {"A": [1, 2]}
    assert read.traffic.gets == 2
    assert read(datasets=datasets) == {"A": [1, 2], "B": [5, 6]}
    assert read.traffic.gets == 3


def test_the_next_invocation_reads_everything_again(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)})
    assert read(only("A")) == {"A": [1, 2]}
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0, first=7)})
    assert read(only("A")) == {"A": [7, 8]}


def test_a_failed_read_does_not_affect_later_reads(cloud, read):
    datasets = datasets_of()
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": b"broken"})
    failure(read, datasets=datasets)
    assert read(only("A"), datasets=datasets) == {"A": [1, 2]}
    assert "input series: B" in failure(read, datasets=datasets)


def test_two_versions_of_a_dataset_do_not_share_their_series(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)})
    newer = {"parquet_files": ["A/1.parquet"], "version_id": "v2", "series_codes": ["B"]}
    obstore.put(cloud.store, "datasets/fx/versions/v2/manifest.json", json.dumps(newer).encode())
    paths = {
        "manifestPath": "datasets/fx/versions/v2/manifest.json",
        "projectionsPath": "datasets/fx/projections/",
    }
    datasets = datasets_of()
    assert read(only("A"), datasets=datasets) == {"A": [1, 2]}
    message = failure(read, only("A", catalog={"datasets": {"fx": paths}}), datasets=datasets)
    assert "versions/v2/manifest.json" in message


# The reported progress


def test_progress_rises_to_1_with_each_file(cloud, read):
    put_dataset(cloud.store, {f"A/{n}.parquet": month("A", n) for n in range(5)})
    progress: list[float] = []
    read(only("A"), on_progress=progress.append)
    assert progress == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_an_exception_of_the_progress_callback_ends_the_reading(cloud, read):
    put_dataset(cloud.store, {f"A/{n:03d}.parquet": month("A", n) for n in range(300)})

    def stop(_):
        raise OutOfTime("invocation", "2.9 s left")

    failure(read, only("A"), on_progress=stop, kind=OutOfTime)
    assert read.traffic.gets < 300


def test_each_part_file_of_a_real_sized_dataset_takes_one_request(cloud, read):
    files = {
        f"{code}/year={2000 + m // 12}/month={m % 12 + 1:02d}/data.parquet": month(code, m, first=m)
        for code in ("A", "B")
        for m in range(275)
    }
    put_dataset(cloud.store, files)
    found = read(request(ratio(series("A"), series("B"))))
    assert [len(values) for values in found.values()] == [550, 550]
    assert read.traffic.gets == 1 + 2 * 275
