"""A request, checked by the worker: what is wrong with it, all at once.

The worker stops at the first problem. So it is asked, what it named is mended in a copy, and it is asked
again, until it is content. No rule is written a second time: where the worker takes the request as it is
there is no error, and where it doesn't there is one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from metrics_tools.validate.json_text import load
from metrics_tools.validate.mending import Mended
from metrics_tools.validate.near import did_you_mean, near
from metrics_tools.validate.problems import ALLOWED, Problem, quoted, shown
from metrics_worker.errors import ConfigError, PermanentError, UnanswerableError
from metrics_worker.names import is_id
from metrics_worker.request import REQUESTED, Bounds, Run, RunRequest, check_code, open_record

MAX_ROUNDS = 300
"""More than a request needs that is not too large: each round mends all that the worker tells at once."""

_IDENTITY = {"type": REQUESTED, "runId": "run", "metricCode": "metric"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a request.

    Attributes:
        problems: all of them.
        event: the request as it stands in the file; empty where there is none.
        mended: what the worker makes of it with everything mended; None where that came to nothing.
    """

    problems: tuple[Problem, ...]
    event: Mapping[str, Any] = field(default_factory=dict)
    mended: RunRequest | None = None


def check_request(body: str, bounds: Bounds) -> Checked:
    """Check a request, or the notification that carries one.

    Args:
        body: of the message, as it would stand on the queue.
        bounds: where a request may lead.
    """
    loaded, message = load(body), body
    if loaded.is_json and isinstance(loaded.value, dict) and isinstance(loaded.value.get("Message"), str):
        message = loaded.value["Message"]
        loaded = load(message)
    if not loaded.is_json:
        return Checked(loaded.problems)
    if not isinstance(loaded.value, dict):
        return Checked((Problem("", "a request is a JSON object", shown(loaded.value)),))
    run, problems = _who_asks(loaded.value)
    mended = Mended(load(message).value, bounds, run.metric_code)
    run = replace(run, event=mended.event, body_bytes=len(body.encode(errors="replace")))
    found, request = _ask(run, bounds, mended)
    return Checked((*loaded.problems, *problems, *found), loaded.value, request)


def _who_asks(event: Mapping[str, Any]) -> tuple[Run, list[Problem]]:
    """The run, its identity mended; and what of it is wrong."""
    problems: list[Problem] = []
    fields = {name: event[name] for name in (*_IDENTITY, "schema") if name in event}
    asked = {name: {} if isinstance(value, dict | list) else value for name, value in fields.items()}
    while True:
        try:
            run = open_record(json.dumps(asked), None)
            check_code(run)
        except (UnanswerableError, ConfigError) as error:
            problems.append(_of_identity(error.subject, event))
            asked[error.subject] = _stand_in(error.subject, event)
        else:
            return run, problems


def _stand_in(name: str, event: Mapping[str, Any]) -> str:
    """For a metricCode the end of `output.basePath`, which has to agree with it."""
    output = event.get("output")
    base = output.get("basePath") if isinstance(output, dict) else None
    end = base.removesuffix("/").rpartition("/")[2] if isinstance(base, str) and name == "metricCode" else ""
    return end if is_id(end) else _IDENTITY[name]


def _of_identity(name: str, event: Mapping[str, Any]) -> Problem:
    if name not in event:
        key = next((key for key in event if key not in ALLOWED and near(key, [name])), None)
        hint = f"there is {quoted(key)}: did you mean `{name}`?" if key else None
        return Problem(name, f"a request needs `{name}`", None, ALLOWED[name], hint)
    value, hint = event[name], None
    if name == "type" and isinstance(value, str):
        hint = did_you_mean(value, [REQUESTED])
    elif isinstance(value, str) and (usable := re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-._")[:128]):
        hint = f"`{usable}` would do"
    return Problem(name, f"this is no usable {name}", shown(value), ALLOWED[name], hint)


def _ask(run: Run, bounds: Bounds, mended: Mended) -> tuple[list[Problem], RunRequest | None]:
    """Ask, mend, ask again."""
    problems: dict[tuple[str, str], Problem] = {}
    for _ in range(MAX_ROUNDS):
        try:
            return list(problems.values()), RunRequest.parse(run, bounds)
        except PermanentError as error:
            if error.subject == "body":  # too large: nothing else of it is looked at
                return [Problem("", f"the request {error.problem}")], None
            known = len(problems)
            for problem in mended.take(error):
                problems.setdefault((problem.path, problem.text), problem)
            if len(problems) == known:
                mended.give_up(error)
    return list(problems.values()), None
