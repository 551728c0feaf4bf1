"""List the dead letters in the bucket, and send chosen ones back to the request queue.

    make redrive ARGS="--bucket BUCKET --list"
    make redrive ARGS="--bucket BUCKET --queue-url URL KEY ..."

A message is sent back with its message group and the time of its request, so that its version cannot replace
the version of a newer request in `current`. The deduplication id is new, because SQS would drop a message
with the old id. The message attribute `redriven` makes the worker clear the published FAILURE when the run
succeeds. Nothing is deleted. Sending a message back twice does no harm: the worker publishes a committed run
again.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from metrics_worker.errors import UnanswerableError
from metrics_worker.publication.dead_letter import DeadLetter, dead_letters
from metrics_worker.request import REDRIVEN, iso, unwrap_envelope

type Stored = tuple[str, DeadLetter]  # the key of a dead letter, and the dead letter

COLUMNS = ("key", "metric", "run", "outcome", "why")
_AGAIN = "  (not a run request: it will become a dead letter again)"
REFUSALS = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "there is no such key (try --list)",
    "AWS.SimpleQueueService.NonExistentQueue": "there is no such queue",
    "AccessDenied": "your credentials do not permit this",
    "ExpiredToken": "your credentials have expired",
}


def message(letter: DeadLetter) -> dict[str, Any]:
    """Return the arguments of SQS's SendMessage that send a dead letter back, without the queue's URL."""
    return {
        "MessageBody": _dated(letter),
        "MessageGroupId": letter.group,
        "MessageDeduplicationId": f"redrive-{uuid4().hex}",
        "MessageAttributes": {REDRIVEN: {"DataType": "String", "StringValue": "true"}},
    }


def _dated(letter: DeadLetter) -> str:
    """Return the body of a dead letter's message as an SNS notification with the time of the request.

    A notification with a usable `Timestamp` is returned unchanged, as is a body that is not a JSON object.
    Any other body gets the time at which the message was sent.
    """
    try:
        envelope = unwrap_envelope(letter.body)
        if envelope.published_at is not None:
            return letter.body
        bare = envelope.raw_event is not None
        notification = {"Type": "Notification", "Message": letter.body} if bare else json.loads(letter.body)
    except (UnanswerableError, ValueError):
        return letter.body
    return json.dumps(notification | {"Timestamp": iso(letter.sent_at, "milliseconds")})


def read(s3: Any, *, bucket: str, key: str) -> Stored:
    """Return the key and the content of one dead letter on S3. Raise a ValueError for any other object."""
    try:
        return key, DeadLetter.parse(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ValueError as error:
        raise ValueError(f"{key}: not a dead letter ({error})") from error


def read_all(s3: Any, *, bucket: str, prefix: str) -> Iterator[Stored]:
    """Yield each dead letter under a prefix, by key. For any other object, print an error."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", ()):
            try:
                yield read(s3, bucket=bucket, key=found["Key"])
            except ValueError as error:
                print(error, file=sys.stderr)


def table(letters: Sequence[Stored]) -> str:
    """Return a text table with a heading and one line for each dead letter."""
    rows = [(key, x.metric_code or "-", x.run_id or "-", x.outcome, x.why) for key, x in letters]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (COLUMNS, *rows))


def chosen(s3: Any, options: argparse.Namespace) -> list[Stored]:
    """Return the dead letters that the command line selects, each with its key.

    If the command line contains keys, the dead letters with these keys are selected. Otherwise, all dead
    letters are selected, or all of `options.date`; without `--list`, only those with the outcome FAILURE.

    Raises:
        ValueError: a key is not under the prefix of dead letters, or its object is not a dead letter.
    """
    folder = dead_letters(options.prefix)
    if other := [key for key in options.keys if not key.startswith(folder)]:
        raise ValueError(f"{other[0]}: not under {folder} (is --prefix right?)")
    if options.keys:
        return [read(s3, bucket=options.bucket, key=key) for key in options.keys]
    letters = read_all(s3, bucket=options.bucket, prefix=dead_letters(options.prefix, options.date))
    return [stored for stored in letters if options.list or stored[1].outcome == "FAILURE"]


def redrive(options: argparse.Namespace) -> None:
    """Print the selected dead letters (--list), or send them back and print a line for each."""
    letters = chosen(boto3.client("s3"), options)
    if not letters:
        print("No dead letters" if options.list else "No dead letters of failed runs: nothing to send back")
    elif options.list:
        print(table(letters))
    else:
        sqs = boto3.client("sqs")
        for key, letter in letters:
            sqs.send_message(QueueUrl=options.queue_url, **message(letter))
            note = _AGAIN if letter.outcome == "UNANSWERABLE" else ""
            print(f"sent back  {key}  {letter.metric_code or '-'}  {letter.run_id or '-'}{note}")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; if it is not valid, print the error and exit with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m metrics_tools.operations.redrive",
        description="List the stored dead letters, or send chosen ones back to the request queue.",
    )
    add = parser.add_argument
    add("--bucket", required=True, help="the data bucket")
    add("--prefix", default="metrics/", help="the metrics prefix (default: %(default)s)")
    add("--queue-url", help="the URL of the request queue (RequestQueueUrl in the outputs of the stack)")
    add("--date", type=date.fromisoformat, help="only messages sent on this day (UTC), YYYY-MM-DD")
    add("--list", action="store_true", help="print the dead letters and send nothing")
    add("keys", nargs="*", metavar="KEY", help="a listed key; without keys, all failed runs of --date")
    options = parser.parse_args(words)
    if not options.list and not (options.keys or options.date):
        parser.error("give a KEY, or --date for all failed runs of a day; --list prints the keys")
    if not options.list and not options.queue_url:
        parser.error("--queue-url is needed to send messages back; --list works without it")
    return options


def main(words: Sequence[str]) -> int:
    """Run the command, and return its exit status: 0, or 1 after an error, which is printed."""
    options = arguments(words)
    try:
        redrive(options)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        problem = f"AWS refused {error.operation_name}: {REFUSALS.get(code, error)}"
    except (BotoCoreError, ValueError) as error:  # also without credentials or a region
        problem = str(error)
    else:
        return 0
    print(f"redrive: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
