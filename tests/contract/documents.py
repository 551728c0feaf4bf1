"""The schemas in docs/contracts, each with a validator, and the examples in docs/contracts."""

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
    """Yield an error if a string does not match a pattern by the rules of ECMA-262.

    In ECMA-262, `$` matches only at the end; in Python, it also matches before a final newline. The signature
    is that of a jsonschema keyword.
    """
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})
VALIDATORS = {name: _Validator(schema) for name, schema in SCHEMAS.items()}


def validate(name: str, document: Any) -> None:
    """Raise a ValidationError if a document does not match the schema of the given name."""
    VALIDATORS[name].validate(document)


def is_valid(name: str, document: Any) -> bool:
    valid: bool = VALIDATORS[name].is_valid(document)
    return valid


def schema_of_event(event: dict[str, Any]) -> str:
    """Return the name of the schema of a status event, such as `metric_run_completed.success.v1`.

    The name consists of the event's type, its status if it has one, and its form: `v1` if the event has the
    field `schema`, otherwise `plain`.
    """
    parts = [event["type"], event.get("status", "").lower(), "v1" if "schema" in event else "plain"]
    return ".".join(part for part in parts if part)


def schema_of_example(name: str) -> str:
    """Return the name of the schema of an example: the longest schema name with which `name` begins."""
    return max((schema for schema in SCHEMAS if f"{name}.".startswith(f"{schema}.")), key=len)


def tree_of(body: str) -> Any:
    """Return the value of a JSON text, or None if the text is not valid JSON.

    Some texts are not valid although Python's lenient parser accepts them, for example `NaN`.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if _is_json(found) else None


def _is_json(document: Any) -> bool:
    """Return whether a value can be written as valid JSON.

    Python's parser also accepts NaN and unpaired surrogates.
    """
    try:
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True
