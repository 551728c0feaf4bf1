"""Each function completes its job with the permissions of its role in the template, and needs all of them.

moto enforces the policies of both roles (`enforced.py`) for the real code of the functions in their
environment. The table lists how each permission is tested. "Needed" means that the job is incomplete without
it.

| permission (of both roles unless noted)                   | test                                          |
| --------------------------------------------------------- | --------------------------------------------- |
| s3:GetObject on datasets/* (worker), on metrics/*         | needed                                        |
| s3:PutObject on metrics/* (worker)                        | needed                                        |
| s3:PutObject on current/manifest.json, _dead-letters/*    | needed                                        |
| s3:ListBucket                                             | needed, with a rule added to moto             |
| sns:Publish, on each topic                                | needed, with a rule added to moto             |
| sqs:ChangeMessageVisibility                               | needed, with a rule added to moto             |
| sqs:ReceiveMessage, sqs:DeleteMessage,                    | needed by a replacement of the event source   |
| sqs:GetQueueAttributes                                    | mapping, with the calls that AWS documents    |
| logs:CreateLogStream, logs:PutLogEvents,                  | only the template is checked, because Lambda  |
| xray:PutTraceSegments, xray:PutTelemetryRecords           | itself makes these calls                      |

`iam_server.py` adds the rules to moto and names the documents that define them. moto ignores conditions.
The policies of the roles have no conditions, as `Stack.permissions` asserts. The policy of the request queue
has one, which test_template_messaging.py checks. The tests do not cover resource policies of the bucket, the
topics and the keys.
"""

from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from metrics_worker import dead_letter_handler as dead_letters
from metrics_worker import handler
from metrics_worker.settings import load_settings
from metrics_worker.worker import Worker
from tests.builders import BUCKET, ENVIRONMENT, FakeContext
from tests.infrastructure.enforced import ANOTHER_BUCKET, ANOTHER_TOPIC, Deployment, Server, named
from tests.infrastructure.jobs import DEAD_LETTERS, WORKER, Seen, compute, settle
from tests.infrastructure.stack import Stack

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

DATASETS, METRICS = f"{BUCKET}/datasets/*", f"{BUCKET}/metrics/*"
CURRENT, KEPT = f"{BUCKET}/metrics/*/current/manifest.json", f"{BUCKET}/metrics/_dead-letters/*"

MANIFEST = "INPUT_READ_ERROR: manifest datasets/{}/versions/v1/manifest.json: GET: {}".format
LACKING = MANIFEST("none", "there is no such object")
UNWRITTEN = "OUTPUT_WRITE_ERROR: metrics/complete/VERSION/data/metrics.parquet: PUT: access denied"
GAVE_UP = "INTERNAL_ERROR: gave up after 5 attempts: no outcome, the log says why"
WHOLE: dict[str, Seen] = {
    WORKER: {
        "denied to the mapping": set(),
        "started": {"complete", "lacking"},
        "heartbeats": {"complete"},
        "outcomes": {"complete": "SUCCESS", "lacking": LACKING},
        "unanswerable message is visible": True,
    },
    DEAD_LETTERS: {
        "denied to the mapping": set(),
        "outcomes": {"committed": "SUCCESS", "uncommitted": GAVE_UP},
        "current moved": True,
        "kept": {"committed", "uncommitted", "unanswerable"},
        "returned": ["soon"],
    },
}
"""The observable results of a complete job of each function."""

NO_RUN: Seen = {"started": set(), "heartbeats": set(), "outcomes": {}}
NO_ANSWER: Seen = {
    "outcomes": {},
    "current moved": False,
    "kept": {"unanswerable"},
    "returned": ["soon"] * 3,
}
NOT_INVOKED: dict[str, Seen] = {
    WORKER: NO_RUN | {"unanswerable message is visible": False},
    DEAD_LETTERS: NO_ANSWER | {"kept": set(), "returned": []},
}
LOSSES: dict[tuple[str, str, str], Seen] = {
    (WORKER, "s3:GetObject", DATASETS): {
        "heartbeats": set(),
        "outcomes": {
            "complete": MANIFEST("fx", "access denied"),
            "lacking": MANIFEST("none", "access denied"),
        },
    },
    (WORKER, "s3:GetObject", METRICS): NO_RUN,
    (WORKER, "s3:PutObject", METRICS): {
        "heartbeats": set(),
        "outcomes": {"complete": UNWRITTEN, "lacking": LACKING},
    },
    (WORKER, "s3:ListBucket", BUCKET): NO_RUN,
    (WORKER, "sns:Publish", "StartedTopic"): NO_RUN,
    (WORKER, "sns:Publish", "HeartbeatTopic"): {"heartbeats": set()},
    (WORKER, "sns:Publish", "CompletedTopic"): {"outcomes": {}},
    (WORKER, "sqs:ChangeMessageVisibility", "RequestQueue"): {"unanswerable message is visible": False},
    (DEAD_LETTERS, "s3:GetObject", METRICS): NO_ANSWER,
    (DEAD_LETTERS, "s3:PutObject", CURRENT): {
        "outcomes": {"uncommitted": GAVE_UP},
        "current moved": False,
        "kept": {"uncommitted", "unanswerable"},
        "returned": ["soon"] * 2,
    },
    (DEAD_LETTERS, "s3:PutObject", KEPT): {"kept": set(), "returned": ["soon"] * 4},
    (DEAD_LETTERS, "s3:ListBucket", BUCKET): NO_ANSWER,
    (DEAD_LETTERS, "sns:Publish", "CompletedTopic"): NO_ANSWER | {"current moved": True},
    (DEAD_LETTERS, "sqs:ChangeMessageVisibility", "DeadLetterQueue"): {"returned": ["late"]},
} | {
    (function, f"sqs:{action}", queue): {"denied to the mapping": {action}, **missed}
    for function, queue in ((WORKER, "RequestQueue"), (DEAD_LETTERS, "DeadLetterQueue"))
    for action, missed in (
        ("GetQueueAttributes", NOT_INVOKED[function]),
        ("ReceiveMessage", NOT_INVOKED[function]),
        ("DeleteMessage", {}),
    )
}
"""By missing permission (function, action, resource), the results that differ from `WHOLE`."""

ASSERTED = {
    (function, action, resource)
    for function, log in ((WORKER, "WorkerLogGroup"), (DEAD_LETTERS, "DeadLetterLogGroup"))
    for action, resource in (
        ("logs:CreateLogStream", log),
        ("logs:PutLogEvents", log),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    )
}
"""Permissions that no job uses, because Lambda itself uses them."""

QUEUE_MESSAGE = {"MessageBody": "?", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
TOPIC_MESSAGE = {"Message": "?", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
DENIED: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    WORKER: [
        *(("s3", "put_object", {"Bucket": BUCKET, "Key": key}) for key in ("datasets/x", "metrics-2/x", "x")),
        ("s3", "put_object", {"Bucket": ANOTHER_BUCKET, "Key": "metrics/x"}),
        *(("s3", "get_object", {"Bucket": BUCKET, "Key": key}) for key in ("datasets-2/x", "x")),
        ("s3", "get_object", {"Bucket": ANOTHER_BUCKET, "Key": "datasets/x"}),
        ("s3", "delete_object", {"Bucket": BUCKET, "Key": "metrics/x"}),
        ("s3", "list_objects_v2", {"Bucket": ANOTHER_BUCKET}),
        ("sns", "publish", {"TopicArn": {"Ref": ANOTHER_TOPIC}, **TOPIC_MESSAGE}),
        ("sqs", "receive_message", {"QueueUrl": {"Ref": "DeadLetterQueue"}}),
        ("sqs", "send_message", {"QueueUrl": {"Ref": "RequestQueue"}, **QUEUE_MESSAGE}),
    ],
    DEAD_LETTERS: [
        ("s3", "put_object", {"Bucket": BUCKET, "Key": "metrics/m/runs/run.ok"}),
        ("s3", "put_object", {"Bucket": BUCKET, "Key": "metrics/m/2026-10-30T12-00-00/manifest.json"}),
        ("s3", "get_object", {"Bucket": BUCKET, "Key": "datasets/x"}),
        ("s3", "delete_object", {"Bucket": BUCKET, "Key": "metrics/_dead-letters/x"}),
        ("sns", "publish", {"TopicArn": {"Ref": "StartedTopic"}, **TOPIC_MESSAGE}),
        ("sqs", "receive_message", {"QueueUrl": {"Ref": "RequestQueue"}}),
        ("sqs", "send_message", {"QueueUrl": {"Ref": "RequestQueue"}, **QUEUE_MESSAGE}),
    ],
}


@pytest.fixture(scope="module")
def server():
    with Server.start() as server:
        yield server


@pytest.fixture(scope="module")
def listing() -> Stack:
    """Return the stack in which the worker lists the part files in S3, which needs the most permissions."""
    return Stack(SeriesFiles="listing")


@pytest.fixture
def do_job(monkeypatch, caplog):
    """Return `do_job(aws, function)`, which runs the job of a Lambda function and returns the job's results.

    `aws` is the `Deployment`, `function` is the logical id of the function, and the results are those of
    `compute` or `settle` in jobs.py. The job runs with the environment variables that the template sets.
    """

    def do(aws, function):
        for name in ENVIRONMENT:
            monkeypatch.delenv(name)
        for name, value in aws.environment(function).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # the credentials of the last job
        settings, context = load_settings(), cast("LambdaContext", FakeContext())
        if function == WORKER:
            monkeypatch.setattr(handler, "worker", Worker.start(settings))
            return compute(aws, lambda event: handler.lambda_handler(event, context))
        monkeypatch.setattr(dead_letters, "worker", Worker.start(settings))
        return settle(aws, lambda event: dead_letters.lambda_handler(event, context), caplog)

    return do


@pytest.mark.parametrize("function", WHOLE)
def test_a_job_is_complete_with_the_permissions_of_the_template(server, listing, do_job, function):
    assert do_job(Deployment(server, listing), function) == WHOLE[function]


@pytest.mark.parametrize("lost", LOSSES, ids=" ".join)
def test_a_job_is_incomplete_without_one_of_its_permissions(server, listing, do_job, lost):
    function, *_ = lost
    seen = do_job(Deployment(server, listing, lost), function)
    assert seen == WHOLE[function] | LOSSES[lost]
    assert seen != WHOLE[function]


def test_every_permission_of_the_template_is_covered(stack):
    granted = {
        (function, action, named(resource))
        for function in WHOLE
        for action, resources in stack.permissions(function).items()
        for resource in resources
    }
    assert granted == LOSSES.keys() | ASSERTED


@pytest.mark.parametrize("function", DENIED)
def test_calls_beyond_the_permissions_are_denied(server, listing, function):
    aws = Deployment(server, listing)
    for service, operation, given in DENIED[function]:
        arguments = {name: aws.resolve(value) for name, value in given.items()}
        if operation == "get_object":
            server.s3.put_object(Bucket=arguments["Bucket"], Key=arguments["Key"])
        call = getattr(aws.client(service, function), operation)
        with server.enforcing(), pytest.raises(ClientError) as refused:
            call(**arguments)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, (operation, given)
        call(**arguments)  # Without enforcement the call succeeds, so only the permission was missing.
