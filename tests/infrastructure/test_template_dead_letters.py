"""The dead-letter function in template.yaml has the right settings, queue and role."""

from typing import Any

import pytest

from metrics_worker import dead_letter_handler as dead_letters
from metrics_worker.settings import Settings
from tests.infrastructure.stack import Properties, Stack

NAME = "DeadLetterFunction"
QUEUE = "DeadLetterQueue"
QUEUE_ARN = {"Fn::GetAtt": [QUEUE, "Arn"]}


@pytest.fixture
def function(stack: Stack) -> Properties:
    return stack.properties(NAME, "AWS::Lambda::Function")


@pytest.fixture
def mapping(stack: Stack) -> Properties:
    return stack.properties("DeadLetterFunctionDeadLetters", "AWS::Lambda::EventSourceMapping")


def test_the_function_has_little_memory_active_tracing_and_no_layer(function: Properties) -> None:
    assert function["Handler"] == f"{dead_letters.__name__}.{dead_letters.lambda_handler.__name__}"
    assert function["Runtime"] == "python3.13"
    assert function["MemorySize"] == 256
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert "Layers" not in function


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_the_function_has_the_architecture_of_the_worker(architecture: str) -> None:
    function = Stack(Architecture=architecture).properties(NAME, "AWS::Lambda::Function")
    assert function["Architectures"] == [architecture]


def test_the_function_reads_the_dead_letter_queue_and_reports_failures_by_message(
    mapping: Properties,
) -> None:
    assert mapping["EventSourceArn"] == QUEUE_ARN
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert "Enabled" not in mapping, "the function is enabled even if the worker receives no requests"


def test_the_visibility_timeout_is_six_times_the_timeout_of_the_function(
    stack: Stack, function: Properties
) -> None:
    assert stack.properties(QUEUE, "AWS::SQS::Queue")["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_the_function_has_its_own_log_group_with_limited_retention(
    stack: Stack, function: Properties
) -> None:
    assert function["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": {"Ref": "DeadLetterLogGroup"}}
    assert stack.properties("DeadLetterLogGroup", "AWS::Logs::LogGroup")["RetentionInDays"] == "30"


def test_the_settings_are_complete_and_name_only_the_completed_topic() -> None:
    stack = Stack(MetricsPrefix="out/", DatasetsPrefix="in/", MaxReceiveCount=9)
    variables = stack.properties(NAME, "AWS::Lambda::Function")["Environment"]["Variables"]
    given: dict[str, Any] = {
        name: value if isinstance(value, str) else f"https://made.by.cloudformation/{value['Ref']}"
        for name, value in variables.items()
        if not name.startswith("POWERTOOLS_")
    }
    assert set(given) <= {field.alias for field in Settings.model_fields.values()}
    settings = Settings.model_validate(given)
    assert settings.events_topic_arn == "https://made.by.cloudformation/CompletedTopic"
    assert settings.request_queue_url == f"https://made.by.cloudformation/{QUEUE}"
    assert (settings.metrics_prefix, settings.datasets_prefix) == ("out/", "in/")
    assert settings.max_receive_count == 9


def test_the_role_has_exactly_these_permissions(stack: Stack) -> None:
    bucket = "arn:aws:s3:::data-bucket"
    queue, log = [QUEUE_ARN], [{"Fn::GetAtt": ["DeadLetterLogGroup", "Arn"]}]
    assert stack.permissions(NAME) == {
        "s3:GetObject": [f"{bucket}/metrics/*"],
        "s3:PutObject": [f"{bucket}/metrics/*/current/manifest.json", f"{bucket}/metrics/_dead-letters/*"],
        "s3:ListBucket": [bucket],
        "sns:Publish": [{"Ref": "CompletedTopic"}],
        "sqs:ReceiveMessage": queue,
        "sqs:DeleteMessage": queue,
        "sqs:ChangeMessageVisibility": queue,
        "sqs:GetQueueAttributes": queue,
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTraceSegments": ["*"],
        "xray:PutTelemetryRecords": ["*"],
    }


def test_the_permissions_depend_on_the_given_prefix_and_topic() -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:completed"
    stack = Stack(MetricsPrefix="out/deep/", CompletedTopicArn=topic)
    granted = stack.permissions(NAME)
    assert granted["s3:GetObject"] == ["arn:aws:s3:::data-bucket/out/deep/*"]
    assert all(arn.startswith("arn:aws:s3:::data-bucket/out/deep/") for arn in granted["s3:PutObject"])
    assert granted["sns:Publish"] == [topic]
    variables = stack.properties(NAME, "AWS::Lambda::Function")["Environment"]["Variables"]
    assert variables["AWS_SNS_EVENTS_TOPIC_ARN"] == topic
