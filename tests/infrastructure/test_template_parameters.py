"""The template's parameters, samconfig.toml's values for them, and the worker's settings that they become."""

import re
from typing import Any, get_args

import pytest

from metrics_worker.settings import Codec, Settings
from tests.infrastructure.stack import SAMCONFIG, TEMPLATE, Properties, Stack, overrides, parameters

SETTINGS = {field.alias for field in Settings.model_fields.values()}
# Lambda sets the region and refuses a function that does; an endpoint is for a local server; one topic for
# all events stands in the place of the three, and they are given.
OF_LIBRARIES = ("POWERTOOLS_", "MALLOC_")
BY_LAMBDA = {"AWS_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"}
NOT_DEPLOYED = BY_LAMBDA | {"AWS_ENDPOINT_URL", "AWS_SNS_EVENTS_TOPIC_ARN", "WORKER_MAX_MEMORY_MB"}


def test_every_setting_is_given_by_its_name(variables: Properties) -> None:
    given = {name for name in variables if not name.startswith(OF_LIBRARIES)}
    assert given == SETTINGS - NOT_DEPLOYED


def test_powertools_names_stand_beside_them(variables: Properties) -> None:
    assert {name: variables[name] for name in variables if name.startswith("POWERTOOLS_")} == {
        "POWERTOOLS_SERVICE_NAME": "metrics-worker",
        "POWERTOOLS_METRICS_NAMESPACE": "MetricsWorker",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


@pytest.mark.parametrize("given", [{}, *map(overrides, sorted(SAMCONFIG.keys() - {"version"}))])
def test_the_worker_accepts_its_settings(given: dict[str, str]) -> None:
    function = Stack(**given).properties("MetricsWorkerFunction", "AWS::Lambda::Function")
    deployed: dict[str, Any] = {
        name: value if isinstance(value, str) else f"https://made.by.cloudformation/{value['Ref']}"
        for name, value in function["Environment"]["Variables"].items()
        if not name.startswith("POWERTOOLS_")
    }
    settings = Settings(_env_file=None, **deployed)
    assert settings.visibility_timeout_seconds == 1800
    assert (settings.datasets_prefix, settings.metrics_prefix) == ("datasets/", "metrics/")


def test_defaults_are_the_workers_own(variables: Properties) -> None:
    for field in Settings.model_fields.values():
        if field.alias in variables and not field.is_required() and isinstance(variables[field.alias], str):
            assert type(field.default)(_plain(variables[field.alias])) == field.default, field.alias


def _plain(text: str) -> str | bool:
    """A variable's text as pydantic reads it, so far as the defaults go."""
    return {"true": True, "false": False}.get(text, text)


def test_what_the_template_offers_the_worker_takes() -> None:
    offered = {name: set(p.get("AllowedValues", ())) for name, p in TEMPLATE["Parameters"].items()}
    assert offered["OutputCompression"] == set(get_args(Codec.__value__))
    assert offered["SeriesFiles"] == set(get_args(Settings.model_fields["series_files"].annotation))
    assert offered["Shrink"] == set(get_args(Settings.model_fields["shrink"].annotation))


def test_the_parameter_says_which_mode_an_incremental_ingestor_needs() -> None:
    described = TEMPLATE["Parameters"]["SeriesFiles"]["Description"]
    assert (
        '"listing" lists the folder of the series under projectionsPath. An incremental ingestor' in described
    )


def test_every_parameter_is_described_bounded_and_in_a_group() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name


def test_every_parameter_but_the_bucket_has_a_default() -> None:
    assert [name for name, p in TEMPLATE["Parameters"].items() if "Default" not in p] == ["DataBucketName"]


def test_outputs_name_what_others_connect_to(stack: Stack) -> None:
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


def test_samconfig_needs_no_flags() -> None:
    for name in ("default", "dev", "prod"):
        deploy = SAMCONFIG[name]["global"]["parameters"] | SAMCONFIG[name]["deploy"]["parameters"]
        assert {"stack_name", "region", "capabilities", "parameter_overrides"} <= set(deploy)
        assert deploy["resolve_s3"] is True
    assert SAMCONFIG["default"] == SAMCONFIG["dev"]


@pytest.mark.parametrize("config", ["dev", "prod"])
def test_samconfig_gives_parameters_that_exist_and_may_have_the_value(config: str) -> None:
    for name, value in overrides(config).items():
        parameter = TEMPLATE["Parameters"][name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value)
        assert value in map(str, parameter.get("AllowedValues", [value]))
        if "MinValue" in parameter:
            assert parameter["MinValue"] <= int(value) <= parameter["MaxValue"]
    assert set(parameters(**overrides(config))) == set(TEMPLATE["Parameters"])
