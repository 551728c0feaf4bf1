"""The Lambda entry point: it handles a batch of messages of an SQS FIFO queue.

Message groups are handled concurrently, and the messages of a group in order. If a message must be returned
to the queue, the later messages of the same group are returned too, without being handled. If a setting is
not valid, the import of this module raises a ConfigError.
"""

import gc

gc.disable()  # Imports leave no garbage, and the collections took 20 ms of a cold start. Enabled below.

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from metrics_worker.batch import failures, open_message, process
from metrics_worker.errors import UnanswerableError
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.messaging.request_queue import receive_count
from metrics_worker.observability.report import GroupReport
from metrics_worker.observability.telemetry import close_group, logger, measured, metrics, open_run
from metrics_worker.run import complete_run
from metrics_worker.settings import load_settings
from metrics_worker.worker import Worker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

worker = Worker.start(load_settings())
gc.freeze()  # Otherwise the first collection would examine everything that the imports have created.
gc.enable()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
@measured
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Handle the messages of a batch, and return {"batchItemFailures": messages to return to the queue}."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in event["Records"]:
        groups.setdefault(record["attributes"].get("MessageGroupId", record["messageId"]), []).append(record)
    returned: list[dict[str, str]] = []
    with Invocation.begin(worker.settings, len(groups), context.get_remaining_time_in_millis) as invocation:
        run = partial(run_group, invocation=invocation)
        for report in invocation.threads.map(run, groups.values()):
            close_group(report, context)
            returned += report.failures
    return {"batchItemFailures": returned}


def run_group(records: list[dict[str, Any]], invocation: Invocation) -> GroupReport:
    """Handle the messages of one group in order, and return the group's report.

    If a message causes an exception, this message and the later messages of the group are returned to the
    queue: their visibility timeouts are set, and the report contains the messages with their errors. The
    exceptions are not raised.
    """
    report = GroupReport()
    failed = process(records, partial(handle_record, invocation=invocation, report=report))
    at_once = any(isinstance(error, UnanswerableError) for _, error in failed)
    handles = [(each.receipt_handle, receive_count(each.attributes)) for each, _ in failed]
    within = invocation.deadline.last_call_seconds()
    returns = worker.queue.give_back(handles, at_once=at_once, within=within)
    for (record, error), when in zip(failed, returns, strict=True):
        report.give_back(record.message_id, error, returns=when)
    report.failures = failures(failed)
    return report


def handle_record(record: SQSRecord, invocation: Invocation, report: GroupReport) -> None:
    """Complete the run that one message requests. If an exception is raised, the message must be redelivered.

    Args:
        record: the message.
        invocation: the resources that the runs of the batch share.
        report: the report of the message's group, to which the report of this attempt is appended.

    Raises:
        UnanswerableError: the message identifies no run. After some redeliveries it becomes a dead letter.
        TransientError: the run has no outcome yet.
    """
    run = open_message(record)
    attempt = Attempt(
        run=run,
        report=open_run(run, receive_count(record.attributes), record.message_id),
        worker=worker,
        invocation=invocation,
        receipt_handle=record.receipt_handle,
    )
    report.runs.append(attempt.report)
    # A run usually takes as long as the earlier runs of the same metric in the batch.
    complete_run(attempt, expected_seconds=report.longest)
