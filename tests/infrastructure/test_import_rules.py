"""Every deployed module has exactly the imports in a table, and the imports form no cycle.

The test compares the table with `==`, so every added import and every removed import must change the table.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = "metrics_worker"


class Imports(NamedTuple):
    """The imports that a module must have. Each field is a string of dotted names, separated by spaces."""

    modules: str
    """Modules of this package; each of them is below the importing module in `IMPORTS`."""
    packages: str = ""
    """Packages outside the standard library."""


# The order is from the entry points down to modules without imports. Every new module needs an entry here.
IMPORTS = {
    "dead_letter_handler": Imports(
        "worker observability.telemetry batch publication.current messaging.request_queue "
        "messaging.status_events publication.dead_letter request settings s3.bucket "
        "observability.traffic s3.event_loop deadline errors",
        "aws_lambda_powertools",
    ),
    "handler": Imports(
        "run invocation worker observability.telemetry batch observability.report "
        "messaging.request_queue settings errors",
        "aws_lambda_powertools",
    ),
    "run": Imports(
        "invocation messaging.heartbeat publication.shrink publication.commit dataset.datasets "
        "publication.current messaging.status_events publication.records request expression.cost "
        "expression.evaluate expression.grammar series errors"
    ),
    "invocation": Imports(
        "worker dataset.datasets dataset.snapshots limits dataset.decoder observability.report "
        "messaging.topics messaging.heartbeat messaging.status_events request settings s3.bucket "
        "s3.event_loop deadline errors",
        "pyarrow",
    ),
    "worker": Imports(
        "messaging.topics messaging.request_queue publication.records publication.versions request names "
        "settings s3.s3_bucket s3.bucket"
    ),
    "observability.telemetry": Imports(
        "observability.report request observability.traffic errors", "aws_lambda_powertools"
    ),
    "batch": Imports("request", "aws_lambda_powertools"),
    "messaging.heartbeat": Imports(""),
    "publication.shrink": Imports(
        "publication.commit publication.current observability.report publication.records settings "
        "s3.bucket errors",
        "pydantic",
    ),
    "publication.commit": Imports(
        "publication.current publication.records publication.versions request s3.bucket series errors",
        "pyarrow",
    ),
    "dataset.datasets": Imports(
        "dataset.reading dataset.snapshots dataset.choice dataset.manifest limits dataset.singleflight "
        "dataset.snapshot dataset.rows dataset.part_file dataset.decoder request request_check s3.bucket "
        "series errors",
        "pyarrow",
    ),
    "dataset.snapshots": Imports(
        "dataset.choice limits dataset.snapshot publication.records s3.bucket errors"
    ),
    "dataset.reading": Imports(
        "dataset.choice limits dataset.singleflight dataset.part_file dataset.decoder s3.bucket errors",
        "pyarrow",
    ),
    "dataset.choice": Imports(
        "dataset.manifest limits dataset.singleflight request request_check s3.bucket expression.grammar "
        "errors"
    ),
    "dataset.manifest": Imports("dataset.part_file request_check names problem errors", "pydantic"),
    "dataset.singleflight": Imports(""),
    "dataset.snapshot": Imports("series", "numpy"),
    "dataset.rows": Imports("dataset.part_file series", "numpy pyarrow"),
    "dataset.decoder_process": Imports("dataset.partial_file dataset.part_file errors", "pyarrow"),
    "dataset.partial_file": Imports(""),
    "dataset.decoder": Imports("dataset.part_file s3.bucket deadline errors", "pyarrow"),
    "dataset.part_file": Imports("s3.bucket errors", "pyarrow"),
    "publication.current": Imports("publication.records request s3.bucket errors", "pydantic"),
    "observability.report": Imports("publication.records observability.traffic errors"),
    "messaging.topics": Imports("messaging.clients messaging.status_events settings errors"),
    "messaging.request_queue": Imports("messaging.clients settings errors", "snapshot_restore_py"),
    "messaging.clients": Imports(
        "messaging.limited_http messaging.call_limit settings errors", "boto3 botocore"
    ),
    "messaging.limited_http": Imports("messaging.call_limit", "botocore urllib3"),
    "messaging.call_limit": Imports(""),
    "messaging.status_events": Imports("publication.records request names errors", "pydantic"),
    "publication.dead_letter": Imports("problem", "pydantic"),
    "publication.records": Imports("names", "pydantic"),
    "publication.versions": Imports(""),
    "settings": Imports("limits request_check problem errors", "pydantic pydantic_settings"),
    "request": Imports("request_check names expression.nodes problem errors"),
    "request_check": Imports(
        "names expression.grammar expression.nodes expression.shapes expression.fields problem errors",
        "pydantic",
    ),
    "names": Imports("errors"),
    "s3.s3_bucket": Imports(
        "s3.connection s3.errors s3.listing s3.bucket observability.traffic s3.credentials s3.event_loop "
        "errors",
        "obstore",
    ),
    "s3.connection": Imports("s3.credentials", "obstore"),
    "s3.errors": Imports("s3.listing errors", "obstore"),
    "s3.listing": Imports("s3.bucket", "obstore"),
    "s3.bucket": Imports("observability.traffic s3.event_loop"),
    "observability.traffic": Imports(""),
    "s3.credentials": Imports("", "obstore"),
    "s3.event_loop": Imports("deadline errors", "uvloop"),
    "deadline": Imports("errors"),
    "limits": Imports("errors"),
    "expression.cost": Imports("expression.nodes"),
    "expression.evaluate": Imports(
        "expression.windows expression.periods expression.elementwise expression.filling expression.nodes "
        "expression.fields series",
        "numpy",
    ),
    "expression.windows": Imports(
        "expression.nodes expression.fields series kernels.variable kernels.order kernels.moments "
        "kernels.rolling civil_dates",
        "numpy",
    ),
    "expression.periods": Imports(
        "expression.nodes series kernels.parts kernels.cumulative kernels.variable civil_dates", "numpy"
    ),
    "expression.elementwise": Imports("expression.fields series", "numpy"),
    "expression.filling": Imports("series", "numpy"),
    "expression.grammar": Imports("expression.fields expression.nodes problem errors", "pydantic"),
    "expression.nodes": Imports("expression.shapes expression.fields", "pydantic"),
    "expression.shapes": Imports("expression.fields"),
    "expression.fields": Imports("time_zones", "pydantic pydantic_core"),
    "problem": Imports("errors", "pydantic pydantic_core"),
    "series": Imports("", "numpy"),
    "kernels.cumulative": Imports("kernels.rolling kernels.overflow", "numpy"),
    "kernels.order": Imports("kernels.rolling kernels.wavelet", "bottleneck numpy"),
    "kernels.wavelet": Imports("kernels.rolling", "numpy"),
    "kernels.variable": Imports("kernels.rolling kernels.spread kernels.overflow", "numpy"),
    "kernels.parts": Imports("kernels.rolling kernels.overflow", "numpy"),
    "kernels.overflow": Imports("kernels.rolling", "numpy"),
    "kernels.moments": Imports("kernels.rolling kernels.spread kernels.centred", "numpy"),
    "kernels.centred": Imports("kernels.rolling", "numpy"),
    "kernels.spread": Imports("kernels.rolling", "numpy"),
    "kernels.rolling": Imports("", "numpy"),
    "civil_dates": Imports("time_zones", "numpy"),
    "time_zones": Imports("", "tzdata"),
    "errors": Imports(""),
}


def module_files() -> Iterator[tuple[str, Path]]:
    """Yield each module of the worker: its dotted name within the package, and its file."""
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        if path.name != "__init__.py":
            yield ".".join(path.relative_to(SOURCE / PACKAGE).with_suffix("").parts), path


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


def module_of(name: str) -> str:
    """Return the module of the worker to which a dotted name belongs, without `metrics_worker.`.

    `metrics_worker.series.clean` (a function) gives `series`, and `metrics_worker.kernels.order` (a module)
    gives `kernels.order`. A name without a module of the worker gives an empty string.
    """
    parts = name.split(".")[1:]
    names = (".".join(parts[:n]) for n in range(len(parts), -1, -1))
    return next((name for name in names if name in IMPORTS), "")


FILES = dict(module_files())
EACH_FILE = pytest.mark.parametrize(("name", "path"), FILES.items(), ids=list(FILES))


def test_every_module_has_an_entry_and_every_entry_is_a_module() -> None:
    assert set(FILES) == set(IMPORTS)


def test_modules_import_only_modules_below_them() -> None:
    order = list(IMPORTS)
    for name, imports in IMPORTS.items():
        for below in imports.modules.split():
            assert order.index(below) > order.index(name), f"{name} -> {below}"


@EACH_FILE
def test_a_module_imports_exactly_the_modules_of_its_entry(name: str, path: Path) -> None:
    modules = {module_of(target) for target in imported(path) if target.split(".")[0] == PACKAGE}
    assert modules - {name, ""} == set(IMPORTS[name].modules.split())


@EACH_FILE
def test_a_module_imports_exactly_the_packages_of_its_entry(name: str, path: Path) -> None:
    packages = {target.split(".")[0] for target in imported(path)}
    assert packages - sys.stdlib_module_names - {PACKAGE} == set(IMPORTS[name].packages.split())


@pytest.mark.parametrize(
    "path", sorted((SOURCE / PACKAGE).rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_a_package_imports_no_module(path: Path) -> None:
    assert set(imported(path)) <= {"os"}, "importing one module of a package would load others"


def test_only_the_module_batch_imports_the_batch_utility_of_powertools() -> None:
    users = {name for name, path in FILES.items() for target in imported(path) if "utilities.batch" in target}
    assert users == {"batch"}
