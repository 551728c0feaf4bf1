"""The tools, which are not deployed, import only tools below them and the worker, which imports no tool."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"metrics_worker", "explain", "local", "cli", "ops", "tests", "benchmarks"}

MAY_IMPORT = {
    "explain": {"metrics_worker"},
    "local": {"metrics_worker", "explain"},
    "cli": {"metrics_worker", "explain", "local"},
}
FOR_TERMINALS = {"typer", "rich"}

FILES = [(tool, path) for tool in MAY_IMPORT for path in sorted((ROOT / tool).rglob("*.py"))]
EACH_FILE = pytest.mark.parametrize(
    ("tool", "path"), FILES, ids=[str(path.relative_to(ROOT)) for _, path in FILES]
)


def imported(path: Path) -> Iterator[str]:
    """Yield the package of every import in a file, including those in functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield str(node.module).partition(".")[0]


def test_every_tool_has_files() -> None:
    assert {tool for tool, _ in FILES} == set(MAY_IMPORT)


@EACH_FILE
def test_a_tool_imports_only_the_tools_below_it(tool: str, path: Path) -> None:
    assert set(imported(path)) & OURS <= MAY_IMPORT[tool] | {tool}


@EACH_FILE
def test_only_the_command_line_imports_packages_for_terminals(tool: str, path: Path) -> None:
    if tool != "cli":
        assert not set(imported(path)) & FOR_TERMINALS


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.stem)
def test_no_deployed_module_imports_a_tool(path: Path) -> None:
    assert not set(imported(path)) & (set(MAY_IMPORT) | FOR_TERMINALS)


def test_explain_imports_only_packages_that_the_worker_imports() -> None:
    packages = {name for tool, path in FILES if tool == "explain" for name in imported(path)}
    packages -= sys.stdlib_module_names | {"explain", "metrics_worker"}
    worker = {name for path in (ROOT / "src").rglob("*.py") for name in imported(path)}
    assert packages <= worker
