"""Reading template.yaml, from whose properties the local cloud and the local function are created.

Only the intrinsic functions in these properties are supported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REQUEST_QUEUE = "RequestQueue"
FUNCTION = "MetricsWorkerFunction"
DEAD_LETTER_FUNCTION = "DeadLetterFunction"


@dataclass(frozen=True, slots=True)
class Template:
    """A SAM template with values for its parameters and resources.

    Attributes:
        body: the parsed template.
        values: by name, the values of `!Ref NAME` and `!GetAtt NAME.ATTRIBUTE`. They take precedence over
            the defaults of parameters.
    """

    body: dict[str, Any]
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Template":
        """Return the template in a YAML file, without values."""
        from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415 - a third of a second, for this alone

        return cls(yaml_parse(path.read_text(encoding="utf-8")))

    def with_values(self, values: Mapping[str, str]) -> "Template":
        """Return a copy of the template with additional values, which replace values of the same name."""
        return Template(self.body, {**self.values, **values})

    def property(self, resource: str, *path: str) -> Any:
        """Return a property, such as `property("RequestQueue", "DelaySeconds")`, with references resolved.

        Raises:
            ValueError: the property uses an unsupported intrinsic function, or a reference without a value.
        """
        found: Any = self.body["Resources"][resource]["Properties"]
        for part in path:
            found = found[part]
        return self._resolve(found)

    def function_variables(self, function: str = FUNCTION) -> dict[str, str]:
        """Return the environment variables (name → value) that the template sets for a function."""
        variables = self.property(function, "Environment", "Variables")
        return {name: str(value) for name, value in variables.items()}

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        match list(value.items()):
            case [("Ref", name)]:
                return self._value(name)
            case [("Fn::GetAtt", [name, attribute])]:
                return self._value(f"{name}.{attribute}")
            case [("Fn::If", [condition, then, otherwise])]:
                return self._resolve(then if self._is_true({"Condition": condition}) else otherwise)
            case [(name, _)] if name.startswith("Fn::"):
                raise ValueError(f"template.yaml uses {name}, which the local run does not support")
        return {key: self._resolve(item) for key, item in value.items()}

    def _value(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        try:
            return self.body["Parameters"][name]["Default"]
        except KeyError:
            raise ValueError(f"{name}: template.yaml refers to it, but the local run has no value") from None

    def _is_true(self, condition: Any) -> bool:
        match list(condition.items()):
            case [("Condition", name)]:
                return self._is_true(self.body["Conditions"][name])
            case [("Fn::Not", [inner])]:
                return not self._is_true(inner)
            case [("Fn::Equals", [left, right])]:
                return str(self._resolve(left)) == str(self._resolve(right))
        raise ValueError(f"template.yaml has a condition that the local run does not support: {condition}")
