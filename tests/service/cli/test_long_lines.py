"""A file is read in time with its length, whatever its first line is."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli.inputs import items
from tests.growth import Growth, Work, growths

CHARACTERS = 100_000
Act = Callable[[], object]


def read(text: str) -> Act:
    file = tempfile.NamedTemporaryFile("w")  # noqa: SIM115 - it is there as long as the act that reads it
    file.write(text)
    file.flush()
    return lambda: list(items([file.name]))


def a_string_without_an_end(size: int) -> Act:
    return read('{"type": "' + '\\"' * (size // 2) + "}\n{}\n")


def strings_that_end(size: int) -> Act:
    return read("{" + '"a",' * (size // 4) + "}\n{}\n")


def brackets(size: int) -> Act:
    return read("{" + "[" * (size // 2) + "]" * (size // 2) + "}\n{}\n")


def blank_lines(size: int) -> Act:
    return read("\n \n" * (size // 3) + "{}\n")


WORKS: list[Work] = [a_string_without_an_end, strings_that_end, brackets, blank_lines]


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growths([(work, CHARACTERS) for work in WORKS])


@pytest.mark.parametrize("work", WORKS)
def test_time_grows_with_the_length_of_a_line_and_no_faster(work: Work, measured: dict[str, Growth]) -> None:
    assert measured[work.__name__].is_linear, measured[work.__name__]


@pytest.mark.parametrize(
    ("first", "count"),
    [
        ('{"type": "a\\"}"}', 2),
        ('{"type": "}', 2),
        ('{"type": "{}', 1),
        ('{"type": "\\"{\\"}', 1),
        ('{"type": ["}"]}', 2),
        ('{"type": [}', 1),
    ],
)
def test_a_first_line_is_a_value_if_it_closes_what_it_opens(tmp_path: Path, first: str, count: int) -> None:
    # What stands in a string opens and closes nothing; one without an end is none.
    path = tmp_path / "lines.ndjson"
    path.write_text(f"{first}\nnull\n")
    assert len(list(items([str(path)]))) == count
