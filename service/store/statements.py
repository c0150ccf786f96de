"""Statements: what each engine calls its insert, and how much fits in one."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.tables import Table

T = TypeVar("T")

#: Fewer than the limit of variables in one statement that older SQLites have.
CHUNK = 500


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut items so that each part fits in one statement; size: less where an item takes several variables."""
    listed = list(items)
    return (listed[start : start + size] for start in range(0, len(listed), size))


def insert_of(dialect: str) -> type[sqlite.Insert]:
    """Return the insert of an engine, by its name, that can say what happens on a conflict."""
    # The two dialects say that in the same words; their classes share nothing.
    return sqlite.Insert if dialect == "sqlite" else postgresql.Insert  # type: ignore[return-value]


def insert_into(session: Session, table: type[Table]) -> sqlite.Insert:
    """Return an insert, in the words of the engine that the session speaks to."""
    return insert_of(session.get_bind().dialect.name)(cast("Any", table.__table__))


def upsert(
    session: Session, table: type[Table], key: Collection[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write rows that all name the same columns; where the key is there already, the others are set."""
    if not rows:
        return
    statement = insert_into(session, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed), list(rows))
