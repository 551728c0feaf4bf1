"""Use the built packages as Lambda would: nothing else but the standard library can be imported.

`python -I -S isolated_run.py FOLDER…` prints the codecs and the modules that it used, or ends with an
exception. The folders contain the built packages. test_package_size.py runs this script, which contains no
tests itself.
"""

import importlib
import io
import pkgutil
import sys
from pathlib import Path
from typing import Any

TREES = [str(Path(tree).resolve()) for tree in sys.argv[1:]]
ROWS, GROUP = 300_000, 10_000
CODECS = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")


class CountingFile(io.BytesIO):
    """A file object that counts the bytes that were read from it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes and add them to the count."""
        chunk = super().read(size)
        self.count += len(chunk)
        return chunk


def write_and_read(codec: str, table: Any) -> bytes:
    """Write a table as a Parquet file, assert that the file can be read back, and return the file's bytes.

    Args:
        codec: the compression codec, such as `zstd`.
        table: a pyarrow table.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - main() sets sys.path first

    sink = io.BytesIO()
    pq.write_table(table, sink, compression=codec, row_group_size=GROUP, store_schema=False)
    assert pq.read_table(io.BytesIO(sink.getvalue())).equals(table), codec
    return sink.getvalue()


def filtered_scan(file: bytes, table: Any) -> None:
    """Assert that a scan with a filter and selected columns reads only a small part of a Parquet file.

    Args:
        file: the content of the file.
        table: the pyarrow table in the file.
    """
    import pyarrow as pa  # noqa: PLC0415 - main() sets sys.path first
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.dataset as ds  # noqa: PLC0415

    source = CountingFile(file)
    fragment = ds.ParquetFileFormat().make_fragment(pa.PythonFile(source, mode="r"))
    wanted = (pc.field("code") == "B") & (pc.field("n") >= ROWS - GROUP)
    found = fragment.to_table(schema=table.schema, columns=["n", "value"], filter=wanted)
    assert found.num_rows == GROUP // 2, found.num_rows
    assert found.column_names == ["n", "value"]
    assert source.count < len(file) / 5, f"{source.count} of {len(file)} bytes read"


def main() -> None:
    """Write and read Parquet files with the deployed pyarrow, and import all modules of the worker.

    Assert that every loaded module comes from the folders on the command line or from the standard library.
    """
    sys.path[:0] = TREES
    import numpy as np  # noqa: PLC0415 - sys.path is set above
    import pyarrow as pa  # noqa: PLC0415

    n = np.arange(ROWS)
    code = pa.array(np.where(n % 2, "B", "A")).dictionary_encode().cast(pa.string())
    table = pa.table({"n": n, "code": code, "value": np.sqrt(n)})
    for codec in CODECS:
        file = write_and_read(codec, table)
    filtered_scan(file, table)

    worker = importlib.import_module("metrics_worker")
    names = [name for _, name, _ in pkgutil.walk_packages(worker.__path__, "metrics_worker.")]
    of_lambda = {"metrics_worker.messaging.limited_http"}  # this imports botocore, which Lambda's runtime has
    for name in sorted(set(names) - of_lambda):
        importlib.import_module(name)
    order = importlib.import_module("metrics_worker.kernels.order")
    assert order.rolling_quantile(np.array([3.0, 1, 2, 9]), 3, 0.5).tolist() == [2, 2]
    standard = str(Path(io.__file__).parent)
    for module in list(sys.modules.values()):
        origin = getattr(module, "__file__", None) or standard
        assert origin.startswith((*TREES, standard, __file__)), f"{module.__name__} is from {origin}"
    sys.stdout.write(f"codecs: {' '.join(CODECS)}\nmodules: {' '.join(names)}\n")


if __name__ == "__main__":
    main()
