"""What is published, shipped and declared says the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fhir_mappings import codes

ROOT = Path(__file__).parents[2]
DEFINITIONS = sorted((ROOT / "fhir_mappings" / "definitions").glob("*.json"))


def published(kind: str) -> dict[str, Any]:
    resources = [json.loads(path.read_text()) for path in DEFINITIONS]
    return {resource["url"]: resource for resource in resources if resource["resourceType"] == kind}


def test_every_extension_of_ours_is_published() -> None:
    ours = {
        value
        for name, value in vars(codes).items()
        if name.isupper() and isinstance(value, str) and "/StructureDefinition/" in value
    } - {codes.PERTAINS_TO_GOAL}
    assert published("StructureDefinition").keys() == ours


def test_every_code_of_ours_is_published() -> None:
    shipped: dict[str, list[str]] = {}
    for code in codes.SHIPPED:
        if code.system.startswith(codes.CANONICAL):
            shipped.setdefault(code.system, []).append(code.code)
    systems = published("CodeSystem")
    assert {
        url: [concept["code"] for concept in system["concept"]] for url, system in systems.items()
    } == shipped


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_a_definition_is_named_by_its_url_and_free_to_use(path: Path) -> None:
    definition = json.loads(path.read_text())
    assert path.stem == f"{definition['resourceType']}-{definition['id']}"
    assert definition["url"].endswith(f"{definition['resourceType']}/{definition['id']}")
    assert "CC0" in definition["copyright"]


def test_no_code_ships_that_the_table_does_not_hold() -> None:
    systems = re.compile(r'"system":\s*"(http://loinc.org|http://snomed.info/sct)",\s*"code":\s*"([^"]+)"')
    found = {
        match
        for folder in ("examples", "fhir_mappings", "service")
        for path in (ROOT / folder).rglob("*.json")
        for match in systems.findall(path.read_text())
    }
    assert [code for code in found if not codes.is_shipped(*code)] == []


def test_codes_are_compared_by_system_and_code() -> None:
    assert codes.is_shipped(codes.LOINC, "41950-7")
    assert not codes.is_shipped(codes.SNOMED, "41950-7")
