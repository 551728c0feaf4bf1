"""Write the source of the docs site: the files of docs/, with links that also work outside the repository.

`make docs` runs this module with `build/docs` as its argument, and builds the site from that folder. A link
to a file outside docs/, or to a folder, has no page on the site. If the environment variable
DOCS_REPOSITORY_URL is set, such a link leads to the file in the repository, otherwise only its text remains.
"""

import os
import re
import shutil
import sys
from pathlib import Path, PurePosixPath

DOCS = Path(__file__).parent
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_site(text: str, page: PurePosixPath, repository_url: str) -> str:
    """Return the text of a page with links that work on the site.

    Args:
        text: the Markdown text of the page.
        page: the path of the page relative to docs/.
        repository_url: the URL of the repository's root folder; if it is empty, links to files outside docs/
            become plain text.
    """

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = PurePosixPath(os.path.normpath(PurePosixPath("docs") / page.parent / target))
        if path.parts[0] == "docs" and not target.endswith("/"):
            return found[0]
        return f"[{words}]({repository_url.rstrip('/')}/{path}{anchor})" if repository_url else words

    parts = _FENCE.split(text)
    made = "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)
    return made.replace("<details>", '<details markdown="1">')  # the Markdown in it is rendered as on GitHub


def write(target: Path, repository_url: str) -> None:
    """Write the source of the site to a folder, whose earlier content is deleted.

    Args:
        target: the folder.
        repository_url: the URL of the repository's root folder; if it is empty, links to files outside docs/
            become plain text.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for page in target.rglob("*.md"):
        name = PurePosixPath(page.relative_to(target).as_posix())
        page.write_text(on_site(page.read_text(encoding="utf-8"), name, repository_url), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), os.environ.get("DOCS_REPOSITORY_URL", ""))
