"""`metrics send`: request a run from a deployment, as the control plane does, and wait for its outcome."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import uuid4

import typer

from metrics_tools import console
from metrics_tools.buckets.places import Place, bucket_place, metrics_prefix
from metrics_tools.command_line.aws import QUEUE_URL, aws_client, aws_errors, sqs_client
from metrics_tools.command_line.options import (
    STATUS_QUEUE,
    TOPIC,
    BucketOption,
    FileArgument,
    JsonOption,
    KeepRunIdOption,
)
from metrics_tools.console import WRONG, emit, impossible
from metrics_tools.published.following import follow_bucket, follow_queue
from metrics_tools.published.status_event import StatusEvent, print_event
from metrics_tools.request_files import Sample
from metrics_tools.runs.samples import read_requests
from metrics_worker.errors import ConfigError, UnanswerableError
from metrics_worker.names import metric_base
from metrics_worker.request import REDRIVEN, check_code, iso, open_record

INTERRUPTED = 130
_TOPIC_ARN = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent.

    Attributes:
        run_id: the id of the run that the request asks for.
        metric_code: the code of the metric.
        message_id: the id that SNS or SQS gave to the message.
    """

    run_id: str
    metric_code: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Route:
    """The destination of requests, and the source from which the outcomes of their runs are read.

    Attributes:
        topic: the ARN of the request topic; None if requests are sent to the queue.
        queue: the URL of the request queue; None if requests are sent to the topic.
        status_queue: the URL of a queue that receives the status events; None if there is no such queue.
        place: the bucket with the markers and with the copies of dead letters that the dead-letter function
            stores; None if outcomes are read from the status queue or not at all.
    """

    topic: str | None
    queue: str | None
    status_queue: str | None
    place: Place | None


def send(
    file: FileArgument,
    *,
    topic: Annotated[
        str | None, typer.Option("--topic", help=f"The ARN of the request topic. Default: ${TOPIC}.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option("--queue", help="The URL of the request queue, instead of a topic.")
    ] = None,
    keep_run_id: KeepRunIdOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the outcome of the run.")] = False,
    status_queue: Annotated[
        str | None,
        typer.Option(
            "--status-queue",
            help="With --wait: the URL of a queue of your own that is subscribed to the status topics. "
            f"Default: ${STATUS_QUEUE}.",
        ),
    ] = None,
    bucket: BucketOption = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Longest wait, in seconds.")] = 900.0,
    as_json: JsonOption = False,
) -> None:
    """Request a run from a deployment, as the control plane does.

    The request gets a new run id. With --keep-run-id it is sent as a
    redelivery of the run in the file: a SUCCESS then also clears an earlier
    FAILURE.

    With --wait, a status queue shows all events of the run. Without one,
    --bucket NAME is watched for the run's marker and for dead letters. A
    run that fails with a permanent error leaves neither, so that the
    command ends without an outcome.

    Exit: 0 sent and, with --wait, SUCCESS; 1 FAILURE; 2 the command could
    not complete, or no outcome in time.

    [bold]Examples[/bold]

      metrics send my.json --topic $TOPIC_ARN --wait --status-queue $QUEUE_URL

      metrics send my.json --queue $REQUESTQUEUE_URL --wait --bucket my-data

      source out/env && metrics send events/run.json --wait

    (The last one needs `make serve WORKER=1` in another shell.)
    """
    samples = read_requests(file)
    route = _route(topic=topic, queue=queue, status_queue=status_queue, bucket=bucket, wait=wait)
    heard: list[StatusEvent] = []
    with aws_errors():
        sent = [_send(sample, route, keep_run_id=keep_run_id) for sample in samples]
        codes = {one.run_id: one.metric_code for one in sent}
        if not as_json:
            for one in sent:
                console.print_line(f"Sent {one.metric_code}, run {one.run_id}")
        for event in _follow(sent, route, timeout) if wait else ():
            heard.append(event)
            if not as_json:
                time, metric_code = f"{event.at:%H:%M:%S}", codes.get(event.run_id, "?")
                print_event(event, time=time, metric_code=metric_code)
    status = {event.run_id: event.status for event in heard if event.status is not None}
    if as_json:
        emit(_document(sent, heard, status, route.topic or route.queue))
    if wait and (missing := [one for one in sent if one.run_id not in status]):
        raise _no_outcome(missing, route, timeout)
    if wait and set(status.values()) != {"SUCCESS"}:
        raise typer.Exit(WRONG)


def _route(
    *, topic: str | None, queue: str | None, status_queue: str | None, bucket: str | None, wait: bool
) -> Route:
    """Return the route that the options and the environment variables describe.

    The command ends with an error if one of these values is missing or not valid.
    """
    if topic is not None and queue is not None:
        raise impossible("Choose one of --topic and --queue.")
    if queue is None:
        topic = topic or os.environ.get(TOPIC)
        if topic is None:
            raise impossible(f"Give the destination: --topic ARN or --queue URL, or set {TOPIC}.")
    status_queue = status_queue or (None if bucket else os.environ.get(STATUS_QUEUE))
    for option, value, form, example in (
        ("--topic", topic, _TOPIC_ARN, "the ARN of a topic (arn:aws:sns:REGION:ACCOUNT:NAME.fifo)"),
        ("--queue", queue, QUEUE_URL, "the URL of a queue (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME)"),
        ("--status-queue", status_queue, QUEUE_URL, "the URL of a queue, as for --queue"),
    ):
        if value is not None and not form.fullmatch(value):
            raise impossible(f"{option} {value}: expected {example}.")
    if wait and status_queue is None and bucket is None:
        raise impossible(
            "--wait needs a source for the outcome: --status-queue URL, a queue of your own that is "
            f"subscribed to the status topics (or {STATUS_QUEUE}), or --bucket NAME, to watch for the marker."
        )
    return Route(topic, queue, status_queue, bucket_place(bucket) if wait and bucket else None)


def _send(sample: Sample, route: Route, *, keep_run_id: bool) -> Sent:
    """Send a request as the control plane does: the metric code is the message group of its message.

    The deduplication id is usually the run id. A request that keeps the run id of its file gets a random one,
    because SNS and SQS drop a message if they received the same deduplication id within the last five
    minutes. The message attribute `redriven` makes the worker add `"error": null` to a SUCCESS, which clears
    the error of an earlier FAILURE.
    """
    request = sample.request if keep_run_id else sample.request | {"runId": str(uuid4())}
    body = json.dumps(request)
    try:
        run = open_record(body, None)
        check_code(run)
    except (ConfigError, UnanswerableError) as error:
        raise impossible(
            f"{sample.path}: the worker could not answer this request: {error}. Nothing was sent."
        ) from error
    options: dict[str, Any] = {}
    if (route.topic or route.queue or "").endswith(".fifo"):
        unique = f"redrive-{uuid4().hex}" if keep_run_id else run.run_id
        options = {"MessageGroupId": run.metric_code, "MessageDeduplicationId": unique}
    if keep_run_id:
        options["MessageAttributes"] = {REDRIVEN: {"DataType": "String", "StringValue": "true"}}
    if route.topic is not None:
        sns = aws_client("sns", route.topic.split(":")[3])
        answer = sns.publish(TopicArn=route.topic, Message=body, **options)
    else:
        answer = sqs_client(route.queue).send_message(QueueUrl=route.queue, MessageBody=body, **options)
    return Sent(run.run_id, run.metric_code, str(answer["MessageId"]))


def _follow(sent: Sequence[Sent], route: Route, seconds: float) -> Iterator[StatusEvent]:
    """Yield the status events of the runs, until every run has an outcome or the time limit is reached.

    Args:
        sent: the requests that were sent.
        route: the status queue or, without one, the bucket from which the outcomes are read.
        seconds: the time limit in seconds.
    """
    try:
        if route.status_queue is not None:
            runs = {one.run_id for one in sent}
            yield from follow_queue(sqs_client(route.status_queue), route.status_queue, runs, seconds=seconds)
        elif route.place is not None:
            bases = {one.run_id: metric_base(metrics_prefix(), one.metric_code) for one in sent}
            bucket, prefix = route.place.bucket, metrics_prefix()
            yield from follow_bucket(bucket, bases, prefix=prefix, seconds=seconds)
    except KeyboardInterrupt:
        console.print_line("Interrupted: the command no longer waits, but the run continues.", "yellow")
        raise typer.Exit(INTERRUPTED) from None


def _no_outcome(missing: Sequence[Sent], route: Route, timeout: float) -> typer.Exit:
    """Print which runs had no outcome within the time limit.

    Returns:
        The exception to raise, which ends the command with exit code 2.
    """
    runs = ", ".join(f"{one.metric_code} {one.run_id}" for one in missing)
    if route.status_queue:
        return impossible(f"No outcome within {timeout:g} s: no completed event of {runs}.")
    return impossible(
        f"No outcome within {timeout:g} s: neither a marker nor a dead letter of {runs}. A run that fails "
        "with a permanent error leaves neither: use --status-queue to receive its FAILURE."
    )


def _document(
    sent: Sequence[Sent], heard: Sequence[StatusEvent], status: dict[str, str], to: str | None
) -> dict[str, Any]:
    """Return the sent requests in the form that `metrics send --json` prints.

    The result is an object with `to` and `runs`. Each of the `runs` has its ids, its outcome and its events.

    Args:
        sent: the requests, one for each run.
        heard: the status events of all runs that the command received while it waited.
        status: SUCCESS or FAILURE by run id, for each run that has an outcome.
        to: the ARN of the topic or the URL of the queue to which the requests were sent.
    """
    runs = [
        {
            **asdict(one),
            "status": status.get(one.run_id),
            "events": [
                {"at": iso(event.at, "milliseconds"), "event": event.event}
                for event in heard
                if event.run_id == one.run_id
            ],
        }
        for one in sent
    ]
    return {"to": to, "runs": runs}
