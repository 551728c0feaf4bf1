"""Powertools' batch processing of a FIFO queue, without a memory leak between invocations.

Powertools' processor is part of a reference cycle, and it refers to the handler, the messages and the
exceptions of an invocation. Through them, the invocation's series would stay in memory until a full garbage
collection, which a few large arrays do not trigger. So `process` clears the processor's references.
"""

from collections.abc import Callable
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

type Failed = tuple[SQSRecord, BaseException]
"""A message that must come back, and the exception that its handler raised."""


def process(
    records: list[dict[str, Any]], handle: Callable[[SQSRecord], None], *, skip_group_on_error: bool = False
) -> list[Failed]:
    """Handle messages in order, and return those that must come back.

    Args:
        records: the messages of one queue, as Lambda delivers them.
        handle: handles one message. If it raises an exception, the message must come back.
        skip_group_on_error: whether, after a failure, messages of other groups are still handled. If false,
            all later messages come back unhandled.
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
    processor.handler, processor.records = _nothing, []
    return failed


def failures(failed: list[Failed]) -> list[dict[str, str]]:
    """Return the entries of `batchItemFailures` in the response to Lambda."""
    return [{"itemIdentifier": record.message_id} for record, _ in failed]


def _nothing(_: SQSRecord) -> None:
    """Do nothing: this function replaces the processor's reference to the handler."""
