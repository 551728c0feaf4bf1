"""The two functions of the stack in the local cloud, each of which consumes its queue.

The worker consumes the request queue, and the dead-letter function consumes the dead-letter queue.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics_tools.local_cloud import ROOT
from metrics_tools.local_cloud.cloud import Cloud, client
from metrics_tools.local_cloud.emulator import emulator, function_environment
from metrics_tools.local_cloud.event_source import Batch, poll
from metrics_tools.local_cloud.template import DEAD_LETTER_FUNCTION, FUNCTION, Template
from metrics_tools.published.run_log import DEAD_LETTER_LOG

_MAPPINGS = {FUNCTION: "Requests", DEAD_LETTER_FUNCTION: "DeadLetters"}
"""The name of the event source mapping of each function in the template."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A function that processes the messages of a queue, in batches.

    Attributes:
        sqs: a boto3 SQS client.
        invoke: calls the function with an event, and returns its response.
        queue: the URL of the queue.
        arn: the ARN of the queue.
        batch_size: the maximum number of messages of a batch.
    """

    sqs: Any
    invoke: Callable[[dict[str, Any]], Any]
    queue: str
    arn: str
    batch_size: int

    def receive(self) -> Batch | None:
        """Receive one batch from the queue, pass it to the function, and return the result.

        An error of the function does not raise an exception: it is `error` of the result. Return None if the
        queue is empty.
        """
        return poll(self.sqs, self.invoke, queue=self.queue, arn=self.arn, batch_size=self.batch_size)

    def redeliver(self, batch: Batch) -> None:
        """Make the returned messages of a batch visible at once, before their visibility timeout ends."""
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(batch.returned)
        ]
        if entries:
            self.sqs.change_message_visibility_batch(QueueUrl=self.queue, Entries=entries)


@dataclass(frozen=True, slots=True)
class Consumers:
    """The two running functions of the stack, each with its queue.

    Attributes:
        worker: the worker, which consumes the request queue.
        dead_letters: the dead-letter function, which consumes the dead-letter queue.
    """

    worker: Consumer
    dead_letters: Consumer

    def receive(self, *, at_once: bool = False) -> Batch | None:
        """Pass one batch of the request queue to the worker.

        If the request queue is empty, pass one batch of the dead-letter queue to the dead-letter function.

        Args:
            at_once: whether failed messages are redelivered before their visibility timeout ends.

        Returns:
            The batch with its outcome, or None if both queues are empty.
        """
        for consumer in (self.worker, self.dead_letters):
            if (batch := consumer.receive()) is not None:
                if at_once:
                    consumer.redeliver(batch)
                return batch
        return None


@contextmanager
def consumers(
    deployed: tuple[Cloud, Template], environment: Mapping[str, str], *, log: Path, handler: str
) -> Iterator[Consumers]:
    """Run the worker and the dead-letter function during the `with` block, and yield them with their queues.

    Args:
        deployed: the local cloud, and the template from which it was created.
        environment: all environment variables of the worker.
        log: the file of the worker's log. The log of the dead-letter function is the file
            `dead-letters.log` in the same folder.
        handler: the name of the worker's handler function, as `package.module.name`.

    Raises:
        LocalError: a function does not start.
    """
    cloud, template = deployed
    other = function_environment(cloud, template, ROOT, function=DEAD_LETTER_FUNCTION)
    other_handler, other_log = (
        template.property(DEAD_LETTER_FUNCTION, "Handler"),
        log.with_name(DEAD_LETTER_LOG),
    )
    with (
        _consumer(deployed, FUNCTION, environment, log=log, handler=handler) as worker,
        _consumer(
            deployed, DEAD_LETTER_FUNCTION, other, log=other_log, handler=other_handler
        ) as dead_letters,
    ):
        yield Consumers(worker, dead_letters)


@contextmanager
def _consumer(
    deployed: tuple[Cloud, Template],
    function: str,
    environment: Mapping[str, str],
    *,
    log: Path,
    handler: str,
) -> Iterator[Consumer]:
    """Run one function during the `with` block, and yield it with its queue.

    Args:
        deployed: the local cloud, and the template from which it was created.
        function: the logical id of the function in the template.
        environment: all environment variables of the function.
        log: the file of the function's log.
        handler: the name of the handler function, as `package.module.name`.
    """
    cloud, template = deployed
    timeout = int(template.property(function, "Timeout"))
    batch_size = int(template.property(function, "Events", _MAPPINGS[function], "Properties", "BatchSize"))
    queues = {
        FUNCTION: (cloud.request_queue, cloud.request_queue_arn),
        DEAD_LETTER_FUNCTION: (cloud.dead_letter_queue, cloud.dead_letter_queue_arn),
    }
    with emulator(ROOT, environment, log=log, timeout=timeout, handler=handler) as started:
        sqs = client("sqs", cloud.endpoint)
        yield Consumer(sqs, started.invoke, *queues[function], batch_size)
