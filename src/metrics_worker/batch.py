"""Powertools' batch processing of a FIFO queue, without what it would keep of an invocation.

Powertools' processor is part of a reference cycle. With the handler, the messages and the exceptions that it
holds, an invocation's series would stay in memory until a full garbage collection, which few and large arrays
do not bring about. So the processor is emptied before it is let go.
"""

from collections.abc import Callable
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

type Failed = tuple[SQSRecord, BaseException]
"""A message that must come back, and why."""


def process(
    records: list[dict[str, Any]], handle: Callable[[SQSRecord], None], *, skip_group_on_error: bool = False
) -> list[Failed]:
    """Handle messages in order, and return those that must come back.

    Args:
        records: of one queue, as Lambda delivers them.
        handle: raises what gives the message back.
        skip_group_on_error: after a failure, leave only the later messages of its group untouched; otherwise
            all later messages.
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
    """Return the entries of `batchItemFailures`."""
    return [{"itemIdentifier": record.message_id} for record, _ in failed]


def _nothing(_: SQSRecord) -> None:
    """Take the place of a handler that is not to be kept."""
