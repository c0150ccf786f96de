"""Matches are claims that expire; patients have a history; copies that are another's are set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_MATCHED = sa.text("state = 'matched'")


def upgrade() -> None:
    # Inline: SQLite adds no constraint later, and making the table anew would break what refers to it.
    op.add_column(
        "patients",
        sa.Column(
            "merged_into",
            sa.String(length=64),
            sa.ForeignKey("patients.id", name="fk_patients_merged_into_patients"),
            nullable=True,
        ),
        inline_references=True,
    )
    op.add_column("records", sa.Column("set_aside", sa.String(length=16), nullable=True))
    op.add_column("links", sa.Column("sought", sa.Text(), nullable=True))
    _patient_links()
    _reference_links()
    _histories()
    _unregistered_names()
    op.create_table(
        "moved_copies",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("there", sa.Text(), nullable=True),
        sa.Column("server_version", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_moved_copies_record_id_records"),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_moved_copies_connection_id_connections"
        ),
        sa.PrimaryKeyConstraint("record_id", "connection_id", name="pk_moved_copies"),
    )


def _patient_links() -> None:
    """Matches made before have to be found again: nothing says what they rest on."""
    with op.batch_alter_table("patient_links") as links:
        links.drop_constraint("uq_patient_links_connection_id_server_id", type_="unique")
        links.add_column(sa.Column("earlier", sa.Text(), nullable=True))
        links.add_column(sa.Column("claimed_id", sa.Text(), nullable=True))
        links.add_column(sa.Column("basis", sa.String(length=16), nullable=True))
        links.add_column(sa.Column("shown", sa.Text(), nullable=True))
        links.add_column(sa.Column("is_stale", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("patient_links") as links:
        links.alter_column("is_stale", server_default=None)
    op.create_index(
        "uq_patient_links_matched",
        "patient_links",
        ["connection_id", "server_id"],
        unique=True,
        sqlite_where=_MATCHED,
        postgresql_where=_MATCHED,
    )
    op.create_index(
        "ix_patient_links_connection_id_server_id",
        "patient_links",
        ["connection_id", "server_id"],
        unique=False,
    )
    for name, column, text in (
        ("ix_patient_links_claimed_id", "claimed_id", "claimed_id IS NOT NULL"),
        ("ix_patient_links_merged", "connection_id", "earlier IS NOT NULL"),
    ):
        where = sa.text(text)
        op.create_index(name, "patient_links", [column], sqlite_where=where, postgresql_where=where)


def _reference_links() -> None:
    """What was found by identifier is asked anew: nothing kept says whose it was."""
    op.drop_table("reference_links")
    op.create_table(
        "reference_links",
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
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
            "connection_id", "patient_id", "resource_type", "system", "value", name="pk_reference_links"
        ),
    )


def _histories() -> None:
    op.create_table(
        "patient_history",
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patients.id"], name="fk_patient_history_patient_id_patients"
        ),
        sa.PrimaryKeyConstraint("patient_id", "number", name="pk_patient_history"),
    )
    op.create_table(
        "match_history",
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("server_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("basis", sa.String(length=16), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_match_history_patient_id_patients"),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_match_history_connection_id_connections"
        ),
        sa.PrimaryKeyConstraint("patient_id", "connection_id", "number", name="pk_match_history"),
    )


def _unregistered_names() -> None:
    op.create_table(
        "unregistered_names",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name="fk_unregistered_names_record_id_records"
        ),
        sa.PrimaryKeyConstraint("system", "value", "record_id", "patient_id", name="pk_unregistered_names"),
    )
    op.create_index("ix_unregistered_names_record_id", "unregistered_names", ["record_id"], unique=False)
