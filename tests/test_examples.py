"""The examples: they survive the way to FHIR and back, and a real server and US Core accept them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fhir_mappings import codes, exact_json, r4
from fhir_mappings.resources import BY_RECORD_TYPE
from service import schemas

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.json"))
QUESTIONNAIRES = sorted((ROOT / "service" / "content" / "questionnaires").glob("*.json"))
DEFINITIONS = sorted((ROOT / "fhir_mappings" / "definitions").glob("*.json"))
ALREADY_THERE = sorted((ROOT / "examples" / "ehr").glob("*.json"))
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"

#: What the server says and we set aside, rule by rule. None of it is an error; anything else fails the test.
SET_ASIDE = {
    "http://hl7.org/fhir/StructureDefinition/DomainResource#dom-6": "a narrative is advice, save for plans",
    "Terminology_PassThrough_TX_Message": "the server holds neither LOINC nor SNOMED CT",
    "Terminology_TX_NoValid_2_CC": "extensible binding: our activity kinds have no SNOMED or LOINC code",
    "Terminology_TX_Code_ValueSet_Ext": "extensible binding: a goal in a person's own words carries no code",
    "Details_for__matching_against_Profile_": "information: our plan kind stands beside assess-plan",
    "Questionnaire_QR_Q_NotFound": "the form itself is not on the server",
}


def name(path: Path) -> str:
    return path.stem


def read(path: Path) -> exact_json.Tree:
    tree: exact_json.Tree = exact_json.parse(path.read_bytes())
    return tree


def resource(path: Path) -> exact_json.Tree:
    said = read(path)
    written: exact_json.Tree = BY_RECORD_TYPE[said["type"]].write(schemas.load(said))
    return written


@pytest.fixture(scope="module")
def informed(hapi: str) -> str:
    """A server that knows our questionnaires, code systems and extensions."""
    with http() as session:
        for path in (*QUESTIONNAIRES, *DEFINITIONS):
            tree = read(path)
            session.put(
                f"{hapi}/{tree['resourceType']}/{tree['id']}", json=tree, timeout=60
            ).raise_for_status()
    return hapi


def http() -> requests.Session:
    session = requests.Session()
    session.headers["Content-Type"] = "application/fhir+json"
    return session


def issues(base_url: str, tree: exact_json.Tree, profile: str | None = None) -> list[exact_json.Tree]:
    with http() as session:
        answer = session.post(
            f"{base_url}/{tree['resourceType']}/$validate",
            params={"profile": profile} if profile else {},
            data=exact_json.dump(tree).encode(),
            timeout=120,
        )
    found: list[exact_json.Tree] = answer.json()["issue"]
    return found


def rule(issue: exact_json.Tree) -> str:
    details = issue.get("details", {})
    return str(details["coding"][0]["code"]) if "coding" in details else ""


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_an_example_is_the_same_record_after_the_way_to_fhir_and_back(path: Path) -> None:
    mapping = BY_RECORD_TYPE[read(path)["type"]]
    there = exact_json.parse(exact_json.dump(resource(path)))
    assert exact_json.dump(schemas.dump(mapping.read(there))) == exact_json.dump(read(path))
    assert mapping.loss(there) == [
        leaf for leaf in mapping.loss(there) if leaf.split(".")[1] in ("resourceType", "text")
    ]


@pytest.mark.parametrize("path", [*EXAMPLES, *ALREADY_THERE, *QUESTIONNAIRES], ids=name)
def test_an_example_passes_the_border_guard(path: Path) -> None:
    tree = read(path)
    assert r4.check(resource(path) if "type" in tree else tree) == []


@pytest.mark.parametrize("profiled", [False, True], ids=["r4", "us-core-6.1"])
@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_a_real_server_finds_no_error_in_an_example(informed: str, path: Path, profiled: bool) -> None:
    tree = resource(path)
    profile = US_CORE + tree["resourceType"].lower() if profiled else None
    found = issues(informed, tree, profile)
    assert [issue for issue in found if issue["severity"] in ("error", "fatal")] == []
    unexpected = [issue for issue in found if rule(issue) and rule(issue) not in SET_ASIDE]
    assert unexpected == []


@pytest.mark.parametrize("path", QUESTIONNAIRES, ids=name)
def test_a_real_server_finds_no_error_in_a_questionnaire(hapi: str, path: Path) -> None:
    found = issues(hapi, read(path))
    assert [issue for issue in found if issue["severity"] in ("error", "fatal")] == []


def test_the_profile_is_really_asked(informed: str) -> None:
    goal = resource(next(path for path in EXAMPLES if "-goal-" in path.name))
    goal = {key: value for key, value in goal.items() if key != "description"}
    found = issues(informed, goal, US_CORE + "goal")
    assert "error" in {issue["severity"] for issue in found}


def test_the_examples_tell_the_whole_course_of_care() -> None:
    told = [read(path) for path in EXAMPLES]
    kinds = {plan["kind"]["codings"][0]["code"] for plan in told if plan["type"] == "CarePlan"}
    assert kinds == {"self-management", "flare-up"}
    assert sum("/Questionnaire/goal-review|" in record.get("questionnaire", "") for record in told) == 2
    flare_plan = next(record for record in told if record.get("part_of"))
    assert all(entry["when"] and entry["why"] for entry in flare_plan["seek_help"])
    assert {record["type"] for record in told} == set(BY_RECORD_TYPE)


def test_the_prompts_of_the_goal_review_are_those_of_the_framework() -> None:
    review = next(path for path in QUESTIONNAIRES if path.stem == "goal-review").read_text()
    assert "What went well?" in review
    assert "What are the barriers?" in review


@pytest.mark.parametrize("path", [*EXAMPLES, *QUESTIONNAIRES], ids=name)
def test_every_code_of_an_example_is_one_that_ships(path: Path) -> None:
    ours = {codes.LOINC, codes.SNOMED} | {shipped.system for shipped in codes.SHIPPED}
    strangers = [
        (coding["system"], coding["code"])
        for coding in codings(json.loads(path.read_text()))
        if coding["system"] in ours and not codes.is_shipped(coding["system"], coding["code"])
    ]
    assert strangers == []


def codings(node: object) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        if "system" in node and "code" in node:
            yield node
        for member in node.values():
            yield from codings(member)
    elif isinstance(node, list):
        for member in node:
            yield from codings(member)
