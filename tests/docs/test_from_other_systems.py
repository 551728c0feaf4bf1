"""docs/from-other-systems.md: every formula is valid and has a result, and each system has a link."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from metrics_tools.describe.formula import formula
from metrics_tools.formulas.parsing import parse_formula
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse, series_codes
from metrics_worker.series import Series
from tests.cli.given import metrics
from tests.docs.pages import rows, section, text_of

PAGE = "docs/from-other-systems.md"
SYSTEMS = ("FRED", "Haver", "Graphite", "pandas", "CloudWatch")
ROWS = [row for system in SYSTEMS for row in rows(section(PAGE, system))]
FORMULAS = sorted({text for row in ROWS for text in re.findall(r"`([^`]+)`", row[1])})
START, DAY = int(datetime(2019, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000, 86_400_000_000
DAYS = START + DAY * np.arange(900)
INPUTS = {
    "X": Series(DAYS, 4 + np.sin(np.arange(900.0))),
    "Y": Series(DAYS[5:], 4 + np.cos(np.arange(895.0) / 3)),
}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_it_is_printed_and_has_a_result(text):
    node = parse(parse_formula(text).expression)
    assert formula(node) == text
    assert set(series_codes(node)) <= set(INPUTS)
    assert len(evaluate(node, INPUTS))


def test_every_row_has_a_formula_for_each_function():
    for there, here, _ in ROWS:
        assert here.startswith("`"), there
        functions, formulas = len(there.split(", `.")), here.count("`") // 2
        assert formulas == 1 or formulas >= functions, there


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_has_a_link_to_its_documentation(system):
    assert "](https://" in section(PAGE, system)


def test_the_command_prints_the_output_on_the_page():
    ((arguments, printed),) = re.findall(
        r'```console\n\$ metrics format "([^"\n]*)"\n(.*?)```', text_of(PAGE), re.DOTALL
    )
    assert metrics("format", arguments).stdout == printed
