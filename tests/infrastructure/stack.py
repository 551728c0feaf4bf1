"""template.yaml as CloudFormation gets it: translated by SAM, then evaluated for some parameters.

And monitoring.yaml, with the parameters that template.yaml gives to it.
"""

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
MONITORING: Properties = yaml_parse((ROOT / "monitoring.yaml").read_text(encoding="utf-8"))
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


def translated(template: Properties, **given: str) -> Properties:
    """What SAM makes of a template whose code is in S3."""
    with patch.dict(os.environ, AWS_DEFAULT_REGION=PSEUDO["AWS::Region"]):
        # The managed policies are what it would ask AWS for; the template names none.
        document: Properties = Translator({}, Parser()).translate(template, dict(given))
    return document


def packaged(code: str = "s3://built/function", layer: str = "s3://built/layer") -> Properties:
    """The template as `sam deploy` sends it: what was built is in S3."""
    template = deepcopy(TEMPLATE)
    for name in ("MetricsWorkerFunction", "DeadLetterFunction"):
        template["Resources"][name]["Properties"]["CodeUri"] = code
    template["Resources"]["PyArrowLayer"]["Properties"]["ContentUri"] = layer
    return template


class Resolved:
    """What would be deployed: resources whose condition holds, with all that is known filled in.

    References to resources stay as they are: {"Ref": name}, {"Fn::GetAtt": [name, attribute]}, and in a
    Fn::Sub ${name}.
    """

    def __init__(self, document: Properties, given: dict[str, str]) -> None:
        self.parameters = given
        self.conditions = document.get("Conditions", {})
        self.mappings = document.get("Mappings", {})
        self._names = document["Resources"].keys()
        self.resources = {
            name: self.value(resource)
            for name, resource in document["Resources"].items()
            if self.holds(resource.get("Condition"))
        }

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
        return self._function(node) if len(node) == 1 else {key: self.value(node[key]) for key in node}

    def _function(self, node: Properties) -> Any:
        """What an intrinsic function gives, or what else a part with one key is."""
        ((name, given),) = node.items()
        match name, given:
            case "Ref", _:
                found = (self.parameters | PSEUDO).get(given, node)
            case "Fn::If", [condition, then, otherwise]:
                found = self.value(then if self.holds(condition) else otherwise)
            case "Fn::Sub", [text, more]:
                found = self._substituted(text, self.value(more))
            case "Fn::Sub", _:
                found = self._substituted(given, {})
            case "Fn::FindInMap", [of, first, second]:
                found = self.mappings[of][self.value(first)][self.value(second)]
            case "Fn::Select", [number, parts]:
                found = self.value(parts)[number]
            case "Fn::Split", [separator, text]:
                found = self.value(text).split(separator)
            case _:
                found = {name: self.value(given)}
        return found

    def _substituted(self, text: str, more: Properties) -> str:
        known = self.parameters | PSEUDO | more

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            return found[0] if name.partition(".")[0] in self._names else str(known[name])

        return re.sub(r"\$\{([^}]+)\}", fill, text)

    def properties(self, name: str, kind: str) -> Properties:
        """A resource's properties; it must be there and of that type."""
        return self.of_type(kind)[name]

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Name and properties of each resource of a type."""
        return {n: r.get("Properties", {}) for n, r in self.resources.items() if r["Type"] == kind}


class Stack(Resolved):
    """The worker's stack."""

    def __init__(self, **given: object) -> None:
        filled = parameters(**given)
        document = translated(packaged(), **filled)
        super().__init__(document, filled)
        self.outputs = {name: self.value(output["Value"]) for name, output in document["Outputs"].items()}

    def permissions(self, function: str = "MetricsWorkerFunction") -> dict[str, list[Any]]:
        """Action -> resources, of a function's role."""
        role, _ = self.properties(function, "AWS::Lambda::Function")["Role"]["Fn::GetAtt"]
        return self.granted(role)

    def granted(self, role: str) -> dict[str, list[Any]]:
        """Action -> resources, of a role."""
        (policy,) = self.properties(role, "AWS::IAM::Role")["Policies"]
        granted: dict[str, list[Any]] = {}
        for statement in policy["PolicyDocument"]["Statement"]:
            assert set(statement) <= {"Sid", "Effect", "Action", "Resource"}, "nothing is conditional"
            assert statement["Effect"] == "Allow"
            for action in _listed(statement["Action"]):
                assert action not in granted, f"{action} is granted twice"
                granted[action] = _listed(statement["Resource"])
        return granted


class Monitoring(Resolved):
    """The stack of alarms, dashboards and queries, as a worker's stack makes it.

    What is known once there are resources stands for itself: a function's name is its logical id, a queue's
    `RequestQueue.QueueName`.
    """

    def __init__(self, **given: object) -> None:
        self.worker = Stack(**given)
        made = self.worker.properties("Monitoring", "AWS::CloudFormation::Stack")
        super().__init__(MONITORING, {name: self._standing(v) for name, v in made["Parameters"].items()})

    @staticmethod
    def _standing(value: Any) -> str:
        if isinstance(value, dict):
            ((_, of),) = value.items()
            return of if isinstance(of, str) else ".".join(of)
        return str(value)


def alarms(**given: object) -> dict[str, Properties]:
    """All alarms of a deployment, of both stacks, by logical id."""
    monitoring, kind = Monitoring(**given), "AWS::CloudWatch::Alarm"
    return monitoring.of_type(kind) | monitoring.worker.of_type(kind)


def _listed(value: Any) -> list[Any]:
    """IAM takes one or a list of them."""
    return value if isinstance(value, list) else [value]
