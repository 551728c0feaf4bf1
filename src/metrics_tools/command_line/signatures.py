"""The signature of a command, for the command line, without an import of the command's module.

The libraries of a command take up to 1.5 seconds to import. The completion of its options, `--help` and the
message about a wrong option need only its signature and its docstring.
"""

import ast
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from importlib.resources import files
from typing import Any

_COMMANDS = "metrics_tools.command_line.commands"


def deferred(name: str) -> Callable[..., None]:
    """Return a function that imports the module of a command when it is called, and then calls the command.

    Args:
        name: the name of the module in `commands`, and of the function in it.

    Returns:
        The function, with the signature and the docstring of the command.
    """

    @wraps(_declared(name))
    def run(**given: Any) -> None:
        getattr(import_module(f"{_COMMANDS}.{name}"), name)(**given)

    return run


def _declared(name: str) -> Callable[..., None]:
    """Return the function of a command without its body, only with its signature and its docstring.

    The function is compiled from its source. Of the statements of its module, only the imports of the names
    in the signature are executed.
    """
    source = files(_COMMANDS).joinpath(f"{name}.py")
    module = ast.parse(source.read_text(encoding="utf-8"))
    command = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)
    command.body = command.body[:1]
    used = {node.id for node in ast.walk(command.args) if isinstance(node, ast.Name)}
    module.body = [node for node in module.body if node is command or used & set(_imported(node))]
    namespace: dict[str, Any] = {"__name__": f"{_COMMANDS}.{name}"}
    exec(compile(module, str(source), "exec"), namespace)  # noqa: S102 - a module of this package
    function: Callable[..., None] = namespace[name]
    return function


def _imported(node: ast.stmt) -> list[str]:
    """Return the names that a statement imports; none if it is not an import."""
    return (
        [alias.asname or alias.name for alias in node.names]
        if isinstance(node, ast.Import | ast.ImportFrom)
        else []
    )
