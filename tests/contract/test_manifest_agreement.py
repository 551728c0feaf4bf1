"""The schema of dataset manifests agrees with the worker's parser, except for two rules.

A schema cannot express these two rules: the maximum length in bytes of a part file's key, including the
prefix of the dataset (`projectionsPath`), and the depth of nesting that a JSON parser can read.
"""

import json

import pytest
from hypothesis import assume, given

from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import MetricsWorkerError
from metrics_worker.request_check import Dataset
from tests.contract.documents import is_valid, tree_of
from tests.fuzz.budget import bounded
from tests.fuzz.manifests import manifests

DATASET = Dataset("fx", "datasets/fx/m.json", "datasets/fx/projections/")


@bounded(200)
@given(manifests())
def test_a_mutated_manifest_is_valid_if_and_only_if_the_worker_accepts_it(body):
    try:
        tree = tree_of(body.decode())
    except UnicodeDecodeError:
        tree = None
    assume(tree is not None)
    body = json.dumps(tree).encode()  # encoded again, so that no key is duplicate

    try:
        Manifest.parse(DATASET, memoryview(body))
        problem = ""
    except MetricsWorkerError as error:
        problem = str(error)
    valid = is_valid("dataset_manifest", tree)

    assert valid or problem
    too_long = valid and any(
        len((DATASET.projections_prefix + f).encode()) > 1024 for f in tree["parquet_files"]
    )
    assert not (valid and problem) or too_long or "recursion limit" in problem, problem


@pytest.mark.parametrize(
    "tree",
    [
        {"parquet_files": []},
        {"parquet_files": ["A/x.parquet"], "version_id": 7, "series_codes": None},
        {"parquet_files": ["A/é x.parquet"], "series_codes": ["A"], "date_range": 17, "created_at": None},
    ],
)
def test_a_manifest_with_only_its_part_files_is_valid(tree):
    assert is_valid("dataset_manifest", tree)
    assert Manifest.parse(DATASET, memoryview(json.dumps(tree).encode()))


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {},
        {"parquet_files": None},
        {"parquet_files": "A/x.parquet"},
        {"parquet_files": [7]},
        {"parquet_files": ["/A/x.parquet"]},
        {"parquet_files": ["A/../x.parquet"]},
        {"parquet_files": ["A/"]},
        {"parquet_files": ["A\n/x"]},
        {"parquet_files": [], "series_codes": "A"},
        {"parquet_files": [], "series_codes": [None]},
    ],
)
def test_an_invalid_manifest_is_rejected_by_the_schema_and_the_worker(tree):
    assert not is_valid("dataset_manifest", tree)
    with pytest.raises(MetricsWorkerError):
        Manifest.parse(DATASET, memoryview(json.dumps(tree).encode()))
