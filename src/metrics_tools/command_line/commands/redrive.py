"""`metrics redrive`: list dead letters, or send chosen ones back to the request queue."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import typer

from metrics_tools import console
from metrics_tools.buckets.places import Place, metrics_prefix, open_place
from metrics_tools.command_line.aws import QUEUE_URL, aws_errors, sqs_client
from metrics_tools.command_line.options import BucketOption, FolderOption, JsonOption
from metrics_tools.console import complain, emit, impossible
from metrics_tools.published.dead_letters import StoredLetter, message_of, read_letters
from metrics_worker.errors import MetricsWorkerError
from metrics_worker.publication.dead_letter import dead_letters

_AGAIN = "  (not a run request: it will become a dead letter again)"


def redrive(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY]...", help="The dead letters to send back, as --list prints them."),
    ] = None,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", help="The metrics prefix. Default: $AWS_S3_METRICS_PREFIX, or metrics/."),
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Print the dead letters, and send nothing.")
    ] = False,
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="Only messages that were sent on this day (UTC)."),
    ] = None,
    queue_url: Annotated[
        str | None,
        typer.Option("--queue-url", help="The request queue: RequestQueueUrl in the outputs of the stack."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, or send chosen ones back to the request queue.

    Without --list, the command sends back the dead letters with the given
    keys or, without keys, the failed runs of --date. A message keeps its
    group and the time of its request, so that its version does not replace
    the version of a newer request. Nothing is deleted, and sending a
    message back twice does no harm.

    Exit: 0 listed or sent, 2 the command could not complete, or AWS
    refused.

    [bold]Examples[/bold]

      metrics redrive --bucket my-data --list

      metrics redrive --bucket my-data --queue-url https://… KEY KEY

      metrics redrive --bucket my-data --queue-url https://… --date 2026-10-30
    """
    chosen_day = _checked(keys, day, queue_url, only_list=only_list)
    place = open_place(bucket, folder, demo=False)
    if place is None:
        raise impossible("Where are the dead letters stored? Give --bucket NAME or --folder FOLDER.")
    try:
        letters = _chosen(place, prefix or metrics_prefix(), keys or (), chosen_day, failed=not only_list)
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error
    sent: list[StoredLetter] = []
    try:
        if not only_list and letters:
            _send(letters, queue_url, sent, as_json=as_json)
    finally:  # after an error of AWS, the report contains the messages that were sent before
        if as_json:
            emit(_document(place, letters, sent))
    if not as_json and not letters:
        nothing = "No dead letters" if only_list else "No dead letters of failed runs: nothing to send back"
        console.print_line(nothing)
    elif not as_json and only_list:
        _print(letters)


def _checked(
    keys: Sequence[str] | None, day: str | None, queue_url: str | None, *, only_list: bool
) -> date | None:
    """Check the options of the command, and return the day of the option --date, or None without the option.

    The command ends with an error if an option is missing or not valid.
    """
    if not only_list and not (keys or day):
        raise impossible("Give a KEY, or --date for all failed runs of a day; --list prints the keys.")
    if not only_list and not queue_url:
        raise impossible("--queue-url is needed to send messages back; --list works without it.")
    if queue_url is not None and not QUEUE_URL.fullmatch(queue_url):
        raise impossible(f"--queue-url {queue_url}: expected a URL (https://sqs.REGION.amazonaws.com/…).")
    try:
        return date.fromisoformat(day) if day else None
    except ValueError:
        raise impossible(f"--date {day}: expected a day such as 2026-10-30.") from None


def _chosen(
    place: Place, prefix: str, keys: Sequence[str], day: date | None, *, failed: bool
) -> list[StoredLetter]:
    """Return the dead letters that the options select.

    If an object is not a dead letter, the problem is printed on standard error. If the user gave the key of
    this object, the command ends with exit code 2.

    Args:
        place: the location of the dead letters.
        prefix: the metrics prefix.
        keys: the keys that the user gave; empty to select by day and outcome.
        day: the day (UTC) of the messages; None for all days.
        failed: whether to select only dead letters with the outcome FAILURE. Given keys are always selected.
    """
    if other := [key for key in keys if not key.startswith(dead_letters(prefix))]:
        raise impossible(f"{other[0]}: not under {dead_letters(prefix)} (is --prefix right?)")
    found = keys or [listed.key for listed in place.bucket.list(dead_letters(prefix, day))]
    letters, problems = read_letters(place.bucket, found)
    if keys and problems:
        raise impossible(f"{problems[0]}. Nothing was sent.")
    for problem in problems:
        complain(problem)
    return [stored for stored in letters if keys or not failed or stored.letter.outcome == "FAILURE"]


def _send(
    letters: Sequence[StoredLetter], queue_url: str | None, sent: list[StoredLetter], *, as_json: bool
) -> None:
    """Send the messages of dead letters back to the queue. If AWS fails, the command ends with exit code 2.

    Args:
        letters: the dead letters.
        queue_url: the URL of the request queue, which `_checked` has found to be given.
        sent: the list to which each dead letter is appended after its message was sent.
        as_json: whether to print nothing, because the caller prints JSON.
    """
    with aws_errors():
        sqs = sqs_client(queue_url)
        for stored in letters:
            key, letter = stored
            sqs.send_message(QueueUrl=queue_url, **message_of(letter))
            sent.append(stored)
            if not as_json:
                note = _AGAIN if letter.outcome == "UNANSWERABLE" else ""
                run = f"{letter.metric_code or '-'}  {letter.run_id or '-'}"
                console.print_line(f"sent back  {key}  {run}{note}")


def _print(letters: Sequence[StoredLetter]) -> None:
    """Print a table with one line for each dead letter."""
    table = console.new_table("key", "metric", "run", "outcome", "why")
    for key, letter in letters:
        run = (letter.metric_code or "-", letter.run_id or "-")
        console.add_row(table, key, *run, letter.outcome, letter.why)
    console.print_table(table)


def _document(place: Place, letters: Sequence[StoredLetter], sent: Sequence[StoredLetter]) -> dict[str, Any]:
    """Return the selected dead letters in the form that `metrics redrive --json` prints.

    Args:
        place: the location of the dead letters.
        letters: the selected dead letters; the bodies of their messages are left out.
        sent: the dead letters that were sent back to the queue, which get `"sent": true`.
    """
    fields = {"message_id", "outcome", "why", "run_id", "metric_code", "kept_at"}
    rows = [
        {"key": stored.key, **stored.letter.model_dump(include=fields), "sent": stored in sent}
        for stored in letters
    ]
    return {"place": place.label, "dead_letters": rows}
