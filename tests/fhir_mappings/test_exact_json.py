"""JSON text in, the same JSON text out, or a clear refusal."""

import pytest

from fhir_mappings import exact_json


@pytest.mark.parametrize(
    "text",
    [
        "7.50",
        "1e2",
        "1E+2",
        "-0",
        "-0.0",
        "0.0000001",
        "12345678901234567890.123456789",
        "5",
        "1E400",
        "9" * 60,
    ],
)
def test_a_number_keeps_its_text(text: str) -> None:
    assert exact_json.dump(exact_json.parse(f"[{text}]")) == f"[{text}]"


def test_numbers_are_equal_by_value_and_differ_by_text() -> None:
    short, long = exact_json.parse("[7.5,7.50]")
    assert short == long
    assert str(short) != str(long)


def test_text_outside_ascii_stays_readable() -> None:
    assert exact_json.dump(exact_json.parse('{"a":"\\u00e9\\ud83d\\ude00"}')) == '{"a":"é😀"}'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('{"a": 1', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": 1} {"b": 2}', "not JSON"),
        ("[1,]", "not JSON"),
        ("[01]", "not JSON"),
        ('{"a": "\n"}', "control character"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"status": 1, "status": 2}', '"status" appears twice'),
        ('{"outer": {"id": 1, "id": 1}}', '"id" appears twice'),
        ("[" * 5000 + "]" * 5000, "levels deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "levels deep"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        ('{"a": "\\u0000"}', "NUL"),
        (b'{"a": "\xff"}', "UTF-8"),
        ("[1e99999999999999999999]", "out of range"),
    ],
)
def test_what_is_not_the_json_of_one_value_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(exact_json.JSONTextError, match=problem):
        exact_json.parse(text)


def test_brackets_within_a_string_are_no_depth() -> None:
    text = '{"a":"' + "[{" * 300 + '"}'
    assert exact_json.dump(exact_json.parse(text)) == text


def test_an_escaped_backslash_before_u_is_no_surrogate() -> None:
    text = r'{"a":"\\ud800"}'
    assert exact_json.dump(exact_json.parse(text)) == text


def test_a_byte_order_mark_is_passed_over() -> None:
    assert exact_json.parse("\ufeff{}") == {}
