"""The references in docs/contracts/asyncapi.yaml can be resolved, and its channels agree with the template.

`make asyncapi` checks with AsyncAPI's own parser that the file is a valid AsyncAPI document.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from metrics_worker.messaging.topics import MAX_DEDUPLICATION_ID, deduplication_id
from tests.contract.documents import (
    CONTRACTS,
    EXAMPLES,
    SCHEMAS,
    schema_of_event,
    schema_of_example,
    validate,
)
from tests.contract.examples import FAILING, FAST, REQUEST, V1, Stage
from tests.infrastructure.stack import PSEUDO, Stack

DOCUMENT: dict[str, Any] = yaml_parse((CONTRACTS / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES = DOCUMENT["components"]["messages"]
CHANNELS = DOCUMENT["channels"]
TOPICS = {
    "runStarted": "StartedTopic",
    "runHeartbeat": "HeartbeatTopic",
    "runCompleted": "CompletedTopic",
}


def references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def resolve(reference: str) -> Any:
    """Return the JSON value to which a `$ref` points.

    Args:
        reference: `#` and a JSON pointer into asyncapi.yaml, or the name of another file of docs/contracts,
            which may be followed by `#` and a pointer into it.
    """
    file, _, pointer = reference.partition("#")
    found: Any = json.loads((CONTRACTS / file).read_text()) if file else DOCUMENT
    for part in pointer.split("/")[1:]:
        found = found[part]
    return found


def resolved(node: Any) -> Any:
    return resolve(node["$ref"]) if "$ref" in node else node


def trait(message: str, name: str) -> Any:
    """Return the value of a field in the traits of a message; the last trait with the field counts.

    Args:
        message: the name of the message in asyncapi.yaml.
        name: the name of the field, such as "headers".
    """
    found = [resolved(part)[name] for part in MESSAGES[message]["traits"] if name in resolved(part)]
    return found[-1]


def test_every_reference_can_be_resolved():
    found = set(references(DOCUMENT))
    assert len(found) > 30
    for reference in found:
        assert resolve(reference)


def test_every_message_has_a_schema_and_valid_examples():
    for name, message in MESSAGES.items():
        schema = Path(message["payload"]["schema"]["$ref"]).stem
        assert schema in SCHEMAS
        assert message["examples"], name
        for example in message["examples"]:
            path = Path(example["payload"]["$ref"])
            assert schema_of_example(path.stem) == schema
            validate(schema, resolve(example["payload"]["$ref"]))


def test_every_event_and_every_example_of_an_event_is_in_the_document():
    listed = {Path(reference).stem for reference in references(MESSAGES) if reference.startswith("./")}
    assert listed == {name for name in [*SCHEMAS, *EXAMPLES] if name.startswith("metric_run_")}


def test_the_worker_receives_requests_and_sends_events():
    operations = {
        (operation["action"], operation["channel"]["$ref"]) for operation in DOCUMENT["operations"].values()
    }
    assert operations == {
        ("receive", f"#/channels/{name}")
        for name in ("runRequestTopic", "runRequestQueue", "deadLetterQueue")
    } | {("send", f"#/channels/{name}") for name in TOPICS}
    for operation in DOCUMENT["operations"].values():
        channel = resolved(operation["channel"])
        messages = [reference["$ref"].rpartition("/")[2] for reference in operation["messages"]]
        assert messages == list(channel["messages"])


# Agreement with the template


def named(address: str) -> str:
    return address.replace("{stackName}", str(PSEUDO["AWS::StackName"]))


@pytest.mark.parametrize(
    ("channel", "place", "resource"),
    [
        ("runRequestQueue", "queue", "RequestQueue"),
        ("runRequestQueue", "deadLetterQueue", "DeadLetterQueue"),
        ("deadLetterQueue", "queue", "DeadLetterQueue"),
    ],
)
def test_the_queues_agree_with_the_template(channel, place, resource):
    documented = CHANNELS[channel]["bindings"]["sqs"][place]
    deployed = Stack().properties(resource, "AWS::SQS::Queue")
    names = {
        "fifoQueue": "FifoQueue",
        "deduplicationScope": "DeduplicationScope",
        "fifoThroughputLimit": "FifoThroughputLimit",
        "deliveryDelay": "DelaySeconds",
        "visibilityTimeout": "VisibilityTimeout",
        "messageRetentionPeriod": "MessageRetentionPeriod",
    }
    assert named(documented["name"]) == deployed["QueueName"]
    in_template = {name for name, property_ in names.items() if property_ in deployed}
    assert in_template | {"name"} == set(documented) - {"redrivePolicy"}
    for name in documented.keys() & names.keys():
        assert str(documented[name]) == str(deployed[names[name]]), name
    if "redrivePolicy" in documented:
        policy, dead = documented["redrivePolicy"], Stack().properties("DeadLetterQueue", "AWS::SQS::Queue")
        assert named(policy["deadLetterQueue"]["name"]) == dead["QueueName"]
        assert str(policy["maxReceiveCount"]) == deployed["RedrivePolicy"]["maxReceiveCount"]


@pytest.mark.parametrize(("channel", "resource"), TOPICS.items())
def test_the_topics_agree_with_the_template(channel, resource):
    documented, deployed = CHANNELS[channel], Stack().properties(resource, "AWS::SNS::Topic")
    sns = documented["bindings"]["sns"]
    assert named(documented["address"]) == named(sns["name"]) == deployed["TopicName"]
    assert sns["ordering"] == {
        "type": "FIFO" if deployed["FifoTopic"] else "standard",
        "contentBasedDeduplication": deployed["ContentBasedDeduplication"],
    }


def test_the_queue_is_subscribed_without_raw_delivery():
    (consumer,) = DOCUMENT["operations"]["subscribeToRequests"]["bindings"]["sns"]["consumers"]
    stack = Stack(RequestTopicArn="arn:aws:sns:eu-west-1:111122223333:metric-run-requests.fifo")
    deployed = stack.properties("RequestSubscription", "AWS::SNS::Subscription")
    assert consumer["rawMessageDelivery"] is deployed["RawMessageDelivery"]
    assert consumer["protocol"] == deployed["Protocol"]
    assert consumer["endpoint"]["name"] == CHANNELS["runRequestQueue"]["bindings"]["sqs"]["queue"]["name"]


# Agreement with the published events


def message_of(event: dict[str, Any]) -> str:
    """Return the name of the message in asyncapi.yaml whose payload has the schema of a status event."""
    schema = f"./schemas/{schema_of_event(event)}.json"
    (name,) = [name for name, message in MESSAGES.items() if message["payload"]["schema"]["$ref"] == schema]
    return str(name)


def test_topics_groups_deduplication_ids_and_attributes_agree_with_the_document():
    with Stage.opened(**FAST) as stage:
        for name in (REQUEST, V1):
            stage.run_slowly(EXAMPLES[name])
        for form in ({}, {"schema": "metrics.run.v1"}):
            stage.run(EXAMPLES[FAILING] | form)

    seen = set()
    for sent, event in zip(stage.cloud.sns.messages, stage.cloud.sns.events, strict=True):
        name = message_of(event)
        seen.add(name)
        topic = sent["TopicArn"].rpartition(":")[2]
        (channel,) = [key for key in TOPICS if name in CHANNELS[key]["messages"]]
        assert CHANNELS[channel]["address"] == f"{{stackName}}-{topic}"
        number = sent["MessageDeduplicationId"].split(":")[3:]
        known = event | {"attempt": 1} | ({"number": number[0]} if number else {})
        assert trait(name, "x-message-group-id").format(**known) == sent["MessageGroupId"]
        assert trait(name, "x-message-deduplication-id").format(**known) == sent["MessageDeduplicationId"]
        attributes = {key: value["StringValue"] for key, value in sent["MessageAttributes"].items()}
        headers = resolve(trait(name, "headers")["$ref"])
        assert set(attributes) == set(headers["properties"]) == set(headers["required"])
        assert attributes["type"] in headers["properties"]["type"]["enum"]
    assert seen == set(MESSAGES) - {"runRequested"}


def test_a_deduplication_id_that_is_too_long_is_replaced_by_its_hash_as_documented():
    note = trait("failedV1", "x-message-deduplication-id-note")
    assert str(MAX_DEDUPLICATION_ID) in note
    hashed = deduplication_id(run_id="r" * 128, event_type="metric_run_completed", attempt=1)
    assert re.fullmatch("[0-9a-f]{64}", hashed)
