"""The examples in docs/contracts: requests written by hand, and the documents that the worker then writes.

`answers()` sends the requests through the real handlers. The input is a dataset with two months of the ECB's
rates, laid out as in the example of a dataset manifest. `python -m tests.contract.examples` (a part of `make
contracts`) writes the results to docs/contracts/examples/.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import obstore
import pytest

from metrics_tools import ecb
from tests.builders import ENVIRONMENT, Cloud, FakeContext, envelope, record
from tests.contract.documents import CONTRACTS, EXAMPLES, schema_of_event
from tests.faulty_store import DATA, Faults

COLLECTED = datetime(2026, 10, 30, 11, 30, tzinfo=UTC)
FIRST_DAY = date(2026, 9, 1)
CURRENCIES = ("GBP", "USD")
MANIFEST_KEY = "datasets/ecb_fx/versions/v20261030/manifest.json"
FAST = {"WORKER_HEARTBEAT_INTERVAL_SECONDS": 0.001}
REQUEST, V1, FAILING = (
    "metric_run_requested",
    "metric_run_requested.v1",
    "metric_run_requested.no_such_series",
)
REQUESTS = [name for name in EXAMPLES if name.startswith(REQUEST)]


@cache
def dataset() -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the dataset of the examples: its manifest, and a dict from keys to contents of its part files.

    The keys are relative to `projectionsPath`, the prefix of the dataset's part files.
    """
    rates = ecb.read_rates()
    chosen = {
        currency: {day: rate for day, rate in rates[currency].items() if day >= FIRST_DAY}
        for currency in CURRENCIES
    }
    files = dict(ecb.part_files(chosen, COLLECTED))
    return ecb.manifest(chosen, sorted(files), COLLECTED), files


def lay_out(cloud: Cloud) -> None:
    """Write the dataset of the examples to the cloud, with the manifest from docs/contracts/examples.

    If there is no such manifest yet, the manifest that `dataset` returns is written.
    """
    made, files = dataset()
    manifest = EXAMPLES.get("dataset_manifest", made)
    for name in manifest["parquet_files"]:
        obstore.put(cloud.store, ecb.PROJECTIONS + name, files[name])
    obstore.put(cloud.store, MANIFEST_KEY, json.dumps(manifest).encode())


@dataclass
class Stage:
    """Both Lambda functions in one fake cloud that contains the dataset of the examples.

    Attributes:
        cloud: the fake cloud.
        faults: the faults and delays of the worker's calls to its bucket.
        functions: (handler of requests, handler of dead letters).
        context: the Lambda context of each invocation.
        beaten: a semaphore that is released after each published heartbeat.
    """

    cloud: Cloud
    faults: Faults
    functions: Any
    context: FakeContext = field(default_factory=FakeContext)
    beaten: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @classmethod
    @contextmanager
    def opened(cls, **settings: Any) -> Iterator["Stage"]:
        """Yield a stage with a new cloud that has only the dataset.

        Args:
            settings: the values that replace environment variables of both functions, by name.
        """
        from metrics_worker import dead_letter_handler as dead_letters  # noqa: PLC0415 - they read the environment
        from metrics_worker import handler  # noqa: PLC0415 - they read the environment

        cloud = Cloud()
        lay_out(cloud)
        with pytest.MonkeyPatch.context() as patch:
            worker = cloud.worker(**settings)
            patch.setattr(handler, "worker", worker)
            patch.setattr(dead_letters, "worker", worker)
            yield cls(cloud, Faults.install(patch), (handler.lambda_handler, dead_letters.lambda_handler))

    def run(self, event: dict[str, Any], *, dead: bool = False) -> None:
        """Send a request, in an SNS notification, to one of the functions.

        Args:
            event: the request.
            dead: whether the dead-letter function gets the request, otherwise the worker.
        """
        function = self.functions[dead]
        found = record(envelope(event), group=event.get("metricCode"), message_id=f"message-{event['runId']}")
        assert function({"Records": [found]}, self.context) == {"batchItemFailures": []}

    def run_slowly(self, event: dict[str, Any]) -> None:
        """Run a request, and delay the write of its data file until one more heartbeat has been published."""
        publishing = threading.Event()

        def published(message: dict[str, Any]) -> None:
            if "heartbeat" in message["TopicArn"]:
                publishing.set()

        def extended(_: Any) -> None:
            if publishing.is_set():
                self.beaten.release()

        def wait() -> None:
            while self.beaten.acquire(blocking=False):
                pass
            for _ in range(2):  # The second heartbeat began after this call.
                assert self.beaten.acquire(timeout=10), "no heartbeat"

        self.cloud.sns.before, self.cloud.sqs.before = published, extended
        self.faults.before("PUT", DATA, wait)
        self.run(event)


def answers() -> dict[str, Any]:
    """Return the parsed JSON of each document and status event that the requests produce, by example name."""
    found: dict[str, Any] = {"dataset_manifest": dataset()[0]}
    plain, v1, failing = EXAMPLES[REQUEST], EXAMPLES[V1], EXAMPLES[FAILING]
    with Stage.opened(**FAST) as stage:
        for event in (plain, v1):
            stage.run_slowly(event)
        events = stage.cloud.sns.events
        base = f"metrics/{plain['metricCode']}/"
        found["output_manifest"] = stage.cloud.read_json(f"{base}current/manifest.json")
        found["run_marker"] = stage.cloud.read_json(f"{base}runs/{plain['runId']}.ok")
    with Stage.opened() as stage:
        for event in (failing, failing | {"schema": v1["schema"]}):
            stage.run(event)
        events += stage.cloud.sns.events
        stage.run(failing, dead=True)
        (kept,) = stage.cloud.keys("metrics/_dead-letters/")
        found["dead_letter"] = stage.cloud.read_json(kept)
    # Of several heartbeats, the last one is kept.
    return found | {schema_of_event(event): event for event in events}


def main() -> None:
    """Write the results of `answers()` to docs/contracts/examples/."""
    os.environ.update(ENVIRONMENT)
    for name, document in answers().items():
        path = CONTRACTS / "examples" / f"{name}.json"
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
