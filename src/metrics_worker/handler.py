"""The Lambda entry: an SQS FIFO batch in, the messages to give back out.

The only room that decides between retry and done. A record that raises is given back, and with it the
later ones of its message group; one that returns is done. What the settings lack stops the import, and
so the function, with a CONFIG_ERROR.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from metrics_worker.contract import Bounds, RunRequest, open_record
from metrics_worker.dataset import Datasets
from metrics_worker.errors import (
    PermanentError,
    QueueUnavailable,
    TransientError,
    UnanswerableError,
    as_permanent,
)
from metrics_worker.pipeline import Attempt, Worker, fail_metric, run_metric
from metrics_worker.report import RunReport
from metrics_worker.request_queue import backoff_seconds
from metrics_worker.settings import load_settings
from metrics_worker.telemetry import close_run, logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = load_settings()
bounds = Bounds(settings.bucket, settings.metrics_prefix, settings.datasets_prefix)
worker = Worker.start(settings)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Run every record of the batch; what must come back is in `batchItemFailures`."""
    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    processor.raise_on_entire_batch_failure = False
    handle = partial(handle_record, datasets=Datasets(settings.series_files), context=context)
    with processor(event["Records"], handle):
        processor.process()
    failed = cast("list[SQSRecord]", processor.fail_messages)
    for record, (_, error, _) in zip(failed, processor.exceptions, strict=True):
        give_back(record, error)
    return dict(processor.response())


def handle_record(record: SQSRecord, datasets: Datasets, context: "LambdaContext") -> None:
    """One message: to its outcome, or an exception that gives it back.

    Raises:
        UnanswerableError: nobody can be answered; it goes to the dead-letter queue.
        TransientError: it may pass; the message comes back after a while.
    """
    run = open_record(record.body, record.attributes.sent_timestamp)
    logger.append_keys(run_id=run.run_id, metric_code=run.metric_code)
    report = RunReport(run.run_id, run.metric_code, _receive_count(record))
    attempt = Attempt(
        report, record.receipt_handle, datasets, lambda: context.get_remaining_time_in_millis() / 1000
    )
    base, defect = None, None
    try:
        try:
            request = RunRequest.parse(run, bounds)
            base = request.base
            run_metric(request, worker, attempt)
        except TransientError as error:
            report.error_code, report.error = type(error).__name__, error.message
            raise
        except Exception as error:  # noqa: BLE001 - the one place: whatever it is, the run gets an outcome
            defect = None if isinstance(error, PermanentError) else error
            fail_metric(run, base, as_permanent(error), worker, attempt)
    finally:
        report.close()
        close_run(report, defect)
        logger.remove_keys(["run_id", "metric_code"])


def give_back(record: SQSRecord, error: object) -> None:
    """Set when a message that is not done comes back: an unanswerable one at once, others later each time."""
    seconds = 0 if isinstance(error, UnanswerableError) else backoff_seconds(_receive_count(record))
    logger.warning("message given back", extra={"message_id": record.message_id, "reason": str(error)})
    try:
        worker.queue.set_visibility(record.receipt_handle, seconds)
    except QueueUnavailable as refused:
        logger.warning("it comes back when the queue's own timeout ends", extra={"reason": str(refused)})


def _receive_count(record: SQSRecord) -> int:
    return int(record.attributes.approximate_receive_count or 1)
