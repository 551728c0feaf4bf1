"""The check of a request's inputs, which reads them as the worker does and reports every problem."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from metrics_tools.validate.discovery import NEEDS_LISTING, omitted_files
from metrics_tools.validate.draft import Draft
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import Problem, quoted, shown, warning
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import (
    ExpressionError,
    InputReadError,
    ObjectNotFound,
    OutOfMemory,
    StoreRefusal,
)
from metrics_worker.expression.cost import peak_bytes
from metrics_worker.expression.grammar import ROOT
from metrics_worker.expression.nodes import Node
from metrics_worker.limits import Memory
from metrics_worker.observability.traffic import Trace, Traffic
from metrics_worker.request_check import Dataset
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings

_MAX_MISSING = 3
"""The most missing part files that a problem lists."""
_MAX_ALLOWED = 20
"""The most series of a dataset that a problem lists."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The manifests and series of a request that could be read, and the problems of the others.

    Attributes:
        problems: the problems of the inputs.
        series: the series that could be read, by code.
        manifests: the dataset manifests that could be read, by dataset id.
        traffic: the requests to S3 for reading the series; other requests of the check are not counted.
        by_listing: whether the part files of a series are found by listing S3 instead of in the manifest.
    """

    problems: list[Problem] = field(default_factory=list)
    series: dict[str, InputSeries] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=lambda: Traffic(trace=Trace()))
    by_listing: bool = False

    def has_all(self, codes: Sequence[str]) -> bool:
        """Return whether all series with these codes and no others were read, and no problem is an error."""
        has_error = any(problem.severity == "error" for problem in self.problems)
        return not has_error and self.series.keys() == set(codes)


class Reader:
    """A reader of the inputs in a bucket, which finds the same inputs as a worker with the given settings.

    Args:
        bucket: the bucket.
        settings: the settings of the worker.
        is_shared: whether requests share series, as the runs of a batch do. Each series is then read once,
            and the attribute `traffic` of `Inputs` lacks the requests for series of earlier requests.
        datasets: the datasets of runs in this process, whose series are not read again; None if there are
            none.
    """

    def __init__(
        self, bucket: Bucket, settings: Settings, *, is_shared: bool = False, datasets: Datasets | None = None
    ) -> None:
        self.bucket = bucket
        self.settings = settings
        self._is_shared = is_shared
        self._decoder = Decoder()
        self._datasets = datasets

    def read(self, draft: Draft) -> Inputs:
        """Read the manifests and series of a request, and return them with the problems of the inputs.

        If a manifest or series cannot be read, the result contains a problem and the other series are read.

        Raises:
            StoreUnavailable: S3 failed or did not answer.
        """
        with self._decoder:
            if self._datasets is not None:
                with suppress(OutOfMemory):  # the series of earlier requests hold the memory
                    return _Reading(self, draft, self._datasets, is_first=False).run()
            datasets = self._new_datasets()
            self._datasets = datasets if self._is_shared else None
            return _Reading(self, draft, datasets, is_first=True).run()

    def _new_datasets(self) -> Datasets:
        settings = self.settings
        memory = Memory(settings.memory_bytes)
        return Datasets(settings.series_files, settings.limits, memory, self._decoder)


class _Reading:
    """The state of `Reader.read` for one request.

    Args:
        reader: the reader.
        draft: the request.
        datasets: the datasets from which the series are read.
        is_first: whether `datasets` has read no series for an earlier request.
    """

    def __init__(self, reader: Reader, draft: Draft, datasets: Datasets, *, is_first: bool) -> None:
        self._bucket = reader.bucket
        self._draft = draft
        self._checked = draft.checked
        self._datasets = datasets
        self._is_first = is_first
        self._memory_bytes = reader.settings.memory_bytes
        self._inputs = Inputs(by_listing=reader.settings.series_files == "listing")

    def run(self) -> Inputs:
        """Read the manifests, then the series of the request, and return both with their problems.

        Raises:
            StoreUnavailable: S3 failed or did not answer.
            OutOfMemory: the series of earlier requests hold the memory.
        """
        inputs, checked = self._inputs, self._checked
        for dataset in checked.datasets.values():
            self._read_manifest(dataset, is_searched=dataset.dataset_id not in checked.named().values())
        codes = [code for code in checked.codes if self._can_be_read(code)]
        try:
            self._read_series(codes)
        except InputReadError as error:
            self._read_one_by_one(codes, error)
        is_whole = inputs.has_all(checked.codes)
        inputs.problems.extend(() if inputs.by_listing else self._omitted_files(codes))
        if is_whole and checked.expression is not None:
            inputs.problems.extend(_too_large(checked.expression, inputs.series, Memory(self._memory_bytes)))
        return inputs

    def _read_manifest(self, dataset: Dataset, *, is_searched: bool) -> None:
        hint = None
        try:
            body = self._bucket.get(dataset.manifest_key).body
            self._inputs.manifests[dataset.dataset_id] = Manifest.parse(dataset, body)
        except (StoreRefusal, InputReadError) as error:
            # By listing, the worker reads the manifest only if the listing finds the series in the dataset.
            if not (self._inputs.by_listing and is_searched):
                if isinstance(error, StoreRefusal):
                    hint = self._newest_manifest(dataset.manifest_key)
                path = f"catalog.datasets.{dataset.dataset_id}.manifestPath"
                self._inputs.problems.append(
                    Problem(path, error.problem, shown(dataset.manifest_key), None, hint)
                )

    def _newest_manifest(self, key: str) -> str | None:
        """Return a suggestion for a manifest that cannot be read: the newest manifest of the same dataset.

        The result is None if the dataset has no manifest, or if S3 refuses to list the manifests.

        Args:
            key: the key of the manifest that cannot be read.
        """
        with suppress(StoreRefusal):
            keys = self._listed(key.rpartition("/")[0].rpartition("/")[0] + "/")
            found = [key for key in keys if key.endswith("/manifest.json")]
            return f"did you mean {quoted(found[-1])}?" if found else None
        return None

    def _can_be_read(self, code: str) -> bool:
        """Return whether enough manifests were read to look up a series in its dataset.

        For a series in the request's `inputs`, the manifest of its dataset must have been read. For any other
        series, the manifests of all datasets in the catalog must have been read; if part files are found by
        listing, it is enough that all datasets in the catalog are valid. If the result is false, another
        check reports the reason.
        """
        if code in self._checked.declared:
            return self._checked.declared[code] in self._inputs.manifests
        read = self._checked.datasets if self._inputs.by_listing else self._inputs.manifests
        return bool(self._draft.catalog) and read.keys() >= self._draft.catalog.keys()

    def _read_series(self, codes: Sequence[str]) -> None:
        if codes:
            bucket = self._bucket.metered(self._inputs.traffic)
            read = self._datasets.read(self._draft.over(codes), bucket, lambda _: None)
            self._inputs.series.update(read)

    def _read_one_by_one(self, codes: Sequence[str], together: InputReadError) -> None:
        """Read each series alone, so that each problem is found.

        Args:
            codes: the series.
            together: the error that reading all the series at once raised. It becomes the problem if no
                series has an error when it is read alone.
        """
        problems = self._inputs.problems
        known = len(problems)
        for code in codes:
            try:
                self._read_series([code])
            except InputReadError as error:
                problems.append(self._unreadable(code, error))
            except OutOfMemory:
                if not self._is_first:
                    raise
                break  # the series that were read before hold the memory
        if len(problems) == known:
            problems.append(Problem(together.subject, together.problem))

    def _unreadable(self, code: str, error: InputReadError) -> Problem:
        """Return the problem of a series that cannot be read.

        If part files are missing, the problem lists them; otherwise, it contains the text of the error.
        """
        path, declared = self._draft.input_path(code), self._checked.declared
        home = self._inputs.manifests.get(declared.get(code, ""))
        homes = [home] if home else list(self._inputs.manifests.values())
        allowed = hint = None
        if not self._inputs.by_listing and any(home.has(code) for home in homes):
            missing, count = self._missing(code, homes)
            if missing:
                text = f"{len(missing):,} of the {count:,} part files of {quoted(code)} are not there: "
                text += _few(missing, _MAX_MISSING)
            else:
                text = f"{quoted(code)} can't be read: {error.problem}"
                if code not in declared and len(homes) > 1:
                    hint = self._draft.how_to_choose(home.dataset.manifest_key for home in homes)
        else:
            known = sorted(set().union(*(home.series_codes or () for home in homes)))
            text = f"{quoted(code)}: {error.problem}"
            allowed, hint = _few(known, _MAX_ALLOWED) or None, did_you_mean(code, known)
        return Problem(path, text, shown(code), allowed, hint)

    def _missing(self, code: str, homes: Sequence[Manifest]) -> tuple[list[str], int]:
        """Return the keys of a series' part files that do not exist, and the number of its part files.

        If S3 refuses to list a folder, no part file counts as missing.

        Args:
            code: the series code.
            homes: the manifests of the datasets that may contain the series.
        """
        files, folders = list[str](), set[str]()
        for home in homes:
            for file in home.files_of(code) or home.files:
                folder, is_in_folder, _ = file.partition("/")
                folders.add(home.dataset.projections_prefix + (f"{folder}/" if is_in_folder else ""))
                files.append(home.dataset.projections_prefix + file)
        try:
            existing = {key for folder in sorted(folders) for key in self._listed(folder)}
        except StoreRefusal:
            return [], 0
        return [file for file in files if file not in existing], len(files)

    def _listed(self, folder: str) -> list[str]:
        try:
            return [found.key for found in self._bucket.list(folder)]
        except ObjectNotFound:  # a local folder that does not exist; S3 has no folders
            return []

    def _omitted_files(self, codes: Sequence[str]) -> Iterator[Problem]:
        """Yield a warning for each series whose manifest omits part files that the bucket contains."""
        for code in codes:
            read = self._inputs.series.get(code)
            home = read.dataset_id if read else self._checked.declared.get(code, "")
            manifest = self._inputs.manifests.get(home)
            if manifest and (omitted := omitted_files(self._bucket, manifest, code)) is not None:
                text = f"the manifest of {quoted(home)} {omitted.text}"
                yield warning(self._draft.input_path(code), text, code, f"if {NEEDS_LISTING}")


def _few(names: Sequence[str], limit: int) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def _too_large(expression: Node, series: Mapping[str, InputSeries], memory: Memory) -> Iterator[Problem]:
    """Yield a problem if the evaluation of an expression would need more memory than a run may use.

    Args:
        expression: the root node of the expression.
        series: the series of the expression, by series code.
        memory: the memory that a run may use.
    """
    counts = {code: len(found.cleaned.series) for code, found in series.items()}
    held = sum(found.nbytes for found in series.values())
    try:
        with memory.claim() as claim:
            claim.take(peak_bytes(expression, counts), ROOT, ExpressionError, held_elsewhere=held)
    except ExpressionError as error:
        yield Problem(error.subject, error.problem)
