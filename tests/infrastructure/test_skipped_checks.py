"""Security checks that `make scan` skips: each only for a single resource, and with a reason."""

import re
from pathlib import Path

import pytest

from tests.infrastructure.stack import MONITORING, ROOT, TEMPLATE
from tests.infrastructure.translated import whole_stack

WORDS = 10
RESOURCES = TEMPLATE["Resources"] | MONITORING["Resources"]
METADATA = {name: resource.get("Metadata", {}) for name, resource in RESOURCES.items()}
CHECKOV = [
    (name, skip["id"], skip["comment"])
    for name, metadata in METADATA.items()
    for skip in metadata.get("checkov", {}).get("skip", [])
]
CFN_LINT = [
    (name, check, metadata["cfn-lint"]["reasons"].get(check, ""))
    for name, metadata in METADATA.items()
    if "cfn-lint" in metadata
    for check in metadata["cfn-lint"]["config"]["ignore_checks"]
]


@pytest.mark.parametrize(("resource", "check", "reason"), CHECKOV + CFN_LINT)
def test_every_skipped_check_has_a_reason(resource: str, check: str, reason: str) -> None:
    assert re.fullmatch(r"CKV2?_AWS_[0-9]+|[EWI]S?[0-9]{4}", check), f"{resource} skips more than one check"
    assert len(reason.split()) >= WORDS, f"{resource} skips {check} without a reason"


def test_every_reason_belongs_to_a_skipped_check() -> None:
    for metadata in METADATA.values():
        lint = metadata.get("cfn-lint", {"config": {"ignore_checks": []}, "reasons": {}})
        assert sorted(lint["reasons"]) == sorted(lint["config"]["ignore_checks"])


def test_no_check_is_skipped_for_the_whole_template() -> None:
    assert not {"cfn-lint", "checkov"} & TEMPLATE["Metadata"].keys()
    assert not [path.name for pattern in (".cfnlintrc*", ".checkov.y*ml") for path in ROOT.glob(pattern)]
    command = Path(ROOT / "packaging.mk").read_text(encoding="utf-8")
    assert not re.search(r"--(skip-check|soft-fail|ignore-checks|baseline|skip-resources)", command)
    assert "Metadata" not in MONITORING
    for template in ("template.yaml", "monitoring.yaml"):
        assert "checkov:skip=" not in (ROOT / template).read_text(encoding="utf-8")


def test_the_translated_stack_contains_every_resource_of_the_template() -> None:
    translated = whole_stack().resources
    missing = {name for name in TEMPLATE["Resources"] if name not in translated}
    assert missing == {"PyArrowLayer"}, "SAM adds a hash to the logical id of a layer"
    for name in TEMPLATE["Resources"].keys() - missing:
        metadata = METADATA[name]
        if metadata:
            assert translated[name].get("Metadata", {}).get("checkov") == metadata.get("checkov")
