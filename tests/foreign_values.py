"""The values that foreign resources are made of: awkward, and valid R4."""

from typing import Any

from fhir_mappings.exact_json import Number

_UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"

PRIMITIVES: dict[str, list[Any]] = {
    "base64Binary": ["aGVsbG8=", "AAAA"],
    "boolean": [True, False],
    "canonical": ["http://example.org/fhir/Questionnaire/q|1.2", "http://example.org/fhir/PlanDefinition/p"],
    "code": ["a", "B-2", "two words", "x.y_z"],
    "date": ["2024", "2024-02", "2024-02-29", "1957-10-04"],
    "dateTime": ["2024", "2024-11", "2024-12-31", "2024-12-31T23:59:60Z", "2024-06-01T12:00:00.123456+05:30"],
    "decimal": [
        1,
        0,
        -3,
        Number("7.50"),
        Number("0.0000001"),
        Number("-0.0"),
        Number("1e2"),
        Number("12345678901234567.890123456789"),
    ],
    "id": ["1", "abc-DEF.9", "z" * 64],
    "instant": ["2024-06-01T12:00:00Z", "2024-06-01T12:00:00.001-03:30"],
    "integer": [0, 1, -7, 2147483647],
    "markdown": ["plain", "# head\n\n* *one*\n* two", "Grüße"],
    "oid": ["urn:oid:1.2.840.10008"],
    "positiveInt": [1, 12],
    "string": [
        "a",
        "two words",
        "Grüezi, wie goht's?",
        "日本語",
        "🏔️ auf den Berg",
        "שלום",
        'say "hi" <b>&amp;',
        "line\nbreak",
        " x ",
    ],
    "time": ["08:00:00", "23:59:59.999"],
    "unsignedInt": [0, 30],
    "uri": [
        "http://example.org/x",
        f"urn:uuid:{_UUID}",
        "urn:oid:1.2.3.4",
        "https://example.org/%C3%BC?a=b#c",
    ],
    "url": ["http://example.org/x", "mailto:someone@example.org"],
    "uuid": [f"urn:uuid:{_UUID}"],
    "xhtml": [],
}

#: Codes of elements whose binding is no list in the definitions.
CODES: dict[str, list[str]] = {
    "contentType": ["text/plain", "application/pdf"],
    "language": ["en", "de-CH", "fr"],
    "currency": ["CHF", "EUR"],
    "comparator": ["<", ">="],
    "type": ["Patient"],
    "sigFormat": ["application/jose"],
    "targetFormat": ["application/json"],
}

#: Complex types of an extension's value.
ANY_VALUE = [
    "Address",
    "Age",
    "Annotation",
    "Attachment",
    "CodeableConcept",
    "Coding",
    "ContactPoint",
    "Count",
    "Distance",
    "Duration",
    "HumanName",
    "Identifier",
    "Money",
    "Period",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "Timing",
    "ContactDetail",
    "Meta",
]

_UCUM = "http://unitsofmeasure.org"
UNITS: list[dict[str, Any]] = [
    {"unit": "km"},
    {"unit": "km", "system": _UCUM, "code": "km"},
    {"unit": "minutes", "system": _UCUM, "code": "min"},
    {"system": "http://example.org/units", "code": "steps"},
]

_ACTIVE = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
_ABOUT = {"subject": {"reference": "Patient/1"}}

#: What stands in a contained resource of each type, beside its id.
CONTAINED: dict[str, dict[str, Any]] = {
    "CarePlan": {"status": "active", "intent": "plan", **_ABOUT},
    "CareTeam": {"name": "team"},
    "Condition": {
        "clinicalStatus": {"coding": [_ACTIVE]},
        "code": {"text": "low back pain"},
        **_ABOUT,
    },
    "Device": {"deviceName": [{"name": "pedometer", "type": "user-friendly-name"}]},
    "Goal": {"lifecycleStatus": "active", "description": {"text": "walk"}, **_ABOUT},
    "Group": {"type": "person", "actual": True},
    "Location": {"name": "gym"},
    "Observation": {"status": "amended", "code": {"text": "steps"}, "valueInteger": 7000},
    "Organization": {"name": "Rückenpraxis"},
    "Patient": {"name": [{"given": ["Ana", None], "_given": [None, {"extension": [
        {"url": "http://example.org/initial", "valueString": "M"}]}]}]},
    "Practitioner": {"name": [{"family": "Meier"}]},
    "PractitionerRole": {"active": True},
    "RelatedPerson": {"patient": {"reference": "Patient/1"}},
    "ServiceRequest": {"status": "active", "intent": "order", **_ABOUT},
    "Task": {"status": "in-progress", "intent": "plan"},
}  # fmt: skip

#: What stands in a narrative's div.
DIVS = [
    "walk",
    "<p>one<br/>two &amp; three</p>",
    '<table class="grid"><thead><tr><th>goal</th></tr></thead><tbody><tr><td>walk</td></tr></tbody></table>',
    '<p style="color: green; font-weight: bold" title="t" lang="de">Grüße</p><!-- a remark -->',
    '<p><a name="c1">here</a> <img src="data:image/png;base64,AAAA" alt="p"/></p>',
    '<p id="x1"><a href="https://example.org/plan?a=1&amp;b=2">plan</a></p>',
]
