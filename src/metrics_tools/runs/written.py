"""Files that `metrics run` writes: CSV, Parquet, PNG and HTML. The path `-` means standard output."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from pathlib import Path

from metrics_tools.buckets.places import Place
from metrics_tools.console import impossible, report_on_stderr
from metrics_tools.formatting import iso_time
from metrics_tools.request_files import Sample
from metrics_tools.runs.computing import Computed
from metrics_tools.runs.plots import png_of
from metrics_worker.series import Series

STANDARD_OUTPUT = Path("-")
_METRIC = "{metric}"


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """The paths of the files to write; None for a format that is not written.

    The text `{metric}` in the path of a PNG, CSV or Parquet file is replaced by the metric code.
    """

    png: Path | None
    csv: Path | None
    parquet: Path | None
    html: Path | None

    def check(self, samples: Sequence[Sample], *, as_json: bool) -> None:
        """End the command with an error if two outputs would go to the same file or to standard output.

        Each request writes its own PNG, CSV and Parquet file, so that the path of such a file must contain
        `{metric}` if there are several requests. With --json, JSON is printed on standard output.

        Args:
            samples: the requests.
            as_json: whether the option --json is given.
        """
        for option, path in {"png": self.png, "csv": self.csv, "parquet": self.parquet}.items():
            if path is not None and len(samples) > 1 and _METRIC not in str(path):
                stem = "" if path == STANDARD_OUTPUT else f"{path.stem}-"
                example = path.with_name(f"{stem}{_METRIC}{path.suffix or f'.{option}'}")
                raise impossible(
                    f"The file contains {len(samples)} requests: --{option} must name one file for each, "
                    f"such as '{example}'."
                )
        if astuple(self).count(STANDARD_OUTPUT) + as_json > 1:
            raise impossible("Only one of --json and the options with - can write to standard output.")

    def reporting(self) -> AbstractContextManager[None]:
        """Return a context manager that sends text to standard error if standard output receives a file."""
        return report_on_stderr() if STANDARD_OUTPUT in astuple(self) else nullcontext()

    def write(self, samples: Sequence[Sample], computed: Sequence[Computed], place: Place, fate: str) -> None:
        """Write all files. If one cannot be written, the command ends with an error.

        Args:
            samples: the requests.
            computed: their results, in the same order.
            place: the location of the datasets, which the page names as the source.
            fate: a sentence that says whether the versions are published, for the top of the page.
        """
        try:
            for sample, found in zip(samples, computed, strict=True):
                for path, content in self._contents(sample, found):
                    _write(path, content, sample.metric_code)
            if self.html is not None:
                from metrics_tools.runs.pages import page_of  # noqa: PLC0415 - only --html needs it

                lead = f"Computed from {place.label} by `metrics run`.{fate}"
                _write(self.html, page_of(samples, computed, lead).encode())
        except OSError as error:
            raise impossible(f"{error.filename or 'standard output'}: {error.strerror}") from error

    def _contents(self, sample: Sample, computed: Computed) -> Iterator[tuple[Path, bytes]]:
        """Yield the path and content of each file of one request; nothing if the run committed no version."""
        if (version := computed.version) is None:
            return
        if self.parquet is not None:
            yield self.parquet, version.body
        if self.csv is not None:
            yield self.csv, _csv(version.series)
        if self.png is not None:
            title = f"{sample.metric_code}  {title_of(sample)}".rstrip()
            inputs = {name: found.cleaned.series for name, found in computed.inputs.items()}
            yield self.png, png_of(title, sample.unit, version.series, inputs)


def title_of(sample: Sample) -> str:
    """Return the description of a request; an empty string if the request has none."""
    return "" if sample.title == sample.metric_code else sample.title


def _write(path: Path, content: bytes, metric_code: str = "") -> None:
    if path == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        Path(str(path).replace(_METRIC, metric_code)).write_bytes(content)


def _csv(series: Series) -> bytes:
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("obs_time", "value"))
    lines.writerows(zip(map(iso_time, series.times), series.values.tolist(), strict=True))
    return text.getvalue().encode()
