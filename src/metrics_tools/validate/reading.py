"""A request's inputs, read as the worker reads them; and what is wrong with each of them, all at once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from metrics_tools.describe.nodes import NodeView, counted
from metrics_tools.validate.catalogued import input_path, named_codes
from metrics_tools.validate.completeness import NEEDS_LISTING, incompleteness
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import Problem, quoted, shown
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import (
    ConfigError,
    ExpressionError,
    InputReadError,
    MetricsWorkerError,
    ObjectNotFound,
    OutOfMemory,
    StoreRefusal,
)
from metrics_worker.expression.cost import peak_bytes
from metrics_worker.expression.grammar import ROOT, Composite, Node, SeriesRef, series_codes
from metrics_worker.limits import Memory
from metrics_worker.observability.traffic import Traffic
from metrics_worker.request import Dataset, RunRequest
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings

_NAMED = 3
"""How many missing part files are called by name."""
_ALLOWED = 20
"""How many of a dataset's series are."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was read.

    Attributes:
        problems: what is wrong.
        series: those that could be read, by code.
        manifests: those that could be read, by dataset id.
        traffic: of the reading, as the worker does it.
        by_listing: whether the part files were found by listing.
    """

    problems: list[Problem] = field(default_factory=list)
    series: dict[str, InputSeries] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    by_listing: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads as a worker with these settings would, for one request.

    Attributes:
        bucket: where.
        settings: the worker's: limits, memory, and where a series' files are found.
        on_progress: told the part that is read, 0-1.
    """

    bucket: Bucket
    settings: Settings
    on_progress: Callable[[float], None] = lambda _: None

    def read(self, request: RunRequest, datasets: dict[str, Dataset]) -> Inputs:
        """Read every series of a request.

        Args:
            request: mended.
            datasets: those that it reads and whose paths are good.

        Raises:
            StoreUnavailable: S3 failed or did not answer.
        """
        found = Inputs(by_listing=self.settings.series_files == "listing")
        for dataset in datasets.values():
            self._manifest(dataset, found, is_searched=dataset.dataset_id not in request.declared.values())
        codes = [code for code in named_codes(request) if self._can_be_read(code, request, found)]
        memory = Memory(self.settings.memory_bytes)
        given = self.settings
        with Decoder() as decoder:
            datasets_read = Datasets(given.series_files, given.limits, memory, decoder)
            try:
                found.series.update(self._series(codes, request, datasets_read, found))
            except (InputReadError, ConfigError) as error:
                self._one_by_one(codes, request, datasets_read, found, error)
        is_whole = not any(problem.severity == "error" for problem in found.problems)
        found.problems.extend(self._omitted_files(codes, request, found))
        if is_whole and found.series.keys() == set(series_codes(request.expression)):
            found.problems.extend(_too_large(request, found.series, memory))
        return found

    def _omitted_files(self, codes: list[str], request: RunRequest, found: Inputs) -> Iterator[Problem]:
        """Warn of series of which the manifest omits part files, in the mode that reads what it lists."""
        for code in codes if not found.by_listing else ():
            home = found.series[code].dataset_id if code in found.series else request.declared.get(code, "")
            manifest = found.manifests.get(home)
            omitted = incompleteness(self.bucket, manifest, code) if manifest else None
            if omitted is not None:
                yield Problem(
                    input_path(request, code),
                    f"the manifest of {quoted(home)} {omitted.text}",
                    shown(code),
                    None,
                    f"if {NEEDS_LISTING}",
                    "warning",
                )

    def _manifest(self, dataset: Dataset, found: Inputs, *, is_searched: bool) -> None:
        if found.by_listing and is_searched:  # the worker reads it only if the listing finds the series there
            with suppress(StoreRefusal, InputReadError):
                body = self.bucket.get(dataset.manifest_key).body
                found.manifests[dataset.dataset_id] = Manifest.parse(dataset, body)
            return
        path = f"catalog.datasets.{dataset.dataset_id}.manifestPath"
        try:
            body = self.bucket.get(dataset.manifest_key).body
            found.manifests[dataset.dataset_id] = Manifest.parse(dataset, body)
        except StoreRefusal as error:
            hint = self._other_manifest(dataset)
            found.problems.append(Problem(path, error.problem, shown(dataset.manifest_key), None, hint))
        except InputReadError as error:
            found.problems.append(Problem(path, error.problem, shown(dataset.manifest_key)))

    def _other_manifest(self, dataset: Dataset) -> str | None:
        """The newest manifest that stands beside the one that is not there."""
        beside = dataset.manifest_key.rpartition("/")[0].rpartition("/")[0]
        try:
            keys = [key for key in self._listed(f"{beside}/") if key.endswith("/manifest.json")]
        except StoreRefusal:
            return None
        return f"did you mean {quoted(keys[-1])}?" if keys else None

    def _can_be_read(self, code: str, request: RunRequest, found: Inputs) -> bool:
        """Whether the manifests that a series is looked for in are there; else it has been told already."""
        if code in request.declared:
            return request.declared[code] in found.manifests
        if found.by_listing:
            return bool(request.catalog)
        return bool(request.catalog) and found.manifests.keys() >= request.catalog.keys()

    def _series(
        self, codes: list[str], request: RunRequest, shelf: Datasets, found: Inputs
    ) -> dict[str, InputSeries]:
        if not codes:
            return {}
        asked = replace(request, expression=_over(codes))
        return shelf.read(asked, self.bucket.metered(found.traffic), self.on_progress)

    def _one_by_one(
        self,
        codes: Iterable[str],
        request: RunRequest,
        shelf: Datasets,
        found: Inputs,
        together: MetricsWorkerError,
    ) -> None:
        """Each series for itself, so that each problem is found."""
        known = len(found.problems)
        for code in codes:
            try:
                found.series.update(self._series([code], request, shelf, found))
            except (InputReadError, ConfigError) as error:
                found.problems.append(self._unread(code, request, found, error))
            except OutOfMemory:
                break  # those before it hold what it needs: so together they are too much
        if len(found.problems) == known:  # each is well, and all of them are too much
            found.problems.append(Problem(together.subject, together.problem))

    def _unread(self, code: str, request: RunRequest, found: Inputs, error: MetricsWorkerError) -> Problem:
        path = input_path(request, code)
        home = found.manifests.get(request.declared.get(code, ""))
        homes = [home] if home else list(found.manifests.values())
        if not found.by_listing and any(home.has(code) for home in homes):
            missing, count = self._missing(code, homes)
            if missing:
                text = f"{len(missing):,} of the {count:,} part files of {quoted(code)} are not there"
                named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
                return Problem(path, f"{text}: {named}", shown(code))
            hint = None if code in request.declared else "say in inputs which dataset it is in"
            text = f"{quoted(code)} can't be read: {error.problem}"
            return Problem(path, text, shown(code), None, hint if len(homes) > 1 else None)
        known = sorted(set().union(*(home.series_codes or () for home in homes)))
        allowed = ", ".join(known[:_ALLOWED]) + (", …" if len(known) > _ALLOWED else "") or None
        return Problem(
            path, f"{quoted(code)}: {error.problem}", shown(code), allowed, did_you_mean(code, known)
        )

    def _missing(self, code: str, homes: Iterable[Manifest]) -> tuple[list[str], int]:
        """The part files of a series that manifests list and the bucket has not; and how many they list."""
        missing, count = list[str](), 0
        for home in homes:
            prefix, files = home.dataset.projections_prefix, home.files_of(code) or home.files
            folders = sorted({file.partition("/")[0] + "/" if "/" in file else "" for file in files})
            try:
                there = {key for folder in folders for key in self._listed(prefix + folder)}
            except StoreRefusal:
                return [], 0
            missing += [prefix + file for file in files if prefix + file not in there]
            count += len(files)
        return missing, count

    def _listed(self, folder: str) -> list[str]:
        try:
            return [found.key for found in self.bucket.list(folder)]
        except ObjectNotFound:  # of a plain folder that is not there; S3 has no folders
            return []


def counted_inputs(request: RunRequest, series: dict[str, InputSeries]) -> NodeView:
    """The expression's tree with counts, once all of its series are read."""
    return counted(request.expression, {code: found.cleaned.series for code, found in series.items()})


def _over(codes: list[str]) -> Node:
    """An expression that names these series."""
    first, *more = (SeriesRef(series_code=code) for code in codes)
    return Composite(op="sum", operands=(first, *more)) if more else first


def _too_large(request: RunRequest, series: dict[str, InputSeries], memory: Memory) -> Iterator[Problem]:
    """Whether the evaluation would take more memory than a run may."""
    counts = {code: len(found.cleaned.series) for code, found in series.items()}
    beside = sum(found.nbytes for found in series.values())
    try:
        with memory.claim() as claim:
            claim.take(peak_bytes(request.expression, counts), ROOT, ExpressionError, held_elsewhere=beside)
    except ExpressionError as error:
        yield Problem(error.subject, error.problem)
