"""The generation of a schema from a pydantic model and a description of each of its fields."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

type Schema = dict[str, Any]
type Meanings = Mapping[str, Schema]
"""The description of each field, by its wire name, with keywords that take precedence over pydantic's."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:metrics-worker:contracts:"
"""The prefix of schema ids. It is a URN and not an address, because nothing is ever fetched from it."""

_RENAMED = {"ge": "minimum", "le": "maximum"}
"""JSON Schema names of bounds that pydantic leaves under its own names if a validator precedes them."""
_NOISE = ("title", "default")
"""Keywords that are dropped: titles only repeat field names, and defaults are never needed by a reader."""


def document(name: str, title: str, description: str, body: Schema) -> Schema:
    """Return a complete schema document with its id, title and description."""
    head = {"$schema": DIALECT, "$id": ID + name, "title": title, "description": description}
    return head | body


def encode(schema: Schema) -> str:
    """Return a schema as the text of its file.

    Characters outside ASCII are escaped, because the patterns contain characters that no editor shows.
    """
    return json.dumps(schema, indent=2) + "\n"


def described(description: str, **keywords: Any) -> Schema:
    """Return the description of one field, with further JSON Schema keywords."""
    return {"description": description, **keywords}


def model(kind: type[BaseModel], meanings: Meanings) -> Schema:
    """Return the schema of the JSON object that a model describes.

    Raises:
        ValueError: a field has no description, or a description has no field.
    """
    given = definitions(kind)[kind.__name__]
    return {**{k: v for k, v in given.items() if k != "description"}, **fields(kind, meanings)}


def fields(kind: type[BaseModel], meanings: Meanings) -> Schema:
    """Return the `properties` of a model, each with its description, and the list of `required` ones.

    Raises:
        ValueError: a field has no description, or a description has no field.
    """
    given = definitions(kind)[kind.__name__]
    properties: Schema = given["properties"]
    if properties.keys() != meanings.keys():
        raise ValueError(f"{kind.__name__}: {sorted(properties.keys() ^ meanings.keys())} without the other")
    merged = {name: _merged(properties[name], meaning) for name, meaning in meanings.items()}
    return {"properties": merged, "required": given.get("required", [])}


def definitions(kind: Any) -> dict[str, Schema]:
    """Return pydantic's schemas of a type and of all models in it, by name, without titles and defaults."""
    made = TypeAdapter(kind).json_schema(by_alias=True)
    named: dict[str, Schema] = made.pop("$defs", {})
    if "title" in made:
        named[made["title"]] = made
    return {name: _clean(schema) for name, schema in named.items()}


def without_null(schema: Schema) -> Schema:
    """Return a property without null, which in a model means that the field is left out of the document."""
    kept = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(kept) != 1:
        return schema
    return {**kept[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _merged(given: Schema, meaning: Schema) -> Schema:
    """Return the description and keywords of a field, followed by pydantic's keywords.

    If the description defines the type of the value itself (such as by `$ref` or `enum`), pydantic's keywords
    are left out.
    """
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
