"""A program that fuzzes a parser of the worker with atheris, whose inputs are guided by branch coverage.

    python -m tests.fuzz.edges request|manifest SECONDS FOLDER

The measured modules must be imported under instrumentation, so this module imports nothing of the project at
the top. libFuzzer ends the process: with exit code 0 at the end of its time, or at a finding, whose input it
stores.
"""

import sys
from collections.abc import Callable
from pathlib import Path


def _edge(kind: str) -> Callable[[bytes], None]:
    """Return the function that atheris calls with each input: it passes the bytes to a parser of the worker.

    The function ignores the worker's own errors. Any other exception is a finding.

    Args:
        kind: the parser: `request` or `manifest`.
    """
    # These modules are imported here so that atheris instruments them.
    from metrics_worker.dataset.manifest import Manifest  # noqa: PLC0415
    from metrics_worker.errors import PermanentError, UnanswerableError  # noqa: PLC0415
    from metrics_worker.names import is_key  # noqa: PLC0415
    from metrics_worker.request import RunRequest, open_record  # noqa: PLC0415
    from metrics_worker.request_check import Bounds, Dataset  # noqa: PLC0415

    bounds = Bounds("data-bucket", "metrics/", "datasets/")
    dataset = Dataset("fx", "datasets/fx/manifest.json", "datasets/fx/projections/")

    def parse_request(data: bytes) -> None:
        try:
            asked = RunRequest.parse(open_record(data.decode("utf-8", "replace"), None), bounds)
            for found in asked.datasets.values():
                assert is_key(found.manifest_key), found
                assert found.manifest_key.startswith(("datasets/", "metrics/")), found
        except (PermanentError, UnanswerableError) as error:
            _is_plain(error)

    def parse_manifest(data: bytes) -> None:
        try:
            manifest = Manifest.parse(dataset, memoryview(data))
            assert not any(part in {"", ".", ".."} for file in manifest.files for part in file.split("/"))
            for code in ("A", "series", ""):
                assert set(manifest.files_of(code)) <= set(manifest.files)
        except PermanentError as error:
            _is_plain(error)

    return parse_request if kind == "request" else parse_manifest


def _is_plain(error: Exception) -> None:
    assert getattr(error, "code", "") != "INTERNAL_ERROR", error
    assert str(error), "an error without a message"


def main(kind: str, seconds: int, folder: Path) -> None:
    """Run the fuzzer. It ends the process after the given time or at a finding.

    Args:
        kind: `request` or `manifest`.
        seconds: the time to run.
        folder: the folder with the first inputs and the dictionary; findings are saved in it, too.
    """
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - only here is it needed

    corpus = folder / f"corpus-{kind}"
    with atheris.instrument_imports(include=["metrics_worker"]):
        edge = _edge(kind)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=8192",
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-print_final_stats=0",
    ]
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-dict={folder}/tokens", f"-artifact_prefix={folder}/{kind}-", *options],
        edge,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
