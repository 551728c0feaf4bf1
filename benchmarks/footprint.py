"""Measure what a cold start loads: the time of the imports, and the size of the deployed packages."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.measure import Spread, ratios, table
from benchmarks.workload import environment

MIB = 2**20
_ROOT = Path(__file__).parents[1]
_MODULES = ("pyarrow.parquet", "metrics_worker.handler", "pandas", "polars")
_TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
_PARTS = {"PyArrowLayer": "layers/pyarrow/Makefile", "MetricsWorkerFunction": "src/Makefile"}


def imports(rounds: int) -> str:
    """Return a Markdown table with the import times of the worker's handler and of three libraries.

    Args:
        rounds: the number of measurements of each import, each in a new process.
    """
    environment("http://127.0.0.1:9")  # No server listens on this port, because an import makes no request.
    # Lambda has .pyc files. If Python could not write them here, each process would compile the worker again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    times: dict[str, list[float]] = {name: [] for name in _MODULES}
    for turn in range(rounds + 1):
        for name, taken in times.items():
            command = [sys.executable, "-c", _TIMED.format(name)]
            seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            if turn:  # The first round reads from the disk and writes .pyc files.
                taken.append(seconds)
    base = times["pyarrow.parquet"]
    rows = [[name, Spread.of(taken), ratios(taken, base)] for name, taken in times.items()]
    return table("Import in a fresh process", ["module", "s", "times pyarrow.parquet"], rows)


def sizes() -> str:
    """Return a Markdown table with the sizes, unzipped and zipped, of the layer and the function.

    Both are built for x86_64 and arm64 with the Makefiles that `sam build` uses.
    """
    rows = []
    for architecture in ("x86_64", "arm64"):
        total = 0
        for part in _PARTS:
            with tempfile.TemporaryDirectory() as folder:
                _build(architecture, part, folder)
                files = [path for path in Path(folder).rglob("*") if path.is_file()]
                plain = sum(path.stat().st_size for path in files)
                zipped = _zipped(files, Path(folder))
            total += plain
            rows.append([architecture, part, f"{plain / MIB:.1f}", f"{zipped / 1e6:.1f}"])
        rows.append([architecture, "both", f"{total / MIB:.1f}", ""])
    return table("Deployed packages", ["architecture", "part", "MiB unzipped", "MB zipped"], rows)


def _build(architecture: str, part: str, folder: str) -> None:
    own = os.environ | {"ARTIFACTS_DIR": folder, "PYTHON": str(_ROOT / ".venv/bin/python")}
    subprocess.run(
        ["make", "--makefile", str(_ROOT / _PARTS[part]), f"build-{part}"],  # noqa: S607 - as `sam build` does
        cwd=_ROOT / "layers/platform" / architecture,
        env={name: value for name, value in own.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}},
        check=True,
        capture_output=True,
    )


def _zipped(files: list[Path], tree: Path) -> int:
    with tempfile.NamedTemporaryFile() as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(tree))
        return Path(target.name).stat().st_size
