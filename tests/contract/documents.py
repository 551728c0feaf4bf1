"""The documents of docs/contracts, for tests: its schemas, each with a validator, and its examples."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts"
SCHEMAS: dict[str, Any] = {
    path.stem: json.loads(path.read_text()) for path in sorted((CONTRACTS / "schemas").glob("*.json"))
}
EXAMPLES: dict[str, Any] = {
    path.stem: json.loads(path.read_text()) for path in sorted((CONTRACTS / "examples").glob("*.json"))
}


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """As ECMA-262 means it: Python's `$` would let a newline follow."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})
VALIDATORS = {name: _Validator(schema) for name, schema in SCHEMAS.items()}


def validate(name: str, document: Any) -> None:
    """Hold a document against a schema, with the reason nearest to its leaves."""
    VALIDATORS[name].validate(document)


def is_valid(name: str, document: Any) -> bool:
    valid: bool = VALIDATORS[name].is_valid(document)
    return valid


def schema_of_event(event: dict[str, Any]) -> str:
    """The schema of a status event, by its type, status and form."""
    parts = [event["type"], event.get("status", "").lower(), "v1" if "schema" in event else "plain"]
    return ".".join(part for part in parts if part)


def schema_of_example(name: str) -> str:
    """An example is named after its schema, and may have a name of its own behind that."""
    return max((schema for schema in SCHEMAS if f"{name}.".startswith(f"{schema}.")), key=len)


def tree_of(body: str) -> Any:
    """What a body says; None where nothing can be read in it, or what is no JSON but Python reads it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if _is_json(found) else None


def _is_json(document: Any) -> bool:
    """Whether it can be written down: Python's parser also takes NaN, and half a surrogate pair."""
    try:
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True
