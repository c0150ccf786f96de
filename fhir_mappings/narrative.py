"""Generated XHTML narrative (https://hl7.org/fhir/R4/narrative.html).

It is the part of a plan that every reader shows. A narrative is ours if it carries our
marker extension; only then is it made anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from fhir_mappings.codes import GENERATED_NARRATIVE
from fhir_mappings.exact_json import Tree


@dataclass(frozen=True)
class Section:
    """A heading, what is said under it, and the parts below. Plain text; it is escaped here."""

    heading: str = ""
    lines: Sequence[str] = ()
    parts: Sequence["Section"] = ()


def generate(section: Section) -> Tree:
    """Return the Narrative that tells a section, marked as ours."""
    return {
        "extension": [{"url": GENERATED_NARRATIVE, "valueBoolean": True}],
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{_render(section, level=2)}</div>',
    }


def is_generated(text: Any) -> bool:
    """Tell whether a Narrative is one of ours, to be made anew after an edit."""
    if not isinstance(text, dict) or not isinstance(text.get("extension"), list):
        return False
    return any(
        isinstance(extension, dict)
        and extension.get("url") == GENERATED_NARRATIVE
        and extension.get("valueBoolean") is True
        for extension in text["extension"]
    )


def _render(section: Section, level: int) -> str:
    heading = f"<h{level}>{_text(section.heading)}</h{level}>" if section.heading else ""
    lines = [line for line in section.lines if line]
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    parts = "".join(_render(part, level + 1) for part in section.parts if part.lines or part.parts)
    return heading + (f"<ul>{items}</ul>" if items else "") + parts


def _text(line: str) -> str:
    # Control characters cannot stand in XML at all, however they are written.
    visible = "".join(character if character >= " " or character in "\t\n\r" else " " for character in line)
    return escape(visible)
