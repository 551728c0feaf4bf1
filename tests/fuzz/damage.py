"""Part files that were damaged or forged: bytes flipped, cut off or spliced, footers and headers rewritten.

Some of them end the process that reads them, so they are judged in one of their own (`batches`).
"""

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.fuzz import part_files
from tests.fuzz.thrift import BINARY, I32, I64, INTEGERS, Listed, Reader, Struct, encode

MAGIC = b"PAR1"
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    5,
    7,
    29,
    31,
    127,
    2**15,
    2**20,
    2**31 - 1,
    2**31,
    -(2**31),
    2**40,
    2**62,
    2**63 - 1,
    -(2**63),
]
ROW_GROUPS = 4
COLUMNS, TOTAL_BYTE_SIZE, NUM_ROWS = 1, 2, 3


def any_file(rng: Random) -> tuple[str, bytes]:
    """A part file of any kind, and which: as written, or damaged one way or another."""
    make = rng.choice([part_files.written, part_files.plain, part_files.plain])
    kind = rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    body = part_files.bomb(rng) if kind in {"bomb", "forged bomb"} else make(rng)
    return kind, KINDS[kind][1](rng, body)


def _flipped(rng: Random, body: bytes) -> bytes:
    damaged = bytearray(body)
    start = rng.choice([0, 0, max(0, len(body) - 800)])  # a footer is the smaller part, and the worse one
    for _ in range(rng.choice([1, 1, 2, 5, 50])):
        at = rng.randrange(start, len(damaged))
        damaged[at] = rng.choice([damaged[at] ^ 1 << rng.randrange(8), 0, 255, rng.randrange(256)])
    return bytes(damaged)


def _truncated(rng: Random, body: bytes) -> bytes:
    start, end = sorted([rng.randrange(len(body) + 1), rng.randrange(len(body) + 1)])
    return rng.choice([body[:end], body[start:], body[:start] + body[end:], body[:end] + body[-8:]])


def _spliced(rng: Random, body: bytes) -> bytes:
    """The data of one file under another one's footer."""
    other = part_files.plain(rng, rng.choice([1, 30, 3_000]))
    return MAGIC + other[4 : rng.randrange(4, len(other))] + body[rng.randrange(len(body)) :]


def _forged_length(rng: Random, body: bytes) -> bytes:
    length = rng.choice([*(n & 2**32 - 1 for n in NUMBERS), len(body), len(body) - 8, len(body) - 12])
    return body[:-8] + struct.pack("<I", length) + rng.choice([MAGIC, MAGIC, b"PARE"])


def _forged_footer(rng: Random, body: bytes) -> bytes:
    """Up to three places of the footer with something else in them."""
    data, footer = _split(body)
    for _ in range(rng.choice([1, 1, 2, 3])):
        _change(rng, footer)
    return _join(data, footer)


def _forged_type(rng: Random, body: bytes) -> bytes:
    """A column that is of another type than the schema says: whoever asks pyarrow about it aborts."""
    data, footer = _split(body)
    for group in _field(footer, ROW_GROUPS).items:
        for column in _field(group, COLUMNS).items[: rng.choice([1, 2, 3])]:
            _field_of(_field(column, 3), 1)[2] = rng.randrange(9)
    return _join(data, footer)


def _forged_bomb(rng: Random, body: bytes) -> bytes:
    """A footer that promises little: the sizes of its row groups, their rows, or both, are a few."""
    data, footer = _split(body)
    what = rng.choice([{TOTAL_BYTE_SIZE}, {TOTAL_BYTE_SIZE, NUM_ROWS}, {NUM_ROWS}])
    for group in _field(footer, ROW_GROUPS).items:
        for field in group:
            if field[0] in what:
                field[2] = rng.choice([0, 1, 10, -(2**62)])
    if rng.random() < 0.5:
        _field_of(footer, NUM_ROWS)[2] = rng.choice([0, 1, 10])
    return _join(data, footer)


def _forged_page(rng: Random, body: bytes) -> bytes:
    """A page header that says something else. The last column's, so that what follows it is the footer."""
    data, footer = _split(body)
    chunks = [
        _field(chunk, 3)
        for group in _field(footer, ROW_GROUPS).items
        for chunk in _field(group, COLUMNS).items
    ]
    if not chunks:
        return body
    starts = [min(field[2] for field in chunk if field[0] in {9, 11}) for chunk in chunks]
    at = max(starts)
    if at < len(MAGIC):  # a row group without rows has no pages
        return body
    chunk = chunks[starts.index(at)]
    reader = Reader(data, at)
    header = reader.struct()
    _change(rng, header)
    changed = encode(header)
    _field_of(chunk, 7)[2] += len(changed) - (reader.at - at)
    return _join(data[:at] + changed + data[reader.at :], footer)


KINDS: dict[str, tuple[int, Callable[[Random, bytes], bytes]]] = {
    "as written": (5, lambda _, body: body),
    "flipped": (4, _flipped),
    "truncated": (1, _truncated),
    "spliced": (1, _spliced),
    "forged length": (1, _forged_length),
    "forged footer": (6, _forged_footer),
    "forged type": (2, _forged_type),
    "forged page": (4, _forged_page),
    "bomb": (1, lambda _, body: body),
    "forged bomb": (1, _forged_bomb),
}
"""How often each is made, and how."""


def _split(body: bytes) -> tuple[bytes, Struct]:
    (length,) = struct.unpack("<I", body[-8:-4])
    at = len(body) - 8 - length
    return body[:at], Reader(body, at).struct()


def _join(data: bytes, footer: Struct) -> bytes:
    encoded = encode(footer)
    return data + encoded + struct.pack("<I", len(encoded)) + MAGIC


def _field_of(fields: Struct, number: int) -> list[Any]:
    return next(field for field in fields if field[0] == number)


def _field(fields: Struct, number: int) -> Any:
    return _field_of(fields, number)[2]


def _change(rng: Random, fields: Struct) -> None:
    """Change one place in a struct, at any depth: a value, a field's number, or how often it stands there."""
    holder, field = rng.choice(list(_fields(fields)))
    match rng.choice(["value", "value", "value", "value", "drop", "twice", "number"]):
        case "drop":
            holder.remove(field)
        case "twice":
            holder.append(field)
        case "number":
            field[0] = rng.randrange(16)
        case _:
            _revalue(rng, field)


def _revalue(rng: Random, field: list[Any]) -> None:
    kind, value = field[1], field[2]
    if kind in INTEGERS:
        near = value + rng.choice([-1, 1, 8, -8, 1000])
        field[2] = max(-(2**63), min(2**63 - 1, rng.choice([near, *NUMBERS])))
        field[1] = rng.choice([kind, kind, kind, I32, I64])
    elif kind == BINARY:
        field[2] = rng.choice(
            [b"", b"\xff\xfe", value[:-1], value * 2, b"value", b"x" * 100_000, rng.randbytes(8)]
        )
    elif isinstance(value, Listed) and value.items:
        item = rng.choice(value.items)
        many = rng.choice([2, 20, 2_000])
        at = value.items.index(item)
        value.items[at : at + 1] = rng.choice([[], [item] * many, [item, item]])
    else:
        field[2] = not value if isinstance(value, bool) else value


def _fields(fields: Struct) -> Iterator[tuple[Struct, list[Any]]]:
    for field in fields:
        yield fields, field
        inner = field[2].items if isinstance(field[2], Listed) else [field[2]]
        for value in inner:
            if isinstance(value, list):
                yield from _fields(value)
