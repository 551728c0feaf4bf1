"""What the worker's log says of messages that it gave back: no status event gives the reason."""

import json
from collections import Counter
from pathlib import Path

_GIVEN_BACK = "message given back"


def given_back(log: Path) -> list[str]:
    """A line for each message and reason, in the order of the log; how often, where it was more than once."""
    found = Counter[tuple[str, str]]()
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # Lambda's own lines are no JSON
            continue
        if isinstance(line, dict) and line.get("message") == _GIVEN_BACK:
            found[str(line.get("message_id")), str(line.get("reason"))] += 1
    return [
        f"message {message_id} given back{f' {times} times' if times > 1 else ''}: {reason}"
        for (message_id, reason), times in found.items()
    ]
