"""What template.yaml says, so that the local cloud and the local function are made as the deployed ones.

Only the intrinsic functions are resolved that the parts read here use; another one is an error that says so.
Parameters have their defaults, unless the caller gives them a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

REQUEST_QUEUE = "RequestQueue"
FUNCTION = "MetricsWorkerFunction"


@dataclass(frozen=True, slots=True)
class Template:
    """A SAM template with values for its parameters and resources.

    Attributes:
        body: the parsed template.
        values: what `!Ref NAME` gives, and `!GetAtt NAME.ATTRIBUTE` under "NAME.ATTRIBUTE"; they go before
            the parameters' defaults.
    """

    body: dict[str, Any]
    values: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "Template":
        """Read a template, with nothing but its parameters' defaults."""
        return cls(yaml_parse(path.read_text(encoding="utf-8")), {})

    def given(self, values: Mapping[str, str]) -> "Template":
        """The same template with these values beside the ones it has."""
        return Template(self.body, {**self.values, **values})

    def of(self, resource: str, *path: str) -> Any:
        """A property of a resource, resolved: `of("RequestQueue", "DelaySeconds")`.

        Raises:
            KeyError: it is not there.
            ValueError: it uses a function, or refers to something, that has no value here.
        """
        found: Any = self.body["Resources"][resource]["Properties"]
        for part in path:
            found = found[part]
        return self._resolve(found)

    def environment(self) -> dict[str, str]:
        """The function's environment variables."""
        variables = self.of(FUNCTION, "Environment", "Variables")
        return {name: str(value) for name, value in variables.items()}

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        match list(value.items()):
            case [("Ref", name)]:
                return self._ref(name)
            case [("Fn::GetAtt", [name, attribute])]:
                return self._ref(f"{name}.{attribute}")
            case [("Fn::If", [condition, then, otherwise])]:
                return self._resolve(then if self._holds({"Condition": condition}) else otherwise)
            case [(name, _)] if name.startswith("Fn::"):
                raise ValueError(f"{name}: the local run does not know this function of template.yaml")
        return {key: self._resolve(item) for key, item in value.items()}

    def _ref(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        try:
            return self.body["Parameters"][name]["Default"]
        except KeyError:
            raise ValueError(f"{name}: template.yaml refers to it, and it has no value here") from None

    def _holds(self, condition: Any) -> bool:
        match list(condition.items()):
            case [("Condition", name)]:
                return self._holds(self.body["Conditions"][name])
            case [("Fn::Not", [inner])]:
                return not self._holds(inner)
            case [("Fn::Equals", [left, right])]:
                return str(self._resolve(left)) == str(self._resolve(right))
        raise ValueError(f"{condition}: the local run does not know this condition of template.yaml")
