"""Generators of damaged part files: with changed, missing or exchanged bytes.

Some of the files expand to many times their size. The files are judged in a separate process
(tests/fuzz/batches.py), because a file could crash the process that reads it.
"""

import struct
from collections.abc import Callable
from random import Random

from tests.fuzz import part_files

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


def any_file(rng: Random) -> tuple[str, bytes]:
    """Generate a random part file, which may be damaged.

    Returns:
        The name of the file's kind, and the content of the file.
    """
    make = rng.choice([part_files.written, part_files.plain, part_files.plain])
    kind = rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    body = part_files.bomb(rng) if kind == "bomb" else make(rng)
    return kind, KINDS[kind][1](rng, body)


def _flipped(rng: Random, body: bytes) -> bytes:
    damaged = bytearray(body)
    # A random position is rarely in the footer, but damage there has more serious effects.
    start = rng.choice([0, 0, max(0, len(body) - 800)])
    for _ in range(rng.choice([1, 1, 2, 5, 50])):
        at = rng.randrange(start, len(damaged))
        damaged[at] = rng.choice([damaged[at] ^ 1 << rng.randrange(8), 0, 255, rng.randrange(256)])
    return bytes(damaged)


def _truncated(rng: Random, body: bytes) -> bytes:
    start, end = sorted([rng.randrange(len(body) + 1), rng.randrange(len(body) + 1)])
    return rng.choice([body[:end], body[start:], body[:start] + body[end:], body[:end] + body[-8:]])


def _spliced(rng: Random, body: bytes) -> bytes:
    """Return the beginning of a newly generated part file, followed by the end of another one.

    Args:
        rng: the source of random choices.
        body: the other part file; its end includes the footer.
    """
    other = part_files.plain(rng, rng.choice([1, 30, 3_000]))
    return MAGIC + other[4 : rng.randrange(4, len(other))] + body[rng.randrange(len(body)) :]


def _forged_length(rng: Random, body: bytes) -> bytes:
    length = rng.choice([*(n & 2**32 - 1 for n in NUMBERS), len(body), len(body) - 8, len(body) - 12])
    return body[:-8] + struct.pack("<I", length) + rng.choice([MAGIC, MAGIC, b"PARE"])


KINDS: dict[str, tuple[int, Callable[[Random, bytes], bytes]]] = {
    "as written": (5, lambda _, body: body),
    "flipped": (4, _flipped),
    "truncated": (1, _truncated),
    "spliced": (1, _spliced),
    "forged length": (1, _forged_length),
    "bomb": (1, lambda _, body: body),
}
"""The weight of each kind of file, and the function that damages a file in that way."""
