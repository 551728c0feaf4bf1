"""The generation of a schema from a pydantic model and a description of each of its fields."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from metrics_tools.contracts.patterns import TIME, TIME_MS, whole

type Schema = dict[str, Any]
type Meanings = Mapping[str, Schema | str]
"""The description of each field by its wire name, or keywords that take precedence over pydantic's."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:metrics-worker:contracts:"
"""The prefix of schema ids. It is a URN and not an address, because nothing is ever fetched from it."""
NEXT = "Later versions may add fields: ignore fields that you do not know."

_RENAMED = {"ge": "minimum", "le": "maximum"}
"""JSON Schema names of bounds that pydantic leaves under its own names if a validator precedes them."""
_NOISE = ("title", "default")
"""Keywords that are dropped: titles only repeat field names, and defaults are never needed by a reader."""


def document(name: str, body: Schema, *, title: str, description: str) -> Schema:
    """Return a complete schema document of a JSON object, with its id, title and description."""
    head = {"$schema": DIALECT, "$id": ID + name, "title": title, "description": description}
    return head | {"type": "object"} | body


def encode(schema: Schema) -> str:
    """Return a schema as the text of its file, in ASCII: the patterns contain characters without a glyph."""
    return json.dumps(schema, indent=2) + "\n"


def described(description: str, **keywords: Any) -> Schema:
    """Return the description of one field, with further JSON Schema keywords."""
    return {"description": description, **keywords}


def moment(text: str, *, more: str = "", pattern: str = TIME, **keywords: Any) -> Schema:
    """Return the description of a time field, whose precision follows from its pattern."""
    text += f", in UTC, to the {'millisecond' if pattern == TIME_MS else 'second'}.{more}"
    return described(text, **keywords, format="date-time", pattern=whole(pattern))


def model(kind: type[BaseModel], meanings: Meanings, description: str) -> Schema:
    """Return the schema of the JSON object that a model describes.

    Raises:
        ValueError: A field has no description, or a description has no field.
    """
    head = {"description": description}
    return head | _given(kind) | head | fields(kind, meanings)


def fields(kind: type[BaseModel], meanings: Meanings) -> Schema:
    """Return the `properties` of a model, each with its description, and the list of `required` ones.

    Raises:
        ValueError: A field has no description, or a description has no field.
    """
    given = _given(kind)
    properties: Schema = given["properties"]
    if properties.keys() != meanings.keys():
        raise ValueError(f"{kind.__name__}: {sorted(properties.keys() ^ meanings.keys())} without the other")
    merged = {name: _merged(properties[name], meaning) for name, meaning in meanings.items()}
    return {"properties": merged, "required": given.get("required", [])}


def _given(kind: type[BaseModel]) -> Schema:
    """Return pydantic's schema of a model, without titles, defaults and the schemas of other models."""
    made = kind.model_json_schema()
    if "$ref" in made:  # the model contains itself
        made = made["$defs"][kind.__name__]
    cleaned: Schema = _clean({name: value for name, value in made.items() if name != "$defs"})
    return cleaned


def without_null(schema: Schema) -> Schema:
    """Return a property without null, which in a model means that the field is left out of the document."""
    kept = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(kept) != 1:
        return schema
    return {**kept[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _merged(given: Schema, meaning: Schema | str) -> Schema:
    """Return the description and keywords of a field, followed by pydantic's keywords.

    If the description defines the type of the value itself (such as by `$ref` or `enum`), pydantic's keywords
    are left out.
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
    cleaned = {_RENAMED.get(name, name): item for name, item in value.items() if name not in _NOISE}
    return {
        name: {key: _clean(item) for key, item in inner.items()} if name == "properties" else _clean(inner)
        for name, inner in cleaned.items()
    }
