"""The rooms of the house and who may know whom, read from the source: arrows never point back up."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = "metrics_worker"


class Room(NamedTuple):
    rooms: str
    """Those it may import: each stands below it in the table."""
    packages: str = ""
    """Those it may import, beside the standard library."""


# From the entry points down to what imports nothing. A new module needs a line, and the line a thought.
HOUSE = {
    "dead_letters": Room(
        "batch committed contract errors events records request_queue settings telemetry worker",
        "aws_lambda_powertools",
    ),
    "handler": Room(
        "batch contract errors invocation pipeline report request_queue settings telemetry worker",
        "aws_lambda_powertools",
    ),
    "pipeline": Room(
        "committed contract dataset errors events expression.cost expression.evaluate expression.grammar"
        " heartbeat invocation publication records series shrink status store worker"
    ),
    "invocation": Room("dataset deadline decoder lane limits report settings"),
    "worker": Room("contract names records request_queue settings status store"),
    "telemetry": Room(
        "aws contract dataset errors events expression.evaluate expression.grammar heartbeat part_file"
        " publication records report request_queue series settings status store traffic windows",
        "aws_lambda_powertools",
    ),
    "batch": Room("", "aws_lambda_powertools"),
    "heartbeat": Room("status events"),
    "shrink": Room("committed errors publication records report settings store", "pydantic"),
    "publication": Room("committed contract errors records series store", "pyarrow"),
    "dataset": Room(
        "choice contract decoder errors limits manifest once part_file reading series store", "pyarrow"
    ),
    "reading": Room("choice decoder errors limits once part_file store", "pyarrow"),
    "choice": Room("contract errors expression.grammar limits manifest once store"),
    "manifest": Room("contract errors names part_file", "pydantic"),
    "limits": Room("errors"),
    "once": Room(""),
    "decoder_process": Room("errors part_file", "pyarrow"),
    "part_file": Room("errors series store", "numpy pyarrow"),
    "decoder": Room("deadline errors store", "pyarrow"),
    "committed": Room("contract errors records store", "pydantic"),
    "report": Room("errors records traffic"),
    "status": Room("aws errors events settings"),
    "request_queue": Room("aws errors settings", "snapshot_restore_py"),
    "aws": Room("call_limit errors limited_http settings", "boto3 botocore"),
    "limited_http": Room("call_limit", "botocore urllib3"),
    "call_limit": Room(""),
    "events": Room("contract errors names records", "pydantic"),
    "records": Room("errors", "pydantic"),
    "contract": Room("errors expression.grammar names", "pydantic"),
    "names": Room("errors"),
    "settings": Room("errors", "pydantic pydantic_settings"),
    "store": Room("credentials errors lane listing store_errors traffic", "obstore"),
    "store_errors": Room("errors listing", "obstore"),
    "listing": Room("", "obstore"),
    "traffic": Room(""),
    "credentials": Room("", "obstore"),
    "lane": Room("deadline errors"),
    "deadline": Room("errors"),
    "expression.cost": Room("expression.grammar"),
    "expression.evaluate": Room("errors expression.grammar series windows", "numpy"),
    "expression.grammar": Room("errors", "pydantic"),
    "series": Room("", "numpy"),
    "windows": Room("", "numpy"),
    "errors": Room(""),
    "expression": Room(""),
    "": Room(""),  # the package's own __init__
}


def modules() -> Iterator[tuple[str, Path]]:
    """Each module's name within the package, and its file."""
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SOURCE / PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imported(path: Path) -> Iterator[str]:
    """The dotted name of everything a file imports: in functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    """`metrics_worker.expression.grammar.parse` -> `expression.grammar`: the longest name that is a room."""
    parts = name.split(".")[1:]
    names = (".".join(parts[:n]) for n in range(len(parts), -1, -1))
    return next(room for room in names if room in HOUSE)


FILES = dict(modules())
EACH_FILE = pytest.mark.parametrize(
    ("name", "path"), FILES.items(), ids=[name or "package" for name in FILES]
)


def test_every_module_has_a_room() -> None:
    assert set(FILES) <= set(HOUSE)


def test_every_room_is_a_module() -> None:
    assert set(HOUSE) <= set(FILES), "a room that is gone leaves the table too"


def test_arrows_never_point_back_up() -> None:
    order = list(HOUSE)
    for name, room in HOUSE.items():
        for below in room.rooms.split():
            assert order.index(below) > order.index(name), f"{name} -> {below}"


@EACH_FILE
def test_a_room_imports_only_the_rooms_in_its_line(name: str, path: Path) -> None:
    rooms = {room_of(target) for target in imported(path) if target.split(".")[0] == PACKAGE}
    assert rooms - {name, ""} <= set(HOUSE[name].rooms.split())


@EACH_FILE
def test_a_room_imports_only_the_packages_in_its_line(name: str, path: Path) -> None:
    packages = {target.split(".")[0] for target in imported(path)}
    packages -= sys.stdlib_module_names | {PACKAGE}
    assert packages <= set(HOUSE[name].packages.split()), "nothing deployed knows local, tests or benchmarks"


def test_one_module_knows_powertools_batch() -> None:
    users = {name for name, path in FILES.items() for target in imported(path) if "utilities.batch" in target}
    assert users == {"batch"}
