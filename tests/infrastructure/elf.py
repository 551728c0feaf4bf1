"""A reader of ELF files: the libraries and symbols that a shared library needs (System V ABI, Linux)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MACHINES = {62: "x86_64", 183: "arm64"}
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
NEED = struct.Struct("<HHIII")
NEED_VERSION = struct.Struct("<IHHII")
TYPE_DYNAMIC, TYPE_SYMBOLS, TYPE_NEED = 6, 11, 0x6FFFFFFE
TAG_NEEDED = 1
WEAK = 2


class SharedLibrary(NamedTuple):
    """The libraries and symbols that a shared library needs and defines, read from its ELF file.

    Attributes:
        machine: the processor architecture: `x86_64` or `arm64`.
    """

    machine: str
    needed: frozenset[str]
    """The names of the libraries that this library loads."""
    versions: frozenset[str]
    """The symbol versions that this library needs of others, such as GLIBC_2.17 and GLIBCXX_3.4.21."""
    defines: frozenset[bytes]
    """The dynamic symbols that this library defines."""
    lacks: frozenset[bytes]
    """The dynamic symbols that another library must define, except weak symbols, which may be missing."""
    has_symbol_table: bool
    """Whether the file still has the symbol table for debuggers."""


def read(path: Path) -> SharedLibrary:
    """Read an ELF file, which must be a 64-bit little-endian one."""
    image = path.read_bytes()
    assert image[:6] == b"\x7fELF\x02\x01", f"{path} is not 64-bit little-endian ELF"
    table = struct.unpack_from("<Q", image, 40)[0]
    count = struct.unpack_from("<H", image, 60)[0]
    sections = [SECTION.unpack_from(image, table + i * SECTION.size) for i in range(count)]

    def content(kind: int) -> tuple[bytes, bytes, int]:
        """Return the first section of a type, or an empty section if the file has none.

        Args:
            kind: the number of the section type, such as `TYPE_DYNAMIC`.

        Returns:
            The bytes of the section, the bytes of the string table that belongs to the section, and the
            field sh_info (in the section of needed versions: the number of libraries).
        """
        for _name, type_, _flags, _addr, offset, size, link, info, *_rest in sections:
            if type_ == kind:
                start, length = sections[link][4:6]
                return image[offset : offset + size], image[start : start + length], info
        return b"", b"", 0

    dynamic, names, _ = content(TYPE_DYNAMIC)
    needed = {_string(names, value) for tag, value in struct.iter_unpack("<QQ", dynamic) if tag == TAG_NEEDED}
    symbols, names, _ = content(TYPE_SYMBOLS)
    defines, lacks = set(), set()
    for name, info, _other, section, _value, _size in SYMBOL.iter_unpack(symbols):
        if section:
            defines.add(names[name : names.index(0, name)])
        elif name and info >> 4 != WEAK:
            lacks.add(names[name : names.index(0, name)])
    return SharedLibrary(
        machine=MACHINES[struct.unpack_from("<H", image, 18)[0]],
        needed=frozenset(needed),
        versions=frozenset(_versions(*content(TYPE_NEED))),
        defines=frozenset(defines),
        lacks=frozenset(lacks),
        has_symbol_table=any(section[1] == 2 for section in sections),
    )


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(0, offset)].decode()


def _versions(records: bytes, names: bytes, count: int) -> Iterator[str]:
    """Yield the symbol versions that a library needs of other libraries, such as GLIBC_2.17.

    Args:
        records: the bytes of the section that lists the symbol versions.
        names: the bytes of the section's string table.
        count: the number of other libraries in the section.
    """
    place = 0
    for _ in range(count):
        _version, versions, _file, first, following = NEED.unpack_from(records, place)
        at = place + first
        for _ in range(versions):
            _hash, _flags, _other, name, step = NEED_VERSION.unpack_from(records, at)
            yield _string(names, name)
            at += step
        place += following
