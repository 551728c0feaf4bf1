"""The reading of part files for one or more series: `Reading` for a run, `read_part_file` for one file."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from metrics_worker.dataset.part_file import read_usual
from metrics_worker.errors import InputReadError, StoreRefusal

if TYPE_CHECKING:
    import pyarrow as pa

    from metrics_worker.dataset.choice import Source
    from metrics_worker.dataset.decoder import Decoder
    from metrics_worker.dataset.singleflight import Singleflight
    from metrics_worker.limits import Claim
    from metrics_worker.s3.bucket import Bucket, StoredObject

ROW_BYTES = 100
"""The memory in bytes for a decoded row, without its series code. Decision 0010 has the measurement."""
MAX_SHARED_BYTES = 64 * 1024 * 1024
"""The maximum size of the decoded part files with several series that are kept for other runs."""


class ReadFile(NamedTuple):
    """A part file that was read: its table, and the ETag and the size in bytes of the object in S3."""

    table: "pa.Table"
    etag: str
    size: int


@dataclass(slots=True)
class SharedFiles:
    """The part files that contain several series. An invocation keeps them, because other runs may need them.

    Attributes:
        files: each such file that was read, by key; None if its table was too large to keep.
        nbytes: the total bytes of the tables.
    """

    files: "Singleflight[str, ReadFile | None]"
    nbytes: int = 0


@dataclass(slots=True)
class Reading:
    """One read of all part files of some series; each file is read once.

    The thread of the run starts the read and waits for it. As each file arrives, the event-loop thread calls
    `_on_object`, which decodes a usual file (see `part_file`) immediately. Any other file is decoded by the
    child process; a thread of a pool waits for the child process, so the event loop is not blocked.

    Attributes:
        sources: the series, each with the keys of its part files.
        bucket: the bucket that contains the part files.
        decoder: decodes large or unusual files in a child process.
        claim: the memory that the read has reserved.
        max_rows: the maximum number of rows of a run; a single file with more rows is refused.
        shared: the files that the invocation keeps.
        etags: the ETags of the part files that were listed, by key.
        on_progress: a function that is called with the share of the files that has been read (0-1), after
            each file and at intervals while another run reads a shared file.
        files: the part files that have been read so far, by key.
    """

    sources: "list[Source]"
    bucket: "Bucket"
    decoder: "Decoder"
    claim: "Claim"
    max_rows: int
    shared: SharedFiles
    etags: Mapping[str, str]
    on_progress: Callable[[float], None]
    files: dict[str, ReadFile] = field(default_factory=dict)
    _codes: dict[str, set[str]] = field(default_factory=dict)
    _own: set[str] = field(default_factory=set)
    _to_share: set[str] = field(default_factory=set)

    def run(self) -> dict[str, ReadFile]:
        """Read every part file and return the part files by key.

        Raises:
            InputReadError: a part file is missing or unreadable; the message names its series.
            StoreUnavailable, DecoderUnavailable, OutOfMemory, OutOfTime: the run must be tried again later.
        """
        for source in self.sources:
            for key in source.keys:
                self._codes.setdefault(key, set()).add(source.code)
        self._own = {key for source in self.sources if source.by_path for key in source.keys}
        self._fetch(self._own)
        others = [key for key in self._codes if key not in self._own]
        shared = self.shared.files.fetch(others, self._share, on_wait=self._report)
        self.files |= {key: file for key, file in shared.items() if file is not None}
        # Another run of the invocation has read the remaining files, but could not keep their tables.
        self._fetch(key for key in others if key not in self.files)
        return self.files

    def _fetch(self, keys: Iterable[str]) -> None:
        try:
            self.bucket.get_many(list(keys), self._on_object, self.etags)
        except (StoreRefusal, InputReadError) as error:
            raise InputReadError.of_series(min(self._codes[error.subject]), error.message) from error

    def _share(self, keys: list[str]) -> dict[str, ReadFile | None]:
        """Read part files that contain several series; return by key those that the invocation keeps.

        The value of a file that is not kept is None: the file was not read as a whole, or the kept files
        would exceed `MAX_SHARED_BYTES`. Kept or not, each file is in `files` of this read.
        """
        self._fetch(keys)
        return {key: self.files[key] if key in self._to_share else None for key in keys}

    def _on_object(self, found: "StoredObject") -> Callable[[], None] | None:
        is_own, is_whole = found.key in self._own, len(found.body) == found.size
        is_shared = is_whole and not is_own and self.shared.nbytes < MAX_SHARED_BYTES
        codes = None if is_shared else self._codes[found.key]
        with_codes = not is_own or len(self._codes[found.key]) > 1

        def decode() -> None:
            table = self.decoder.read(found, self.bucket, codes, self._admit, with_codes=with_codes)
            self._keep(found, table, is_shared=is_shared)

        # The rows of files that belong to one series are filtered all at once later, which is faster.
        table = read_usual(found, None if is_own else codes, self._admit)
        if table is None:
            return decode
        self._keep(found, table, is_shared=is_shared)
        return None

    def _keep(self, found: "StoredObject", table: "pa.Table", *, is_shared: bool) -> None:
        if is_shared and self.shared.nbytes + table.nbytes <= MAX_SHARED_BYTES:
            self._to_share.add(found.key)
            self.shared.nbytes += table.nbytes
        self.files[found.key] = ReadFile(table, found.etag, found.size)
        self._report()

    def _report(self) -> None:
        self.on_progress(len(self.files) / len(self._codes))

    def _admit(self, key: str, rows: int, size: int) -> None:
        """Reserve memory for a part file.

        Args:
            key: the key of the part file.
            rows: the number of rows to be decoded.
            size: the bytes of memory that decoding needs in addition to the rows.

        Raises:
            InputReadError: the file has more rows, or needs more memory, than a run may take.
            OutOfMemory: other runs of the batch hold the memory.
        """
        if rows > self.max_rows:
            raise InputReadError(
                key, f"has {rows:,} rows; a run may read {self.max_rows:,} (WORKER_MAX_ROWS)"
            )
        longest = max(len(code.encode()) for code in self._codes[key])
        self.claim.take(size + rows * (ROW_BYTES + 5 * longest // 2), key, InputReadError)


def read_part_file(
    found: "StoredObject", bucket: "Bucket", decoder: "Decoder", codes: Iterable[str] | None = None
) -> "pa.Table":
    """Return the table of one part file. Usual files are decoded in this process, others in a child process.

    Args:
        found: the object, or its last bytes.
        bucket: the bucket from which the rest of the object is read.
        decoder: the child process for large or unusual files.
        codes: the codes of the series whose rows are returned; None for all rows.

    Raises:
        InputReadError, DecoderUnavailable, OutOfTime, StoreUnavailable, StoreRefusal: as with `Decoder.read`.
    """

    def admit(*_: object) -> None:
        """Accept a file of any size."""

    table = read_usual(found, codes, admit)
    return decoder.read(found, bucket, codes, admit) if table is None else table
