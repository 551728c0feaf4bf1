"""template.yaml as CloudFormation receives it: translated by SAM, then evaluated for given parameters.

monitoring.yaml, the template of a nested stack, is evaluated with the parameters that template.yaml passes.
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
NO_VALUE = {"Ref": "AWS::NoValue"}
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "111122223333",
    "AWS::StackName": "worker",
}


def parameters(**given: object) -> dict[str, str]:
    """Return the values of all template parameters by name, as strings.

    Args:
        given: the values of some parameters, by name; the others have the defaults of the template, and
            `DataBucketName` is `BUCKET`.
    """
    defaults = {name: p["Default"] for name, p in TEMPLATE["Parameters"].items() if "Default" in p}
    return {name: str(value) for name, value in (defaults | {"DataBucketName": BUCKET} | given).items()}


def overrides(config: str) -> dict[str, str]:
    """Return a dict from parameter names to the values that samconfig.toml sets for one environment.

    Args:
        config: the environment, such as `prod`.
    """
    return dict(
        pair.split("=", 1) for pair in SAMCONFIG[config]["global"]["parameters"]["parameter_overrides"]
    )


def translated(template: Properties, **given: str) -> Properties:
    """Return a template as SAM translates it, in which no resource has a type of SAM any more.

    Args:
        template: the template; the code of its functions and layers must be S3 addresses.
        given: the values of the template's parameters, by name.
    """
    with patch.dict(os.environ, AWS_DEFAULT_REGION=PSEUDO["AWS::Region"]):
        # The empty dict replaces AWS's managed policies, which the template does not use.
        document: Properties = Translator({}, Parser()).translate(template, dict(given))
    return document


def packaged(code: str = "s3://built/function", layer: str = "s3://built/layer") -> Properties:
    """Return template.yaml as `sam deploy` sends it: with the S3 addresses of the built packages.

    Args:
        code: the address of the package of both functions.
        layer: the address of the package of the layer.
    """
    template = deepcopy(TEMPLATE)
    for name in ("MetricsWorkerFunction", "DeadLetterFunction"):
        template["Resources"][name]["Properties"]["CodeUri"] = code
    template["Resources"]["PyArrowLayer"]["Properties"]["ContentUri"] = layer
    return template


class Resolved:
    """A template that is evaluated for given parameters. Resources whose condition is false are left out.

    Parameters and functions are replaced by their values, and a property or an item of a list with the value
    AWS::NoValue is left out. References to resources remain: {"Ref": name}, {"Fn::GetAtt": [name,
    attribute]}, and ${name} in a Fn::Sub.
    """

    def __init__(self, document: Properties, given: dict[str, str]) -> None:
        self.parameters = given
        self.conditions = document.get("Conditions", {})
        self.mappings = document.get("Mappings", {})
        self.rules: dict[str, Properties] = document.get("Rules", {})
        declared = document.get("Parameters", {})
        self._lists = {name for name, p in declared.items() if p["Type"] == "CommaDelimitedList"}
        self._names = document["Resources"].keys()
        self.resources = {
            name: self.value(resource)
            for name, resource in document["Resources"].items()
            if self.holds(resource.get("Condition"))
        }

    def holds(self, condition: str | Properties | None) -> bool:
        """Return whether a condition of the template is true.

        Args:
            condition: the name of a condition; an expression of `Fn::Not` and `Fn::Equals`; or None for no
                condition, which is always true.
        """
        if condition is None:
            return True
        if isinstance(condition, str):
            return self.holds(self.conditions[condition])
        ((function, arguments),) = condition.items()
        if function == "Fn::Not":
            return not self.holds(arguments[0])
        left, right = (self.value(argument) for argument in arguments)
        if function == "Fn::EachMemberEquals":
            return all(member == right for member in left)
        if function == "Fn::Contains":
            return right in left
        assert function == "Fn::Equals", function
        return bool(left == right)

    def rejections(self) -> list[str]:
        """Return the descriptions of the failed assertions of all rules.

        CloudFormation rejects a deployment with parameters for which an assertion fails.
        """
        return [
            assertion["AssertDescription"]
            for rule in self.rules.values()
            if self.holds(rule.get("RuleCondition"))
            for assertion in rule["Assertions"]
            if not self.holds(assertion["Assert"])
        ]

    def value(self, node: Any) -> Any:
        """Return a part of the template with parameters and intrinsic functions replaced by their values."""
        if isinstance(node, list):
            return [value for item in node if (value := self.value(item)) != NO_VALUE]
        if not isinstance(node, dict):
            return node
        return self._function(node) if len(node) == 1 else self._object(node)

    def _object(self, node: Properties) -> Properties:
        return {key: value for key in node if (value := self.value(node[key])) != NO_VALUE}

    def _function(self, node: Properties) -> Any:
        """Return the value of an object with one key, which may be an intrinsic function such as `Fn::Join`.

        Args:
            node: the object. If it is an ordinary object or refers to a resource, its key remains, and the
                values in it are evaluated.
        """
        ((name, given),) = node.items()
        found: Any
        match name, given:
            case "Ref", _ if given in self._lists:
                found = self.parameters[given].split(",")
            case "Ref", _:
                found = (self.parameters | PSEUDO).get(given, node)
            case "Fn::Join", [separator, parts]:
                found = separator.join(self.value(parts))
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
                found = self._object(node)
        return found

    def _substituted(self, text: str, more: Properties) -> str:
        known = self.parameters | PSEUDO | more

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            return found[0] if name.partition(".")[0] in self._names else str(known[name])

        return re.sub(r"\$\{([^}]+)\}", fill, text)

    def properties(self, name: str, kind: str) -> Properties:
        """Return the properties of a resource.

        Args:
            name: the logical id of the resource.
            kind: the type that the resource must have, such as `AWS::SQS::Queue`.
        """
        return self.of_type(kind)[name]

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Return the properties of each resource of a type, by the logical id of the resource."""
        return {n: r.get("Properties", {}) for n, r in self.resources.items() if r["Type"] == kind}


class Stack(Resolved):
    """The stack of template.yaml, evaluated for given parameters; the others have their defaults."""

    def __init__(self, **given: object) -> None:
        filled = parameters(**given)
        document = translated(packaged(), **filled)
        super().__init__(document, filled)
        self.outputs = {name: self.value(output["Value"]) for name, output in document["Outputs"].items()}

    def permissions(self, function: str = "MetricsWorkerFunction") -> dict[str, list[Any]]:
        """Return the permissions of a Lambda function's role, and assert that they have no conditions.

        Args:
            function: the logical id of the function.

        Returns:
            The resources of each allowed action, by the name of the action.
        """
        role, _ = self.properties(function, "AWS::Lambda::Function")["Role"]["Fn::GetAtt"]
        return self.granted(role)

    def granted(self, role: str) -> dict[str, list[Any]]:
        """Return the permissions of a role, and assert that they have no conditions.

        Args:
            role: the logical id of the role.

        Returns:
            The resources of each allowed action, by the name of the action.
        """
        (policy,) = self.properties(role, "AWS::IAM::Role")["Policies"]
        granted: dict[str, list[Any]] = {}
        for statement in policy["PolicyDocument"]["Statement"]:
            assert set(statement) <= {"Sid", "Effect", "Action", "Resource"}, "the statement has a condition"
            assert statement["Effect"] == "Allow"
            for action in _listed(statement["Action"]):
                assert action not in granted, f"{action} is granted twice"
                granted[action] = _listed(statement["Resource"])
        return granted


class Monitoring(Resolved):
    """The nested stack of alarms, dashboards and queries, evaluated as part of the worker's stack.

    Values that are known only after deployment are replaced by names: the name of a function by its logical
    id, the name of a queue by `RequestQueue.QueueName`.
    """

    def __init__(self, **given: object) -> None:
        self.worker = Stack(**given)
        made = self.worker.properties("Monitoring", "AWS::CloudFormation::Stack")
        super().__init__(MONITORING, {name: self._placeholder(v) for name, v in made["Parameters"].items()})

    @staticmethod
    def _placeholder(value: Any) -> str:
        if isinstance(value, dict):
            ((_, of),) = value.items()
            return of if isinstance(of, str) else ".".join(of)
        return str(value)


def alarms(**given: object) -> dict[str, Properties]:
    """Return the properties of all alarms of the worker's stack and its nested stack, by logical id.

    Args:
        given: parameters of the worker's stack.
    """
    monitoring, kind = Monitoring(**given), "AWS::CloudWatch::Alarm"
    return monitoring.of_type(kind) | monitoring.worker.of_type(kind)


def _listed(value: Any) -> list[Any]:
    """Return the Action or Resource of an IAM statement as a list; IAM also allows a single string."""
    return value if isinstance(value, list) else [value]
