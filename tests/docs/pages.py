"""The list of the pages of the documentation, and functions that return parts of a page."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@cache
def text_of(page: Path | str) -> str:
    """Return the text of a page, which is given by its path, or by its name relative to the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    """Return the path of a page relative to the repository, which pytest shows in the names of tests."""
    return str(page.relative_to(ROOT))


def blocks(page: Path | str, language: str) -> list[str]:
    """Return the contents of a page's fenced code blocks in one language, in order."""
    return [body for tag, body in _FENCE.findall(text_of(page)) if tag == language]


def prose(page: Path | str) -> str:
    """Return the text of a page without its fenced code blocks."""
    return _FENCE.sub("", text_of(page))


def section(page: Path | str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of the same or a higher level.

    Args:
        page: the path of the page, or its name relative to the repository.
        heading: the text of the heading, without `#`.
    """
    found = re.search(rf"^(#+) {re.escape(heading)}$", text_of(page), re.MULTILINE)
    assert found, f"{page} has no heading {heading!r}"
    rest = text_of(page)[found.end() :]
    return re.split(rf"^#{{1,{len(found[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the rows of all Markdown tables in a text, each as a list of its cells.

    The header rows are left out.
    """
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [i for i, row in enumerate(cells) if all(re.fullmatch(r"-+:?", cell) for cell in row)]
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub creates for the headings of a page."""
    names: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        copies = (f"{name}-{number}" for number in range(1, 100))
        names.add(name if name not in names else next(copy for copy in copies if copy not in names))
    return names


def links(page: Path) -> list[str]:
    """Return the targets of the links and pictures on a page, as written, in order."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def commands(page: Path | str) -> list[str]:
    """Return the commands in the `sh` blocks of a page.

    Comments are removed, and a command that continues on further lines is joined to one line.
    """
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [" ".join(line.split()) for line in stripped if line]
