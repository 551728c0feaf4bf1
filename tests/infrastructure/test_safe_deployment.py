"""A changed build is published as a new version, the alias shifts to it, and alarms can undo the shift.

The version and the alias are those of the Lambda function.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metrics_worker.observability.telemetry import DEFECTS
from tests.infrastructure.published import of_alarm
from tests.infrastructure.stack import (
    ROOT,
    SAMCONFIG,
    TEMPLATE,
    Properties,
    Stack,
    overrides,
    packaged,
    parameters,
    translated,
)

WORKER = "MetricsWorkerFunction"
ALIAS = f"{WORKER}Aliaslive"
VERSION = "AWS::Lambda::Version"
type Change = Callable[[Properties], None]


def version_of(template: Properties, **given: object) -> str:
    """Return the logical id of the Lambda version of the worker in a translated template.

    CloudFormation publishes a new version whenever this logical id changes.

    Args:
        template: the template before the translation.
        given: the parameter values.
    """
    resources = translated(template, **parameters(**given))["Resources"]
    (name,) = [name for name, resource in resources.items() if resource["Type"] == VERSION]
    return str(name)


def worker(template: Properties) -> Any:
    return template["Resources"][WORKER]["Properties"]


def variables(template: Properties) -> Any:
    return worker(template)["Environment"]["Variables"]


CHANGES: dict[str, Change] = {
    "memory": lambda template: worker(template).update(MemorySize=2048),
    "timeout": lambda template: worker(template).update(Timeout=600),
    "runtime": lambda template: worker(template).update(Runtime="python3.14"),
    "log format": lambda template: worker(template)["LoggingConfig"].update(LogFormat="JSON"),
    "a variable": lambda template: worker(template)["Environment"]["Variables"].update(
        OUTPUT_COMPRESSION="zstd"
    ),
    "a new variable": lambda template: worker(template)["Environment"]["Variables"].update(NEW="1"),
    "the layer's content": lambda template: template["Resources"]["PyArrowLayer"]["Properties"].update(
        ContentUri="s3://built/another-layer"
    ),
    "the code": lambda template: worker(template).update(CodeUri="s3://built/another-function"),
}


def test_no_version_is_published_without_a_change() -> None:
    assert version_of(packaged()) == version_of(packaged())


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_function_its_code_or_its_layer_publishes_a_version(
    change: str,
) -> None:
    template = packaged()
    CHANGES[change](template)
    assert version_of(template) != version_of(packaged())


def test_a_change_of_another_resource_publishes_no_version() -> None:
    template = packaged()
    template["Resources"]["RequestQueue"]["Properties"]["DelaySeconds"] = 5
    template["Resources"]["DeadLetterFunction"]["Properties"]["CodeUri"] = "s3://built/another-function"
    assert version_of(template) == version_of(packaged())


def test_sam_publishes_no_version_for_a_parameter_value_so_the_code_contains_a_hash_of_them() -> None:
    assert version_of(packaged(), MemorySize=3538) == version_of(packaged()), (
        "SAM now detects changed parameter values: src/Makefile no longer needs to write samconfig.sha256"
    )


@pytest.fixture
def settings_of_a_build(tmp_path: Path) -> Callable[[str], str]:
    """Return `settings_of_a_build(samconfig)`, which hashes a samconfig.toml as src/Makefile does.

    `samconfig` is the text of the file, and the result is its SHA-256 in hexadecimal digits. The build adds
    the hash to the package, so that changed settings also publish a new version.
    """
    recipe = (ROOT / "src" / "Makefile").read_text(encoding="utf-8")
    (program,) = [line.partition(":= ")[2] for line in recipe.splitlines() if line.startswith("SETTINGS :=")]
    assert "-c '$(SETTINGS)' $(HERE)../samconfig.toml > $(ARTIFACTS_DIR)/samconfig.sha256" in recipe

    def build(samconfig: str) -> str:
        file = tmp_path / "samconfig.toml"
        file.write_text(samconfig, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "-I", "-c", program, str(file)], capture_output=True, text=True, check=True
        )
        return run.stdout

    return build


def test_the_code_changes_if_and_only_if_samconfig_changes(settings_of_a_build: Any) -> None:
    samconfig = (ROOT / "samconfig.toml").read_text(encoding="utf-8")
    changed = samconfig.replace("MaximumConcurrency=20", "MaximumConcurrency=30")
    assert changed != samconfig
    assert settings_of_a_build(samconfig) == settings_of_a_build(samconfig)
    assert settings_of_a_build(samconfig) != settings_of_a_build(changed)
    assert len(settings_of_a_build(samconfig).strip()) == 64


def test_the_queue_invokes_the_alias_and_not_the_newest_code(mapping: Properties) -> None:
    assert mapping["FunctionName"] == {"Ref": ALIAS}


def test_the_alias_points_to_the_published_version(stack: Stack) -> None:
    alias = stack.properties(ALIAS, "AWS::Lambda::Alias")
    (version,) = stack.of_type(VERSION)
    assert alias["Name"] == "live"
    assert alias["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}
    assert stack.resources[version]["DeletionPolicy"] == "Retain", "a rollback needs the earlier version"


def test_the_dead_letter_function_has_no_alias(stack: Stack) -> None:
    assert [*stack.of_type("AWS::Lambda::Alias")] == [ALIAS]
    dead_letters = stack.properties("DeadLetterFunctionDeadLetters", "AWS::Lambda::EventSourceMapping")
    assert dead_letters["FunctionName"] == {"Ref": "DeadLetterFunction"}


@pytest.mark.parametrize("kind", TEMPLATE["Parameters"]["DeploymentType"]["AllowedValues"])
def test_traffic_shifts_to_a_new_version_as_the_parameter_defines(kind: str) -> None:
    stack = Stack(DeploymentType=kind)
    group = stack.properties(f"{WORKER}DeploymentGroup", "AWS::CodeDeploy::DeploymentGroup")
    assert group["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{kind}"
    policy = stack.resources[ALIAS]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert policy["DeploymentGroupName"] == {"Ref": f"{WORKER}DeploymentGroup"}


def test_dev_deploys_all_at_once_and_prod_deploys_with_a_canary() -> None:
    kinds = {name: parameters(**overrides(name))["DeploymentType"] for name in SAMCONFIG.keys() - {"version"}}
    assert kinds == {"default": "AllAtOnce", "dev": "AllAtOnce", "prod": "Canary10Percent10Minutes"}


def test_a_rollback_alarm_rolls_a_deployment_back(stack: Stack) -> None:
    group = stack.properties(f"{WORKER}DeploymentGroup", "AWS::CodeDeploy::DeploymentGroup")
    assert group["AlarmConfiguration"] == {
        "Enabled": True,
        "Alarms": [{"Name": {"Ref": "VersionErrorsAlarm"}}, {"Name": {"Ref": "VersionDefectsAlarm"}}],
    }
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


@pytest.mark.parametrize("name", ["VersionErrorsAlarm", "VersionDefectsAlarm"])
def test_a_rollback_alarm_watches_only_the_new_version(stack: Stack, name: str) -> None:
    (version,) = stack.of_type(VERSION)
    (((_, _, dimensions), statistic, period),) = of_alarm(stack.properties(name, "AWS::CloudWatch::Alarm"))
    watched: Properties = {**dimensions}
    which = "ExecutedVersion" if name == "VersionErrorsAlarm" else "function_version"
    assert watched[which] == {"Fn::GetAtt": [version, "Version"]}
    assert (statistic, period) == ("Sum", 60), "a canary lasts only a few minutes"


def test_the_version_errors_alarm_watches_the_alias(stack: Stack) -> None:
    alarm = stack.properties("VersionErrorsAlarm", "AWS::CloudWatch::Alarm")
    dimensions: Properties = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert dimensions["FunctionName"] == {"Ref": WORKER}
    assert dimensions["Resource"] == f"${{{WORKER}}}:live"


def test_failures_caused_by_requests_do_not_roll_a_deployment_back() -> None:
    assert not {"INPUT_READ_ERROR", "EXPRESSION_EVAL_ERROR", "CONFIG_ERROR"} & set(DEFECTS)


def test_codedeploy_may_only_move_this_alias_and_read_alarms(stack: Stack) -> None:
    group = stack.properties(f"{WORKER}DeploymentGroup", "AWS::CodeDeploy::DeploymentGroup")
    assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}
    functions = [{"Fn::GetAtt": [WORKER, "Arn"]}, f"${{{WORKER}.Arn}}:*"]
    assert stack.granted("DeploymentRole") == {
        "lambda:GetAlias": functions,
        "lambda:UpdateAlias": functions,
        "lambda:GetProvisionedConcurrencyConfig": functions,
        "cloudwatch:DescribeAlarms": ["*"],
    }


def test_a_deployment_needs_only_the_capability_for_unnamed_roles(stack: Stack) -> None:
    assert not [role for role in stack.of_type("AWS::IAM::Role").values() if "RoleName" in role]
    for name in SAMCONFIG.keys() - {"version"}:
        assert SAMCONFIG[name]["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_snapstart_can_be_enabled_for_either_architecture(architecture: str) -> None:
    kinds = TEMPLATE["Parameters"]["SnapStart"]["AllowedValues"]
    assert kinds == ["None", "PublishedVersions"]
    for kind in kinds:
        function = Stack(SnapStart=kind, Architecture=architecture).properties(
            WORKER, "AWS::Lambda::Function"
        )
        assert function["SnapStart"] == {"ApplyOn": kind}
        assert "EphemeralStorage" not in function, "SnapStart supports only the default size of 512 MB"
    assert parameters()["SnapStart"] == "None"
