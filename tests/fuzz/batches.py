"""A program that judges a batch of part files, damaged or not, in a process of its own, which may crash.

    python -m tests.fuzz.batches SEED COUNT FOLDER

It generates COUNT files from the seed, judges the files (see tests/fuzz/judge.py), and prints a JSON object
with the outcomes of each kind of file and the findings. The inputs of findings are saved in the folder. The
seed of the current input is saved there, too, to identify this input if the process dies.
"""

# ruff: noqa: T201 - Printing is the purpose of this module.

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.builders import Cloud, day, put_dataset, ratio, record, request, rows, series, window
from tests.fuzz.case import Case
from tests.fuzz.damage import any_file

PROJECTIONS = "datasets/fx/projections/"
HONEST = ("as written", "bomb")
"""The kinds of part files whose footer states the true sizes of their content."""
MAX_ADDRESS_SPACE = 6_000_000_000
MAX_BATCH_SECONDS = 300


@dataclass
class Tally:
    """The summed results of judged inputs.

    Attributes:
        tried: the number of inputs by kind.
        outcomes: the number of inputs by outcome.
        findings: (problem, path of the saved input) of each finding.
        decoded: the largest memory, in bytes, that Arrow had allocated at once for one input.
        grown: the most bytes by which the process grew for one input.
    """

    tried: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, str]] = field(default_factory=list)
    decoded: int = 0
    grown: int = 0

    def add(self, other: "Tally") -> None:
        """Add the results of other inputs to these results."""
        self.tried += other.tried
        self.outcomes += other.outcomes
        self.findings += other.findings
        self.decoded, self.grown = max(self.decoded, other.decoded), max(self.grown, other.grown)


def case_of(seed: str) -> tuple[str, Case]:
    """Generate a part file, and a case with a run that reads it, both from a seed.

    The file contains one series or all series, and the run reads the whole file or ranges of the file.

    Args:
        seed: the seed; equal seeds give equal cases.

    Returns:
        The name of the file's kind, and the case.
    """
    rng = Random(seed)
    kind, body = any_file(rng)
    cloud = Cloud()
    file, days = rng.choice(["A/data.parquet", "all.parquet"]), [day(n) for n in range(1, 31)]
    put_dataset(cloud.store, {file: body, "B/data.parquet": rows("B", days, range(30))})
    a, b = series("A"), series("B")
    expression = {
        "op": "sum",
        "operands": [a, ratio(a, b), window(rng.choice(["sma", "ema", "max", "lag"]), a, 3)],
    }
    objects = {key: cloud.read(key) for key in cloud.keys()}  # noqa: SIM118 - Cloud is not a dict.
    settings = {"WORKER_SERIES_FILES": rng.choice(["manifest", "manifest", "listing"])}
    sent = [record(request(expression, kind="composite"))]
    scanned = rng.random() < 0.2
    return kind, Case(sent, objects, settings, scanned=scanned, may_misstate_sizes=kind not in HONEST)


def judged(seed: str, count: int, folder: Path) -> Tally:
    """Judge `count` part files in a separate process, and return the results.

    If the process dies or takes too long, that is a finding, too.

    Args:
        seed: the seed from which the part files are generated.
        count: the number of part files.
        folder: the folder for findings.
    """
    command = [sys.executable, "-m", "tests.fuzz.batches", seed, str(count), str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / f"current-{seed}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=MAX_BATCH_SECONDS, check=False
        )
        reason, output = f"ended with {done.returncode}: {done.stderr[-1500:]}", done.stdout
    except subprocess.TimeoutExpired:
        reason, output = f"took more than {MAX_BATCH_SECONDS} s", ""
    try:
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        one = current.read_text() if current.exists() else ""
        tally = Tally(Counter({"in a process that died": 1}))
        saved = case_of(one)[1].save(folder) if one else folder
        tally.findings.append((f"the process {reason}", str(saved)))
        return tally
    current.unlink(missing_ok=True)
    return Tally(
        Counter(found["tried"]),
        Counter(found["outcomes"]),
        [(problem, path) for problem, path in found["findings"]],
        found["decoded"],
        found["grown"],
    )


def _judge_here(seed: str, count: int, folder: Path) -> Tally:
    from tests.fuzz.judge import MAX_MEMORY, judge  # noqa: PLC0415 - only the separate process needs it

    tally = Tally()
    current = folder / f"current-{seed}"
    for number in range(count):
        one = f"{seed}.{number}"
        current.write_text(one)
        kind, case = case_of(one)
        tally.tried[kind] += 1
        try:
            verdict = judge(case)
        except AssertionError as finding:
            tally.findings.append((f"{kind}: {finding}"[:2_000], str(case.save(folder))))
        else:
            tally.outcomes.update(f"{kind}: {outcome}" for outcome in verdict.outcomes)
            if verdict.decoded > MAX_MEMORY:
                tally.outcomes[f"{kind}: needed more memory than the limit and than its footer states"] += 1
            tally.decoded = max(tally.decoded, verdict.decoded)
            tally.grown = max(tally.grown, verdict.grown)
    return tally


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE, MAX_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(_judge_here(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])).__dict__))
