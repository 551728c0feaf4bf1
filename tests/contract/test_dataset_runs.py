"""Where a run finds its series: left out of `inputs`, by listing, shared by the runs of an invocation."""

import json

import obstore

from metrics_worker.errors import OutOfTime
from tests.builders import day, put_dataset, ratio, request, rows, series
from tests.contract.reading import datasets_of, failure, left_out, month, only

SUM = {"op": "sum", "operands": [series("A"), series("B")]}


# A series that inputs leaves out


def test_a_series_left_out_belongs_to_the_one_dataset_whose_manifest_has_it(cloud, read):
    put_dataset(cloud.store, {"B/data.parquet": month("B", 0)}, dataset="fx")
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0, first=7)}, dataset="gx")
    assert read(left_out()) == {"A": [7, 8]}
    assert read.inputs["A"].dataset_id == "gx"


def test_series_codes_tell_where_a_series_left_out_is(cloud, read):
    put_dataset(cloud.store, {"all.parquet": month("B", 0)}, dataset="fx", series_codes=["B", "A_B"])
    put_dataset(cloud.store, {"all.parquet": month("A", 0, first=7)}, dataset="gx", series_codes=["A"])
    assert read(left_out()) == {"A": [7, 8]}


def test_the_only_dataset_that_may_have_it_is_taken(cloud, read):
    put_dataset(cloud.store, {"all.parquet": month("A", 0)}, dataset="fx")
    assert read(left_out(datasets=("fx",))) == {"A": [1, 2]}


def test_a_nested_series_may_be_left_out_beside_one_that_is_not(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, dataset="fx")
    put_dataset(cloud.store, {"B/data.parquet": month("B", 0, first=7)}, dataset="gx")
    event = request(SUM, kind="composite", inputs={"A": "fx"}, datasets=("fx", "gx"))
    assert read(event) == {"A": [1, 2], "B": [7, 8]}


def test_a_series_left_out_that_no_dataset_has_is_named(cloud, read):
    put_dataset(cloud.store, {"B/data.parquet": month("B", 0)}, dataset="fx", series_codes=["B"])
    put_dataset(cloud.store, {"A_B/data.parquet": month("A_B", 0)}, dataset="gx", series_codes=["A_B"])
    assert failure(read, left_out()) == (
        "INPUT_READ_ERROR: Failed to read input series: A: "
        "it is not in inputs, and no dataset of the catalog has it (fx, gx)"
    )


def test_a_series_left_out_that_two_datasets_have_is_named(cloud, read):
    for dataset in ("fx", "gx"):
        put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, dataset=dataset)
    assert failure(read, left_out()) == (
        "INPUT_READ_ERROR: Failed to read input series: A: "
        "it is not in inputs, and more than one dataset may have it (fx, gx)"
    )


def test_a_series_left_out_of_an_empty_catalog_is_named(read):
    assert "Failed to read input series: A: " in failure(read, left_out(datasets=()))


def test_a_series_that_inputs_names_is_looked_for_nowhere_else(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, dataset="fx")
    assert read(only("A", datasets=("fx", "missing"))) == {"A": [1, 2]}
    assert read.traffic.gets == 2


def test_a_series_that_the_expression_does_not_name_is_not_read(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0), "Z/data.parquet": b"broken"})
    assert read(request(series("A"), kind="series", inputs={"A": "fx", "Z": "nowhere"})) == {"A": [1, 2]}


# Listing


def test_listing_finds_the_files_that_a_version_did_not_touch(cloud, read):
    files = {f"A/year=2026/month={m + 1:02d}/data.parquet": month("A", m, first=2 * m) for m in range(3)}
    last = list(files)[-1:]
    put_dataset(cloud.store, files, parquet_files=last)
    assert read(only("A")) == {"A": [4, 5]}, "the contract: what the manifest lists"
    assert read(only("A"), files="listing") == {"A": [0, 1, 2, 3, 4, 5]}
    assert read.inputs["A"].part_files == 3


def test_listing_is_by_whole_segments_and_of_parquet_files_alone(cloud, read):
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


def test_listed_files_are_taken_in_the_order_of_their_keys(cloud, read):
    put_dataset(
        cloud.store,
        {"A/b.parquet": rows("A", [day(1)], [2.0]), "A/a.parquet": rows("A", [day(1)], [1.0])},
    )
    assert read(only("A")) == {"A": [1]}
    assert read(only("A"), files="listing") == {"A": [2]}


def test_a_listed_file_without_the_column_belongs_to_its_folder(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month(None, 0)}, parquet_files=[])
    assert read(only("A"), files="listing") == {"A": [1, 2]}


def test_a_series_of_which_nothing_is_listed_is_an_error_that_names_it(cloud, read):
    put_dataset(cloud.store, {"B/1.parquet": month("B", 0)})
    said = failure(read, only("A"), files="listing")
    assert said.startswith("INPUT_READ_ERROR: Failed to read input series: A: no observation in 0 part files")


def test_listing_looks_for_series_left_out_too(cloud, read):
    put_dataset(
        cloud.store, {"A/1.parquet": month("A", 0)}, dataset="fx", series_codes=["A"], parquet_files=[]
    )
    put_dataset(
        cloud.store, {"B/1.parquet": month("B", 0)}, dataset="gx", series_codes=["B"], parquet_files=[]
    )
    assert read(left_out(), files="listing") == {"A": [1, 2]}


# Once an invocation


def test_what_two_runs_of_an_invocation_share_is_read_once(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": month("B", 0, first=5)})
    datasets = datasets_of()
    assert read(only("A"), datasets=datasets) == {"A": [1, 2]}
    assert read.traffic.gets == 2
    assert read(datasets=datasets) == {"A": [1, 2], "B": [5, 6]}
    assert read.traffic.gets == 3


def test_nothing_is_kept_for_the_next_invocation(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)})
    assert read(only("A")) == {"A": [1, 2]}
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0, first=7)})
    assert read(only("A")) == {"A": [7, 8]}


def test_a_failed_read_leaves_nothing_half_read(cloud, read):
    datasets = datasets_of()
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0), "B/1.parquet": b"broken"})
    failure(read, datasets=datasets)
    assert read(only("A"), datasets=datasets) == {"A": [1, 2]}
    assert "input series: B" in failure(read, datasets=datasets)


def test_the_same_series_of_two_versions_of_a_dataset_are_two(cloud, read):
    put_dataset(cloud.store, {"A/1.parquet": month("A", 0)})
    newer = {"parquet_files": ["A/1.parquet"], "version_id": "v2", "series_codes": ["B"]}
    obstore.put(cloud.store, "datasets/fx/versions/v2/manifest.json", json.dumps(newer).encode())
    paths = {
        "manifestPath": "datasets/fx/versions/v2/manifest.json",
        "projectionsPath": "datasets/fx/projections/",
    }
    datasets = datasets_of()
    assert read(only("A"), datasets=datasets) == {"A": [1, 2]}
    said = failure(read, only("A", catalog={"datasets": {"fx": paths}}), datasets=datasets)
    assert "versions/v2/manifest.json" in said


# Progress


def test_progress_rises_with_each_file_to_the_whole(cloud, read):
    put_dataset(cloud.store, {f"A/{n}.parquet": month("A", n) for n in range(5)})
    heard: list[float] = []
    read(only("A"), on_progress=heard.append)
    assert heard == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_what_the_listener_raises_ends_the_reading(cloud, read):
    put_dataset(cloud.store, {f"A/{n:03d}.parquet": month("A", n) for n in range(300)})

    def stop(_):
        raise OutOfTime("invocation", "2.9 s left")

    failure(read, only("A"), on_progress=stop, kind=OutOfTime)
    assert read.traffic.gets < 300


def test_a_scan_of_real_size_is_one_request_a_part_file(cloud, read):
    files = {
        f"{code}/year={2000 + m // 12}/month={m % 12 + 1:02d}/data.parquet": month(code, m, first=m)
        for code in ("A", "B")
        for m in range(275)
    }
    put_dataset(cloud.store, files)
    found = read(request(ratio(series("A"), series("B"))))
    assert [len(values) for values in found.values()] == [550, 550]
    assert read.traffic.gets == 1 + 2 * 275
