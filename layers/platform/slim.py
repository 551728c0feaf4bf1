"""Make shared libraries smaller without a linker's tools, for whatever architecture they are.

Two things are done to each ELF file (64 bit, little endian: x86_64 and arm64 alike) below a folder:

- what the loader never maps goes: the symbol table for debuggers (``.symtab``, ``.strtab``) and comments,
  wherever they lie (auditwheel appends segments behind them), as ``strip --strip-unneeded`` would do;
- ``DT_NEEDED`` entries that match ``--forget`` go: pyarrow's libraries each name all the others, so that one
  that was taken out would otherwise be asked for. Nothing may use a symbol of it; a test resolves them all.

What always holds, and is checked for every file: the same bytes are mapped at the same addresses as before,
those entries apart. A file that can't be read as ELF raises and stops the build.
"""  # noqa: INP001 - a script that `make` runs, in no package

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
    """One program header."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class Section(NamedTuple):
    """One section header."""

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
    """The program headers of an ELF file.

    Raises:
        ValueError: it is not a 64-bit little-endian ELF file.
    """
    if image[:6] != ELF64_LITTLE_ENDIAN:
        raise ValueError("not a 64-bit little-endian ELF file")
    header = EHDR.unpack_from(image)
    offset, size, count = header[5], header[9], header[10]
    return [Segment(*PHDR.unpack_from(image, offset + i * size)) for i in range(count)]


def forget(image: bytearray, patterns: list[str]) -> None:
    """Take the ``DT_NEEDED`` entries whose name matches a pattern out of ``image``; later entries move up."""
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
    """Where in the file the loader takes the byte at a virtual address from."""
    for s in segments(image):
        if s.type == PT_LOAD and s.vaddr <= address < s.vaddr + s.filesz:
            return s.offset + address - s.vaddr
    raise ValueError(f"no segment holds address {address:#x}")


def strip(image: bytes | bytearray) -> bytes:
    """The file with nothing but its loaded segments, moved together, and the table of the sections in them.

    Sections keep their numbers, since symbols refer to them: one that went is left as an empty entry.

    Raises:
        ValueError: the loader would not see the same bytes as before.
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
        raise ValueError("stripping would change what is loaded")
    return bytes(body)


def _moved_together(image: bytes | bytearray) -> tuple[bytearray, list[tuple[int, int, int]]]:
    """The loaded segments' bytes one behind the other, and for each (old start, old end, distance moved).

    A segment's offset stays what it was modulo its alignment, as mapping by pages asks for.
    """
    body, moved = bytearray(), []
    for s in sorted((s for s in segments(image) if s.type == PT_LOAD), key=lambda s: s.offset):
        body += bytes((s.offset - len(body)) % s.align)
        moved.append((s.offset, s.offset + s.filesz, len(body) - s.offset))
        body += image[s.offset : s.offset + s.filesz]
    return body, moved


def _mapped(image: bytes | bytearray) -> list[tuple[Segment, bytes]]:
    """What the loader makes of a file: each segment without its place in the file, and the bytes in it.

    The ELF header and the program headers name such places, so they are left out of the bytes.
    """
    table, size, count = (EHDR.unpack_from(image)[i] for i in (5, 9, 10))
    blank = bytearray(image)
    blank[: EHDR.size] = bytes(EHDR.size)
    blank[table : table + size * count] = bytes(size * count)
    return [(s._replace(offset=0), bytes(blank[s.offset : s.offset + s.filesz])) for s in segments(image)]


def main() -> None:
    """Slim every shared library below a folder, in place, and say how many bytes that saved."""
    parser = argparse.ArgumentParser(description="Make the shared libraries below a folder smaller.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--forget", action="append", default=[], metavar="PATTERN", help="libraries that were taken out"
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
