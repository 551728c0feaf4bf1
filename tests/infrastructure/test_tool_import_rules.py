"""Every package of the tools has exactly the imports in a table, and the imports form no cycle.

The test compares the table with `==`, so every added import and every removed import must change the table.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src"
TOOLS = SOURCE / "metrics_tools"


class Imports(NamedTuple):
    """The imports that a package of the tools must have.

    Each field is a string of names, separated by spaces.
    """

    tools: str
    """Other packages of the tools; each of them is below the importing package in `IMPORTS`."""
    libraries: str = ""
    """Packages outside the standard library and this project."""


# A package may import only packages further below, and the worker.
IMPORTS = {
    "__main__": Imports("command_line"),
    "command_line": Imports(
        "definition_tests runs pruning buckets importing published cost validate describe console formatting "
        "part_files process_exit request_files formulas ecb",
        "botocore rich typer",
    ),
    "contracts": Imports("definition_tests", "pydantic"),
    "definition_tests": Imports("runs validate formatting file_contents formulas", "numpy pydantic yaml"),
    "runs": Imports(
        "buckets page published validate console formatting request_files file_contents formulas ecb",
        "matplotlib numpy plotext pydantic rich",
    ),
    "pruning": Imports("buckets published", "obstore"),
    "buckets": Imports("console ecb", "boto3 botocore filelock obstore"),
    "local_cloud": Imports(
        "page published console formatting process_exit request_files ecb",
        "boto3 moto numpy pyarrow rich samtranslator werkzeug",
    ),
    "importing": Imports("published validate formatting part_files", "numpy"),
    "page": Imports("published describe formatting", "jinja2 numpy"),
    "published": Imports("validate console formatting", "numpy obstore pyarrow pydantic"),
    "cost": Imports("validate"),
    "request_files": Imports("file_contents ecb"),
    "file_contents": Imports("formulas validate"),
    "formulas": Imports("validate describe formatting"),
    "validate": Imports("describe formatting", "numpy"),
    "describe": Imports("formatting", "numpy pydantic"),
    "console": Imports("", "rich typer"),
    "ecb": Imports("part_files", "currency_converter numpy"),
    "part_files": Imports("formatting", "numpy pyarrow"),
    "formatting": Imports("", "numpy"),
    "process_exit": Imports(""),
}
FILES = {path.relative_to(TOOLS).with_suffix("").as_posix(): path for path in sorted(TOOLS.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of each import in a Python file, even in functions and for type checkers only.

    An import of a name from a module yields the module and the name, joined by a dot.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(package: str) -> set[str]:
    """Return the dotted names of all imports in the files of one package of the tools.

    Args:
        package: the name of the package below `metrics_tools`, or of a module directly in it.
    """
    files = [path for name, path in FILES.items() if name.split("/")[0] == package]
    return {name for path in files for name in imported(path)}


def test_every_package_has_an_entry_and_every_entry_is_a_package() -> None:
    assert {name.split("/")[0] for name in FILES} - {"__init__"} == set(IMPORTS)


def test_packages_import_only_packages_below_them() -> None:
    order = list(IMPORTS)
    for name, imports in IMPORTS.items():
        for below in imports.tools.split():
            assert order.index(below) > order.index(name), f"{name} -> {below}"


@pytest.mark.parametrize("package", IMPORTS)
def test_a_package_imports_exactly_the_packages_of_its_entry(package: str) -> None:
    tools = {name.split(".")[1] for name in imports_of(package) if name.startswith("metrics_tools.")}
    assert tools - {package} == set(IMPORTS[package].tools.split())


@pytest.mark.parametrize("package", IMPORTS)
def test_a_package_imports_exactly_the_libraries_of_its_entry(package: str) -> None:
    libraries = {name.split(".")[0] for name in imports_of(package)}
    libraries -= sys.stdlib_module_names | {"metrics_worker", "metrics_tools"}
    assert libraries == set(IMPORTS[package].libraries.split())


COMMANDS = sorted((TOOLS / "command_line" / "commands").glob("[a-z]*.py"))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_imports_no_other_command(path: Path) -> None:
    assert not [name for name in imported(path) if name.startswith("metrics_tools.command_line.commands")]


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "metrics_worker").rglob("*.py")), ids=lambda path: path.stem
)
def test_no_deployed_module_imports_a_tool(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] in {"metrics_tools", "typer", "rich"}]
