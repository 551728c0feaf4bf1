"""Make the shared libraries below a folder smaller, without binutils and for any architecture.

The script changes each ELF file (64-bit, little-endian, such as x86_64 and arm64) in two ways:

- It removes everything that the loader never maps: the symbol table for debuggers (``.symtab``, ``.strtab``)
  and comments, wherever they are in the file (auditwheel appends segments after them). ``strip
  --strip-unneeded`` would do the same.
- It removes the ``DT_NEEDED`` entries that match ``--forget``. Each of pyarrow's libraries names all others,
  so the loader would otherwise look for libraries that the build removed. No remaining library may use a
  symbol of a removed one; a test resolves all symbols.

For every file the script checks that the loader maps the same bytes at the same addresses as before, except
for those entries. A file that is not valid ELF raises an error and stops the build.
"""  # noqa: INP001 - a script that `make` runs; it is in no package

import argparse
import struct
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, NamedTuple

# System V ABI, "Object Files" and "Program Loading": the 64-bit layouts and the few constants used here.
EHDR: Final = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR: Final = struct.Struct("<IIQQQQQQ")
SHDR: Final = struct.Struct("<IIQQQQIIQQ")
DYN: Final = struct.Struct("<QQ")
ELF64_LITTLE_ENDIAN: Final = b"\x7fELF\x02\x01"
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
SHF_ALLOC: Final = 2
DT_NULL: Final = 0
DT_NEEDED: Final = 1
DT_STRTAB: Final = 5


class Segment(NamedTuple):
    """One program header of an ELF file."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class Section(NamedTuple):
    """One section header of an ELF file."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int


EMPTY: Final = Section(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def segments(image: bytes | bytearray) -> list[Segment]:
    """Return the program headers of an ELF file.

    Raises:
        ValueError: the image is not a 64-bit little-endian ELF file.
    """
    if image[:6] != ELF64_LITTLE_ENDIAN:
        raise ValueError("not a 64-bit little-endian ELF file")
    header = EHDR.unpack_from(image)
    offset, size, count = header[5], header[9], header[10]
    return [Segment(*PHDR.unpack_from(image, offset + i * size)) for i in range(count)]


def forget(image: bytearray, patterns: list[str]) -> None:
    """Remove from an ELF file, in place, its dependencies on the libraries whose names match a pattern.

    Args:
        image: the content of the file.
        patterns: shell patterns, such as `libarrow_substrait.so.*`, for the names in the ``DT_NEEDED``
            entries.
    """
    dynamic = next(s for s in segments(image) if s.type == PT_DYNAMIC)
    entries = list(DYN.iter_unpack(image[dynamic.offset : dynamic.offset + dynamic.filesz]))
    strings = _offset_of(image, next(value for tag, value in entries if tag == DT_STRTAB))

    def stays(tag: int, value: int) -> bool:
        if tag != DT_NEEDED:
            return True
        name = image[strings + value : image.index(0, strings + value)].decode()
        return not any(fnmatch(name, pattern) for pattern in patterns)

    kept = [entry for entry in entries if stays(*entry)]
    kept += [(DT_NULL, 0)] * (len(entries) - len(kept))
    for i, entry in enumerate(kept):
        DYN.pack_into(image, dynamic.offset + i * DYN.size, *entry)


def _offset_of(image: bytes | bytearray, address: int) -> int:
    """Return the file offset of the byte that the loader maps to a virtual address.

    Raises:
        ValueError: no segment contains the address.
    """
    for s in segments(image):
        if s.type == PT_LOAD and s.vaddr <= address < s.vaddr + s.filesz:
            return s.offset + address - s.vaddr
    raise ValueError(f"no segment holds address {address:#x}")


def strip(image: bytes | bytearray) -> bytes:
    """Return the content of an ELF file reduced to its loaded segments and a table of the sections in them.

    Sections keep their numbers, because symbols refer to them: a removed section becomes an empty entry.

    Raises:
        ValueError: the loader would not map the same bytes as before.
    """
    header = list(EHDR.unpack_from(image))
    body, moved = _moved_together(image)

    def new_offset(old: int) -> int:
        return next((old + by for start, end, by in moved if start <= old <= end), 0)

    header[5] = new_offset(header[5])
    for i, s in enumerate(segments(image)):
        PHDR.pack_into(body, header[5] + i * PHDR.size, *s._replace(offset=new_offset(s.offset)))
    sections = [Section(*SHDR.unpack_from(image, header[6] + i * SHDR.size)) for i in range(header[12])]
    names = sections[header[13]]
    kept = [s._replace(offset=new_offset(s.offset)) if s.flags & SHF_ALLOC else EMPTY for s in sections]
    kept[header[13]] = names._replace(offset=len(body))
    body += image[names.offset : names.offset + names.size]
    body += bytes(-len(body) % 8)
    header[6] = len(body)
    body += b"".join(SHDR.pack(*s) for s in kept)
    EHDR.pack_into(body, 0, *header)
    if _mapped(body) != _mapped(image):
        raise ValueError("stripping would change the loaded bytes")
    return bytes(body)


def _moved_together(image: bytes | bytearray) -> tuple[bytearray, list[tuple[int, int, int]]]:
    """Return the loaded segments of an ELF file moved together, and how far each segment moved.

    A segment moves by a multiple of its alignment, because the loader maps whole pages.

    Returns:
        The bytes of the segments, and a tuple (old start, old end, shift) of file offsets for each segment.
    """
    body, moved = bytearray(), []
    for s in sorted((s for s in segments(image) if s.type == PT_LOAD), key=lambda s: s.offset):
        body += bytes((s.offset - len(body)) % s.align)
        moved.append((s.offset, s.offset + s.filesz, len(body) - s.offset))
        body += image[s.offset : s.offset + s.filesz]
    return body, moved


def _mapped(image: bytes | bytearray) -> list[tuple[Segment, bytes]]:
    """Return the program headers of an ELF file, each with the bytes of its segment.

    The file offsets are replaced by zeros, also in the bytes of the ELF header and the program headers, so
    that two files can be compared.
    """
    table, size, count = (EHDR.unpack_from(image)[i] for i in (5, 9, 10))
    blank = bytearray(image)
    blank[: EHDR.size] = bytes(EHDR.size)
    blank[table : table + size * count] = bytes(size * count)
    return [(s._replace(offset=0), bytes(blank[s.offset : s.offset + s.filesz])) for s in segments(image)]


def main() -> None:
    """Make every shared library below a folder smaller, in place, and print the sizes before and after."""
    parser = argparse.ArgumentParser(description="Make the shared libraries below a folder smaller.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="PATTERN",
        help="the names of libraries that the build removed",
    )
    options = parser.parse_args()
    before = after = 0
    for path in sorted(options.folder.rglob("*.so*")):
        image = bytearray(path.read_bytes())
        before += len(image)
        forget(image, options.forget)
        slim = strip(image)
        after += len(slim)
        path.write_bytes(slim)
    sys.stdout.write(f"slim: shared libraries {before / 2**20:.1f} MiB -> {after / 2**20:.1f} MiB\n")


if __name__ == "__main__":
    main()
