"""The border guard refuses what is not valid R4, each finding with its path, and nothing else."""

# ruff: noqa: E501  (a table of cases reads best with a case in a line)

import json
import tarfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_mappings import exact_json, r4
from fhir_mappings.errors import InvalidResource
from fhir_mappings.r4.guard import shape_of
from tests import foreign

GOAL: dict[str, Any] = {
    "resourceType": "Goal",
    "lifecycleStatus": "active",
    "description": {"text": "walk to the lake"},
    "subject": {"reference": "Patient/1"},
}
PLAN: dict[str, Any] = {
    "resourceType": "CarePlan",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/1"},
}
ORDER: dict[str, Any] = PLAN | {"resourceType": "ServiceRequest"}
ANSWERS: dict[str, Any] = {"resourceType": "QuestionnaireResponse", "status": "completed"}
ABSENT = {"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]}


def extended(**value: Any) -> dict[str, Any]:
    return GOAL | {"extension": [{"url": "http://example.org/x", **value}]}


def target(**parts: Any) -> dict[str, Any]:
    return GOAL | {"target": [{"measure": {"text": "how far"}, **parts}]}


def timing(**repeat: Any) -> dict[str, Any]:
    return ORDER | {"occurrenceTiming": {"repeat": repeat}}


def form(**item: Any) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", **item}]}


def without(tree: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in names}


def problems(tree: Any) -> list[str]:
    return [str(finding) for finding in r4.check(tree)]


VALID: dict[str, Any] = {
    "status by its sibling alone": without(GOAL, "lifecycleStatus") | {"_lifecycleStatus": ABSENT},
    "an id beside a value": GOAL | {"_lifecycleStatus": {"id": "s"}},
    "nulls aligned with siblings": extended(valueHumanName={"given": ["Ana", None], "_given": [None, ABSENT]}),
    "siblings alone": extended(valueHumanName={"_given": [ABSENT]}),
    "fewer siblings than values": extended(valueHumanName={"given": ["Ana", "Maria"], "_given": [{"id": "n"}]}),
    "more siblings than values": extended(valueHumanName={"given": ["Ana"], "_given": [None, ABSENT]}),
    "partial dates": GOAL | {"startDate": "2025", "statusDate": "2025-02"},
    "a leap day": GOAL | {"statusDate": "2024-02-29"},
    "a leap second": extended(valueInstant="2016-12-31T23:59:60Z"),
    "an offset": extended(valueDateTime="2025-01-01T08:00:00.123-14:00"),
    "a Meta in an extension": extended(valueMeta={"versionId": "1"}),
    "a control character": GOAL | {"statusReason": "a\u0001b"},
    "a blank text": GOAL | {"statusReason": " "},
    "an awkward decimal": extended(valueDecimal=exact_json.Number("1E400")),
    "an absolute reference": GOAL | {"subject": {"reference": "https://ehr.example.org/fhir/Patient/1/_history/2"}},
    "a reference by UUID": GOAL | {"subject": {"reference": "urn:uuid:3f2504e0-4f89-41d3-9a0c-0305e82c3301"}},
    "a conditional reference": GOAL | {"subject": {"reference": "Patient?identifier=a|b"}},
    "a logical reference": GOAL | {"subject": {"identifier": {"value": "7"}, "type": "Patient"}},
    "a reference to anything": ORDER | {"supportingInfo": [{"reference": "Basic/1"}]},
    "a contained patient": GOAL
    | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]},
    "a contained resource that refers back": GOAL
    | {
        "contained": [
            {"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "subject": {"reference": "#"}},
        ]
    },
    "a contained form, by canonical": ANSWERS
    | {
        "questionnaire": "#q",
        "contained": [{"resourceType": "Questionnaire", "id": "q", "status": "draft", "item": [
            {"linkId": "1", "type": "open-choice"}]}],
    },
    "a contained type that R4B changed": GOAL
    | {
        "addresses": [{"reference": "Condition/1"}],
        "extension": [{"url": "http://example.org/x", "valueReference": {"reference": "#e"}}],
        "contained": [{"resourceType": "Evidence", "id": "e", "status": "draft", "exposureBackground": {
            "reference": "EvidenceVariable/1"}}],
    },
    "a duration without a code": target(dueDuration={"value": 3, "unit": "weeks"}),
    "a period within one month": extended(valuePeriod={"start": "2025-02-02", "end": "2025-02"}),
    "a period from a time to its day": extended(valuePeriod={"start": "2025-02-02T23:00:00-10:00", "end": "2025-02-02"}),
    "a question": form(type="choice", answerOption=[{"valueString": "a"}], repeats=True),
    "a conditional question": {
        "resourceType": "Questionnaire", "status": "draft", "item": [
            {"linkId": "1", "type": "string", "maxLength": 9, "initial": [{"valueString": "a"}]},
            {"linkId": "2", "type": "display", "text": "b", "enableBehavior": "all", "enableWhen": [
                {"question": "1", "operator": "exists", "answerBoolean": True}]}]},
    "a period across offsets": extended(
        valuePeriod={"start": "2025-01-01T23:00:00-10:00", "end": "2025-01-02T10:00:00Z"}
    ),
    "a period at the ends of the calendar": extended(
        valuePeriod={"start": "0001-01-01T00:00:00+14:00", "end": "9999-12-31T23:59:60-14:00"}),
    "base64 in lines": extended(valueBase64Binary="\r\n QUJD RA==\t\n"),
    "a reference with a fragment": GOAL | {"subject": {"reference": "Patient/1#a/Device/1"}},
    "a range of two units": target(detailRange={"low": {"value": 500, "unit": "m"}, "high": {"value": 2, "unit": "km"}}),
    "a code that the library's list breaks off before": {"resourceType": "Task", "status": "in-progress", "intent": "plan"},
    "before breakfast": timing(when=["ACM"], offset=30),
}  # fmt: skip

INVALID: dict[str, tuple[Any, list[str]]] = {
    "nothing": (None, ["Resource"]),
    "a list": ([GOAL], ["Resource"]),
    "a text": ("Goal", ["Resource"]),
    "no type": ({}, ["Resource.resourceType"]),
    "an unknown type": ({"resourceType": "Wish"}, ["Resource.resourceType"]),
    "a type of R4B": ({"resourceType": "Citation"}, ["Resource.resourceType"]),
    "an abstract type": ({"resourceType": "DomainResource"}, ["Resource.resourceType"]),
    "a bare goal": ({"resourceType": "Goal"}, ["Goal.description", "Goal.lifecycleStatus", "Goal.subject"]),
    "an unknown element": (GOAL | {"wish": 1}, ["Goal.wish"]),
    "an unknown sibling": (GOAL | {"_wish": ABSENT}, ["Goal._wish"]),
    "a sibling of no primitive": (GOAL | {"_subject": ABSENT}, ["Goal._subject"]),
    "an odd name": (GOAL | {"Ana has pain": 1}, ["Goal"]),
    "comments of DSTU2": (GOAL | {"fhir_comments": ["x"]}, ["Goal"]),
    "a text for a concept": (GOAL | {"description": "walk"}, ["Goal.description"]),
    "one for a list": (GOAL | {"category": {"text": "x"}}, ["Goal.category"]),
    "a list for one": (GOAL | {"subject": [GOAL["subject"]]}, ["Goal.subject"]),
    "a list of texts for a primitive": (GOAL | {"statusReason": ["x"]}, ["Goal.statusReason"]),
    "a number for a text": (GOAL | {"statusReason": 1}, ["Goal.statusReason"]),
    "null": (GOAL | {"statusReason": None}, ["Goal.statusReason"]),
    "null for an object": (GOAL | {"subject": None}, ["Goal.subject"]),
    "an empty object": (GOAL | {"priority": {}}, ["Goal.priority"]),
    "an id alone": (GOAL | {"priority": {"id": "x"}}, ["Goal.priority"]),
    "an empty array": (GOAL | {"note": []}, ["Goal.note"]),
    "an empty text": (GOAL | {"statusReason": ""}, ["Goal.statusReason"]),
    "null in a list of objects": (GOAL | {"category": [None]}, ["Goal.category[0]"]),
    "null without a sibling": (extended(valueHumanName={"given": ["Ana", None]}),
                               ["Goal.extension[0].valueHumanName.given[1]"]),
    "null in a sibling alone": (extended(valueHumanName={"_given": [None, ABSENT]}),
                                ["Goal.extension[0].valueHumanName.given[0]"]),
    "an empty sibling": (GOAL | {"_lifecycleStatus": {}}, ["Goal.lifecycleStatus"]),
    "a sibling with an unknown member": (GOAL | {"_lifecycleStatus": {"value": 1}}, ["Goal.lifecycleStatus.value"]),
    "a sibling array for one": (GOAL | {"_lifecycleStatus": [ABSENT]}, ["Goal.lifecycleStatus"]),
    "two of a choice": (GOAL | {"startDate": "2025", "startCodeableConcept": {"text": "x"}}, ["Goal.start[x]"]),
    "two of a choice, one by sibling": (
        GOAL | {"_startDate": ABSENT, "startCodeableConcept": {"text": "x"}}, ["Goal.start[x]"]),
    "an unknown status": (GOAL | {"lifecycleStatus": "done"}, ["Goal.lifecycleStatus"]),
    "a comparator": (target(detailQuantity={"value": 1, "comparator": "~"}),
                     ["Goal.target[0].detailQuantity.comparator"]),
    "an event of no list": (timing(when=["SOON"]), ["ServiceRequest.occurrenceTiming.repeat.when[0]"]),
    "a day that is not": (GOAL | {"statusDate": "2025-02-30"}, ["Goal.statusDate"]),
    "another form of date": (GOAL | {"statusDate": "30.1.2025"}, ["Goal.statusDate"]),
    "a date with a time": (GOAL | {"statusDate": "2025-01-01T00:00:00Z"}, ["Goal.statusDate"]),
    "a time without offset": (extended(valueDateTime="2025-01-01T08:00:00"), ["Goal.extension[0].valueDateTime"]),
    "a time without seconds": (extended(valueDateTime="2025-01-01T08:00Z"), ["Goal.extension[0].valueDateTime"]),
    "hour 24": (extended(valueTime="24:00:00"), ["Goal.extension[0].valueTime"]),
    "year 0": (GOAL | {"statusDate": "0000"}, ["Goal.statusDate"]),
    "an instant of one day": (extended(valueInstant="2025-01-01"), ["Goal.extension[0].valueInstant"]),
    "true as text": (extended(valueBoolean="true"), ["Goal.extension[0].valueBoolean"]),
    "1 for true": (extended(valueBoolean=1), ["Goal.extension[0].valueBoolean"]),
    "true for 1": (extended(valueInteger=True), ["Goal.extension[0].valueInteger"]),
    "a fraction": (extended(valueInteger=exact_json.Number("1.0")), ["Goal.extension[0].valueInteger"]),
    "33 bits": (extended(valueInteger=2**31), ["Goal.extension[0].valueInteger"]),
    "zero for a positive": (extended(valuePositiveInt=0), ["Goal.extension[0].valuePositiveInt"]),
    "below zero": (extended(valueUnsignedInt=-1), ["Goal.extension[0].valueUnsignedInt"]),
    "a decimal as text": (extended(valueDecimal="7.50"), ["Goal.extension[0].valueDecimal"]),
    "blanks in a URI": (extended(valueUri="http://a b"), ["Goal.extension[0].valueUri"]),
    "blanks around a code": (extended(valueCode=" a"), ["Goal.extension[0].valueCode"]),
    "an id too long": (GOAL | {"id": "a" * 65}, ["Goal.id"]),
    "an id with a slash": (GOAL | {"id": "a/b"}, ["Goal.id"]),
    "no base64": (extended(valueBase64Binary="a"), ["Goal.extension[0].valueBase64Binary"]),
    "base64 that lacks a character": (extended(valueBase64Binary="QUJD QUJ"), ["Goal.extension[0].valueBase64Binary"]),
    "base64 with a blank within four": (
        extended(valueBase64Binary="QUJD QU JD"), ["Goal.extension[0].valueBase64Binary"]),
    "blank base64": (extended(valueBase64Binary=" \n"), ["Goal.extension[0].valueBase64Binary"]),
    "another alphabet of base64": (extended(valueBase64Binary="QUJ_"), ["Goal.extension[0].valueBase64Binary"]),
    "no OID": (extended(valueOid="1.2.3"), ["Goal.extension[0].valueOid"]),
    "an upper-case UUID": (extended(valueUuid="urn:uuid:3F2504E0-4F89-41D3-9A0C-0305E82C3301"),
                           ["Goal.extension[0].valueUuid"]),
    "a datatype of R4B": (extended(valueRatioRange={"lowNumerator": {"value": 1}}),
                          ["Goal.extension[0].valueRatioRange"]),
    "an extension without URL": (GOAL | {"extension": [{"valueCode": "a"}]}, ["Goal.extension[0].url"]),
    "ext-1, neither": (extended(), ["Goal.extension[0]"]),
    "ext-1, both": (extended(valueCode="a", extension=[{"url": "b", "valueCode": "c"}]), ["Goal.extension[0]"]),
    "a wrong kind of subject": (GOAL | {"subject": {"reference": "Practitioner/1"}}, ["Goal.subject.reference"]),
    "a wrong kind there": (GOAL | {"subject": {"reference": "http://a.example/fhir/Device/1"}},
                           ["Goal.subject.reference"]),
    "a wrong kind by type": (GOAL | {"subject": {"identifier": {"value": "1"}, "type": "Device"}},
                             ["Goal.subject.type"]),
    "two kinds": (GOAL | {"expressedBy": {"reference": "Patient/1", "type": "Practitioner"}},
                  ["Goal.expressedBy.type"]),
    "a kind that R4 has not": (GOAL | {"subject": {"reference": "Wish/1"}}, ["Goal.subject.reference"]),
    "ref-1": (GOAL | {"subject": {"reference": "#p"}}, ["Goal.subject.reference"]),
    "a contained resource of a wrong kind": (
        GOAL | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Device", "id": "p"}]},
        ["Goal.subject.reference"]),
    "dom-2": (
        GOAL | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p", "contained": [
            {"resourceType": "Patient", "id": "q"}]}]},
        ["Goal.contained[0].contained"]),
    "dom-3": (GOAL | {"contained": [{"resourceType": "Patient", "id": "p"}]}, ["Goal.contained[0]"]),
    "dom-4 and dom-5": (
        GOAL | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p", "meta": {
            "versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z", "security": [{"code": "R"}]}}]},
        [f"Goal.contained[0].meta.{name}" for name in ("versionId", "lastUpdated", "security")]),
    "a contained resource without id": (
        GOAL | {"contained": [{"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "#"}}]},
        ["Goal.contained[0].id"]),
    "the same contained id": (
        GOAL | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}] * 2},
        ["Goal.contained[1].id"]),
    "an invalid contained resource": (
        GOAL | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p", "name": "A"}]},
        ["Goal.contained[0].name"]),
    "active content": (
        GOAL | {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>a</script>b</div>'}},
        ["Goal.text.div"]),
    "a narrative without a div": (GOAL | {"text": {"status": "empty"}}, ["Goal.text.div"]),
    "a narrative that is no text": (GOAL | {"text": {"status": "generated", "div": 1}}, ["Goal.text.div"]),
    "an extended div": (
        GOAL | {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>', "_div": ABSENT}},
        ["Goal.text._div"]),
    "gol-1": (GOAL | {"target": [{"dueDate": "2025"}, {"detailString": "far"}]}, ["Goal.target[1]"]),
    "cpl-3": (
        PLAN | {"activity": [{"reference": {"reference": "ServiceRequest/1"}, "detail": {"status": "scheduled"}}]},
        ["CarePlan.activity[0]"]),
    "prr-1": (ORDER | {"orderDetail": [{"text": "x"}]}, ["ServiceRequest.orderDetail"]),
    "qrs-1, within an answer": (
        ANSWERS | {"item": [{"linkId": "1", "answer": [{"valueBoolean": True, "item": [
            {"linkId": "2", "answer": [{"valueInteger": 1}], "item": [{"linkId": "3"}]}]}]}]},
        ["QuestionnaireResponse.item[0].answer[0].item[0]"]),
    "per-1": (extended(valuePeriod={"start": "2025-03-01", "end": "2025-02"}), ["Goal.extension[0].valuePeriod"]),
    "per-1 across offsets": (
        extended(valuePeriod={"start": "2025-01-01T23:00:00-10:00", "end": "2025-01-02T08:59:59Z"}),
        ["Goal.extension[0].valuePeriod"]),
    "per-1, a date and a time": (
        extended(valuePeriod={"start": "2025-03", "end": "2025-02-02T10:00:00Z"}), ["Goal.extension[0].valuePeriod"]),
    "a period from a year beyond all calendars": (
        extended(valuePeriod={"start": "99999999999T00:00:00Z", "end": "2025-01-01"}),
        ["Goal.extension[0].valuePeriod.start"]),
    "a period of seconds that are none": (
        extended(valuePeriod={"start": "2025-01-01T00:00:sNaNZ", "end": "2025-01-01T00:00:1e9Z"}),
        ["Goal.extension[0].valuePeriod.start", "Goal.extension[0].valuePeriod.end"]),
    "qty-3": (target(detailQuantity={"value": 1, "code": "km"}), ["Goal.target[0].detailQuantity.code"]),
    "sqty-1": (target(detailRange={"low": {"value": 1, "comparator": "<"}}),
               ["Goal.target[0].detailRange.low.comparator"]),
    "rng-2": (target(detailRange={"low": {"value": 2}, "high": {"value": 1}}), ["Goal.target[0].detailRange"]),
    "rat-1": (target(detailRatio={"numerator": {"value": 1}}), ["Goal.target[0].detailRatio"]),
    "drt-1": (target(dueDuration={"value": 3, "code": "wk", "system": "urn:x"}),
              ["Goal.target[0].dueDuration.code"]),
    "att-1": (extended(valueAttachment={"data": "AAAA"}), ["Goal.extension[0].valueAttachment.data"]),
    "cpt-2": (extended(valueContactPoint={"value": "1"}), ["Goal.extension[0].valueContactPoint.value"]),
    "tim-1": (timing(duration=1), ["ServiceRequest.occurrenceTiming.repeat.duration"]),
    "tim-2": (timing(period=1), ["ServiceRequest.occurrenceTiming.repeat.period"]),
    "tim-4": (timing(duration=-1, durationUnit="h"), ["ServiceRequest.occurrenceTiming.repeat.duration"]),
    "tim-5": (timing(period=-1, periodUnit="h"), ["ServiceRequest.occurrenceTiming.repeat.period"]),
    "tim-6": (timing(periodMax=1), ["ServiceRequest.occurrenceTiming.repeat.periodMax"]),
    "tim-7": (timing(durationMax=1), ["ServiceRequest.occurrenceTiming.repeat.durationMax"]),
    "tim-8": (timing(countMax=1), ["ServiceRequest.occurrenceTiming.repeat.countMax"]),
    "tim-9": (timing(offset=1, when=["CM"]), ["ServiceRequest.occurrenceTiming.repeat.offset"]),
    "tim-10": (timing(when=["HS"], timeOfDay=["08:00:00"]), ["ServiceRequest.occurrenceTiming.repeat"]),
    "que-1, an empty group": (form(type="group"), ["Questionnaire.item[0].item"]),
    "que-1, 3, 6, 8, 9: display": (
        form(type="display", item=[{"linkId": "2", "type": "string"}], code=[{"code": "a"}], required=True, repeats=True,
             readOnly=True, initial=[{"valueBoolean": True}]),
        [f"Questionnaire.item[0].{name}" for name in ("item", "code", "required", "repeats", "readOnly", "initial")]),
    "que-2": (form(type="group", item=[{"linkId": "1", "type": "string"}]), ["Questionnaire"]),
    "que-4": (form(type="choice", answerOption=[{"valueString": "a"}], answerValueSet="http://a.example/v"),
              ["Questionnaire.item[0]"]),
    "que-5": (form(type="boolean", answerValueSet="http://a.example/v"), ["Questionnaire.item[0].answerValueSet"]),
    "que-7": (form(type="string", enableWhen=[{"question": "2", "operator": "exists", "answerString": "a"}]),
              ["Questionnaire.item[0].enableWhen[0]"]),
    "que-10": (form(type="choice", maxLength=1), ["Questionnaire.item[0].maxLength"]),
    "que-11": (form(type="choice", answerOption=[{"valueString": "a"}], initial=[{"valueString": "a"}]),
               ["Questionnaire.item[0].initial"]),
    "que-12": (form(type="string", enableWhen=[{"question": q, "operator": "exists", "answerBoolean": True} for q in "234"]),
               ["Questionnaire.item[0].enableBehavior"]),
    "que-13": (form(type="string", initial=[{"valueString": "a"}, {"valueString": "b"}]),
               ["Questionnaire.item[0].initial"]),
    "a missing element of a part": (GOAL | {"note": [{"time": "2025"}]}, ["Goal.note[0].text"]),
    "an entry of a bundle": (
        {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": GOAL | {"lifecycleStatus": "x"}}]},
        ["Bundle.entry[0].resource.lifecycleStatus"]),
}  # fmt: skip


@pytest.mark.parametrize("tree", VALID.values(), ids=VALID.keys())
def test_what_r4_allows_passes(tree: Any) -> None:
    assert problems(tree) == []


@pytest.mark.parametrize(("tree", "paths"), INVALID.values(), ids=INVALID.keys())
def test_what_r4_forbids_is_found_at_its_path(tree: Any, paths: list[str]) -> None:
    assert sorted(finding.path for finding in r4.check(tree)) == sorted(paths)


def test_all_findings_come_at_once() -> None:
    tree = without(GOAL, "description") | {
        "lifecycleStatus": "x",
        "statusDate": "2025-02-30",
        "note": [{"id": "n"}],
    }
    assert len(r4.check(tree)) == 5  # an id alone is nothing, and the text is missing


def test_require_raises_every_finding_and_repeats_no_value() -> None:
    with pytest.raises(InvalidResource) as refused:
        r4.require(GOAL | {"lifecycleStatus": "secret-a", "statusDate": "secret-b", "secret c": 1})
    assert len(refused.value.findings) == 3
    assert "secret" not in str(refused.value)


def test_a_valid_resource_is_not_refused() -> None:
    r4.require(GOAL)


def test_nesting_without_end_is_a_finding() -> None:
    tree: dict[str, Any] = {"url": "a", "valueCode": "b"}
    for _ in range(5000):
        tree = {"url": "a", "extension": [tree]}
    assert "Resource: is nested too deep" in problems(GOAL | {"extension": [tree]})


_ODD_DATES = st.from_regex(
    r"[0-9+]{1,12}(-[0-9]{1,3}){0,2}(T[0-9a-z:.]{1,12}([Z+-][0-9:]{0,6})?)?", fullmatch=True
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _ODD_DATES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(foreign.resources(modifiers=True), st.data())
def test_no_json_whatever_makes_the_guard_raise(tree: Any, data: st.DataObject) -> None:
    tree = deepcopy(tree)  # a tree is a value, and this test breaks it
    holder, key = data.draw(st.sampled_from(list(places(tree))))
    holder[key] = data.draw(_JSON)
    assert isinstance(r4.check(tree), list)


@given(_ODD_DATES, _ODD_DATES, st.sampled_from(["2025", "2025-02-03", "9999-12-31T23:59:59-14:00"]))
def test_no_date_whatever_makes_the_guard_raise(start: str, end: str, date: str) -> None:
    for period in ({"start": start, "end": end}, {"start": start, "end": date}, {"start": date, "end": end}):
        assert isinstance(r4.check(extended(valuePeriod=period)), list)


def places(node: Any) -> Any:
    """Every member of every object and array of a tree."""
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


@settings(max_examples=300)
@given(foreign.resources(modifiers=True))
def test_nothing_that_others_may_write_is_refused(tree: Any) -> None:
    assert problems(tree) == []


def test_every_definition_compiles_and_knows_all_its_types() -> None:
    names, waiting = set(r4.RESOURCE_TYPES), set(r4.RESOURCE_TYPES)
    while waiting:
        members = shape_of(waiting.pop()).members.values()
        found = {one.type_name for one in members if one.check is None and one.type_name != "Resource"}
        waiting |= found - names
        names |= found
    assert len(names) > 500


_PACKAGE = Path(__file__).parents[2] / "data" / "us-core-6.1.0" / "profiles.tgz"


def test_resources_that_hl7_published_pass() -> None:
    with tarfile.open(_PACKAGE) as package:
        files = [package.extractfile(member) for member in package if member.name.endswith(".json")]
        trees = [exact_json.parse(file.read()) for file in files if file]
    resources = [tree for tree in trees if isinstance(tree, dict) and "resourceType" in tree]
    assert resources
    assert [problem for tree in resources for problem in problems(tree)] == []


def test_plain_json_is_checked_like_exact_json() -> None:
    tree = json.loads(
        '{"resourceType": "Observation", "status": "final", "code": {"text": "a"}, "valueQuantity": {"value": 7.5}}'
    )
    assert problems(tree) == []
