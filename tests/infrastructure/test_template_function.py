"""The worker function in template.yaml has the right settings, event source mapping and permissions."""

import pytest

from tests.infrastructure.stack import TEMPLATE, Properties, Stack

QUEUE_ARN = {"Fn::GetAtt": ["RequestQueue", "Arn"]}


def test_the_function_runs_the_handler_on_python_3_13(function: Properties) -> None:
    assert function["Runtime"] == "python3.13"
    assert function["Handler"] == "metrics_worker.handler.lambda_handler"


def test_the_function_has_active_tracing(function: Properties) -> None:
    assert function["TracingConfig"] == {"Mode": "Active"}


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_function_and_layer_have_the_same_architecture(architecture: str) -> None:
    stack = Stack(Architecture=architecture)
    function = stack.properties("MetricsWorkerFunction", "AWS::Lambda::Function")
    ((layer, properties),) = stack.of_type("AWS::Lambda::LayerVersion").items()
    assert function["Architectures"] == [architecture]
    assert function["Layers"] == [{"Ref": layer}]
    assert properties["CompatibleArchitectures"] == [architecture]
    assert properties["CompatibleRuntimes"] == ["python3.13"]


@pytest.mark.parametrize("name", ["MetricsWorkerFunction", "DeadLetterFunction", "PyArrowLayer"])
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_the_build_runs_in_the_folder_of_the_architecture(name: str, architecture: str) -> None:
    metadata = TEMPLATE["Resources"][name]["Metadata"]
    assert metadata["BuildMethod"] == "makefile"
    folder = Stack(Architecture=architecture).value(metadata["WorkingDirectory"])
    assert folder == f"layers/platform/{architecture}"


def test_the_function_has_its_own_log_group_with_limited_retention(
    stack: Stack, function: Properties
) -> None:
    assert function["LoggingConfig"] == {
        "LogFormat": "Text",
        "LogGroup": {"Ref": "WorkerLogGroup"},
    }
    assert stack.properties("WorkerLogGroup", "AWS::Logs::LogGroup")["RetentionInDays"] == "30"


@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])
def test_the_log_level_is_set_only_for_powertools(level: str) -> None:
    function = Stack(LogLevel=level).properties("MetricsWorkerFunction", "AWS::Lambda::Function")
    assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == level
    assert "ApplicationLogLevel" not in function["LoggingConfig"], (
        "Lambda's log level would drop metrics or show secrets of botocore"
    )


def test_the_event_source_mapping_accepts_partial_batch_failures(mapping: Properties) -> None:
    assert mapping["EventSourceArn"] == QUEUE_ARN
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_batch_size_and_concurrency_are_limited(mapping: Properties) -> None:
    assert mapping["BatchSize"] == "10"
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": "10"}


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_a_parameter_enables_the_event_source_mapping(enabled: str) -> None:
    stack = Stack(QueueEnabled=enabled)
    mapping = stack.properties("MetricsWorkerFunctionRequests", "AWS::Lambda::EventSourceMapping")
    function = stack.properties("MetricsWorkerFunction", "AWS::Lambda::Function")
    assert mapping["Enabled"] == enabled
    assert function["Environment"]["Variables"]["AWS_SQS_RUN_REQUEST_QUEUE_ENABLED"] == enabled


def test_the_role_has_exactly_these_permissions(stack: Stack) -> None:
    bucket = "arn:aws:s3:::data-bucket"
    queue, log = [QUEUE_ARN], [{"Fn::GetAtt": ["WorkerLogGroup", "Arn"]}]
    assert stack.permissions() == {
        "s3:GetObject": [f"{bucket}/datasets/*", f"{bucket}/metrics/*"],
        "s3:PutObject": [f"{bucket}/metrics/*"],
        "s3:ListBucket": [bucket],
        "sns:Publish": [{"Ref": topic} for topic in ("StartedTopic", "HeartbeatTopic", "CompletedTopic")],
        "sqs:ReceiveMessage": queue,
        "sqs:DeleteMessage": queue,
        "sqs:ChangeMessageVisibility": queue,
        "sqs:GetQueueAttributes": queue,
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTraceSegments": ["*"],
        "xray:PutTelemetryRecords": ["*"],
    }


def test_the_permissions_depend_on_the_given_prefixes() -> None:
    stack = Stack(DatasetsPrefix="in/", MetricsPrefix="out/deep/")
    assert stack.permissions()["s3:GetObject"] == [
        f"arn:aws:s3:::data-bucket/{p}*" for p in ("in/", "out/deep/")
    ]
    assert stack.permissions()["s3:PutObject"] == ["arn:aws:s3:::data-bucket/out/deep/*"]


def test_only_lambda_can_assume_the_roles_of_the_functions_and_no_role_has_managed_policies(
    stack: Stack,
) -> None:
    roles = stack.of_type("AWS::IAM::Role")
    taken = [
        function["Role"]["Fn::GetAtt"][0] for function in stack.of_type("AWS::Lambda::Function").values()
    ]
    assert sorted([*taken, "DeploymentRole"]) == sorted(roles)
    for name, role in roles.items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        service = "lambda" if name in taken else "codedeploy"
        assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
        assert "ManagedPolicyArns" not in role
