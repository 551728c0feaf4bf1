"""The docs site: its navigation has every page, and links that leave docs/ work on it."""

import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from docs.site_source import on_site, write
from tests.docs.pages import ROOT, text_of

SETTINGS = tomllib.loads(text_of("zensical.toml"))["project"]
WITHOUT, REPOSITORY = "", "https://example.com/metrics-worker/blob/main/"


def pages_of(entries: list[Any]) -> Iterator[str]:
    """Yield the file name of each page in the navigation of the docs site.

    Args:
        entries: the navigation or a part of it: file names of pages, and dicts from titles to file names or
            to lists of further entries.
    """
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for inner in entry.values():
            yield from pages_of([inner] if isinstance(inner, str) else inner)


def test_the_navigation_has_every_page_once():
    pages = list(pages_of(SETTINGS["nav"]))
    assert len(pages) == len(set(pages))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= set(pages)
    assert all((ROOT / "docs" / page).is_file() for page in pages)


@pytest.mark.parametrize(
    ("text", "without", "with_repository"),
    [
        ("[a](grammar.md#fill)", "[a](grammar.md#fill)", "[a](grammar.md#fill)"),
        ("[a](../grammar.md)", "[a](../grammar.md)", "[a](../grammar.md)"),
        ("[a](#b)", "[a](#b)", "[a](#b)"),
        ("[a](https://b.c/../d/)", "[a](https://b.c/../d/)", "[a](https://b.c/../d/)"),
        ("![a](../../x.svg)", "![a](../../x.svg)", "![a](../../x.svg)"),
        ("[a](../../b.py)", "a", f"[a]({REPOSITORY}b.py)"),
        ("[`a[0]`](../../b.md#c), d", "`a[0]`, d", f"[`a[0]`]({REPOSITORY}b.md#c), d"),
        ("[a](../examples/)", "a", f"[a]({REPOSITORY}docs/examples)"),
        ("```\n[a](../../b.py)\n```\n", "```\n[a](../../b.py)\n```\n", "```\n[a](../../b.py)\n```\n"),
        ("<details>", '<details markdown="1">', '<details markdown="1">'),
    ],
)
def test_a_link_without_a_page_on_the_site_leads_to_the_repository_or_is_text(text, without, with_repository):
    page = PurePosixPath("decisions/0001.md")
    assert on_site(text, page, WITHOUT) == without
    assert on_site(text, page, REPOSITORY) == with_repository


def test_the_source_of_the_site_has_all_files_except_programs(tmp_path):
    write(tmp_path / "docs", WITHOUT)
    expected = {
        path for path in (ROOT / "docs").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    written = {path for path in (tmp_path / "docs").rglob("*") if path.is_file()}
    assert {path.relative_to(ROOT / "docs") for path in expected} == {
        path.relative_to(tmp_path / "docs") for path in written
    }
    assert "](../" not in (tmp_path / "docs" / "how-it-works.md").read_text(encoding="utf-8")


def test_ci_builds_the_site():
    assert "run: make docs" in text_of(".github/workflows/ci.yml")
