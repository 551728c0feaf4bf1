"""Run the benchmarks and print their results as Markdown tables. `make bench` runs all of them."""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import s3, workload
from metrics_tools.process_exit import run_and_exit

SECTIONS = ("batch", "snapshots", "memory", "kernels", "imports", "sizes", "scaling")


def _print(text: str) -> None:
    print(f"{text}\n", flush=True)


def _on_s3(sections: list[str], rounds: int, *, quick: bool, picture: Path | None) -> None:
    from benchmarks import batch  # noqa: PLC0415 - each measured process loads only its own libraries
    from metrics_worker.s3.connection import connect  # noqa: PLC0415

    with s3.running() as server:
        workload.environment(server.url)
        store = connect(workload.BUCKET, region="us-east-1", endpoint_url=server.url)
        workload.upload(store, workload.dataset())
        if "memory" in sections:
            _print(batch.memory(server, rounds))
        if "batch" in sections:
            once = dict.fromkeys(batch.CONTESTANTS, 1)
            _print(batch.compare(server, (20,), once) if quick else batch.compare(server))
        if "snapshots" in sections:
            from benchmarks import snapshots  # noqa: PLC0415

            _print(snapshots.usual_day(server, store, 1 if quick else 5))
            _print(snapshots.others(server, 1 if quick else 9, store))
            if not quick:
                _print(snapshots.growth(server, store, rounds))
                workload.upload(store, workload.dataset())  # it has replaced the manifest
        if "scaling" in sections:
            from benchmarks import scaling  # noqa: PLC0415

            _print(scaling.grow(server, store, rounds, quick=quick, picture=picture))


def main() -> None:
    """Parse the command line, run the benchmarks that it names, and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes (1 to 2 minutes)")
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, help="run only this benchmark; can be repeated"
    )
    parser.add_argument(
        "--picture", type=Path, help="write the plots of the scaling benchmark to this SVG file"
    )
    options = parser.parse_args()
    sections = options.only or list(SECTIONS)
    quick = options.quick
    _print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. "
        "Median (range). Load before: " + ", ".join(f"{load:.1f}" for load in os.getloadavg())
    )
    from benchmarks import footprint, kernels  # noqa: PLC0415 - pandas and polars take a second

    if "imports" in sections:
        _print(footprint.imports(3 if quick else 10))
    if "sizes" in sections and not (quick and not options.only):
        _print(footprint.sizes())
    if "kernels" in sections:
        _print(kernels.compare(3, kernels.SIZES[:2]) if quick else kernels.compare(9))
    if {"memory", "batch", "snapshots", "scaling"} & set(sections):
        _on_s3(sections, 1 if quick else 3, quick=quick, picture=options.picture)


if __name__ == "__main__":
    run_and_exit(main)
