"""docs/own-data.md: each command prints the output on the page, and the statements on the page are true."""

import re

import pytest

from metrics_tools.importing.cells import MISSING, parse_time
from tests.docs.pages import ROOT, blocks, text_of
from tests.docs.test_trying_metrics import masked, output, steps_in

PAGE = ROOT / "docs" / "own-data.md"


def test_the_commands_print_the_output_on_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [step for block in blocks(PAGE, "console") for step in steps_in(block)]
    assert len(found) == 6
    for command, shown in found:
        if command.startswith("cat "):
            (tmp_path / command.removeprefix("cat ")).write_text(shown)
        assert masked(output(command)) == masked(shown), command
    (checked,) = re.findall(r"^`(metrics validate .*?)` warns", text_of(PAGE), re.MULTILINE)
    assert "in 3 of 4 results, the earlier value is more than 12 months old" in output(checked)


def test_the_command_prints_the_line_of_a_header_below_a_title(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text("Consumer prices\n\nmonth,index\n2025-01,121.0\n")
    shown = output("metrics import my.csv --dataset my_data --series CPI --folder my-folder")
    assert "header in line 3; the lines above it are left out\n" in shown


def test_the_page_lists_every_cell_that_counts_as_empty():
    (line,) = re.findall(r"^  The cells (.*) count as empty\.$", text_of(PAGE), re.MULTILINE)
    assert {cell.lower() for cell in re.findall(r"`([^`]+)`", line)} == set(MISSING) - {""}


@pytest.mark.parametrize("cell", re.findall(r"`(2026[^` ]*(?: [^`]*)?)`", text_of(PAGE)))
def test_the_times_on_the_page_are_accepted(cell):
    assert parse_time(cell)
