"""The schema of a dataset's manifest says what the worker's parser does, but for what a schema can't say.

That is: the length of a part file's key, with the projections before it and in bytes; and JSON nested deeper
than a parser goes.
"""

import json

import pytest
from hypothesis import assume, given

from metrics_worker.contract import Dataset
from metrics_worker.errors import MetricsWorkerError
from metrics_worker.manifest import Manifest
from tests.contract.documents import is_valid, tree_of
from tests.fuzz.budget import bounded
from tests.fuzz.manifests import manifests

DATASET = Dataset("fx", "datasets/fx/m.json", "datasets/fx/projections/")


@bounded(200)
@given(manifests())
def test_of_nearly_manifests_those_validate_that_the_worker_takes(body):
    try:
        tree = tree_of(body.decode())
    except UnicodeDecodeError:
        tree = None
    assume(tree is not None)
    body = json.dumps(tree).encode()  # once more, without keys that stand there twice

    try:
        Manifest.parse(DATASET, memoryview(body))
        refused = ""
    except MetricsWorkerError as error:
        refused = str(error)
    valid = is_valid("dataset_manifest", tree)

    assert valid or refused
    too_long = valid and any(
        len((DATASET.projections_prefix + f).encode()) > 1024 for f in tree["parquet_files"]
    )
    assert not (valid and refused) or too_long or "recursion limit" in refused, refused


@pytest.mark.parametrize(
    "tree",
    [
        {"parquet_files": []},
        {"parquet_files": ["A/x.parquet"], "version_id": 7, "series_codes": None},
        {"parquet_files": ["A/é x.parquet"], "series_codes": ["A"], "date_range": 17, "created_at": None},
    ],
)
def test_a_manifest_needs_its_part_files_alone(tree):
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
def test_a_bad_manifest_does_not_validate(tree):
    assert not is_valid("dataset_manifest", tree)
    with pytest.raises(MetricsWorkerError):
        Manifest.parse(DATASET, memoryview(json.dumps(tree).encode()))
