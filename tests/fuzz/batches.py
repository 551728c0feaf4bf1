"""Part files, damaged or not, in processes of their own: what ends the interpreter is found too.

    python -m tests.fuzz.batches SEED COUNT FOLDER

judges so many files, made from the seed, and prints a JSON object: how many of each kind led to what, and
the findings, whose inputs it keeps in the folder; which one is under way as well, should the process die.
"""

# ruff: noqa: T201 - it prints: that is its job

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
"""Kinds of part files that hold what they promise."""
MAX_ADDRESS_SPACE = 6_000_000_000
MAX_BATCH_SECONDS = 300


@dataclass
class Tally:
    """What a batch came to: inputs by kind and outcome, findings, and the highest that was measured."""

    tried: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, str]] = field(default_factory=list)
    decoded: int = 0
    grown: int = 0

    def add(self, other: "Tally") -> None:
        """Count another batch too."""
        self.tried += other.tried
        self.outcomes += other.outcomes
        self.findings += other.findings
        self.decoded, self.grown = max(self.decoded, other.decoded), max(self.grown, other.grown)


def case_of(seed: str) -> tuple[str, Case]:
    """A run over a part file that is made from the seed: of one series or of all, whole or scanned."""
    rng = Random(seed)
    kind, body = any_file(rng)
    cloud = Cloud()
    file, days = rng.choice(["A/data.parquet", "all.parquet"]), [day(n) for n in range(1, 31)]
    put_dataset(cloud.store, {file: body, "B/data.parquet": rows("B", days, range(30))})
    a, b = series("A"), series("B")
    asked = {
        "op": "sum",
        "operands": [a, ratio(a, b), window(rng.choice(["sma", "ema", "max", "lag"]), a, 3)],
    }
    objects = {key: cloud.read(key) for key in cloud.keys()}  # noqa: SIM118 - of a cloud
    settings = {"WORKER_SERIES_FILES": rng.choice(["manifest", "manifest", "listing"])}
    sent = [record(request(asked, kind="composite"))]
    scanned = rng.random() < 0.2  # a child process for each takes a third of a second
    return kind, Case(sent, objects, settings, scanned=scanned, lies=kind not in HONEST)


def judged(seed: str, count: int, folder: Path) -> Tally:
    """Judge files in a process of their own."""
    command = [sys.executable, "-m", "tests.fuzz.batches", seed, str(count), str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    under_way = folder / f"under-way-{seed}"
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            command, env=where, capture_output=True, text=True, timeout=MAX_BATCH_SECONDS, check=False
        )
        why, output = f"ended with {done.returncode}: {done.stderr[-1500:]}", done.stdout
    except subprocess.TimeoutExpired:
        why, output = f"took more than {MAX_BATCH_SECONDS} s", ""
    try:
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        one = under_way.read_text() if under_way.exists() else ""
        tally = Tally(Counter({"in a process that died": 1}))
        kept = case_of(one)[1].save(folder) if one else folder
        tally.findings.append((f"the process {why}", str(kept)))
        return tally
    under_way.unlink(missing_ok=True)
    return Tally(
        Counter(found["tried"]),
        Counter(found["outcomes"]),
        [(problem, path) for problem, path in found["findings"]],
        found["decoded"],
        found["grown"],
    )


def _judge_here(seed: str, count: int, folder: Path) -> Tally:
    from tests.fuzz.judge import MAX_MEMORY, judge  # noqa: PLC0415 - only where it is used

    tally = Tally()
    under_way = folder / f"under-way-{seed}"
    for number in range(count):
        one = f"{seed}.{number}"
        under_way.write_text(one)
        kind, case = case_of(one)
        tally.tried[kind] += 1
        try:
            verdict = judge(case)
        except AssertionError as finding:
            tally.findings.append((f"{kind}: {finding}"[:2_000], str(case.save(folder))))
        else:
            tally.outcomes.update(f"{kind}: {outcome}" for outcome in verdict.outcomes)
            if verdict.decoded > MAX_MEMORY:
                tally.outcomes[f"{kind}: took more than the limit, and than it promised"] += 1
            tally.decoded = max(tally.decoded, verdict.decoded)
            tally.grown = max(tally.grown, verdict.grown)
    return tally


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE, MAX_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(_judge_here(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])).__dict__))
