"""Thrift's compact protocol, as far as Parquet's footers and page headers use it: to a tree, and back.

A struct is a list of `[field id, type, value]`, a list is a `Listed`. Whatever is changed in a tree, `encode`
writes it, so a footer can promise what no writer would.
"""

from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
INTEGERS = (I16, I32, I64)
type Struct = list[list[Any]]


@dataclass
class Listed:
    """A list, and the type of what is in it."""

    kind: int
    items: list[Any]


class Reader:
    """Reads structs from bytes, from a position on."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def struct(self) -> Struct:
        """A struct; `at` is behind it then."""
        fields: Struct = []
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields.append([number, head & 15, self._value(head & 15)])
        return fields

    def _value(self, kind: int) -> Any:  # noqa: PLR0911 - a line a type
        match kind:
            case 1 | 2:
                return kind == TRUE
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                return self._take(8)
            case 8:
                return self._take(self._varint())
            case 9 | 10:
                return self._list()
            case 12:
                return self.struct()
        raise ValueError(f"type {kind} is not read here")

    def _list(self) -> Listed:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        return Listed(head & 15, [self._element(head & 15) for _ in range(size)])

    def _element(self, kind: int) -> Any:
        return self._byte() == TRUE if kind in {TRUE, FALSE} else self._value(kind)

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


def encode(fields: Struct) -> bytes:
    """The bytes of a struct. Field numbers stand in full, so they may be in any order."""
    parts = [bytes([_kind(kind, value)]) + _zigzag(n) + _value(kind, value) for n, kind, value in fields]
    return b"".join(parts) + b"\0"


def _kind(kind: int, value: Any) -> int:
    return (TRUE if value else FALSE) if kind in {TRUE, FALSE} else kind


def _value(kind: int, value: Any) -> bytes:  # noqa: PLR0911 - a line a type
    match kind:
        case 1 | 2:
            return b""
        case 3:
            return bytes([value])
        case 4 | 5 | 6:
            return _zigzag(value)
        case 7:
            return bytes(value)
        case 8:
            return _varint(len(value)) + bytes(value)
        case 9 | 10:
            size = len(value.items)
            head = (
                bytes([size << 4 | value.kind]) if size < 15 else bytes([0xF0 | value.kind]) + _varint(size)
            )
            return head + b"".join(_element(value.kind, item) for item in value.items)
        case _:
            return encode(value)


def _element(kind: int, value: Any) -> bytes:
    return bytes([_kind(kind, value)]) if kind in {TRUE, FALSE} else _value(kind, value)


def _zigzag(value: int) -> bytes:
    return _varint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
