"""The plots in docs/img/ equal the plots that `make plots` draws of the expressions in grammar.md."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs import panel_parts, panels, plots
from tests.docs.pages import ROOT, text_of

NUMBER = re.compile(r"-?\d+\.?\d*")


def skeleton_and_numbers(svg: str) -> tuple[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the text of an SVG without its numbers, and the numbers in their order.

    In the text, each number is replaced by 0, and each id, which contains a hash, by `id`. The tests compare
    the numbers with a tolerance, because other processors may round the last digit differently.
    """
    svg = re.sub(r"[mp][0-9a-f]{10}", "id", svg)
    return NUMBER.sub("0", svg), np.array([float(found) for found in NUMBER.findall(svg)])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    return {name: plots.draw(name, folder) for name in panels.PLOTS}


@pytest.mark.parametrize("name", panels.PLOTS)
def test_a_committed_plot_is_up_to_date(name, drawn):
    committed = (ROOT / "docs" / "img" / drawn[name].name).read_text()
    (shape, numbers), (shape_now, numbers_now) = map(
        skeleton_and_numbers, (committed, drawn[name].read_text())
    )
    assert shape == shape_now
    np.testing.assert_allclose(numbers, numbers_now, atol=2e-3)


def test_drawing_twice_gives_the_same_bytes(drawn, tmp_path):
    again = plots.draw("division", tmp_path)
    assert again.read_bytes() == drawn["division"].read_bytes()


@pytest.mark.parametrize("name", panels.PLOTS)
def test_a_plot_has_a_dark_replacement_for_each_of_its_colours(name):
    svg = (ROOT / "docs" / "img" / f"grammar-{name}.svg").read_text()
    style = svg.partition("</style>")[0].partition("prefers-color-scheme: dark")[2]
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg.partition("</style>")[2]))
    assert {plots.BACK, panel_parts.INK, plots.GRID} <= used
    for colour in used:
        assert f'[style*="fill: {colour}"]' in style
        assert f'[style*="stroke: {colour}"]' in style


def test_the_page_shows_every_plot_with_a_description():
    shown = re.findall(r"!\[(.{30,})\]\(img/grammar-([a-z-]+)\.svg\)", text_of("docs/grammar.md"))
    assert [name for _, name in shown] == list(panels.PLOTS)


def test_every_committed_plot_is_still_drawn():
    committed = {path.name for path in Path(ROOT / "docs" / "img").glob("grammar-*.svg")}
    assert committed == {f"grammar-{name}.svg" for name in panels.PLOTS}
