"""What follows from an edit, beside what was edited. Pure."""

from dataclasses import replace
from datetime import date
from typing import Any

from fhir_mappings.records import Goal, Record
from service.record_types import BY_NAME


def follow(before: Record, after: Record, today: date) -> Record:
    """Return the edited record with what its edit entails."""
    if isinstance(before, Goal) and isinstance(after, Goal):
        return _date_of_status(before, _codes_of_statement(before, after), today)
    return after


def _codes_of_statement(before: Goal, after: Goal) -> Goal:
    """Drop codes that spoke about another statement: the old code under a new text is the wrong goal."""
    if after.statement != before.statement and after.statement_codes == before.statement_codes:
        return replace(after, statement_codes=())
    return after


def _date_of_status(before: Goal, after: Goal, today: date) -> Goal:
    """Move statusDate with the status: R4 says that it tells since when the status holds."""
    moved = (after.status, after.achievement) != (before.status, before.achievement)
    if moved and after.status_date == before.status_date:
        return replace(after, status_date=today.isoformat())
    return after


def withdrawn(record: Record) -> Record:
    """Return the record as one that was entered in error."""
    status: Any = BY_NAME[type(record).__name__].entered_in_error
    return replace(record, status=status)
