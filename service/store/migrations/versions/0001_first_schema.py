"""The first schema: records with history, links, outbox, conflicts, and what sync remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("token_file", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=True),
        sa.Column("capabilities_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
        sa.UniqueConstraint("base_url", name="uq_connections_base_url"),
        sa.UniqueConstraint("name", name="uq_connections_name"),
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identifier_system", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deployment"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("principal", "route", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "patients",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_patients"),
    )
    op.create_index("ix_patients_created_at", "patients", ["created_at"], unique=False)
    op.create_table(
        "invalid_resources",
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=False),
        sa.Column("server_version", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_invalid_resources_connection_id_connections"
        ),
        sa.PrimaryKeyConstraint("connection_id", "resource_type", "server_id", name="pk_invalid_resources"),
    )
    op.create_table(
        "patient_identifiers",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patients.id"], name="fk_patient_identifiers_patient_id_patients"
        ),
        sa.PrimaryKeyConstraint("system", "value", name="pk_patient_identifiers"),
    )
    op.create_index("ix_patient_identifiers_patient_id", "patient_identifiers", ["patient_id"], unique=False)
    op.create_index("ix_patient_identifiers_value", "patient_identifiers", ["value"], unique=False)
    op.create_table(
        "patient_links",
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_patient_links_connection_id_connections"
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_patient_links_patient_id_patients"),
        sa.PrimaryKeyConstraint("patient_id", "connection_id", name="pk_patient_links"),
        sa.UniqueConstraint("connection_id", "server_id", name="uq_patient_links_connection_id_server_id"),
    )
    op.create_table(
        "records",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("canonical_url", sa.Text(), nullable=True),
        sa.Column("canonical_version", sa.Text(), nullable=True),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_records_patient_id_patients"),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    op.create_index(
        "ix_records_canonical_url_canonical_version",
        "records",
        ["canonical_url", "canonical_version"],
        unique=False,
    )
    op.create_index(
        "ix_records_patient_id_resource_type_status",
        "records",
        ["patient_id", "resource_type", "status"],
        unique=False,
    )
    op.create_index(
        "ix_records_resource_type_created_at_id",
        "records",
        ["resource_type", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_records_resource_type_updated_at", "records", ["resource_type", "updated_at"], unique=False
    )
    op.create_index("ix_records_updated_at", "records", ["updated_at"], unique=False)
    op.create_index(
        "uq_records_questionnaire",
        "records",
        ["canonical_url", "canonical_version"],
        unique=True,
        sqlite_where=sa.text("resource_type = 'Questionnaire'"),
        postgresql_where=sa.text("resource_type = 'Questionnaire'"),
    )
    op.create_table(
        "reference_links",
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_reference_links_connection_id_connections"
        ),
        sa.PrimaryKeyConstraint(
            "connection_id", "resource_type", "system", "value", name="pk_reference_links"
        ),
    )
    op.create_table(
        "watermarks",
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_watermarks_connection_id_connections"
        ),
        sa.PrimaryKeyConstraint("connection_id", "scope", name="pk_watermarks"),
    )
    op.create_table(
        "conflicts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("here_version", sa.Integer(), nullable=False),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("here", sa.Text(), nullable=False),
        sa.Column("there", sa.Text(), nullable=False),
        sa.Column("server_version", sa.Text(), nullable=True),
        sa.Column("paths", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_conflicts_connection_id_connections"
        ),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_conflicts_record_id_records"),
        sa.PrimaryKeyConstraint("id", name="pk_conflicts"),
    )
    op.create_index("ix_conflicts_opened_at", "conflicts", ["opened_at"], unique=False)
    op.create_index(
        "ix_conflicts_record_id_connection_id", "conflicts", ["record_id", "connection_id"], unique=False
    )
    op.create_table(
        "history",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_history_record_id_records"),
        sa.PrimaryKeyConstraint("record_id", "version", name="pk_history"),
    )
    op.create_table(
        "links",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=True),
        sa.Column("server_version", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("synced_version", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_links_connection_id_connections"
        ),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_links_record_id_records"),
        sa.PrimaryKeyConstraint("record_id", "connection_id", name="pk_links"),
        sa.UniqueConstraint(
            "connection_id",
            "resource_type",
            "server_id",
            name="uq_links_connection_id_resource_type_server_id",
        ),
    )
    op.create_index("ix_links_connection_id_state", "links", ["connection_id", "state"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_outbox_connection_id_connections"
        ),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_outbox_record_id_records"),
        sa.PrimaryKeyConstraint("record_id", "connection_id", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_connection_id_next_attempt_at",
        "outbox",
        ["connection_id", "next_attempt_at"],
        unique=False,
    )
    op.create_index("ix_outbox_next_attempt_at", "outbox", ["next_attempt_at"], unique=False)
    op.create_table(
        "record_identifiers",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name="fk_record_identifiers_record_id_records"
        ),
        sa.PrimaryKeyConstraint("record_id", "system", "value", name="pk_record_identifiers"),
    )
    op.create_index(
        "ix_record_identifiers_value_system", "record_identifiers", ["value", "system"], unique=False
    )
