"""The long run: `python -m tests.fuzz --minutes N`, or `make fuzz`. No round tries what one before it tried.

    bodies, manifests   through the handler, by hypothesis, which makes a finding small
    part files          through the handler, in processes of their own
    request, manifest   the parsers alone, led by coverage, where atheris is installed

It prints how many inputs of which kind were tried, and what was found. `--again FILE` judges one again.
"""

# ruff: noqa: T201 - it prints: that is its job

import argparse
import importlib.util
import json
import sys
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import bodies, guided, manifests
from tests.fuzz.batches import Tally, judged
from tests.fuzz.case import Case
from tests.fuzz.judge import judge

EXAMPLES, FILES, GUIDED_SECONDS = 400, 400, 8
"""What a round tries of each."""
FOLDER = Path("out/fuzz")


def main() -> int:
    """Fuzz for so long; 1 where there is a finding."""
    arguments = _arguments()
    if arguments.again:
        print(judge(Case.load(arguments.again)))
        return 0
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    total, end, number = Tally(), time.monotonic() + 60 * arguments.minutes, arguments.seed
    while time.monotonic() < end:
        _round(number, total, folder)
        number += 1
        (folder / "tally.json").write_text(json.dumps(total.__dict__, indent=2), "utf-8")
        print(
            json.dumps({"round": number, "tried": total.tried.total(), "findings": len(total.findings)}),
            flush=True,
        )
    _tell(total)
    return 1 if total.findings else 0


def _round(number: int, total: Tally, folder: Path) -> None:
    total.add(_by_hypothesis("bodies", bodies.cases(), number, folder))
    total.add(_by_hypothesis("manifests", manifests.cases(), number, folder))
    files = judged(f"{number}", FILES, folder)
    total.add(
        Tally(
            Counter({f"part file, {kind}": n for kind, n in files.tried.items()}),
            files.outcomes,
            files.findings,
            files.decoded,
            files.grown,
        )
    )
    if importlib.util.find_spec("atheris") is None:
        return
    for kind in ("request", "manifest"):
        count, problem = guided.tried(kind, GUIDED_SECONDS, folder)
        found = [(problem, f"{folder}/{kind}-*")] if problem else []
        total.add(Tally(Counter({f"{kind}, led by coverage": count}), findings=found))


def _by_hypothesis(name: str, cases: st.SearchStrategy[Case], number: int, folder: Path) -> Tally:
    """So many examples; of a failure the smallest."""
    tally, last = Tally(), {}
    options = settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )

    @seed(number)
    @options
    @given(cases)
    def look(case: Case) -> None:
        tally.tried[name] += 1
        last["case"] = case
        verdict = judge(case)
        tally.outcomes.update(f"{name}: {outcome}" for outcome in verdict.outcomes)
        tally.decoded, tally.grown = max(tally.decoded, verdict.decoded), max(tally.grown, verdict.grown)

    try:
        look()
    except Exception as finding:  # noqa: BLE001 - whatever the handler raised, it is one
        tally.findings.append(
            (f"{type(finding).__name__}: {finding}"[:2_000], str(last["case"].save(folder)))
        )
    return tally


def _tell(total: Tally) -> None:
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed here: nothing was led by coverage")
    for kind, count in sorted(total.tried.items()):
        print(f"{count:>9,}  {kind}")
    print(f"{total.tried.total():>9,}  inputs in all")
    for outcome, count in sorted(total.outcomes.items()):
        print(f"{count:>9,}  {outcome}")
    print(f"at most {total.decoded:,} bytes decoded, and the process grown by {total.grown:,} bytes")
    print(f"{len(total.findings)} findings")
    for problem, where in total.findings:
        print(f"\n{where}\n  {problem}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where findings are kept")
    parser.add_argument("--again", type=Path, metavar="FILE", help="judge a finding again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
