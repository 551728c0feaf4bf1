"""The optional parameters for a KMS key, a VPC and a permissions boundary change only what they must."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infrastructure.stack import ROOT, TEMPLATE, Stack

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
IN_VPC = {"SubnetIds": "subnet-0a,subnet-0b", "SecurityGroupIds": "sg-0c"}
QUEUES = ("RequestQueue", "DeadLetterQueue")
TOPICS = ("StartedTopic", "HeartbeatTopic", "CompletedTopic")
LOG_GROUPS = ("WorkerLogGroup", "DeadLetterLogGroup")
FUNCTIONS = ("MetricsWorkerFunction", "DeadLetterFunction")
ROLES = ("WorkerRole", "DeadLetterRole")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
USE_KEY = {
    "Sid": "UseKey",
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    "Resource": KEY,
}
CONNECT = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
"""The actions of AWS's managed policy AWSLambdaVPCAccessExecutionRole, without those for logs."""


def values(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of each leaf in the properties of a resource.

    A path consists of the keys and list positions down to the leaf, each after a dot. A statement of an IAM
    policy is a leaf, and its path contains its Sid instead of its position.

    Args:
        node: the properties, or a part of them.
        path: the path of `node`; empty for the properties themselves.
    """
    if isinstance(node, dict) and "Sid" in node:
        yield f"{path.rpartition('.')[0]}.{node['Sid']}", node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from values(value, f"{path}.{key}")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from values(value, f"{path}.{place}")
    else:
        yield path, node


def flat(stack: Stack) -> dict[str, Any]:
    return {
        f"{name}{path}": value
        for name, resource in stack.resources.items()
        for path, value in values(resource.get("Properties", {}))
    }


def changes(**given: str) -> dict[str, Any]:
    """Return the property values of a stack that differ from those of the stack with default parameters.

    Args:
        given: the parameters of the stack.

    Returns:
        The values by path, as `values` yields them; None for a property that only the default stack has.
    """
    before, after = flat(Stack()), flat(Stack(**given))
    return {path: after.get(path) for path in before | after if before.get(path) != after.get(path)}


def test_by_default_the_stack_has_no_key_no_vpc_and_no_boundary(stack: Stack) -> None:
    text = json.dumps([resource.get("Properties") for resource in stack.resources.values()])
    for absent in ("VpcConfig", "PermissionsBoundary", "KmsKeyId", "kms:", "ec2:", "AWS::NoValue"):
        assert absent not in text
    for queue in QUEUES:
        assert "KmsMasterKeyId" not in stack.properties(queue, "AWS::SQS::Queue")


def test_a_key_encrypts_queues_topics_and_log_groups_and_the_roles_may_use_it() -> None:
    assert changes(KmsKeyArn=KEY) == {
        **{f"{queue}.SqsManagedSseEnabled": None for queue in QUEUES},
        **{f"{name}.KmsMasterKeyId": KEY for name in QUEUES + TOPICS},
        **{f"{group}.KmsKeyId": KEY for group in LOG_GROUPS},
        **{f"{role}.Policies.0.PolicyDocument.Statement.UseKey": USE_KEY for role in ROLES},
    }


def test_existing_topics_keep_their_own_encryption() -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:started.fifo"
    stack = Stack(KmsKeyArn=KEY, StartedTopicArn=topic)
    assert stack.of_type("AWS::SNS::Topic").keys() == {"HeartbeatTopic", "CompletedTopic"}


@pytest.mark.parametrize(
    ("given", "rejection"),
    [
        ({}, None),
        (IN_VPC, None),
        ({"SubnetIds": "subnet-0a,subnet-0b"}, "SubnetIds requires SecurityGroupIds"),
        ({"SecurityGroupIds": "sg-0c"}, "SecurityGroupIds requires SubnetIds"),
    ],
)
def test_subnets_and_security_groups_are_only_accepted_together(
    given: dict[str, str], rejection: str | None
) -> None:
    found = [text.partition(",")[0] for text in Stack(**given).rejections()]
    assert found == ([rejection] if rejection else [])


def test_in_a_vpc_both_functions_are_connected_and_their_roles_may_create_network_interfaces() -> None:
    found = changes(**IN_VPC)
    statements = {
        role: found.pop(f"{role}.Policies.0.PolicyDocument.Statement.ConnectToVpc") for role in ROLES
    }
    assert found == {
        f"{function}.VpcConfig.{path}": value
        for function in FUNCTIONS
        for path, value in (
            ("SubnetIds.0", "subnet-0a"),
            ("SubnetIds.1", "subnet-0b"),
            ("SecurityGroupIds.0", "sg-0c"),
        )
    }
    for statement in statements.values():
        assert (statement["Action"], statement["Resource"]) == (CONNECT, "*")


def test_a_permissions_boundary_applies_to_every_role_of_the_translated_stack() -> None:
    assert changes(PermissionsBoundaryArn=BOUNDARY) == {
        f"{role}.PermissionsBoundary": BOUNDARY for role in (*ROLES, "DeploymentRole")
    }
    roles = Stack(PermissionsBoundaryArn=BOUNDARY).of_type("AWS::IAM::Role")
    assert roles.keys() == {*ROLES, "DeploymentRole"}, "SAM creates a role without a boundary"


@pytest.mark.parametrize(
    ("parameter", "accepted", "rejected"),
    [
        ("KmsKeyArn", KEY, "arn:aws:kms:eu-west-1:111122223333:alias/mine"),
        ("SubnetIds", "subnet-0123abcd", "vpc-0123abcd"),
        ("SecurityGroupIds", "sg-0123abcd", "subnet-0123abcd"),
        ("PermissionsBoundaryArn", BOUNDARY, "arn:aws:iam::111122223333:role/boundary"),
    ],
)
def test_a_parameter_accepts_only_ids_of_its_kind(parameter: str, accepted: str, rejected: str) -> None:
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert TEMPLATE["Parameters"][parameter]["Default"] == ""
    assert all(re.fullmatch(pattern, value) for value in (accepted, ""))
    assert not re.fullmatch(pattern, rejected)


def test_the_key_policy_in_the_documentation_allows_sns_and_the_logs_of_this_stack_only() -> None:
    (policy,) = [
        json.loads(block)
        for block in re.findall(r"```json\n(.*?)```", OPERATING, re.DOTALL)
        if "kms:" in block
    ]
    sns, logs = policy
    assert sns["Principal"] == {"Service": "sns.amazonaws.com"}
    assert sns["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert sns["Condition"] == {"ArnEquals": {"aws:SourceArn": "REQUEST_TOPIC_ARN"}}
    (pattern,) = logs["Condition"]["ArnLike"].values()
    stack = Stack()
    for group in LOG_GROUPS:
        name = stack.properties(group, "AWS::Logs::LogGroup")["LogGroupName"].replace("worker", "STACK")
        arn = f"arn:aws:logs:REGION:ACCOUNT:log-group:{name}"
        assert re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), arn)
