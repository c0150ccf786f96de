"""docs/mapping.md says what the declarations say."""

from pathlib import Path

from fhir_mappings import table


def test_the_document_equals_the_declarations() -> None:
    document = Path(__file__).parents[2] / "docs" / "mapping.md"
    assert document.read_text() == table.render()
