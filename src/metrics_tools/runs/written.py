"""The files that `metrics run` writes: CSV, Parquet, a picture, a page. `-` is standard output."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

from metrics_tools.buckets.places import Place
from metrics_tools.console import impossible, report_on_stderr
from metrics_tools.request_files import Sample
from metrics_tools.runs.computing import Computed
from metrics_tools.runs.plots import iso_time
from metrics_worker.series import Series

STANDARD_OUTPUT = Path("-")
_METRIC = "{metric}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files to write. In each name but the page's, `{metric}` means the metric's code."""

    png: Path | None
    csv: Path | None
    parquet: Path | None
    html: Path | None

    def check(self, samples: Sequence[Sample], *, as_json: bool) -> None:
        """End the command if a file would hold more than one thing."""
        for option in ("png", "csv", "parquet"):
            path = getattr(self, option)
            if path is None or len(samples) < 2 or _METRIC in str(path):  # noqa: PLR2004 - one fits anywhere
                continue
            stem = "" if path == STANDARD_OUTPUT else f"{path.stem}-"
            named = path.with_name(f"{stem}{_METRIC}{path.suffix or f'.{option}'}")
            raise impossible(
                f"The file holds {len(samples)} requests: let --{option} name a file for each, "
                f"such as '{named}'."
            )
        if self._standard_outputs + as_json > 1:
            raise impossible("Standard output takes one thing: choose one of --json and the options with -.")

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Keep standard output for the file that goes there: the report is printed on standard error."""
        with report_on_stderr() if self._standard_outputs else nullcontext():
            yield

    def write(self, samples: Sequence[Sample], computed: Sequence[Computed], place: Place, fate: str) -> None:
        """Write the files; one that can't be written ends the command.

        Args:
            samples: the requests.
            computed: the outcome of each.
            place: where they were computed.
            fate: a sentence for the page on whether the versions are published.
        """
        try:
            for sample, found in zip(samples, computed, strict=True):
                self._write_one(sample, found)
            if self.html is not None:
                from metrics_tools.runs.pages import page_of  # noqa: PLC0415 - for the page alone

                lead = f"Computed from {place.label} by `metrics run`.{fate}"
                with _sink(self.html) as file:
                    file.write(page_of(samples, computed, lead).encode())
        except OSError as error:
            raise impossible(f"{error.filename or 'standard output'}: {error.strerror}") from error

    def _write_one(self, sample: Sample, computed: Computed) -> None:
        if computed.version is None:
            return
        version, code = computed.version, sample.metric_code
        if self.parquet is not None:
            with _sink(self.parquet, code) as file:
                file.write(version.body)
        if self.csv is not None:
            with _sink(self.csv, code) as file:
                _write_csv(file, version.series)
        if self.png is not None:
            from metrics_tools.runs.pictures import picture_of  # noqa: PLC0415 - for pictures alone

            inputs = {name: found.cleaned.series for name, found in computed.inputs.items()}
            title = f"{code}  {title_of(sample)}".rstrip()
            picture = picture_of(title, sample.unit, version.series, inputs)
            with _sink(self.png, code) as file:
                file.write(picture)

    @property
    def _standard_outputs(self) -> int:
        return astuple(self).count(STANDARD_OUTPUT)


def title_of(sample: Sample) -> str:
    """Return a request's description; empty if it has none."""
    return "" if sample.title == sample.metric_code else sample.title


@contextmanager
def _sink(path: Path, code: str = "") -> Iterator[BinaryIO]:
    if path == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with Path(str(path).replace(_METRIC, code)).open("wb") as file:
            yield file


def _write_csv(file: BinaryIO, series: Series) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("obs_time", "value"))
    for time, value in zip(series.times, series.values.tolist(), strict=True):
        lines.writerow((iso_time(time), value))
    text.detach()
