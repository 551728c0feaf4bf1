"""`make bench` prints every table (`--quick`: fewer of each; `--only NAME`; `--picture FILE`: the plots)."""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import s3, workload
from local.ending import run_and_exit

SECTIONS = ("batch", "memory", "kernels", "imports", "sizes", "scaling")


def _print(text: str) -> None:
    print(f"{text}\n", flush=True)


def _on_s3(sections: list[str], rounds: int, *, quick: bool, picture: Path | None) -> None:
    from benchmarks import batch  # noqa: PLC0415 - what is measured loads what it needs
    from metrics_worker.store import Bucket  # noqa: PLC0415

    with s3.running() as standin:
        workload.environment(standin.url)
        store = Bucket.connect(workload.BUCKET, region="us-east-1", endpoint_url=standin.url).store
        workload.upload(store, workload.dataset())
        if "memory" in sections:
            _print(batch.memory(standin, rounds))
        if "batch" in sections:
            once = dict.fromkeys(batch.CONTESTANTS, 1)
            _print(batch.compare(standin, (20,), once) if quick else batch.compare(standin))
        if "scaling" in sections:
            from benchmarks import scaling  # noqa: PLC0415

            _print(scaling.grow(standin, store, rounds, quick=quick, picture=picture))


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute or two: fewer rounds and sizes")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="may stand several times")
    parser.add_argument("--picture", type=Path, help="where to draw how wall time grows (SVG)")
    asked = parser.parse_args()
    sections = asked.only or list(SECTIONS)
    quick = asked.quick
    _print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. "
        "Median (range). Load before: " + ", ".join(f"{load:.1f}" for load in os.getloadavg())
    )
    from benchmarks import footprint, kernels  # noqa: PLC0415 - pandas and polars take a second

    if "imports" in sections:
        _print(footprint.imports(3 if quick else 10))
    if "sizes" in sections and not (quick and not asked.only):
        _print(footprint.sizes())
    if "kernels" in sections:
        _print(kernels.compare(3, kernels.SIZES[:2]) if quick else kernels.compare(9))
    if {"memory", "batch", "scaling"} & set(sections):
        _on_s3(sections, 1 if quick else 3, quick=quick, picture=asked.picture)


if __name__ == "__main__":
    run_and_exit(main)
