"""The tables, one class each. FHIR trees are TEXT: a JSON column would turn 7.50 into 7.5."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.store.columns import UTCDateTime

_ONE_PER_URL = text("resource_type = 'Questionnaire'")
_MATCHED = text("state = 'matched'")
_CLAIMED = text("claimed_id IS NOT NULL")
_MERGED = text("earlier IS NOT NULL")


class Table(DeclarativeBase):
    """What all tables share: names of constraints that migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime(), str: Text()}


class Deployment(Table):
    """The one row about this database itself."""

    __tablename__ = "deployment"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identifier_system: Mapped[str]


class Patient(Table):
    """A person that records are about; all that we keep of them is what they are called by.

    merged_into: the patient who turned out to be the same person, and has the records since.
    """

    __tablename__ = "patients"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    created_by: Mapped[str]
    merged_into: Mapped[str | None] = mapped_column(ForeignKey("patients.id"))


class PatientIdentifier(Table):
    """What a patient is called, in one system; nobody else is called so."""

    __tablename__ = "patient_identifiers"

    system: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True, index=True)
    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id"), index=True)


class PatientChange(Table):
    """What was done to what a patient is called: who, when, by which act, and what it changed.

    detail: JSON, of a merge the list by which it can be undone.
    """

    __tablename__ = "patient_history"

    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    action: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]


class Record(Table):
    """One record, as it is now.

    canonical_url, canonical_version: of a Questionnaire its own, of a
    QuestionnaireResponse those of the questionnaire that was answered.
    set_aside: why it is shown to nobody: moved, handed-over.
    """

    __tablename__ = "records"
    __table_args__ = (
        Index("ix_records_resource_type_created_at_id", "resource_type", "created_at", "id"),
        Index("ix_records_resource_type_updated_at", "resource_type", "updated_at"),
        Index("ix_records_patient_id_resource_type_status", "patient_id", "resource_type", "status"),
        Index("ix_records_canonical_url_canonical_version", "canonical_url", "canonical_version"),
        Index(
            "uq_records_questionnaire",
            "canonical_url",
            "canonical_version",
            unique=True,
            sqlite_where=_ONE_PER_URL,
            postgresql_where=_ONE_PER_URL,
        ),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource_type: Mapped[str] = mapped_column(String(64))
    patient_id: Mapped[str | None] = mapped_column(ForeignKey("patients.id"))
    version: Mapped[int]
    status: Mapped[str | None]
    canonical_url: Mapped[str | None]
    canonical_version: Mapped[str | None]
    tree: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)
    set_aside: Mapped[str | None] = mapped_column(String(16))


class RecordIdentifier(Table):
    """A business identifier of a record; ``system`` is empty where the identifier has none."""

    __tablename__ = "record_identifiers"
    __table_args__ = (Index("ix_record_identifiers_value_system", "value", "system"),)

    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    system: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)


class UnregisteredName(Table):
    """An identifier that a record says of a patient, and nobody is registered by here.

    patient_id: whom it means. Who is registered by it later has to be them, or the row would say two things.
    """

    __tablename__ = "unregistered_names"

    system: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True, index=True)
    patient_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class Version(Table):
    """Each version of a record, the current one too: who made it, when, by which act."""

    __tablename__ = "history"

    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tree: Mapped[str]
    status: Mapped[str | None]
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]


class Connection(Table):
    """A FHIR server that is kept in step. token_file: path of the file, never the token."""

    __tablename__ = "connections"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    base_url: Mapped[str] = mapped_column(unique=True)
    token_file: Mapped[str | None]
    created_at: Mapped[datetime]
    capabilities: Mapped[str | None]
    capabilities_at: Mapped[datetime | None]


class PatientLink(Table):
    """Which Patient there is the patient here: a claim, which has to be verified before anything is written.

    state: matched, unmatched. server_id: the Patient that is or last was matched.
    earlier: JSON list of server ids that were merged into it there.
    claimed_id: another patient's match here that this patient's evidence leads to as well.
    basis: what the match rests on: identifier, launch, person.
    shown: JSON list of the identifiers that it rests on, as the server showed them.
    is_stale: the identifiers here have changed since; whatever it was, it is looked for anew.
    """

    __tablename__ = "patient_links"
    __table_args__ = (
        Index(
            "uq_patient_links_matched",
            "connection_id",
            "server_id",
            unique=True,
            sqlite_where=_MATCHED,
            postgresql_where=_MATCHED,
        ),
        Index("ix_patient_links_connection_id_server_id", "connection_id", "server_id"),
        Index("ix_patient_links_claimed_id", "claimed_id", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED),
        Index("ix_patient_links_merged", "connection_id", sqlite_where=_MERGED, postgresql_where=_MERGED),
    )

    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    server_id: Mapped[str | None]
    earlier: Mapped[str | None]
    claimed_id: Mapped[str | None]
    basis: Mapped[str | None] = mapped_column(String(16))
    shown: Mapped[str | None]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    is_stale: Mapped[bool]
    checked_at: Mapped[datetime]


class MatchChange(Table):
    """Each change of a patient's match on a connection: what it became, who or what said so, when."""

    __tablename__ = "match_history"

    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    server_id: Mapped[str | None]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    basis: Mapped[str | None] = mapped_column(String(16))
    actor: Mapped[str]
    at: Mapped[datetime]


class ReferenceLink(Table):
    """Where something that we refer to by identifier lives there: practitioners, conditions …

    patient_id: whose it has to be; empty for what is nobody's, as a practitioner.
    """

    __tablename__ = "reference_links"

    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    patient_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource_type: Mapped[str] = mapped_column(String(64), primary_key=True)
    system: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str | None]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    checked_at: Mapped[datetime]


class Link(Table):
    """How a record stands with one server.

    body: what the server last showed us, exactly, in its version server_version.
    synced_version: our version that body corresponds to.
    state: pending, synced, unknown, conflict, moved, held, rejected, unmatched.
    outcome: the server's OperationOutcome.
    sought: JSON list of what was looked for there and not found: type, system, value.
    """

    __tablename__ = "links"
    __table_args__ = (
        UniqueConstraint("connection_id", "resource_type", "server_id"),
        Index("ix_links_connection_id_state", "connection_id", "state"),
    )

    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    resource_type: Mapped[str] = mapped_column(String(64))
    server_id: Mapped[str | None]
    server_version: Mapped[str | None]
    body: Mapped[str | None]
    synced_version: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    outcome: Mapped[str | None]
    next_step: Mapped[str | None]
    sought: Mapped[str | None]
    updated_at: Mapped[datetime]


class OutboxRow(Table):
    """A record that a server has not been told of yet; which one, never what.

    generation: moves at every change of the record, so that a change made during a
    push is not taken for the one that was pushed.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_connection_id_next_attempt_at", "connection_id", "next_attempt_at"),)

    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    generation: Mapped[int]
    enqueued_at: Mapped[datetime]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime] = mapped_column(index=True)
    lease_owner: Mapped[str | None]
    leased_until: Mapped[datetime | None]


class ConflictRow(Table):
    """Both sides changed: base, here and there, all readable, until a person decides.

    paths: JSON list of the elements that both changed. resolution: here, there, merged.
    """

    __tablename__ = "conflicts"
    __table_args__ = (Index("ix_conflicts_record_id_connection_id", "record_id", "connection_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"))
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"))
    here_version: Mapped[int]
    base: Mapped[str | None]
    here: Mapped[str]
    there: Mapped[str]
    server_version: Mapped[str | None]
    paths: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(index=True)
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None]
    resolved_by: Mapped[str | None]


class MovedCopy(Table):
    """A record's copy that is another patient's there by now: kept as it came, shown to nobody.

    there: the server's id of that patient, if it could be told. decision: write-back, once it was made.
    """

    __tablename__ = "moved_copies"

    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    there: Mapped[str | None]
    server_version: Mapped[str | None]
    body: Mapped[str]
    decision: Mapped[str | None] = mapped_column(String(16))
    found_at: Mapped[datetime]


class InvalidResource(Table):
    """What a server holds that cannot be taken, not valid R4 or nobody's: as it came, never written."""

    __tablename__ = "invalid_resources"

    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    resource_type: Mapped[str] = mapped_column(String(64), primary_key=True)
    server_id: Mapped[str] = mapped_column(primary_key=True)
    server_version: Mapped[str | None]
    body: Mapped[str]
    findings: Mapped[str]
    seen_at: Mapped[datetime]


class Watermark(Table):
    """Up to where a server's changes have been read, per scope of reading."""

    __tablename__ = "watermarks"

    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[str]


class IdempotencyKey(Table):
    """A create that was asked for with a key, and what was answered."""

    __tablename__ = "idempotency_keys"

    principal: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[str | None]
    headers: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
