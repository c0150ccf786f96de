"""mainstay translate: a line out for every line in, in order, and nothing lost on the way back."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import exact_json
from service.cli.inputs import MAX_BYTES, Item
from service.cli.translation import translated
from tests import foreign
from tests.service.cli.running import EXAMPLES, mainstay

SUBJECT = {"reference": "Patient/1"}
GOAL: dict[str, Any] = {
    "resourceType": "Goal",
    "id": "g",
    "lifecycleStatus": "active",
    "description": {"text": "Walk"},
    "subject": SUBJECT,
}
RECORD: dict[str, Any] = {
    "type": "Goal",
    "id": "g",
    "status": "active",
    "statement": "Walk",
    "subject": SUBJECT,
}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def types(lines: list[Any]) -> list[str]:
    return [line.get("resourceType") or line["type"] for line in lines]


def test_the_examples_go_to_fhir_and_come_back_the_same(tmp_path: Path) -> None:
    there = mainstay("translate", *EXAMPLES, "--to", "fhir")
    assert (there.code, len(there.lines)) == (0, len(EXAMPLES))
    back = mainstay("translate", "-", "--to", "records", input=there.out)
    assert back.code == 0
    assert back.lines == [json.loads(path.read_text()) for path in EXAMPLES]


@given(tree=foreign.resources(modifiers=True))
def test_any_foreign_resource_comes_back_as_it_was(tree: exact_json.Tree) -> None:
    record = translated(Item("", tree), None)
    assert record.findings == []
    said = exact_json.parse(exact_json.dump(record.tree))
    again = translated(Item("", said), None, Item("", tree))
    assert exact_json.dump(again.tree) == exact_json.dump(tree)


def test_the_text_of_numbers_is_kept_through_a_pipe(tmp_path: Path) -> None:
    quantity = '{"value":7.50,"extension":[{"url":"u","valueDecimal":1e2}]}'
    target = f'{{"measure":{{"text":"km"}},"detailQuantity":{quantity}}}'
    text = exact_json.dump(GOAL)[:-1] + f',"target":[{target}]}}'
    original = written(tmp_path / "goal.json", text)
    record = mainstay("translate", original)
    assert '"value":7.50' in record.out
    assert mainstay("translate", "-", "--onto", original, input=record.out).out == text + "\n"


def test_one_edited_field_changes_its_element_alone(tmp_path: Path) -> None:
    original = written(tmp_path / "goal.json", {**GOAL, "language": "en", "priority": {"text": "high"}})
    edited = mainstay("translate", original).out.replace('"Walk"', '"Swim"')
    back = mainstay("translate", "-", "--onto", original, input=edited)
    assert back.lines == [
        {**GOAL, "language": "en", "priority": {"text": "high"}, "description": {"text": "Swim"}}
    ]


def test_a_line_that_is_refused_leaves_an_outcome_in_its_place(tmp_path: Path) -> None:
    file = written(
        tmp_path / "mixed.ndjson", GOAL, {**GOAL, "lifecycleStatus": "nonsense"}, "", RECORD, OUTCOME
    )
    ended = mainstay("translate", file)
    assert ended.code == 1
    assert types(ended.lines) == ["Goal", "OperationOutcome", "Goal", "OperationOutcome"]
    assert ended.lines[1]["issue"][0]["expression"] == ["Goal.lifecycleStatus"]
    assert ended.lines[3] == OUTCOME
    assert f"{file}:2: Goal.lifecycleStatus" in ended.err


def test_an_outcome_alone_is_passed_through_and_is_fine(tmp_path: Path) -> None:
    ended = mainstay("translate", written(tmp_path / "one.ndjson", OUTCOME))
    assert (ended.code, ended.lines) == (0, [OUTCOME])


def test_a_bundle_is_its_entries(tmp_path: Path) -> None:
    entries = [{"resource": GOAL}, {"fullUrl": "urn:x"}, {"resource": {"resourceType": "Patient"}}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle, indent=2))
    ended = mainstay("translate", file)
    assert ended.code == 1
    assert types(ended.lines) == ["Goal", "OperationOutcome", "OperationOutcome"]
    assert ended.lines[1]["issue"][0]["expression"] == ["Bundle.entry[1].resource"]
    assert ended.lines[2]["issue"][0]["code"] == "not-supported"


def test_a_pretty_printed_file_is_one_value(tmp_path: Path) -> None:
    file = tmp_path / "goal.json"
    file.write_text(json.dumps({**GOAL, "target": [{"measure": {"text": "a"}}]}, indent=1))
    ended = mainstay("translate", file)
    assert (ended.code, len(ended.lines)) == (0, 1)


def test_a_record_can_hold_a_line_that_looks_like_a_resource(tmp_path: Path) -> None:
    contained = {"resourceType": "Patient", "id": "p"}
    goal = {**GOAL, "expressedBy": {"reference": "#p"}}
    text = exact_json.dump(goal)[:-1] + f',"contained":[\n{json.dumps(contained)}\n]}}'
    ended = mainstay("translate", "-", input=text)
    assert (ended.code, types(ended.lines)) == (0, ["Goal"])


def test_the_report_has_a_line_for_every_line_in(tmp_path: Path) -> None:
    report = tmp_path / "report.ndjson"
    target = {"extension": [{"url": "u", "valueDecimal": 1}], "measure": {"text": "a"}}
    file = written(tmp_path / "in.ndjson", {**GOAL, "target": [target]}, {**GOAL, "id": 7}, OUTCOME)
    assert mainstay("translate", file, "--report", report).code == 1
    assert [json.loads(line) for line in report.read_text().splitlines()] == [
        {
            "type": "Goal",
            "id": "g",
            "loss": ["Goal.target[0].extension[0].url", "Goal.target[0].extension[0].valueDecimal"],
        },
        {"type": "Goal", "id": None, "loss": []},
        {"type": "OperationOutcome", "id": None, "loss": []},
    ]


def test_loss_alone_is_no_finding(tmp_path: Path) -> None:
    file = written(tmp_path / "in.ndjson", {**GOAL, "language": "en"})
    assert mainstay("translate", file, "--report", tmp_path / "report").code == 0


@pytest.mark.parametrize(
    ("edited", "path"),
    [
        ({"id": "other"}, "Goal.id"),
        ({"subject": {"reference": "Patient/2"}}, "Goal.subject"),
    ],
)
def test_a_record_is_not_written_onto_another_ones_original(
    tmp_path: Path, edited: dict[str, Any], path: str
) -> None:
    original = written(tmp_path / "original.json", GOAL)
    ended = mainstay("translate", "-", "--onto", original, input=json.dumps({**RECORD, **edited}))
    assert ended.code == 1
    assert ended.lines[0]["issue"][0]["expression"] == [path]


def test_a_record_is_not_written_onto_another_type(tmp_path: Path) -> None:
    plan = {"resourceType": "CarePlan", "id": "g", "status": "active", "intent": "plan", "subject": SUBJECT}
    ended = mainstay("translate", "-", "--onto", written(tmp_path / "o", plan), input=json.dumps(RECORD))
    assert ended.code == 1
    assert ended.lines[0]["issue"][0]["expression"] == ["type"]


def test_originals_and_records_have_to_be_as_many(tmp_path: Path) -> None:
    two = written(tmp_path / "two", GOAL, GOAL)
    fewer = mainstay("translate", "-", "--onto", two, input=json.dumps(RECORD))
    assert (fewer.code, types(fewer.lines)) == (1, ["Goal"])
    assert "1 more original" in fewer.err
    more = mainstay("translate", "-", "--onto", two, input="\n".join([json.dumps(RECORD)] * 3))
    assert (more.code, types(more.lines)) == (1, ["Goal", "Goal", "OperationOutcome"])


def test_an_outcome_takes_the_place_of_its_original(tmp_path: Path) -> None:
    originals = written(tmp_path / "originals", {**GOAL, "lifecycleStatus": "no"}, {**GOAL, "id": "second"})
    records = mainstay("translate", originals)
    back = mainstay("translate", "-", "--to", "fhir", "--onto", originals, input=records.out)
    assert types(back.lines) == ["OperationOutcome", "Goal"]
    assert back.lines[1] == {**GOAL, "id": "second"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.json"],
        [],
        ["-", "--to", "xml"],
        ["-", "--to", "records", "--onto", "-"],
        ["-", "--onto", "-"],
    ],
)
def test_wrong_usage_is_told_so(arguments: list[str]) -> None:
    ended = mainstay("translate", *arguments, input=json.dumps(GOAL))
    assert (ended.code, ended.out) == (2, "")


DEEP = 5000
#: Text, and what the refusal says (path or words).
BAD = {
    "malformed": ('{"resourceType": Goal}', "not JSON"),
    "truncated": (json.dumps(GOAL)[:-9], "not JSON"),
    "empty": ("", "empty"),
    "blank": ("\n \n", "empty"),
    "list": (json.dumps([GOAL]), "a list"),
    "number": ("7", "not an object"),
    "NaN": (json.dumps({**GOAL, "x": float("nan")}), "NaN"),
    "same key twice": ('{"resourceType":"Goal","id":"a","id":"b"}', '"id" appears twice'),
    "deep": ('{"type":' + "[" * DEEP + "]" * DEEP + "}", "levels deep"),
    "deep objects": ('{"a":' * DEEP + "1" + "}" * DEEP, "levels deep"),
    "lone surrogate": ('{"type":"Goal","statement":"\\ud800"}', "surrogate"),
    "not UTF-8": (b'{"type":"Goal","statement":"\xff"}', "UTF-8"),
    "no type": ('{"id":"1"}', "type"),
    "unknown type": ('{"resourceType":"Gaol"}', "resourceType"),
    "type is a list": ('{"resourceType":["Goal"]}', "resourceType"),
    "record's type is a list": ('{"type":["Goal"]}', "type"),
    "questionnaire": ('{"resourceType":"Questionnaire","status":"active"}', "kept as the resource"),
    "wrong type in resource": (json.dumps({**GOAL, "lifecycleStatus": 7}), "Goal.lifecycleStatus"),
    "wrong type in record": (json.dumps({**RECORD, "statement": 7}), "Goal.statement"),
    "unknown element": (json.dumps({**GOAL, "wish": 1}), "Goal.wish"),
    "unknown field": (json.dumps({**RECORD, "wish": 1}), "Goal.wish"),
    "unknown status in resource": (json.dumps({**GOAL, "lifecycleStatus": "done"}), "Goal.lifecycleStatus"),
    "unknown status in record": (json.dumps({**RECORD, "status": "done"}), "Goal.status"),
    "gol-1": (json.dumps({**GOAL, "target": [{"detailString": "x"}]}), "Goal.target[0]"),
    "gol-1 in record": (json.dumps({**RECORD, "targets": [{"detail": {"string": "x"}}]}), "Goal.target[0]"),
    "impossible date": (json.dumps({**GOAL, "startDate": "2025-02-30"}), "Goal.startDate"),
    "other date": (json.dumps({**RECORD, "start": {"date": "30.2.2025"}}), "Goal.startDate"),
    "active narrative": (
        json.dumps(
            {
                **GOAL,
                "text": {
                    "status": "generated",
                    "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>',
                },
            }
        ),
        "Goal.text.div",
    ),
}


@pytest.mark.parametrize("text", [bad for bad, _ in BAD.values()], ids=list(BAD))
@pytest.mark.parametrize("to", ["fhir", "records", None])
def test_bad_input_is_refused_in_its_place(tmp_path: Path, text: str | bytes, to: str | None) -> None:
    expected = next(words for bad, words in BAD.values() if bad == text)
    file = tmp_path / "bad.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    ended = mainstay("translate", file, *(["--to", to] if to else []))
    assert ended.code == 1
    (outcome,) = ended.lines
    assert outcome["resourceType"] == "OperationOutcome"
    assert expected in json.dumps(outcome, ensure_ascii=False).replace('\\"', '"')
    assert "Traceback" not in ended.err


#: Those that are one line, and so can stand among others.
LINES = {name: bad for name, (bad, _) in BAD.items() if name not in ("empty", "blank")}


@pytest.mark.parametrize("bad", LINES.values(), ids=list(LINES))
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_bad_line_costs_no_other(tmp_path: Path, bad: str | bytes, position: int) -> None:
    lines = [json.dumps(GOAL).encode(), json.dumps(GOAL).encode()]
    lines.insert(position, bad if isinstance(bad, bytes) else bad.encode())
    file = tmp_path / "lines.ndjson"
    file.write_bytes(b"\n".join(lines))
    ended = mainstay("translate", file)
    expected = ["Goal", "Goal"]
    expected.insert(position, "OperationOutcome")
    assert (ended.code, types(ended.lines)) == (1, expected)


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        ({"modifierExtension": [{"url": "https://x.example", "valueBoolean": True}]}, "modifierExtension"),
        ({"implicitRules": "https://x.example"}, "implicitRules"),
    ],
)
def test_an_edit_under_an_unknown_modifier_is_refused_by_name(
    tmp_path: Path, unknown: dict[str, Any], named: str
) -> None:
    original = written(tmp_path / "goal.json", {**GOAL, **unknown})
    record = mainstay("translate", original)
    assert record.code == 0
    assert mainstay("translate", "-", "--onto", original, input=record.out).lines == [{**GOAL, **unknown}]
    ended = mainstay("translate", "-", "--onto", original, input=record.out.replace("Walk", "Swim"))
    assert ended.code == 1
    assert named in ended.out


def test_a_line_without_end_is_refused_and_skipped(tmp_path: Path) -> None:
    file = tmp_path / "long.ndjson"
    file.write_bytes(b'{"a":"' + b"x" * (MAX_BYTES + 100) + b'"}\n' + json.dumps(GOAL).encode())
    ended = mainstay("translate", file)
    assert (ended.code, types(ended.lines)) == (1, ["OperationOutcome", "Goal"])
    assert ended.lines[0]["issue"][0]["code"] == "too-long"


def test_what_was_said_is_in_no_refusal(tmp_path: Path) -> None:
    secret = "Seeded-4711"
    said = {**RECORD, "status": secret, "subject": secret, secret.lower(): secret, "statement": [secret]}
    ended = mainstay("translate", "-", input=json.dumps(said))
    assert ended.code == 1
    assert secret not in ended.out + ended.err


def test_validate_names_everything_that_is_wrong(tmp_path: Path) -> None:
    bad = {**GOAL, "lifecycleStatus": "no", "startDate": "2025-02-30"}
    file = written(tmp_path / "in", GOAL, bad, RECORD, {**RECORD, "wish": 1}, "{")
    ended = mainstay("validate", file, "--json")
    assert ended.code == 1
    assert [(line["where"].rsplit(":", 1)[-1], line["path"]) for line in ended.lines] == [
        ("2", "Goal.lifecycleStatus"),
        ("2", "Goal.startDate"),
        ("4", "Goal.wish"),
        ("5", ""),
    ]
    assert mainstay("validate", *EXAMPLES).code == 0
