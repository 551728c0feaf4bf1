"""How a schema is made of a model: pydantic's own, and what each field means laid over it."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

type Schema = dict[str, Any]
type Meanings = Mapping[str, Schema]
"""What is said of each field, by its name on the wire: a description, keywords to go before pydantic's."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:metrics-worker:contracts:"
"""A name, and no address: nothing is ever fetched from there."""

_RENAMED = {"ge": "minimum", "le": "maximum"}
"""Pydantic leaves a bound under its own name where a validator goes before it."""
_NOISE = ("title", "default")
"""A title that repeats the field's name, and the default of a field that is always written or may be null."""


def document(name: str, title: str, description: str, body: Schema) -> Schema:
    """A whole schema: named, titled, of the dialect."""
    head = {"$schema": DIALECT, "$id": ID + name, "title": title, "description": description}
    return head | body


def encode(schema: Schema) -> str:
    """As the text of a file. All but ASCII is escaped: patterns hold characters that no editor shows."""
    return json.dumps(schema, indent=2) + "\n"


def said(description: str, **keywords: Any) -> Schema:
    """The meaning of one field."""
    return {"description": description, **keywords}


def model(kind: type[BaseModel], meanings: Meanings) -> Schema:
    """The object that a model stands for.

    Raises:
        ValueError: a field has no meaning, or a meaning no field.
    """
    given = definitions(kind)[kind.__name__]
    return {**{k: v for k, v in given.items() if k != "description"}, **fields(kind, meanings)}


def fields(kind: type[BaseModel], meanings: Meanings) -> Schema:
    """A model's `properties`, each with its meaning, and which of them are `required`.

    Raises:
        ValueError: a field has no meaning, or a meaning no field.
    """
    given = definitions(kind)[kind.__name__]
    properties: Schema = given["properties"]
    if properties.keys() != meanings.keys():
        raise ValueError(f"{kind.__name__}: {sorted(properties.keys() ^ meanings.keys())} without the other")
    merged = {name: _merged(properties[name], meaning) for name, meaning in meanings.items()}
    return {"properties": merged, "required": given.get("required", [])}


def definitions(kind: Any) -> dict[str, Schema]:
    """Pydantic's schemas of a type and of all that it is made of, by name, without noise."""
    made = TypeAdapter(kind).json_schema(by_alias=True)
    named: dict[str, Schema] = made.pop("$defs", {})
    if "title" in made:
        named[made["title"]] = made
    return {name: _clean(schema) for name, schema in named.items()}


def absent(schema: Schema) -> Schema:
    """A property without the null that stands, in a model, for a field that is left out."""
    kept = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(kept) != 1:
        return schema
    return {**kept[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _merged(given: Schema, meaning: Schema) -> Schema:
    """The meaning first, as it is what people read; where it says how the value looks, that goes for all."""
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
