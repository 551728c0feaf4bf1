"""docs/authoring.md: the commands on the page print the output on the page, given the files on the page."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.given import ROOT, metrics

PAGE = ROOT / "docs/authoring.md"
TEXT = PAGE.read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```json\n(.*?)```", TEXT, re.DOTALL))
CONSOLES = re.findall(r"```console\n\$ metrics ([^\n]*)\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Set the working folder to one that has the JSON files on the page and the folder events/."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "events").symlink_to(ROOT / "events")
    monkeypatch.chdir(tmp_path)


def test_the_page_has_files_and_commands():
    assert len(FILES) == 3
    assert {arguments.split()[0] for arguments, _ in CONSOLES} == {"validate", "explain", "format"}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("arguments", "printed"), CONSOLES, ids=[arguments for arguments, _ in CONSOLES])
def test_a_command_prints_the_output_on_the_page(arguments, printed):
    found = metrics(*shlex.split(arguments)).stdout
    assert without_bytes(found) == without_bytes(printed)


def without_bytes(text: str) -> str:
    """Return a command's output with `<size>` in place of the size of the objects that a run would read.

    This size depends on the age of the demo data.
    """
    return re.sub(r"[\d.]+ [kM]B to read", "<size> to read", text)


def test_the_page_has_every_reason_for_a_loss_and_the_formula_of_the_run_time():
    from metrics_tools.cost import prices  # noqa: PLC0415 - only this test needs it

    assert f"{prices._RUN} + {prices._PART_FILE} × part files + {prices._ROW:.8f} × rows" in TEXT  # noqa: RUF001
    source = (ROOT / "src/metrics_tools/describe/nodes.py").read_text(encoding="utf-8")
    for words in re.findall(r'^            "\w+": "([a-z ]+)",$', source, re.MULTILINE):
        assert words in TEXT, "a reason for lost observations is not on the page"


def test_every_link_of_the_page_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (Path(PAGE.parent) / target).exists(), target
