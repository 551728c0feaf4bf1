"""The commands show times after the year 9999, which the worker computes and publishes like all others."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from metrics_tools.command_line.app import app
from tests.builders import request, rows, series, window

FAR = [253402300800000000 + day * 86_400_000_000 for day in range(40)]  # daily times from 10000-01-01 on


@pytest.fixture
def folder(tmp_path):
    part = tmp_path / "datasets/fx/projections/A/data.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(rows("A", pa.array(FAR, pa.timestamp("us")), np.arange(40.0)), part)
    manifest = tmp_path / "datasets/fx/versions/v1/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"parquet_files": ["A/data.parquet"]}))
    asked = request(window("sma", series("A"), 2), kind="window_op", inputs={"A": "fx"}, metric="far")
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--json"], ["--plot"]])
def test_a_metric_of_the_year_10000_is_shown_like_all_others(folder, more):
    done = CliRunner().invoke(app, ["run", str(folder / "asked.json"), "--folder", str(folder), *more])
    assert done.exit_code == 0, done.output
    assert "10000-01-02" in done.output


def test_a_png_of_the_year_10000_is_refused_with_the_reason(folder):
    asked, png = str(folder / "asked.json"), str(folder / "far.png")
    done = CliRunner().invoke(app, ["run", asked, "--folder", str(folder), "--png", png])
    assert done.exit_code == 2
    assert "outside of the years 1 to 9999" in done.output
