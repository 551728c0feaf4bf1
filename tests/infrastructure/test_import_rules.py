"""The imports of every deployed module are within the allowed ones, which form no cycle."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = "metrics_worker"


class Allowed(NamedTuple):
    """The imports that a module may have; names are separated by spaces."""

    modules: str
    """Modules of this package; each of them must be below the importing module in `ALLOWED_IMPORTS`."""
    packages: str = ""
    """Packages outside the standard library."""


# The order is from the entry points down to modules without imports. Every new module needs an entry here.
ALLOWED_IMPORTS = {
    "dead_letters": Allowed(
        "batch committed contract deadline errors events lane records request_queue settings store telemetry"
        " traffic worker",
        "aws_lambda_powertools",
    ),
    "handler": Allowed(
        "batch contract errors invocation pipeline report request_queue settings telemetry worker",
        "aws_lambda_powertools",
    ),
    "pipeline": Allowed(
        "committed contract dataset errors events expression.cost expression.evaluate expression.grammar"
        " heartbeat invocation publication records series shrink status store worker"
    ),
    "invocation": Allowed("dataset deadline decoder lane limits report settings", "pyarrow"),
    "worker": Allowed("contract names records request_queue settings status store"),
    "telemetry": Allowed(
        "aws contract dataset errors events expression.evaluate expression.grammar heartbeat part_file"
        " publication records report request_queue series settings status store traffic windows",
        "aws_lambda_powertools",
    ),
    "batch": Allowed("", "aws_lambda_powertools"),
    "heartbeat": Allowed("status events"),
    "shrink": Allowed("committed errors publication records report settings store", "pydantic"),
    "publication": Allowed("committed contract errors records series store", "pyarrow"),
    "dataset": Allowed(
        "choice contract decoder errors limits manifest once part_file reading series store", "pyarrow"
    ),
    "reading": Allowed("choice decoder errors limits once part_file store", "pyarrow"),
    "choice": Allowed("contract errors expression.grammar limits manifest once store"),
    "manifest": Allowed("contract errors names part_file", "pydantic"),
    "limits": Allowed("errors"),
    "once": Allowed(""),
    "decoder_process": Allowed("errors part_file", "pyarrow"),
    "part_file": Allowed("errors series store", "numpy pyarrow"),
    "decoder": Allowed("deadline errors store", "pyarrow"),
    "committed": Allowed("contract errors records store", "pydantic"),
    "report": Allowed("errors records traffic"),
    "status": Allowed("aws errors events settings"),
    "request_queue": Allowed("aws errors settings", "snapshot_restore_py"),
    "aws": Allowed("call_limit errors limited_http settings", "boto3 botocore"),
    "limited_http": Allowed("call_limit", "botocore urllib3"),
    "call_limit": Allowed(""),
    "events": Allowed("contract errors names records", "pydantic"),
    "records": Allowed("errors", "pydantic"),
    "contract": Allowed("errors expression.grammar names", "pydantic"),
    "names": Allowed("errors"),
    "settings": Allowed("errors", "pydantic pydantic_settings"),
    "store": Allowed("credentials errors lane listing store_errors traffic", "obstore"),
    "store_errors": Allowed("errors listing", "obstore"),
    "listing": Allowed("", "obstore"),
    "traffic": Allowed(""),
    "credentials": Allowed("", "obstore"),
    "lane": Allowed("deadline errors"),
    "deadline": Allowed("errors"),
    "expression.cost": Allowed("expression.grammar"),
    "expression.evaluate": Allowed("errors expression.grammar series windows", "numpy"),
    "expression.grammar": Allowed("errors", "pydantic"),
    "series": Allowed("", "numpy"),
    "windows": Allowed("", "numpy"),
    "errors": Allowed(""),
    "expression": Allowed(""),
    "": Allowed(""),  # __init__.py of the package
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the name of every module within the package, and its file."""
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SOURCE / PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names of all imports in a file, including those in functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str:
    """Return the module of a dotted name, such as `series` for `metrics_worker.series.clean`."""
    parts = name.split(".")[1:]
    names = (".".join(parts[:n]) for n in range(len(parts), -1, -1))
    return next(name for name in names if name in ALLOWED_IMPORTS)


FILES = dict(modules())
EACH_FILE = pytest.mark.parametrize(
    ("name", "path"), FILES.items(), ids=[name or "package" for name in FILES]
)


def test_every_module_has_an_entry() -> None:
    assert set(FILES) <= set(ALLOWED_IMPORTS)


def test_every_entry_is_a_module() -> None:
    assert set(ALLOWED_IMPORTS) <= set(FILES), "remove the entries of modules that no longer exist"


def test_modules_import_only_modules_below_them() -> None:
    order = list(ALLOWED_IMPORTS)
    for name, allowed in ALLOWED_IMPORTS.items():
        for below in allowed.modules.split():
            assert order.index(below) > order.index(name), f"{name} -> {below}"


@EACH_FILE
def test_a_module_imports_only_allowed_modules(name: str, path: Path) -> None:
    modules = {module_of(target) for target in imported(path) if target.split(".")[0] == PACKAGE}
    assert modules - {name, ""} <= set(ALLOWED_IMPORTS[name].modules.split())


@EACH_FILE
def test_a_module_imports_only_allowed_packages(name: str, path: Path) -> None:
    packages = {target.split(".")[0] for target in imported(path)}
    packages -= sys.stdlib_module_names | {PACKAGE}
    assert packages <= set(ALLOWED_IMPORTS[name].packages.split()), "a package that the module may not import"


def test_only_the_module_batch_imports_the_batch_utility_of_powertools() -> None:
    users = {name for name, path in FILES.items() for target in imported(path) if "utilities.batch" in target}
    assert users == {"batch"}
