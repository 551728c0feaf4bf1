"""The requests that `metrics run` and other commands read from a file.

If a file contains only an expression, the command creates a request for it.
"""

import json

import obstore
import pytest
import typer

from metrics_tools.buckets.places import Place
from metrics_tools.runs.samples import read_requests
from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.limits import Limits, Memory
from metrics_worker.request import RunRequest, open_record
from tests.builders import put_a_and_b, ratio, request, series, window
from tests.cli.given import file_of

EXPRESSION = ratio(window("sma", series("A"), 3), series("B"))


@pytest.fixture
def place(cloud):
    put_a_and_b(cloud.store)
    return Place(cloud.bucket, "here")


def test_a_request_is_read_unchanged_and_needs_no_location(tmp_path):
    def nowhere():
        raise AssertionError("asked for")

    (sample,) = read_requests(file_of(tmp_path, request()), nowhere)
    assert sample.request == request()


def test_a_bare_expression_becomes_a_request_that_the_worker_accepts(tmp_path, place, cloud):
    (sample,) = read_requests(file_of(tmp_path, EXPRESSION, "A to B.json"), lambda: place)
    assert (sample.metric_code, sample.request["expressionType"]) == ("A-to-B", "series_math")
    taken = RunRequest.parse(open_record(sample.message, None), cloud.worker().settings.bounds)
    assert taken.declared == {"A": "fx", "B": "fx"}
    with Decoder() as decoder:
        datasets = Datasets(
            "manifest", Limits(part_files=10, rows=100, manifest_bytes=1000), Memory(10**6), decoder
        )
        assert set(datasets.read(taken, cloud.bucket, lambda _: None)) == {"A", "B"}


def test_each_request_for_an_expression_has_a_new_run_id(tmp_path, place):
    file = file_of(tmp_path, EXPRESSION)
    assert len({read_requests(file, lambda: place)[0].run_id for _ in range(2)}) == 2


def test_a_series_that_no_dataset_has_is_left_to_the_worker(tmp_path, place):
    (sample,) = read_requests(file_of(tmp_path, ratio(series("A"), series("C"))), lambda: place)
    assert sample.request["inputs"] == [{"datasetId": "fx", "seriesCode": "A"}]
    assert set(sample.request["catalog"]["datasets"]) == {"fx"}


def test_datasets_that_are_not_needed_are_not_in_the_catalog(tmp_path, place, cloud):
    body = json.dumps({"parquet_files": [], "series_codes": ["Z"]}).encode()
    obstore.put(cloud.store, "datasets/more/versions/v1/manifest.json", body)
    (sample,) = read_requests(file_of(tmp_path, EXPRESSION), lambda: place)
    assert set(sample.request["catalog"]["datasets"]) == {"fx"}


def test_an_invalid_expression_becomes_an_invalid_request(tmp_path, place):
    (sample,) = read_requests(file_of(tmp_path, window("smaa", series("A"), 3)), lambda: place)
    assert sample.expression is None


def test_without_a_location_an_expression_is_not_a_request(tmp_path, capsys):
    with pytest.raises(typer.Exit) as ended:
        read_requests(file_of(tmp_path, EXPRESSION))
    assert ended.value.exit_code == 2
    assert "finds its series" in " ".join(capsys.readouterr().err.split())


def test_a_missing_file_ends_the_command(tmp_path, capsys):
    with pytest.raises(typer.Exit):
        read_requests(tmp_path / "none.json")
    assert "none.json" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"op": "sma",}', "there is a comma too many before the bracket"),
        (json.dumps({"type": "metric_run_requested", "metricCode": "m"}), "a request needs `runId`"),
        (json.dumps(request() | {"type": "metric_run_request"}), "did you mean `metric_run_requested`?"),
    ],
)
def test_for_a_file_without_a_usable_request_the_problems_are_those_of_validate(
    tmp_path, capsys, content, said
):
    with pytest.raises(typer.Exit) as ended:
        read_requests(file_of(tmp_path, content))
    assert ended.value.exit_code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error
    assert "not an event" in error
