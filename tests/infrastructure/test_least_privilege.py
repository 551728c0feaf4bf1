"""Each function does its job with its role's permissions as the template has them, and needs every one.

moto enforces the policies of both roles (`enforced.py`) on the function's own code in its own environment.
How each permission is proven; "missed": without it the job was no longer done whole.

| permission, of both roles if not said otherwise           |                                             |
| --------------------------------------------------------- | ------------------------------------------- |
| s3:GetObject on datasets/* (worker), on metrics/*         | missed                                      |
| s3:PutObject on metrics/* (worker)                        | missed                                      |
| s3:PutObject on current/manifest.json, _dead-letters/*    | missed                                      |
| s3:ListBucket                                             | missed, with a rule added to moto           |
| sns:Publish, on each topic                                | missed, with a rule added to moto           |
| sqs:ChangeMessageVisibility                               | missed, with a rule added to moto           |
| sqs:ReceiveMessage, sqs:DeleteMessage                     | missed by a stand-in for the event source   |
| sqs:GetQueueAttributes                                    | mapping, which calls what AWS says it calls |
| logs:CreateLogStream, logs:PutLogEvents                   | asserted on the template alone, since these |
| xray:PutTraceSegments, xray:PutTelemetryRecords           | calls are made by Lambda                    |

The rules added are in `iam_server.py`, with where AWS has them. moto ignores conditions: the roles have none
(`Stack.permissions` asserts that), the request queue's policy has one, which test_template_messaging.py
asserts. What the owner of bucket, topics and keys allows by policies of their own is not looked at.
"""

from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from metrics_worker import dead_letters, handler
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
        "refused to the mapping": set(),
        "started": {"complete", "lacking"},
        "heartbeats": {"complete"},
        "outcomes": {"complete": "SUCCESS", "lacking": LACKING},
        "the unanswerable is back at once": True,
    },
    DEAD_LETTERS: {
        "refused to the mapping": set(),
        "outcomes": {"committed": "SUCCESS", "uncommitted": GAVE_UP},
        "current moved": True,
        "kept": {"committed", "uncommitted", "unanswerable"},
        "given back": ["soon"],
    },
}
"""What can be seen of a job that is done whole."""

NO_RUN: Seen = {"started": set(), "heartbeats": set(), "outcomes": {}}
NO_ANSWER: Seen = {
    "outcomes": {},
    "current moved": False,
    "kept": {"unanswerable"},
    "given back": ["soon"] * 3,
}
NOT_INVOKED: dict[str, Seen] = {
    WORKER: NO_RUN | {"the unanswerable is back at once": False},
    DEAD_LETTERS: NO_ANSWER | {"kept": set(), "given back": []},
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
    (WORKER, "sqs:ChangeMessageVisibility", "RequestQueue"): {"the unanswerable is back at once": False},
    (DEAD_LETTERS, "s3:GetObject", METRICS): NO_ANSWER,
    (DEAD_LETTERS, "s3:PutObject", CURRENT): {
        "outcomes": {"uncommitted": GAVE_UP},
        "current moved": False,
        "kept": {"uncommitted", "unanswerable"},
        "given back": ["soon"] * 2,
    },
    (DEAD_LETTERS, "s3:PutObject", KEPT): {"kept": set(), "given back": ["soon"] * 4},
    (DEAD_LETTERS, "s3:ListBucket", BUCKET): NO_ANSWER,
    (DEAD_LETTERS, "sns:Publish", "CompletedTopic"): NO_ANSWER | {"current moved": True},
    (DEAD_LETTERS, "sqs:ChangeMessageVisibility", "DeadLetterQueue"): {"given back": ["late"]},
} | {
    (function, f"sqs:{action}", queue): {"refused to the mapping": {action}, **missed}
    for function, queue in ((WORKER, "RequestQueue"), (DEAD_LETTERS, "DeadLetterQueue"))
    for action, missed in (
        ("GetQueueAttributes", NOT_INVOKED[function]),
        ("ReceiveMessage", NOT_INVOKED[function]),
        ("DeleteMessage", {}),
    )
}
"""Function, action, resource: what is otherwise than `WHOLE` without it."""

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
"""What no job shows, since Lambda uses it."""

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
def listing():
    """The stack whose worker lists the folders of series, which is where it asks for most."""
    return Stack(SeriesFiles="listing")


@pytest.fixture
def do_job(monkeypatch, caplog):
    """`do_job(aws, function)`: what can be seen of it. The environment is the one that the template gives."""

    def do(aws, function):
        for name in ENVIRONMENT:
            monkeypatch.delenv(name)
        for name, value in aws.environment(function).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of before
        settings, context = load_settings(), cast("LambdaContext", FakeContext())
        if function == WORKER:
            monkeypatch.setattr(handler, "settings", settings)
            monkeypatch.setattr(handler, "worker", Worker.start(settings))
            return compute(aws, lambda event: handler.lambda_handler(event, context))
        monkeypatch.setattr(dead_letters, "worker", Worker.start(settings))
        return settle(aws, lambda event: dead_letters.lambda_handler(event, context), caplog)

    return do


@pytest.mark.parametrize("function", WHOLE)
def test_with_the_templates_permissions_a_job_is_done_whole(server, listing, do_job, function):
    assert do_job(Deployment(server, listing), function) == WHOLE[function]


@pytest.mark.parametrize("lost", LOSSES, ids=" ".join)
def test_a_permission_that_is_taken_away_is_missed(server, listing, do_job, lost):
    function, *_ = lost
    seen = do_job(Deployment(server, listing, lost), function)
    assert seen == WHOLE[function] | LOSSES[lost]
    assert seen != WHOLE[function]


def test_every_permission_is_missed_or_asserted(stack):
    granted = {
        (function, action, named(resource))
        for function in WHOLE
        for action, resources in stack.permissions(function).items()
        for resource in resources
    }
    assert granted == LOSSES.keys() | ASSERTED


@pytest.mark.parametrize("function", DENIED)
def test_nothing_beyond_is_allowed(server, listing, function):
    aws = Deployment(server, listing)
    for service, operation, given in DENIED[function]:
        arguments = {name: aws.resolve(value) for name, value in given.items()}
        if operation == "get_object":
            server.s3.put_object(Bucket=arguments["Bucket"], Key=arguments["Key"])
        call = getattr(aws.client(service, function), operation)
        with server.enforcing(), pytest.raises(ClientError) as refused:
            call(**arguments)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, (operation, given)
        call(**arguments)  # it is the permission that it lacks
