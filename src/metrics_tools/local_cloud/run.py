"""The two commands of the local cloud: a local run, and serving the local cloud until Ctrl-C.

A local run starts the cloud, writes the dataset, starts the worker, publishes the requests, prints the status
events, checks the outcomes, and writes a page.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from metrics_tools import ecb
from metrics_tools.console import out
from metrics_tools.formatting import count
from metrics_tools.local_cloud import ROOT, LocalError
from metrics_tools.local_cloud.cloud import Cloud, client, local_cloud, message_count, put_objects
from metrics_tools.local_cloud.consumer import Consumers, consumers
from metrics_tools.local_cloud.emulator import (
    find_emulator,
    function_environment,
    reason_without_emulator,
    worker_settings,
)
from metrics_tools.local_cloud.outcome import (
    Outcome,
    check_run,
    copy_published,
    stored_dead_letters,
)
from metrics_tools.local_cloud.output import (
    print_detail,
    print_environment,
    print_event_of,
    print_outcomes,
    print_step,
    print_summary,
    relative,
)
from metrics_tools.local_cloud.page import write_page
from metrics_tools.local_cloud.status_listener import RunEvents, status_events
from metrics_tools.local_cloud.template import REQUEST_QUEUE, Template
from metrics_tools.local_cloud.worker_log import returned_messages
from metrics_tools.published.run_log import WORKER_LOG
from metrics_tools.published.status_event import COMPLETED
from metrics_tools.request_files import Sample

_POLL_SECONDS = 0.1
LAST_EVENTS_SECONDS = 5.0
"""The seconds to wait for further status events after the request queue has become empty."""
_RUN_ENVIRONMENT = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "WORKER_STATUS_GAP_SECONDS": "0"}
"""The variables of the worker in a local run. At log level DEBUG, the worker logs the traces for the page.

The gap between the started and the completed event is not needed, and would take time.
"""
_TEMPLATE_VALUES = {"DeliveryDelay": "2"}
"""Values of template parameters. The delay in seconds is shorter than in production: a local sender has no
database transaction to commit.
"""
_SERVED_PREFIXES = ("AWS_", "WORKER_", "OUTPUT_", "POWERTOOLS_")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line.

    Attributes:
        out: the folder for logs, the page and the copy of the published objects.
        samples: the requests to run.
        is_chosen: whether the user chose the requests; if false, they are all requests of events/.
        handler: the name of the handler function, as `package.module.name`.
        timeout: the maximum number of seconds to wait for the outcomes.
    """

    out: Path
    samples: Sequence[Sample]
    is_chosen: bool
    handler: str
    timeout: float

    @property
    def log(self) -> Path:
        """Return the path of the worker's log."""
        return self.out / WORKER_LOG


def run(options: Options) -> int:
    """Run the chosen requests, and return the exit status: 0 if all runs end as expected, otherwise 1.

    Raises:
        LocalError: the worker does not start, or fails.
    """
    samples, copy = options.samples, options.out / "s3"
    shutil.rmtree(copy, ignore_errors=True)  # a run that fails must not leave the copy of an earlier one
    with ExitStack() as stack:
        cloud, template = _start_cloud(stack, options, with_worker=True)
        chosen = worker_settings(os.environ)
        environment = function_environment(cloud, template, ROOT) | _RUN_ENVIRONMENT | chosen
        functions = _start_functions(stack, options, (cloud, template), environment)
        if chosen:
            print_detail(f"From your environment: {', '.join(map('='.join, chosen.items()))}")
        events = stack.enter_context(status_events(cloud, partial(print_event_of, samples)))
        for sample in samples:  # as the control plane does
            client("sns", cloud.endpoint).publish(
                TopicArn=cloud.request_topic,
                Message=sample.message,
                MessageGroupId=sample.metric_code,
                MessageDeduplicationId=sample.run_id,
            )
        delay = template.property(REQUEST_QUEUE, "DelaySeconds")
        requested = f"Requested {count(len(samples), 'metric')}, which the queue delivers after {delay} s"
        print_step(f"{requested}. Status events (UTC):")
        failure = _work(functions, events, options, cloud)
        copies = copy_published(cloud, environment["AWS_S3_METRICS_PREFIX"], copy)
        if failure:
            raise LocalError(f"The worker failed: {failure}\nIts log has more: {relative(options.log)}")
        messages_left = _messages_left(cloud)
    outcomes = [check_run(sample, events[sample.run_id], copy, ecb.read_rates()) for sample in samples]
    stored = stored_dead_letters(copy, environment["AWS_S3_METRICS_PREFIX"])
    keys = {letter.run_id: key for key, letter in stored.items()}
    for outcome in outcomes:
        outcome.dead_letter = keys.get(outcome.sample.run_id, "")
    unusable = [f"{key} requests no run: {letter.why}" for key, letter in stored.items() if not letter.run_id]
    write_page(options.out / "metrics.html", outcomes, events, log=options.log)
    return _report(outcomes, messages_left + unusable, copies, options)


def serve(options: Options, *, with_worker: bool) -> int:
    """Start the local cloud with the dataset, and keep it running until Ctrl-C; return 0.

    The environment variables for using the cloud are printed, and written to a file. If `with_worker` is
    true, the worker runs too, and takes the requests from the request queue.

    Raises:
        LocalError: the cloud or the worker does not start.
    """
    with ExitStack() as stack:
        cloud, template = _start_cloud(stack, options, with_worker=with_worker)
        environment = function_environment(cloud, template, ROOT)
        functions = _start_functions(stack, options, (cloud, template), environment) if with_worker else None
        variables = {
            name: value
            for name, value in sorted(environment.items())
            if name.startswith(_SERVED_PREFIXES) and not name.startswith("AWS_LAMBDA_")
        }
        variables["METRICS_REQUEST_TOPIC"] = cloud.request_topic
        variables["METRICS_STATUS_QUEUE"] = cloud.status_queue
        path = options.out / "env"
        stack.callback(path.unlink, missing_ok=True)
        print_environment(variables, path)
        try:
            while True:
                batch = functions.receive() if functions else None
                if batch and batch.error:
                    print_detail(f"The worker failed: {batch.error}", "red")
                time.sleep(_POLL_SECONDS if functions else 3600)
        except KeyboardInterrupt:
            print_step("Stopped the local cloud")
    return 0


def load(currencies: Sequence[str], cloud: Cloud) -> ecb.Written:
    """Write the demo dataset with these currencies to the local cloud, and return a summary of it.

    On a terminal, the number of part files is shown while they are made.
    """
    objects: dict[str, bytes] = {}
    with out.status("") as status:
        written = ecb.write_dataset(
            objects.__setitem__,
            currencies,
            on_file=lambda files: status.update(count(files, "part file")),
        )
    put_objects(cloud.endpoint, ecb.BUCKET, objects)
    return written


def _start_cloud(stack: ExitStack, options: Options, *, with_worker: bool) -> tuple[Cloud, Template]:
    """Start the local cloud, write the demo dataset to it, and return the cloud and its template.

    The cloud stops when `stack` is closed. If `with_worker` is true, a LocalError is raised before the start
    if the emulator is needed and not installed.
    """
    if with_worker and not reason_without_emulator(os.environ):
        find_emulator(ROOT)  # if it is missing, the local run fails before it starts
    template = Template.read(ROOT / "template.yaml").with_values(_TEMPLATE_VALUES)
    options.out.mkdir(parents=True, exist_ok=True)
    cloud = stack.enter_context(local_cloud(template, options.out / "aws.log"))
    print_step(f"Local cloud at {cloud.endpoint}: a bucket, four FIFO topics, request and dead-letter queue")
    currencies = _currencies(options)
    print_step(f"Loading {count(len(currencies), 'series', 'series')} of exchange rates")
    written = load(currencies, cloud)
    print_detail(
        f"{count(written.observations, 'observation')} from {written.first} to {written.last} in "
        f"{count(written.files, 'part file')}, dataset {ecb.DATASET_ID}, version {written.version}"
    )
    print_detail(f"{', '.join(map(ecb.series_code, currencies))}: units of the currency per euro")
    print_detail(f"Source: {ecb.SOURCE}, {ecb.SOURCE_URL}", "dim")
    return cloud, template


def _currencies(options: Options) -> list[str]:
    """Return the currencies to load, sorted: those of the requests that have ECB rates.

    If the user did not choose the requests, those of `ecb.CURRENCIES` are added. The result is never empty,
    so that the dataset exists.
    """
    found = {currency for sample in options.samples for currency in sample.currencies}
    needed = found.intersection(ecb.read_rates())
    if not options.is_chosen:
        return sorted(needed.union(ecb.CURRENCIES))
    if not needed:
        print_step("The request needs no series of the ECB: one is loaded, so that the dataset exists")
    return sorted(needed) or [ecb.CURRENCIES[0]]


def _start_functions(
    stack: ExitStack, options: Options, deployed: tuple[Cloud, Template], environment: dict[str, str]
) -> Consumers:
    """Start the worker and the dead-letter function, and return them with their queues.

    The functions stop when `stack` is closed.
    """
    started = consumers(deployed, environment, log=options.log, handler=options.handler)
    functions = stack.enter_context(started)
    reason = reason_without_emulator(os.environ)
    place = f"a process without the Lambda emulator, because {reason}" if reason else "the Lambda emulator"
    print_step(f"The worker runs in {place} (log: {relative(options.log)})")
    return functions


def _work(functions: Consumers, events: Mapping[str, RunEvents], options: Options, cloud: Cloud) -> str:
    """Invoke the functions until `events` has a completed event of each run of `options.samples`.

    The loop also ends at the timeout, after a failed invocation, and when both queues have been empty for
    `LAST_EVENTS_SECONDS`. Returned messages are redelivered at once, because five attempts with the waits of
    AWS would take six to twelve minutes.

    Returns:
        The error of the failed invocation, or an empty string.
    """
    deadline = time.monotonic() + options.timeout
    empty_since: float | None = None
    while (now := time.monotonic()) < deadline:
        if (batch := functions.receive(at_once=True)) is not None:
            empty_since = None
            if batch.error is not None:
                return str(batch.error)
            continue
        if not any(message_count(cloud, queue) for queue in (cloud.request_queue, cloud.dead_letter_queue)):
            empty_since = empty_since or now
            completed = (events[sample.run_id].first(COMPLETED) for sample in options.samples)
            if all(completed) or now - empty_since > LAST_EVENTS_SECONDS:
                return ""
        time.sleep(_POLL_SECONDS)
    return ""


def _messages_left(cloud: Cloud) -> list[str]:
    """Return a line with the number of messages for each of the two queues that is not empty.

    The queues are the request queue and the dead-letter queue.
    """
    queues = {"request queue": cloud.request_queue, "dead-letter queue": cloud.dead_letter_queue}
    counts = {name: message_count(cloud, queue) for name, queue in queues.items()}
    return [f"{count(number, 'message')} left in the {name}" for name, number in counts.items() if number]


def _report(outcomes: Sequence[Outcome], messages_left: Sequence[str], copies: int, options: Options) -> int:
    """Print the outcomes and a summary, and return the exit status: 0 if all runs ended as expected, else 1.

    `messages_left` has a line for each unexpected message or queue with messages. `copies` is the number of
    published objects that were copied into the output folder.
    """
    print_step("Outcomes")
    print_outcomes(outcomes)
    print_step(f"Charts and details: {relative(options.out / 'metrics.html')}")
    folder = relative(options.out / "s3")
    if copies:
        print_step(f"Copy of the {count(copies, 'published object')}, with the same keys: {folder}/")
    else:
        print_step(f"No object was published, so {folder}/ is empty")
    if print_summary(outcomes, messages_left):
        return 0
    if messages_left or any(outcome.status is None for outcome in outcomes):
        for line in returned_messages(options.log):
            print_detail(line)
    print_detail(f"The worker's log: {relative(options.log)}")
    return 1
