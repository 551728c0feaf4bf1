"""The code blocks of docs/reading-metrics.md, and the metric that the tests of this page read."""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = (Path(__file__).parents[2] / "docs" / "reading-metrics.md").read_text(encoding="utf-8")
S3 = "s3://data-bucket"
CODE = "fx.usd_per_gbp"
BASE = f"metrics/{CODE}/"
FIRST, NEWEST = "2026-10-30T12-00-00", "2026-10-30T12-00-01"


class Block(NamedTuple):
    section: str
    language: str
    text: str
    run: bool


def blocks() -> list[Block]:
    found = []
    for section in PAGE.split("\n## ")[1:]:
        name = section.partition("\n")[0]
        fenced = re.finditer(r"(<!-- not run[^\n]*-->\n)?```(\w+)\n(.*?)\n```", section, re.DOTALL)
        found += [Block(name, match[2], match[3], run=match[1] is None) for match in fenced]
    return found


BLOCKS = blocks()


def code_of(section: str, language: str = "python") -> list[str]:
    return [block.text for block in BLOCKS if block[:2] == (section, language) and block.run]
