"""Functions that build a JSON Schema from a pydantic model and a description of each field of the model."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from metrics_tools.contracts.patterns import TIME, TIME_MS, whole

type Schema = dict[str, Any]
type Meanings = Mapping[str, Schema | str]
"""Wire name of a field → its description, or JSON Schema keywords that replace pydantic's keywords."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:metrics-worker:contracts:"
"""The prefix of schema ids. An id is a URN and not a URL, because schemas are not published at a URL."""
NEXT = "Later versions may add fields: ignore fields that you do not know."

_RENAMED = {"ge": "minimum", "le": "maximum"}
"""pydantic's name of a bound → its JSON Schema name. Behind a validator, pydantic emits its own name."""
_NOISE = ("title", "default")
"""The keywords to drop: titles only repeat field names, and readers of a schema do not need defaults."""


def document(name: str, body: Schema, *, title: str, description: str) -> Schema:
    """Return a complete schema document for a JSON object.

    Args:
        name: the schema name, which is a part of the schema's `$id`.
        body: the JSON Schema keywords for the object, such as `properties`.
        title: the title of the schema.
        description: the description of the schema.
    """
    head = {"$schema": DIALECT, "$id": ID + name, "title": title, "description": description}
    return head | {"type": "object"} | body


def encode(schema: Schema) -> str:
    """Return a schema as JSON text. The text is ASCII, because patterns contain unprintable characters."""
    return json.dumps(schema, indent=2) + "\n"


def described(description: str, **keywords: Any) -> Schema:
    """Return the schema of one field: a description, and further JSON Schema keywords."""
    return {"description": description, **keywords}


def moment(text: str, *, more: str = "", pattern: str = TIME, **keywords: Any) -> Schema:
    """Return the schema of a field that contains a UTC time.

    Args:
        text: the beginning of the description. "in UTC" and the precision follow.
        more: the end of the description.
        pattern: `TIME` for a time to the second, or `TIME_MS` for a time to the millisecond.
        keywords: further JSON Schema keywords.
    """
    text += f", in UTC, to the {'millisecond' if pattern == TIME_MS else 'second'}.{more}"
    return described(text, **keywords, format="date-time", pattern=whole(pattern))


def model(kind: type[BaseModel], meanings: Meanings, description: str) -> Schema:
    """Return the schema of the JSON object that a pydantic model describes.

    Args:
        kind: the pydantic model.
        meanings: the description of each field.
        description: the description of the object.

    Raises:
        ValueError: a field has no description, or a description has no field.
    """
    extra = {"additionalProperties": False} if kind.model_config.get("extra") == "forbid" else {}
    return {"description": description} | extra | fields(kind, meanings) | {"type": "object"}


def fields(kind: type[BaseModel], meanings: Meanings) -> Schema:
    """Return the JSON Schema keywords `properties` and `required` of a pydantic model.

    Args:
        kind: the pydantic model.
        meanings: the description of each field, by field name.

    Raises:
        ValueError: a field has no description, or a description has no field.
    """
    made = kind.model_json_schema()
    if "$ref" in made:  # the model contains itself
        made = made["$defs"][kind.__name__]
    properties: Schema = {name: _clean(item) for name, item in made["properties"].items()}
    if properties.keys() != meanings.keys():
        raise ValueError(f"{kind.__name__}: {sorted(properties.keys() ^ meanings.keys())} without the other")
    merged = {name: _merged(properties[name], meaning) for name, meaning in meanings.items()}
    return {"properties": merged, "required": made.get("required", [])}


def _merged(given: Schema, meaning: Schema | str) -> Schema:
    """Return the schema of a field: the keywords in `meaning`, then those in `given` with other names.

    Args:
        given: the JSON Schema keywords that pydantic makes from the model. They are ignored if `meaning`
            defines the type of the value, by `$ref`, `enum` or a similar keyword.
        meaning: the keywords that this package adds for the field, or only the description as text.
    """
    if isinstance(meaning, str):
        meaning = described(meaning)
    if {"$ref", "anyOf", "oneOf", "const", "enum"} & meaning.keys():
        return dict(meaning)
    return meaning | {name: value for name, value in given.items() if name not in meaning}


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_RENAMED.get(name, name): _clean(item) for name, item in value.items() if name not in _NOISE}
