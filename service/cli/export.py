"""mainstay export: all that the store holds, a line of JSON each."""

from collections.abc import Iterator
from typing import Any

import click

from service import record_types, schemas
from service.chart import Chart, RecordVersion
from service.chart.queries import RecordQuery
from service.cli import terminal
from service.cli.opened import opened
from service.cli.patient import PAGE, everyone, row


@click.command()
@click.option("--fhir", is_flag=True, help="As FHIR R4, with the elements that records have no word for.")
@click.option("--patient", help="Only this patient's records, by our id.")
def export(fhir: bool, patient: str | None) -> None:
    """Print all patients, questionnaires and records as NDJSON; `mainstay load` takes it in again.

    Records say what we have words for; what else a server put into a resource is only in --fhir.
    """
    with opened() as components:
        lines = _lines(components.chart, fhir, patient)
        for line in terminal.progressing("Exporting", lines):
            terminal.write_line(line)


def _lines(chart: Chart, fhir: bool, patient: str | None) -> Iterator[Any]:
    people = everyone(chart) if patient is None else iter([chart.patient(patient)])
    for person in people:
        yield row(person, as_json=True)
    # What is referred to comes first, so that loading finds it.
    for kind in record_types.ALL:
        for entry in _entries(chart, kind.resource_type, patient if kind.is_of_patient else None):
            if fhir or kind.mapping is None:
                yield entry.tree
            else:
                yield schemas.dump(kind.mapping.read(entry.tree))


def _entries(chart: Chart, resource_type: str, patient: str | None) -> Iterator[RecordVersion]:
    after = None
    while True:
        page = chart.find(RecordQuery(resource_type=resource_type, patient=patient, limit=PAGE, after=after))
        yield from page.entries
        after = page.next_after
        if after is None:
            return
