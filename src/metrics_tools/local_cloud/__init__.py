"""A local run of the worker: S3, SNS and SQS on one machine, real exchange rates, Lambda's emulator.

`make run` is `python -m metrics_tools.local_cloud`.

The requests come from `metrics_tools.request_files`, the exchange rates from `metrics_tools.ecb`.

    __main__.py           the command line
    run.py                the steps of a local run and of a served cloud
    template.py           the properties in template.yaml, so that the local resources equal the deployed ones
    cloud.py              the bucket, topics and queues on a moto server
    moto_server.py        the process of the moto server, which throttles some keys and loads datasets
    consumer.py           the worker and the dead-letter function, each with its queue
    emulator.py           a function in the Lambda Runtime Interface Emulator
    handler_server.py     the process that runs a function without the emulator
    event_source.py       a substitute for Lambda's event source mapping
    status_listener.py    a listener for status events
    outcome.py            the outcome of a run: events and published objects, checked against each other
    recompute.py          the same metric in plain Python, from the ECB's file
    worker_log.py         facts that only the worker's log contains
    page.py               the page out/metrics.html
    output.py             the text that is printed
    sam_invoke.py         `make invoke`: the local cloud for Lambda's own image, which needs Docker
    subprocess_guard.py   a guard that ends child processes together with their parent
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The folder of the repository."""
THROTTLED_PREFIX = "datasets/throttled/"
"""The prefix of the keys for which the local cloud answers every request like a throttled S3."""
LOADING_PATH = "/moto-api/objects/"
"""The path, before the name of a bucket, to which a ZIP archive with objects for the bucket is sent."""


class LocalError(Exception):
    """An error that ends a local run. The text of the exception contains the reason and the remedy."""
