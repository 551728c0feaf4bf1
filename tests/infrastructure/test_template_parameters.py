"""The parameters of template.yaml, their values in samconfig.toml and the worker's settings agree."""

import re
from typing import Any, get_args

import pytest

from metrics_worker.settings import Codec, Settings
from tests.infrastructure.stack import SAMCONFIG, TEMPLATE, Properties, Stack, overrides, parameters

SETTINGS = {field.alias for field in Settings.model_fields.values()}
# The template does not set these variables. Lambda sets the region, and rejects a function that sets it. The
# endpoint is only for a local server. AWS_SNS_EVENTS_TOPIC_ARN, one topic for all events, is an alternative
# to the variables of three topics, which the template sets.
OF_LIBRARIES = ("POWERTOOLS_", "MALLOC_")
BY_LAMBDA = {"AWS_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"}
NOT_DEPLOYED = BY_LAMBDA | {"AWS_ENDPOINT_URL", "AWS_SNS_EVENTS_TOPIC_ARN", "WORKER_MAX_MEMORY_MB"}


def test_the_template_sets_every_setting_of_a_deployment(variables: Properties) -> None:
    given = {name for name in variables if not name.startswith(OF_LIBRARIES)}
    assert given == SETTINGS - NOT_DEPLOYED


def test_the_template_sets_the_variables_of_powertools(variables: Properties) -> None:
    assert {name: variables[name] for name in variables if name.startswith("POWERTOOLS_")} == {
        "POWERTOOLS_SERVICE_NAME": "metrics-worker",
        "POWERTOOLS_METRICS_NAMESPACE": "MetricsWorker",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


@pytest.mark.parametrize("given", [{}, *map(overrides, sorted(SAMCONFIG.keys() - {"version"}))])
def test_the_worker_accepts_the_variables_of_the_template(given: dict[str, str]) -> None:
    function = Stack(**given).properties("MetricsWorkerFunction", "AWS::Lambda::Function")
    deployed: dict[str, Any] = {
        name: value if isinstance(value, str) else f"https://made.by.cloudformation/{value['Ref']}"
        for name, value in function["Environment"]["Variables"].items()
        if not name.startswith("POWERTOOLS_")
    }
    settings = Settings(_env_file=None, **deployed)
    assert settings.visibility_timeout_seconds == 1800
    assert (settings.datasets_prefix, settings.metrics_prefix) == ("datasets/", "metrics/")


def test_the_defaults_of_the_template_equal_those_of_the_worker(variables: Properties) -> None:
    for field in Settings.model_fields.values():
        if field.alias in variables and not field.is_required() and isinstance(variables[field.alias], str):
            assert type(field.default)(_plain(variables[field.alias])) == field.default, field.alias


def _plain(text: str) -> str | bool:
    """Return True for the text "true", False for "false", and any other text unchanged.

    Args:
        text: the value of an environment variable in the template.
    """
    return {"true": True, "false": False}.get(text, text)


def test_the_template_allows_exactly_the_values_that_the_worker_accepts() -> None:
    offered = {name: set(p.get("AllowedValues", ())) for name, p in TEMPLATE["Parameters"].items()}
    assert offered["OutputCompression"] == set(get_args(Codec.__value__))
    assert offered["SeriesFiles"] == set(get_args(Settings.model_fields["series_files"].annotation))
    assert offered["Shrink"] == set(get_args(Settings.model_fields["shrink"].annotation))
    assert offered["Snapshots"] == set(get_args(Settings.model_fields["snapshots"].annotation))


def test_the_description_of_series_files_names_the_mode_for_incremental_ingestors() -> None:
    described = TEMPLATE["Parameters"]["SeriesFiles"]["Description"]
    assert (
        '"listing" lists the folder of the series under projectionsPath. An incremental ingestor' in described
    )


def test_every_parameter_has_a_description_a_constraint_and_a_group() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name


def test_every_parameter_except_the_bucket_has_a_default() -> None:
    assert [name for name, p in TEMPLATE["Parameters"].items() if "Default" not in p] == ["DataBucketName"]


def test_the_outputs_contain_the_resources_that_others_connect_to(stack: Stack) -> None:
    assert set(stack.outputs) >= {
        "RequestQueueUrl",
        "RequestQueueArn",
        "DeadLetterQueueUrl",
        "DeadLetterQueueArn",
        "StartedTopicArn",
        "HeartbeatTopicArn",
        "CompletedTopicArn",
        "FunctionArn",
        "LayerArn",
    }


def test_samconfig_makes_command_line_options_unnecessary() -> None:
    for name in ("default", "dev", "prod"):
        deploy = SAMCONFIG[name]["global"]["parameters"] | SAMCONFIG[name]["deploy"]["parameters"]
        assert {"stack_name", "region", "capabilities", "parameter_overrides"} <= set(deploy)
        assert deploy["resolve_s3"] is True
    assert SAMCONFIG["default"] == SAMCONFIG["dev"]


@pytest.mark.parametrize("config", ["dev", "prod"])
def test_samconfig_sets_only_existing_parameters_to_allowed_values(config: str) -> None:
    for name, value in overrides(config).items():
        parameter = TEMPLATE["Parameters"][name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value)
        assert value in map(str, parameter.get("AllowedValues", [value]))
        if "MinValue" in parameter:
            assert parameter["MinValue"] <= int(value) <= parameter["MaxValue"]
    assert set(parameters(**overrides(config))) == set(TEMPLATE["Parameters"])
