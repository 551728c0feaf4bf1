"""Thrift's compact protocol, as far as Parquet's footers and page headers use it: a struct, to its fields.

A field is found by its number and type together, as a reader of the format does: one of another type is not
the field. Bytes that are no struct are a ValueError. Source: the Thrift compact protocol specification.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
_TRUE, _FALSE, _BYTE, _I16, _DOUBLE, _SET = 1, 2, 3, 4, 7, 10
_MAX_DEPTH = 32
_LONG_LIST = 15
_MAX_SHIFT = 63

type Fields = dict[tuple[int, int], Any]
"""(number, type) → value: int, bytes, list or Fields. Of a field that stands there twice, the last."""

PLACE = "place"
"""Wanted of a field: where its value begins, in place of the value."""


def read_struct(data: memoryview, at: int = 0) -> tuple[Fields, int]:
    """A struct's fields, and where it ends.

    Raises:
        ValueError: there is none, or it goes on beyond the bytes.
    """
    with _whole():
        return _struct(data, at, 0)


def read_some(data: memoryview, at: int, wanted: Mapping[int, object]) -> tuple[Fields, int]:
    """Some fields of a struct, and where it ends; the others are passed over, which is much faster.

    Args:
        data: the bytes.
        at: where the struct begins.
        wanted: the numbers of the fields, each with PLACE or None.

    Raises:
        ValueError: as with `read_struct`.
    """
    fields: Fields = {}
    number = 0
    with _whole():
        while data[at]:
            number, kind, at = _field(data, at, number)
            if number not in wanted:
                at = _passed(data, at, kind, 0)
            elif wanted[number] == PLACE:
                fields[number, kind], at = at, _passed(data, at, kind, 0)
            elif kind > _FALSE:
                fields[number, kind], at = _value(data, at, kind, 0)
        return fields, at + 1


def read_list_head(data: memoryview, at: int) -> tuple[int, int]:
    """How many structs a list has, and where the first begins.

    Raises:
        ValueError: it is no list of structs.
    """
    kind, size, at = _list_head(data, at)
    if size and kind != STRUCT:
        raise ValueError("a Thrift list of something else than structs")
    return size, at


def pass_struct(data: memoryview, at: int) -> int:
    """Where the struct that begins here ends."""
    with _whole():
        return _passed(data, at, STRUCT, 0)


def count_structs(data: memoryview) -> int:
    """How many structs stand in this one, at any depth.

    Raises:
        ValueError: it is none.
    """
    counted = [0]
    with _whole():
        _passed(data, 0, STRUCT, 0, counted)
    return counted[0]


@contextmanager
def _whole() -> Iterator[None]:
    """What goes on beyond the bytes is no struct."""
    try:
        yield
    except IndexError:
        raise ValueError("it ends in the middle of a Thrift struct") from None


def _field(data: memoryview, at: int, number: int) -> tuple[int, int, int]:
    """The number and type of the field that follows the one of this number, and where its value begins."""
    head, at = data[at], at + 1
    if head >> 4:
        return number + (head >> 4), head & 15, at
    number, at = _integer(data, at, 16)
    return number, head & 15, at


def _list_head(data: memoryview, at: int) -> tuple[int, int, int]:
    """The type and number of a list's elements, and where the first begins."""
    head, at = data[at], at + 1
    size = head >> 4
    if size == _LONG_LIST:
        size, at = _varint(data, at)
    return head & 15, size, at


def _passed(data: memoryview, at: int, kind: int, depth: int, counted: list[int] | None = None) -> int:
    """Where the value of this type that begins here ends."""
    if kind in {_I16, I32, I64}:
        while data[at] & 128:
            at += 1
        return at + 1
    if kind == BINARY:
        size, at = _varint(data, at)
        return at + size
    if kind == STRUCT:
        return _passed_struct(data, at, depth, counted)
    if kind in {LIST, _SET}:
        return _passed_list(data, at, depth, counted)
    if kind <= _BYTE:
        return at + (kind == _BYTE)
    if kind == _DOUBLE:
        return at + 8
    raise ValueError(f"a Thrift type {kind} where Parquet has none")


def _passed_struct(data: memoryview, at: int, depth: int, counted: list[int] | None) -> int:
    if depth > _MAX_DEPTH:
        raise ValueError("Thrift structs nested too deep")
    if counted is not None:
        counted[0] += 1
    while head := data[at]:
        at += 1
        if not head >> 4:  # the field's number stands by itself
            at = _passed(data, at, _I16, depth)
        at = _passed(data, at, head & 15, depth + 1, counted)
    return at + 1


def _passed_list(data: memoryview, at: int, depth: int, counted: list[int] | None) -> int:
    kind, size, at = _list_head(data, at)
    if size > len(data) - at:
        raise ValueError("a Thrift list that is longer than its bytes")
    if kind <= _BYTE:
        return at + size
    for _ in range(size):
        at = _passed(data, at, kind, depth, counted)
    return at


def _struct(data: memoryview, at: int, depth: int) -> tuple[Fields, int]:
    if depth > _MAX_DEPTH:
        raise ValueError("Thrift structs nested too deep")
    fields: Fields = {}
    number = 0
    while data[at]:
        number, kind, at = _field(data, at, number)
        if kind <= _FALSE:
            fields[number, _TRUE] = kind == _TRUE
        else:
            fields[number, kind], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: memoryview, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in {_I16, I32, I64}:
        return _integer(data, at, {_I16: 16, I32: 32, I64: 64}[kind])
    if kind == BINARY:
        size, at = _varint(data, at)
        data[at + size - 1 if size else at - 1]  # an IndexError where it goes on beyond the bytes
        return bytes(data[at : at + size]), at + size
    if kind in {LIST, _SET}:
        return _list(data, at, depth)
    if kind == STRUCT:
        return _struct(data, at, depth + 1)
    if kind in {_BYTE, _DOUBLE}:
        return None, at + (1 if kind == _BYTE else 8)
    raise ValueError(f"a Thrift type {kind} where Parquet has none")


def _list(data: memoryview, at: int, depth: int) -> tuple[list[Any], int]:
    kind, size, at = _list_head(data, at)
    if size > len(data) - at:
        raise ValueError("a Thrift list that is longer than its bytes")
    if kind <= _BYTE:
        return [None] * size, at + size
    items = []
    for _ in range(size):
        item, at = _value(data, at, kind, depth)
        items.append(item)
    return items, at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[at]) & 128:
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if shift > _MAX_SHIFT:
            raise ValueError("a Thrift number of too many bytes")
    return value | byte << shift, at + 1


def _integer(data: memoryview, at: int, bits: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    value &= (1 << bits) - 1
    return value >> 1 ^ -(value & 1), at
