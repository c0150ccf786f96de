"""What is kept here of all that some trees refer to: which record, whose, who is who; many at a time."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings.references import Address, Name, Spot, address_in
from service.record_types import BY_RESOURCE_TYPE
from service.store import tables
from service.store.statements import chunks

T = TypeVar("T", str, Name)


@dataclass(frozen=True)
class Register:
    """What is registered here of all that some trees refer to.

    owners: record id -> type and patient. patients: id -> the patient into whom they were merged,
    if they were. names: identifier -> patient.
    """

    owners: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    patients: Mapping[str, str | None] = field(default_factory=dict)
    names: Mapping[Name, str] = field(default_factory=dict)


def read_register(session: Session, spots: Iterable[Spot], *, locked: bool = False) -> Register:
    """Read what is registered here of all that is referred to; locked: it stays so until the commit."""
    spots = list(spots)
    addresses = {spot.address for spot in spots if spot.address is not None}
    names = {spot.name for spot in spots if spot.name is not None and spot.is_to_patient}
    # First of all who is held: whose a record is, and who is called how, only stays so from then on.
    patients = _patients(session, {one.id for one in addresses if one.resource_type == "Patient"}, locked)
    owners = _owners(session, {one.id for one in addresses if one.resource_type in BY_RESOURCE_TYPE})
    return Register(owners, patients, named_patients(session, names))


def _owners(session: Session, ids: set[str]) -> dict[str, tuple[str, str | None]]:
    table = tables.Record
    owners = {}
    for chunk in chunks(sorted(ids)):
        rows = session.execute(
            select(table.id, table.resource_type, table.patient_id).where(table.id.in_(chunk))
        )
        owners.update({row.id: (row.resource_type, row.patient_id) for row in rows})
    return owners


def _patients(session: Session, ids: set[str], locked: bool) -> dict[str, str | None]:
    table = tables.Patient
    patients: dict[str, str | None] = {}
    for chunk in chunks(sorted(ids)):
        query = select(table.id, table.merged_into).where(table.id.in_(chunk)).order_by(table.id)
        if locked:
            # Nobody is merged away between this look and the commit.
            query = query.with_for_update(read=True, key_share=True)
        patients.update({row.id: row.merged_into for row in session.execute(query)})
    return patients


def named_patients(session: Session, names: set[Name]) -> dict[Name, str]:
    """Return whom each identifier belongs to, of those that are registered."""
    table = tables.PatientIdentifier
    owners: dict[Name, str] = {}
    for chunk in chunks(sorted(names), size=300):
        rows = session.execute(
            select(table.system, table.value, table.patient_id).where(
                # The plain column beside the tuple, which alone is no index look-up on SQLite.
                table.value.in_({value for _, value in chunk}),
                tuple_(table.system, table.value).in_(chunk),
            )
        )
        owners.update({(row.system, row.value): row.patient_id for row in rows})
    return owners


def copies(session: Session, literals: Collection[str]) -> dict[str, Address]:
    """Return what absolute references into a server that is kept in step lead to here, as far as is known."""
    absolute = [literal for literal in literals if "://" in literal]
    if not absolute:
        return {}
    found: dict[str, Address] = {}
    for server in session.execute(select(tables.Connection.id, tables.Connection.base_url)).all():
        prefix = f"{server.base_url}/"
        there = {
            literal: address
            for literal in absolute
            if literal.startswith(prefix) and (address := address_in(literal.removeprefix(prefix)))
        }
        here = _here(session, server.id, {address.id for address in there.values()})
        found.update({literal: here[address] for literal, address in there.items() if address in here})
    return found


def _here(session: Session, connection_id: str, server_ids: set[str]) -> dict[Address, Address]:
    link, patient = tables.Link, tables.PatientLink
    here: dict[Address, Address] = {}
    for chunk in chunks(sorted(server_ids)):
        for row in session.execute(
            select(link.resource_type, link.server_id, link.record_id).where(
                link.connection_id == connection_id, link.server_id.in_(chunk)
            )
        ):
            here[Address(row.resource_type, str(row.server_id))] = Address(row.resource_type, row.record_id)
        for match in session.execute(
            select(patient.server_id, patient.patient_id).where(
                patient.connection_id == connection_id, patient.server_id.in_(chunk)
            )
        ):
            here[Address("Patient", str(match.server_id))] = Address("Patient", match.patient_id)
    return here
