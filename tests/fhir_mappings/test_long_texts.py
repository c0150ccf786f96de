"""Texts are checked in time with their length, whatever stands in them."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_mappings import exact_json, r4
from tests import builders
from tests.growth import STEP, Growth, Work, growths

CHARACTERS = 50_000
Act = Callable[[], object]


def checked(**elements: Any) -> Act:
    """The check of a goal with these elements."""
    tree = builders.goal(**elements)
    return lambda: r4.check(tree)


def with_value(**value: Any) -> Act:
    return checked(extension=[{"url": "https://clinic.example/x", **value}])


def with_narrative(content: str) -> Act:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'
    return checked(text={"status": "generated", "div": div})


def base64_with_a_stray_character(size: int) -> Act:
    return with_value(valueBase64Binary="QUJD " * (size // 5) + "!")


def base64_in_lines_whose_last_character_is_lost(size: int) -> Act:
    lines = "\r\n".join(["Q" * 76] * (size // 78))
    return with_value(valueAttachment={"contentType": "text/plain", "data": lines[:-1]})


def base64_that_is_valid(size: int) -> Act:
    return with_value(valueBase64Binary="QUJD\n" * (size // 5))


def a_code_of_many_words(size: int) -> Act:
    return with_value(valueCode="a " * (size // 2))


def a_uri_with_a_blank_at_its_end(size: int) -> Act:
    return with_value(valueUri="a" * size + " ")


def an_oid_of_many_numbers(size: int) -> Act:
    return with_value(valueOid="urn:oid:1" + ".1" * (size // 2) + ".")


def an_instant_of_many_digits(size: int) -> Act:
    return with_value(valueInstant=f"2026-02-03T10:00:00.{'1' * size}!")


def a_period_of_many_digits(size: int) -> Act:
    return with_value(valuePeriod={"start": f"2026-02-03T10:00:00.{'1' * size}Z", "end": "2026-02-03"})


def a_reference_of_many_steps(size: int) -> Act:
    return checked(subject={"reference": "Patient/" * (size // 8) + "#" + "/Patient/1" * (size // 10) + "!"})


def a_style_of_comments_that_end(size: int) -> Act:
    return with_narrative(f'<p style="{"/* a */ " * (size // 8)}">a</p>')


def a_style_of_comments_that_never_end(size: int) -> Act:
    return with_narrative(f'<p style="{"/* a " * (size // 5)}">a</p>')


def a_style_of_blanks_and_escapes(size: int) -> Act:
    style = "e\\65 " * (size // 5)
    return with_narrative(f'<p style="{style}">a</p>')


def a_link_of_characters_that_are_ignored(size: int) -> Act:
    return with_narrative(f'<a href="{"j&#10;" * (size // 6)}">a</a>')


def entities_without_an_end(size: int) -> Act:
    return with_narrative("&a" * (size // 2))


def text_of_blanks(size: int) -> Act:
    return with_narrative("&#160; <br/>" * (size // 12))


def elements_within_elements(size: int) -> Act:
    return with_narrative("<div>" * (size // 11) + "a" + "</div>" * (size // 11))


def elements_within_elements_beside_a_comment(size: int) -> Act:
    return with_narrative("<!-- a -->" + "<div>" * (size // 11) + "a" + "</div>" * (size // 11))


def elements_that_a_browser_sees_in_a_comment(size: int) -> Act:
    return with_narrative("<!-->" + "<div><b>" * (size // 8) + "-->a")


def attributes_beside_a_comment(size: int) -> Act:
    attributes = " ".join(f'a{number}=""' for number in range(size // 9))
    return with_narrative(f"<!-->--><p {attributes}>a</p>")


def comments_in_a_narrative(size: int) -> Act:
    return with_narrative("<!-- - -->" * (size // 10) + "a")


def a_number_of_many_digits(size: int) -> Act:
    text = "[" + "1" * size + "." + "1" * size + "e-9]"
    return lambda: exact_json.parse(text)


def a_text_of_escapes(size: int) -> Act:
    text = '["' + "\\ud83e\\udd8a" * (size // 12) + '"]'
    return lambda: exact_json.parse(text)


TEXTS: list[Work] = [
    base64_with_a_stray_character,
    base64_in_lines_whose_last_character_is_lost,
    base64_that_is_valid,
    a_code_of_many_words,
    a_uri_with_a_blank_at_its_end,
    an_oid_of_many_numbers,
    an_instant_of_many_digits,
    a_period_of_many_digits,
    a_reference_of_many_steps,
    a_style_of_comments_that_end,
    a_style_of_comments_that_never_end,
    a_style_of_blanks_and_escapes,
    a_link_of_characters_that_are_ignored,
    entities_without_an_end,
    text_of_blanks,
    elements_within_elements,
    elements_within_elements_beside_a_comment,
    elements_that_a_browser_sees_in_a_comment,
    attributes_beside_a_comment,
    comments_in_a_narrative,
    a_number_of_many_digits,
    a_text_of_escapes,
]


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growths([(work, CHARACTERS) for work in TEXTS])


@pytest.mark.parametrize("work", TEXTS)
def test_time_grows_with_the_length_of_a_text_and_no_faster(work: Work, measured: dict[str, Growth]) -> None:
    assert measured[work.__name__].is_linear, measured[work.__name__]


def test_a_text_of_two_hundred_thousand_characters_takes_less_than_a_second(
    measured: dict[str, Growth],
) -> None:
    assert CHARACTERS * STEP == 200_000
    assert [name for name, growth in measured.items() if growth.large > 1] == []
