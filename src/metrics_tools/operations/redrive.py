"""Dead letters that were kept in S3: list them, and send chosen ones back to the request queue.

    make redrive ARGS="--bucket BUCKET --list"
    make redrive ARGS="--bucket BUCKET --queue-url URL KEY ..."

Each goes back with its message group, and with a fresh deduplication id, since SQS would drop the one it had.
It still counts as asked for when it was: a request that comes late must not take `current` from a newer one.
The message attribute `redriven` says that a FAILURE was announced, so that a SUCCESS clears it.
Nothing is deleted, and to send one twice does no harm: a run that is committed is announced again.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from metrics_worker.publication.records import dead_letters
from metrics_worker.request import REDRIVEN, iso

COLUMNS = ("key", "metric", "run", "outcome", "why")
REFUSALS = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "there is no such key (try --list)",
    "AWS.SimpleQueueService.NonExistentQueue": "there is no such queue",
    "AccessDenied": "your credentials may not do that",
    "ExpiredToken": "your credentials have expired",
}


class RedriveError(Exception):
    """It can't go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as the dead-letter function kept it.

    Attributes:
        group: the message group it was in.
        sent: when it was sent, UTC.
    """

    key: str
    metric: str
    run: str
    outcome: str
    why: str
    body: str
    group: str
    sent: datetime

    @classmethod
    def parse(cls, key: str, document: bytes) -> Self:
        """Read a kept document.

        Raises:
            RedriveError: it is none.
        """
        try:
            kept = json.loads(document)
            return cls(
                key=key,
                metric=kept.get("metric_code", "-"),
                run=kept.get("run_id", "-"),
                outcome=kept["outcome"],
                why=kept["why"],
                body=kept["body"],
                group=kept["attributes"]["MessageGroupId"],
                sent=datetime.fromtimestamp(int(kept["attributes"]["SentTimestamp"]) / 1000, UTC),
            )
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise RedriveError(f"{key}: no dead letter ({type(error).__name__}: {error})") from error

    def message(self) -> dict[str, Any]:
        """Return the message that goes back to the queue, with the attribute by which the worker knows it."""
        return {
            "MessageBody": _dated(self.body, iso(self.sent, "milliseconds")),
            "MessageGroupId": self.group,
            "MessageDeduplicationId": f"redrive-{uuid4().hex}",
            "MessageAttributes": {REDRIVEN: {"DataType": "String", "StringValue": "true"}},
        }


def _dated(body: str, sent: str) -> str:
    """The body with the time it was asked for: that of its notification, else that of its sending."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(event, dict):
        return body
    if not isinstance(event.get("Message"), str):
        event = {"Type": "Notification", "Message": body}
    elif _is_time(event.get("Timestamp")):
        return body
    return json.dumps(event | {"Timestamp": sent})


def _is_time(text: Any) -> bool:
    try:
        datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return False
    return True


def kept(s3: Any, bucket: str, prefix: str) -> Iterator[Letter]:
    """The dead letters under a prefix, in the order of their keys. What is none is told and left out."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", ()):
            try:
                yield read(s3, bucket, found["Key"])
            except RedriveError as error:
                print(error, file=sys.stderr)


def read(s3: Any, bucket: str, key: str) -> Letter:
    """One dead letter.

    Raises:
        RedriveError: the object is none.
    """
    return Letter.parse(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def table(letters: Sequence[Letter]) -> str:
    """The letters, a line each, in columns."""
    lines = [COLUMNS, *((x.key, x.metric, x.run, x.outcome, x.why) for x in letters)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def chosen(s3: Any, asked: argparse.Namespace) -> list[Letter]:
    """The letters that the arguments name; of a whole day those whose run failed, unless they are listed.

    Raises:
        RedriveError: a key is not one of a dead letter.
    """
    folder = dead_letters(asked.prefix)
    for key in asked.keys:
        if not key.startswith(folder):
            raise RedriveError(f"{key}: not under {folder} (is --prefix right?)")
    if asked.keys:
        return [read(s3, asked.bucket, key) for key in asked.keys]
    letters = kept(s3, asked.bucket, dead_letters(asked.prefix, asked.date))
    return [letter for letter in letters if asked.list or letter.outcome == "FAILURE"]


def redrive(asked: argparse.Namespace) -> None:
    """Do what was asked, and tell it.

    Raises:
        RedriveError: an object is no dead letter.
    """
    letters = chosen(boto3.client("s3"), asked)
    if not letters:
        print(
            "No dead letters" if asked.list else "No dead letters of runs that failed: nothing to send back"
        )
    elif asked.list:
        print(table(letters))
    else:
        sqs = boto3.client("sqs")
        for letter in letters:
            sqs.send_message(QueueUrl=asked.queue_url, **letter.message())
            note = "  (can't be answered: it will come back here)" if letter.outcome == "UNANSWERABLE" else ""
            print(f"sent back  {letter.key}  {letter.metric}  {letter.run}{note}")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line. argparse ends the process where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m metrics_tools.operations.redrive",
        description="List the dead letters that were kept, or send chosen ones back to the request queue.",
    )
    parser.add_argument("--bucket", required=True, help="the data bucket")
    parser.add_argument("--prefix", default="metrics/", help="the metrics prefix (default: %(default)s)")
    parser.add_argument("--queue-url", help="the request queue: RequestQueueUrl of the stack's outputs")
    parser.add_argument(
        "--date", type=date.fromisoformat, help="only those sent on that day, UTC: YYYY-MM-DD"
    )
    parser.add_argument("--list", action="store_true", help="show them, and send nothing")
    parser.add_argument(
        "keys", nargs="*", metavar="KEY", help="which to send, as listed; without, all failed runs of --date"
    )
    asked = parser.parse_args(words)
    if not asked.list:
        if not (asked.keys or asked.date):
            parser.error(
                "say which to send back: KEY ..., or --date for all failed runs of a day; --list shows them"
            )
        if not asked.queue_url:
            parser.error("--queue-url is needed to send them back; --list shows them")
    return asked


def main(words: Sequence[str]) -> int:
    """The command; the exit status."""
    asked = arguments(words)
    try:
        redrive(asked)
    except RedriveError as error:
        problem = str(error)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        problem = f"AWS refused {error.operation_name}: {REFUSALS.get(code, error)}"
    except (BotoCoreError, ValueError) as error:  # no credentials or region; a URL that is none
        problem = str(error)
    else:
        return 0
    print(f"redrive: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
