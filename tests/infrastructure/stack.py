"""template.yaml as CloudFormation gets it: translated by SAM, then evaluated for some parameters."""

import os
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

type Properties = dict[str, Any]

ROOT = Path(__file__).parents[2]
TEMPLATE: Properties = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
BUCKET = "data-bucket"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "111122223333",
    "AWS::StackName": "worker",
}


def parameters(**given: object) -> dict[str, str]:
    """The template's defaults, and what is given; all strings, as CloudFormation has them."""
    defaults = {name: p["Default"] for name, p in TEMPLATE["Parameters"].items() if "Default" in p}
    return {name: str(value) for name, value in (defaults | {"DataBucketName": BUCKET} | given).items()}


def overrides(config: str) -> dict[str, str]:
    """The parameters that one of samconfig.toml's environments gives."""
    return dict(
        pair.split("=", 1) for pair in SAMCONFIG[config]["global"]["parameters"]["parameter_overrides"]
    )


class Stack:
    """What would be deployed: resources whose condition holds, with parameters, conditions and Sub filled in.

    References to resources stay as they are: {"Ref": name}, {"Fn::GetAtt": [name, attribute]}.
    """

    def __init__(self, **given: object) -> None:
        self.parameters = parameters(**given)
        packaged = deepcopy(TEMPLATE)
        for name in ("MetricsWorkerFunction", "DeadLetterFunction"):
            packaged["Resources"][name]["Properties"]["CodeUri"] = "s3://built/function"
        packaged["Resources"]["PyArrowLayer"]["Properties"]["ContentUri"] = "s3://built/layer"
        with patch.dict(os.environ, AWS_DEFAULT_REGION=PSEUDO["AWS::Region"]):
            # The managed policies are what it would ask AWS for; the template names none.
            translated = Translator({}, Parser()).translate(packaged, dict(self.parameters))
        self.conditions = translated["Conditions"]
        self.resources = {
            name: self.value(resource)
            for name, resource in translated["Resources"].items()
            if self.holds(resource.get("Condition"))
        }
        self.outputs = {name: self.value(output["Value"]) for name, output in translated["Outputs"].items()}

    def holds(self, condition: str | Properties | None) -> bool:
        """Whether a condition, by name or written out, is true."""
        if condition is None:
            return True
        if isinstance(condition, str):
            return self.holds(self.conditions[condition])
        ((function, arguments),) = condition.items()
        if function == "Fn::Not":
            return not self.holds(arguments[0])
        assert function == "Fn::Equals", function
        left, right = (self.value(argument) for argument in arguments)
        return bool(left == right)

    def value(self, node: Any) -> Any:
        """A part of the template with everything known filled in."""
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        if set(node) == {"Ref"}:
            return (self.parameters | PSEUDO).get(node["Ref"], node)
        if set(node) == {"Fn::If"}:
            condition, then, otherwise = node["Fn::If"]
            return self.value(then if self.holds(condition) else otherwise)
        if set(node) == {"Fn::Sub"}:
            return re.sub(r"\$\{([^}]+)\}", lambda m: (self.parameters | PSEUDO)[m[1]], node["Fn::Sub"])
        return {key: self.value(item) for key, item in node.items()}

    def properties(self, name: str, kind: str) -> Properties:
        """A resource's properties; it must be there and of that type."""
        return self.of_type(kind)[name]

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Name and properties of each resource of a type."""
        return {n: r.get("Properties", {}) for n, r in self.resources.items() if r["Type"] == kind}

    def permissions(self, function: str = "MetricsWorkerFunction") -> dict[str, list[Any]]:
        """Action -> resources, of a function's role."""
        role, _ = self.properties(function, "AWS::Lambda::Function")["Role"]["Fn::GetAtt"]
        (policy,) = self.properties(role, "AWS::IAM::Role")["Policies"]
        granted: dict[str, list[Any]] = {}
        for statement in policy["PolicyDocument"]["Statement"]:
            assert set(statement) <= {"Sid", "Effect", "Action", "Resource"}, "nothing is conditional"
            assert statement["Effect"] == "Allow"
            for action in _listed(statement["Action"]):
                assert action not in granted, f"{action} is granted twice"
                granted[action] = _listed(statement["Resource"])
        return granted


def _listed(value: Any) -> list[Any]:
    """IAM takes one or a list of them."""
    return value if isinstance(value, list) else [value]
