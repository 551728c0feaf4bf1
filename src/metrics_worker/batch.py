"""The messages of a batch: Powertools' batch processing of a FIFO queue, without its memory leak.

Powertools' processor is part of a reference cycle, and it refers to the handler, the messages and the
exceptions of an invocation. These references would keep the invocation's series in memory until a full
garbage collection, and a few large arrays do not trigger a collection. Therefore `process` clears the
processor's references.
"""

from collections.abc import Callable
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from metrics_worker.request import REDRIVEN, Run, open_record

type Failed = tuple[SQSRecord, BaseException]
"""A message to return to the queue, and the exception that was raised for the message."""


def process(
    records: list[dict[str, Any]], handle: Callable[[SQSRecord], None], *, skip_group_on_error: bool = False
) -> list[Failed]:
    """Handle messages in order; return each message that must go back to the queue, with its exception.

    These are the messages whose handling failed, and the later messages that were skipped after a failure.

    Args:
        records: the messages of one queue, as Lambda delivers them.
        handle: a function that handles one message. If the function raises an exception, the message has
            failed.
        skip_group_on_error: whether only the later messages of the same message group are skipped after a
            failure. If false, all later messages are skipped.
    """
    processor = SqsFifoPartialProcessor(skip_group_on_error=skip_group_on_error)
    processor.raise_on_entire_batch_failure = False
    with processor(records, handle):
        processor.process()
    messages = cast("list[SQSRecord]", processor.fail_messages)
    errors = [cast("BaseException", error) for _, error, _ in processor.exceptions]
    failed = list(zip(messages, errors, strict=True))
    for kept in (processor.exceptions, processor.fail_messages, processor.success_messages):
        kept.clear()
    del processor.handler, processor.records
    return failed


def open_message(message: SQSRecord) -> Run:
    """Return the identity of the run that a message requests.

    Raises:
        UnanswerableError: the message identifies no run.
    """
    is_redriven = REDRIVEN in (message.get("messageAttributes") or ())
    return open_record(message.body, message.attributes.get("SentTimestamp"), is_redriven=is_redriven)


def failures(failed: list[Failed]) -> list[dict[str, str]]:
    """Return the list `batchItemFailures` of the response to Lambda: one entry for each failed message."""
    return [{"itemIdentifier": record.message_id} for record, _ in failed]
