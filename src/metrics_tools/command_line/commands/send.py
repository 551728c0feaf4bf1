"""`metrics send`: ask a deployment for a run, as the control plane does, and follow it to its end."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from metrics_tools import console
from metrics_tools.buckets.places import BucketOption, Place, aws_session, bucket_place, metrics_prefix
from metrics_tools.console import WRONG, JsonOption, emit, impossible
from metrics_tools.published.following import follow_bucket, follow_queue
from metrics_tools.published.status_event import COMPLETED, HEARTBEAT, STARTED, StatusEvent
from metrics_tools.request_files import Sample
from metrics_tools.runs.requests import read_requests
from metrics_worker.errors import ConfigError, MetricsWorkerError, UnanswerableError
from metrics_worker.names import metric_base
from metrics_worker.request import check_code, iso, open_record

TOPIC, STATUS_QUEUE = "METRICS_REQUEST_TOPIC", "METRICS_STATUS_QUEUE"
INTERRUPTED = 130
_SUCCESS = "SUCCESS"
_TOPIC = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9._-]+")
_QUEUE_URL = re.compile(r"https?://\S+/\S+")
_QUEUE_REGION = re.compile(r"//sqs\.([a-z0-9-]+)\.amazonaws")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent.

    Attributes:
        base: the prefix of its metric.
        message_id: of SNS or SQS.
    """

    run_id: str
    metric_code: str
    base: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Ways:
    """Where requests go, and how their runs are followed."""

    topic: str | None
    queue: str | None
    status_queue: str | None
    place: Place | None


def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A request: as in events/, or bare JSON.")],
    *,
    topic: Annotated[
        str | None, typer.Option("--topic", help=f"The request topic's ARN. Default: ${TOPIC}.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Or the request queue's URL.")] = None,
    keep_run_id: Annotated[
        bool, typer.Option("--keep-run-id", help="Send the file's own run id: a redelivery, not a new run.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    status_queue: Annotated[
        str | None,
        typer.Option(
            "--status-queue",
            help=f"With --wait: a queue of yours (URL) that hears the topics. Default: ${STATUS_QUEUE}.",
        ),
    ] = None,
    bucket: BucketOption = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")] = 900.0,
    as_json: JsonOption = False,
) -> None:
    """Ask a deployment for a run, as the control plane does, with a fresh run id; --wait follows it.

    A status queue tells everything. Without one, --wait --bucket NAME looks
    for the run's marker and for dead letters in the bucket; a run that
    fails for good leaves nothing there, so that ends in a time-out.

    Exit: 0 sent, and SUCCESS where you wait for it; 1 FAILURE; 2
    impossible, or no outcome in time.

    [bold]Examples[/bold]

      metrics send my.json --topic $TOPIC_ARN --wait --status-queue $QUEUE_URL

      metrics send my.json --queue $REQUEST_QUEUE_URL --wait --bucket my-data

      source out/env && metrics send events/run.json --wait

    (The last with `make serve WORKER=1` in another shell.)
    """
    samples = read_requests(file)
    ways = _ways(topic, queue, status_queue, bucket, wait=wait)
    heard: list[StatusEvent] = []
    with _aws_errors():
        sent = [_send(sample, ways, keep_run_id=keep_run_id) for sample in samples]
        if not as_json:
            for one in sent:
                console.print_line(f"Sent {one.metric_code}, run {one.run_id}")
        if wait:
            for event in _follow(sent, ways, timeout):
                heard.append(event)
                if not as_json:
                    _tell_event(event, sent)
    status = {event.run_id: event.status for event in heard if event.status is not None}
    if as_json:
        emit(_document(sent, heard, status, ways))
    if wait:
        _end(sent, status, ways, timeout)


def _ways(
    topic: str | None, queue: str | None, status_queue: str | None, bucket: str | None, *, wait: bool
) -> Ways:
    """Where to, and how to follow; what can't be ends the command."""
    if topic is not None and queue is not None:
        raise impossible("Choose one of --topic and --queue.")
    if topic is None and queue is None:
        topic = os.environ.get(TOPIC)
    if topic is None and queue is None:
        raise impossible(f"Where to? Say --topic ARN or --queue URL, or set {TOPIC}.")
    if topic is not None and not _TOPIC.fullmatch(topic):
        raise impossible(f"{topic}: no ARN of a topic (arn:aws:sns:REGION:ACCOUNT:NAME.fifo).")
    status_queue = status_queue or (None if bucket else os.environ.get(STATUS_QUEUE))
    for option, url in (("--queue", queue), ("--status-queue", status_queue)):
        if url is not None and not _QUEUE_URL.fullmatch(url):
            raise impossible(
                f"{option} {url}: no URL of a queue (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME)."
            )
    if wait and status_queue is None and bucket is None:
        raise impossible(
            "--wait needs a way to hear of the run: --status-queue URL, a queue of yours that hears the "
            f"status topics (or {STATUS_QUEUE}), or --bucket NAME to watch for its marker."
        )
    return Ways(topic, queue, status_queue, bucket_place(bucket) if wait and bucket else None)


def _send(sample: Sample, ways: Ways, *, keep_run_id: bool) -> Sent:
    """Publish a request as the control plane does: the metric is its group, the run its deduplication id."""
    request = sample.request if keep_run_id else sample.request | {"runId": str(uuid4())}
    body = json.dumps(request)
    try:
        run = open_record(body, None)
        check_code(run)
    except (ConfigError, UnanswerableError) as error:
        raise impossible(
            f"{sample.path}: the worker could not answer it: {error}. Nothing was sent."
        ) from error
    address = ways.topic or ways.queue or ""
    fifo = {"MessageGroupId": run.metric_code, "MessageDeduplicationId": run.run_id}
    order = fifo if address.endswith(".fifo") else {}
    if ways.topic is not None:
        sns = _client("sns", ways.topic.split(":")[3])
        answer = sns.publish(TopicArn=ways.topic, Message=body, **order)
    else:
        answer = _client("sqs", _region(address)).send_message(QueueUrl=address, MessageBody=body, **order)
    base = metric_base(metrics_prefix(), run.metric_code)
    return Sent(run.run_id, run.metric_code, base, str(answer["MessageId"]))


def _follow(sent: list[Sent], ways: Ways, seconds: float) -> Iterator[StatusEvent]:
    """What is heard or seen of the runs, until all have ended or the time is over."""
    try:
        if ways.status_queue is not None:
            sqs = _client("sqs", _region(ways.status_queue))
            runs = {one.run_id for one in sent}
            yield from follow_queue(sqs, ways.status_queue, runs, seconds=seconds)
        elif ways.place is not None:
            bases = {one.run_id: one.base for one in sent}
            bucket, prefix = ways.place.bucket, metrics_prefix()
            yield from follow_bucket(bucket, bases, prefix=prefix, seconds=seconds)
    except KeyboardInterrupt:
        console.print_line("Interrupted: nothing is heard any more, but the run goes on.", "yellow")
        raise typer.Exit(INTERRUPTED) from None


def _end(sent: list[Sent], status: dict[str, str], ways: Ways, timeout: float) -> None:
    """Turn the outcomes into an exit code."""
    if missing := [one for one in sent if one.run_id not in status]:
        where = "no completed event" if ways.status_queue else "neither a marker nor a dead letter"
        hint = (
            ""
            if ways.status_queue
            else " A run that failed for good leaves neither: --status-queue hears it."
        )
        runs = ", ".join(f"{one.metric_code} {one.run_id}" for one in missing)
        raise impossible(f"No outcome within {timeout:g} s: {where} of {runs}.{hint}")
    if any(found != _SUCCESS for found in status.values()):
        raise typer.Exit(WRONG)


def _tell_event(heard: StatusEvent, sent: list[Sent]) -> None:
    """A line for an event: time, what, which run, and how far or how it ended."""
    metric = next((one.metric_code for one in sent if one.run_id == heard.run_id), "")
    parts = [f"{heard.at:%H:%M:%S}", f"{heard.type.removeprefix('metric_run_'):9}"]
    parts += [f"{metric} {heard.run_id[:8]}", heard.status or "", heard.detail]
    styles = {STARTED: "cyan", HEARTBEAT: "dim", COMPLETED: "green" if heard.status == _SUCCESS else "red"}
    console.print_line("  ".join(filter(None, parts)), styles.get(heard.type, ""))


def _document(
    sent: list[Sent], heard: list[StatusEvent], status: dict[str, str], ways: Ways
) -> dict[str, Any]:
    return {
        "to": ways.topic or ways.queue,
        "runs": [
            {
                "run_id": one.run_id,
                "metric_code": one.metric_code,
                "message_id": one.message_id,
                "status": status.get(one.run_id),
                "events": [
                    {"at": iso(event.at, "milliseconds"), "event": event.event}
                    for event in heard
                    if event.run_id == one.run_id
                ],
            }
            for one in sent
        ],
    }


def _region(queue: str) -> str | None:
    found = _QUEUE_REGION.search(queue)
    return found[1] if found else None


def _client(service: str, region: str | None) -> Any:
    session = aws_session()
    return session.client(
        service, region_name=region or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    )


@contextmanager
def _aws_errors() -> Iterator[None]:
    """What AWS refuses or does not answer ends the command, with what to look at."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415 - for AWS alone

    try:
        yield
    except NoCredentialsError as error:
        raise impossible("No AWS credentials: set AWS_PROFILE, or run `aws sso login`.") from error
    except ClientError as error:
        said = error.response.get("Error", {})
        raise impossible(f"AWS refused ({said.get('Code')}): {said.get('Message')}") from error
    except BotoCoreError as error:
        raise impossible(f"AWS did not answer: {error}") from error
    except MetricsWorkerError as error:
        raise impossible(str(error)) from error
