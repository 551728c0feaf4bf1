"""Fuzzing of the parsers that is guided by coverage.

This module writes the first inputs and a dictionary, and starts tests/fuzz/edges.py.
"""

import re
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.fuzz.bodies import REQUESTS
from tests.fuzz.json_trees import STRINGS, text
from tests.fuzz.manifests import FILES, MANIFEST, PATHS

TOKENS = [
    "Message", "Timestamp", "Type", "schema", "metrics.run.v1", "type", "metric_run_requested", "runId",
    "metricCode", "expressionType",
    "expressionJson", "inputs", "datasetId", "seriesCode", "catalog", "datasets", "manifestPath",
    "projectionsPath", "output", "basePath",
    "op", "left", "right", "series", "operands", "window", "scale", "series_code", "s3://bucket/metrics/",
    "parquet_files", "series_codes",
    "version_id", "null", "true", "1e999", "..", "//", "\\ud800",
]  # fmt: skip


def tried(kind: str, seconds: int, folder: Path) -> tuple[int, str | None]:
    """Fuzz a parser in a separate process, guided by coverage.

    Args:
        kind: `request` or `manifest`.
        seconds: the time to run.
        folder: the folder for findings.

    Returns:
        The number of tried inputs, and the last error output of the process if there was a finding or the
        process failed, otherwise None.
    """
    corpus = folder / f"corpus-{kind}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_seeds(kind)):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = "".join(f'"{token}"\n'.replace("\\", "\\\\") for token in TOKENS)
    (folder / "tokens").write_text(words, "utf-8")
    command = [sys.executable, "-m", "tests.fuzz.edges", kind, str(seconds), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    counts = re.findall(r"^(?:Done |#)(\d+)", done.stderr, re.MULTILINE)
    problem = None if done.returncode == 0 else f"{kind}: {done.stderr[-2_000:]}"
    return int(counts[-1]) if counts else 0, problem


def _seeds(kind: str) -> list[bytes]:
    trees = REQUESTS if kind == "request" else [MANIFEST, {"parquet_files": [*FILES, *PATHS]}]
    wholes = [text(tree) for tree in trees]
    rng = Random(0)
    wholes += [whole.replace('"A"', text(rng.choice(STRINGS)), 1) for whole in wholes for _ in range(20)]
    return [whole.encode("utf-8", "surrogatepass") for whole in wholes]
