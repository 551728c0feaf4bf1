"""The story of a local run: cloud, dataset, worker, requests, status events, outcomes, picture."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from metrics_tools.local_cloud import ecb, kept, tell
from metrics_tools.local_cloud.cloud import Cloud, client, local_cloud, waiting
from metrics_tools.local_cloud.emulator import (
    HANDLER,
    Emulator,
    check,
    chosen,
    emulator,
    function_environment,
    why_not,
)
from metrics_tools.local_cloud.errors import LocalError
from metrics_tools.local_cloud.event_source import EventSource
from metrics_tools.local_cloud.events_heard import COMPLETED, Ear
from metrics_tools.local_cloud.outcome import Outcome, look
from metrics_tools.local_cloud.samples import Sample
from metrics_tools.local_cloud.shown import shown, write_page
from metrics_tools.local_cloud.template import FUNCTION, REQUEST_QUEUE, Template
from metrics_tools.local_cloud.terminal import Terminal
from metrics_tools.local_cloud.worker_log import given_back, traces

_PAUSE_SECONDS = 0.1
_METRICS_PREFIX = "AWS_S3_METRICS_PREFIX"
_TRACED = {"POWERTOOLS_LOG_LEVEL": "DEBUG"}
_NO_GAP = {"WORKER_STATUS_GAP_SECONDS": "0"}
"""Unless the caller sets it: nobody here reads two queues, and the times shown are those of the work."""
_DELAY = {"DeliveryDelay": "2"}
"""Shorter than the template's: the request is published by a process that has nothing to commit."""
"""At this level the worker's closing lines have each request with its time, for the page."""
_LAST_EVENTS_SECONDS = 5.0
"""How long an event may still be on its way when the queue is empty."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked on the command line.

    Attributes:
        root: the repository's folder.
        out: where logs, the page and copies go.
        samples: the requests; those that were chosen, or all of events/.
        chosen: whether they were chosen.
        handler: the function.
        patience: seconds until the run gives up on outcomes.
    """

    root: Path
    out: Path
    samples: Sequence[Sample] = ()
    chosen: bool = False
    handler: str = HANDLER
    patience: float = 120.0

    @property
    def log(self) -> Path:
        """The worker's log."""
        return self.out / "worker.log"


def run(options: Options, terminal: Terminal) -> int:
    """Run the samples; 0 where every one ended as it should.

    Raises:
        LocalError: it can't be run at all.
    """
    check(options.root)
    template = Template.read(options.root / "template.yaml").given(_DELAY)
    samples = options.samples
    options.out.mkdir(parents=True, exist_ok=True)
    kept.empty(options.out / "s3")
    rates = ecb.read_rates()
    with ExitStack() as stack:
        cloud = _start_cloud(stack, options, template, terminal)
        _load(rates, _currencies(options, samples, rates, terminal), cloud, terminal)
        environment = function_environment(cloud, template, options.root) | _TRACED
        environment |= _NO_GAP | chosen(os.environ)
        worker = _start_worker(stack, options, template, environment, terminal)
        if mine := chosen(os.environ):
            settings = ", ".join(f"{name}={value}" for name, value in mine.items())
            terminal.line(f"         From your environment: {settings}")
        ear = stack.enter_context(
            Ear(cloud, lambda heard: terminal.line(tell.heard(heard, terminal, samples)))
        )
        source = _event_source(cloud, template, worker)
        _publish(samples, cloud)
        delay = template.of(REQUEST_QUEUE, "DelaySeconds")
        terminal.step(
            f"Asked for {tell.count(len(samples), 'metric')}; the queue holds "
            f"{'it' if len(samples) == 1 else 'them'} back for {delay} s. Status events (UTC):"
        )
        failure = _work(source, ear, samples, cloud, options.patience)
        copies = kept.keep(cloud, environment[_METRICS_PREFIX], options.out / "s3")
        if failure is not None:
            raise LocalError(f"The worker failed: {failure}\nIts log has more: {tell.relative(options.log)}")
        outcomes = [look(sample, ear.story(sample.run_id), cloud, rates) for sample in samples]
        left = _left_behind(cloud)
    told = traces(options.log)
    write_page(
        options.out / "metrics.html",
        [
            shown(found, ear.story(run_id), rates, told.get(run_id))
            for found in outcomes
            for run_id in [found.sample.run_id]
        ],
    )
    return _close(outcomes, left, copies, options, terminal)


def serve(options: Options, terminal: Terminal, *, with_worker: bool = False) -> None:
    """Start the local cloud with the dataset, write and print its environment, and wait for Ctrl-C.

    Args:
        options: where logs and the environment's file go.
        terminal: where it is told.
        with_worker: in the emulator, the worker, which takes what is sent to the request topic or queue.

    Raises:
        LocalError: something of it does not start.
    """
    if with_worker:
        check(options.root)
    template = Template.read(options.root / "template.yaml").given(_DELAY)
    options.out.mkdir(parents=True, exist_ok=True)
    rates = ecb.read_rates()
    with ExitStack() as stack:
        cloud = _start_cloud(stack, options, template, terminal)
        samples = options.samples
        _load(rates, _currencies(options, samples, rates, terminal), cloud, terminal)
        source = None
        if with_worker:
            environment = function_environment(cloud, template, options.root)
            source = _event_source(
                cloud, template, _start_worker(stack, options, template, environment, terminal)
            )
        stack.callback(tell.environment(cloud, template, options, terminal).unlink, missing_ok=True)
        try:
            while True:
                batch = source.poll() if source else None
                if batch is not None and batch.error is not None:
                    terminal.line(terminal.styled(f"         The worker failed: {batch.error}", "red"))
                time.sleep(_PAUSE_SECONDS if source else 3600)
        except KeyboardInterrupt:
            terminal.line()
            terminal.step("The local cloud is gone")


def _start_cloud(stack: ExitStack, options: Options, template: Template, terminal: Terminal) -> Cloud:
    cloud = stack.enter_context(local_cloud(template, options.out / "aws.log"))
    terminal.step(
        f"Local cloud at {cloud.endpoint}: a bucket, four FIFO topics, request and dead-letter queue"
    )
    return cloud


def _start_worker(
    stack: ExitStack, options: Options, template: Template, environment: dict[str, str], terminal: Terminal
) -> Emulator:
    timeout = int(template.of(FUNCTION, "Timeout"))
    worker = stack.enter_context(emulator(options.root, environment, options.log, timeout, options.handler))
    reason = why_not(os.environ)
    where = f"a process without the Lambda emulator, since {reason}" if reason else "the Lambda emulator"
    terminal.step(f"The worker waits in {where} (its log: {tell.relative(options.log)})")
    return worker


def _load(rates: ecb.Rates, currencies: Sequence[str], cloud: Cloud, terminal: Terminal) -> None:
    """Upload the dataset, and say what it is."""
    terminal.step(f"Loading {tell.count(len(currencies), 'series', 'series')} of exchange rates")
    loaded = ecb.load(
        rates,
        currencies,
        cloud.endpoint,
        lambda files: terminal.progress(tell.count(files, "part file")),
    )
    terminal.line(
        f"         {tell.count(loaded.observations, 'observation')} from {loaded.first} to {loaded.last} in "
        f"{tell.count(loaded.files, 'part file')}, dataset {ecb.DATASET_ID}, version {loaded.version}"
    )
    terminal.line(f"         {', '.join(map(ecb.series_code, currencies))}: units of the currency per euro")
    terminal.line(terminal.styled(f"         Source: {ecb.SOURCE}, {ecb.SOURCE_URL}", "dim"))


def _currencies(
    options: Options, samples: Sequence[Sample], rates: ecb.Rates, terminal: Terminal
) -> list[str]:
    """What to load: for a whole run the usual ones; for chosen requests just what they name, if anything."""
    named = {currency for sample in samples for currency in sample.currencies} & set(rates)
    usual = set() if options.chosen else set(ecb.CURRENCIES)
    if named | usual:
        return sorted(named | usual)
    terminal.step("No series of the ECB's is asked for: one is loaded, so that the dataset is there")
    return [ecb.CURRENCIES[0]]


def _event_source(cloud: Cloud, template: Template, worker: Emulator) -> EventSource:
    batch_size = int(template.of(FUNCTION, "Events", "Requests", "Properties", "BatchSize"))
    sqs = client("sqs", cloud.endpoint)
    return EventSource(sqs, cloud.request_queue, cloud.request_queue_arn, worker.invoke, batch_size)


def _publish(samples: Sequence[Sample], cloud: Cloud) -> None:
    """Ask for the runs, as the control plane does."""
    for sample in samples:
        client("sns", cloud.endpoint).publish(
            TopicArn=cloud.request_topic,
            Message=sample.message,
            MessageGroupId=sample.metric_code,
            MessageDeduplicationId=sample.run_id,
        )


def _work(
    source: EventSource, ear: Ear, samples: Sequence[Sample], cloud: Cloud, patience: float
) -> str | None:
    """Poll and invoke until every run has an outcome and the queue is empty, or there is no hope.

    Returns:
        What the function failed with, or None. Other failures show in the outcomes.
    """
    give_up = time.monotonic() + patience
    empty_since: float | None = None
    while (now := time.monotonic()) < give_up:
        batch = source.poll()
        if batch is not None:
            empty_since = None
            if batch.error is not None:
                return str(batch.error)
            continue
        if waiting(cloud, cloud.request_queue) == 0:
            empty_since = now if empty_since is None else empty_since
            heard_all = all(ear.story(sample.run_id).first(COMPLETED) for sample in samples)
            if heard_all or now - empty_since > _LAST_EVENTS_SECONDS:
                return None
        time.sleep(_PAUSE_SECONDS)
    return None


def _left_behind(cloud: Cloud) -> list[str]:
    """Complaints about messages that should be gone."""
    queues = {"request queue": cloud.request_queue, "dead-letter queue": cloud.dead_letter_queue}
    counts = {name: waiting(cloud, queue) for name, queue in queues.items()}
    return [f"{tell.count(count, 'message')} left in the {name}" for name, count in counts.items() if count]


def _close(
    outcomes: Sequence[Outcome], left: Sequence[str], copies: int, options: Options, terminal: Terminal
) -> int:
    """Print the outcomes and sum up; the exit status."""
    terminal.step("Outcomes")
    tell.outcomes(outcomes, terminal)
    terminal.step(f"The picture: {tell.relative(options.out / 'metrics.html')}")
    if copies:
        folder = tell.relative(options.out / "s3")
        terminal.step(f"What was published, {tell.count(copies, 'object')} under the same keys: {folder}/")
    wrong = [found for found in outcomes if found.complaints]
    if wrong or left:
        silent = left or any(found.status is None for found in wrong)
        tell.not_right(wrong, len(outcomes), left, terminal)
        for line in given_back(options.log) if silent else ():
            terminal.line(f"         {line}")
        terminal.line(f"         The worker's log: {tell.relative(options.log)}")
        return 1
    ended = (
        "The run ended as it should"
        if len(outcomes) == 1
        else f"All {len(outcomes)} runs ended as they should"
    )
    terminal.step(terminal.styled(ended, "green"))
    return 0
