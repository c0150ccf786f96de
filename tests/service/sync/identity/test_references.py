"""A resource as it is called here and there."""

from service.sync.identity.references import ReferencesThere, named, referred, to_here, to_there

BASE = "https://ehr.test/fhir"
ADDRESSES = ReferencesThere(
    BASE,
    there={"Patient/p-here": "Patient/17", "Goal/g-here": "Goal/42"},
    logical={("", ("Practitioner", "urn:npi", "9")): "Practitioner/3"},
)
PLACES = ADDRESSES.here()

PLAN = {
    "resourceType": "CarePlan",
    "id": "plan-here",
    "subject": {"reference": "Patient/p-here", "display": "as written"},
    "author": {"type": "Practitioner", "identifier": {"system": "urn:npi", "value": "9"}},
    "goal": [{"reference": "Goal/g-here"}, {"reference": f"{BASE}/Goal/77"}],
    "addresses": [{"reference": "#c1"}],
    "contained": [{"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p-here"}}],
    "activity": [{"reference": {"reference": "https://other.test/fhir/ServiceRequest/1"}}],
}


def test_references_go_out_as_the_server_calls_them() -> None:
    there = to_there(PLAN, ADDRESSES, "9000")
    assert there["id"] == "9000"
    assert there["subject"] == {"reference": "Patient/17", "display": "as written"}
    assert there["goal"] == [{"reference": "Goal/42"}, {"reference": "Goal/77"}]
    assert there["author"]["reference"] == "Practitioner/3"
    assert there["contained"][0]["subject"] == {"reference": "Patient/17"}
    assert there["addresses"] == [{"reference": "#c1"}]
    assert there["activity"][0]["reference"]["reference"] == "https://other.test/fhir/ServiceRequest/1"


def test_what_goes_out_comes_back_the_same() -> None:
    assert to_here(to_there(PLAN, ADDRESSES, "9000"), PLACES, "plan-here") == PLAN


def test_a_new_resource_goes_out_without_an_id() -> None:
    assert "id" not in to_there(PLAN, ADDRESSES, None)


def test_a_reference_to_what_has_no_record_here_becomes_absolute() -> None:
    body = {"resourceType": "Goal", "id": "1", "addresses": [{"reference": "Condition/5"}]}
    assert to_here(body, PLACES, "g")["addresses"] == [{"reference": f"{BASE}/Condition/5"}]


def test_what_a_server_says_of_its_own_copy_stays_there() -> None:
    meta = {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z", "source": "#x", "profile": ["urn:p"]}
    assert to_here({"resourceType": "Goal", "id": "1", "meta": meta}, PLACES, "g")["meta"] == {
        "profile": ["urn:p"]
    }


def test_an_answer_set_with_an_identifier_is_no_reference() -> None:
    body = {"resourceType": "QuestionnaireResponse", "id": "1", "identifier": {"system": "s", "value": "v"}}
    assert named(body) == set()


def test_relative_and_logical_references_are_found_wherever_they_stand() -> None:
    assert referred(PLAN) == {"Patient/p-here", "Goal/g-here"}
    assert named(PLAN) == {("Practitioner", "urn:npi", "9")}


def test_an_unmatched_logical_reference_goes_out_as_it_is() -> None:
    author = {"type": "Practitioner", "identifier": {"system": "urn:npi", "value": "unheard of"}}
    assert to_there({"resourceType": "CarePlan", "author": author}, ADDRESSES, None)["author"] == author
