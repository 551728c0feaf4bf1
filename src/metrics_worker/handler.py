"""The Lambda entry: an SQS FIFO batch in, the messages to give back out.

The only room that decides between retry and done. Message groups run side by side, each in order: a record
that raises goes back, and with it the later ones of its group. Bad settings stop the import: CONFIG_ERROR.
"""

import gc

gc.disable()  # imports leave nothing to collect: looking for it took 20 ms of a cold start. On again below.

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from metrics_worker.batch import failures, process
from metrics_worker.errors import PermanentError, TransientError, UnanswerableError, as_permanent
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.messaging.request_queue import receive_count
from metrics_worker.observability.report import GroupReport
from metrics_worker.observability.telemetry import booked, close_group, logger, metrics, open_run
from metrics_worker.request import REDRIVEN, RunRequest, open_record
from metrics_worker.run import fail_metric, run_metric
from metrics_worker.settings import load_settings
from metrics_worker.worker import Worker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = load_settings()
worker = Worker.start(settings)
gc.freeze()  # or the first collection goes through all that the imports have made
gc.enable()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
@booked
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Run every record of the batch; what must come back is in `batchItemFailures`."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in event["Records"]:
        groups.setdefault(record["attributes"].get("MessageGroupId", record["messageId"]), []).append(record)
    returned: list[dict[str, str]] = []
    with Invocation.begin(settings, len(groups), context.get_remaining_time_in_millis) as invocation:
        run = partial(run_group, invocation=invocation)
        for report in invocation.threads.map(run, groups.values()):
            close_group(report, context)
            returned += report.failures
    return {"batchItemFailures": returned}


def run_group(records: list[dict[str, Any]], invocation: Invocation) -> GroupReport:
    """The messages of one group, in order, up to the first that is not done."""
    report = GroupReport()
    failed = process(records, partial(handle_record, invocation=invocation, report=report))
    at_once = any(isinstance(error, UnanswerableError) for _, error in failed)
    handles = [(each.receipt_handle, receive_count(each.attributes)) for each, _ in failed]
    within = invocation.deadline.last_call_seconds()
    returns = worker.queue.give_back(handles, at_once=at_once, within=within)
    for (record, error), when in zip(failed, returns, strict=True):
        report.give_back(record.message_id, error, when)
    report.failures = failures(failed)
    return report


def handle_record(record: SQSRecord, invocation: Invocation, report: GroupReport) -> None:
    """One message: to its outcome, or an exception that gives it back.

    Raises:
        UnanswerableError: nobody can be answered; it goes to the dead-letter queue.
        TransientError: it may pass; the message comes back after a while.
    """
    run = open_record(record.body, record.attributes.get("SentTimestamp"))
    run_report = open_run(run, receive_count(record.attributes), record.message_id)
    report.runs.append(run_report)
    redriven = REDRIVEN in (record.get("messageAttributes") or {})
    attempt = Attempt(run_report, record.receipt_handle, invocation, redriven)
    try:
        try:
            invocation.deadline.check(report.longest)  # what this metric's runs took
            request = RunRequest.parse(run, worker.bounds)
            run_metric(request, worker, attempt)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - the one place: whatever it is, the run gets an outcome
            run_report.defect = None if isinstance(error, PermanentError) else error
            fail_metric(run, as_permanent(error), worker, attempt)
    except TransientError as error:
        run_report.error_code, run_report.error = type(error).__name__, error.message
        raise
    finally:
        run_report.close()
