"""A whole database in one file, and back, from either engine into either.

The file is gzipped NDJSON: a header with the schema's revision, the columns and the number of rows
of each table, then each row as ``[table, value, …]``, then a trailer with a checksum of all lines
above. It shows one moment, is written while others write, and is read and written in constant memory.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from service.errors import Conflict, InvalidInput
from service.store import tables
from service.store.columns import UTCDateTime
from service.store.database import Database, newest_revision

FORMAT = "mainstay-backup"
FORMAT_VERSION = 1

_BATCH = 500
_TABLES = {table.name: table for table in tables.Table.metadata.sorted_tables}


@dataclass(frozen=True)
class Summary:
    """What went into a file or came out of it: number of rows per table."""

    counts: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(self.counts.values())


def backup(database: Database, path: Path, progress: Callable[[int], None] | None = None) -> Summary:
    """Write everything to a file that only its owner can read; it has its name only once it is whole.

    progress: told the number of rows each time that some were written.
    """
    revision = database.revision()
    if revision != newest_revision():
        raise Conflict("The database has another schema than this version of Mainstay: upgrade it first")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with database.read() as session, open(partial, "xb", opener=_private) as file:
            summary = _counted(session)
            header = _header(revision, summary)
            with gzip.GzipFile(filename="", fileobj=file, mode="wb") as packed:
                for line in _signed(_lines(session, header, progress)):
                    packed.write(line)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            partial.unlink()
        raise
    return summary


def restore(
    database: Database,
    path: Path,
    progress: Callable[[int], None] | None = None,
    *,
    check: Callable[[Session], None],
) -> Summary:
    """Fill an empty database from a file, wholly or not at all.

    check: looks at all rows before they are committed, and raises for what may not be.
    Raises InvalidInput for a file that is damaged or none of ours, Conflict for a database that is
    not empty.
    """
    _verify(path)
    database.upgrade()
    with database.begin() as session, path.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
        _require_empty(session)
        session.execute(delete(tables.Deployment))
        lines = _verified(packed)
        header = _read_header(next(lines, {}))
        counts = dict.fromkeys(_TABLES, 0)
        done = 0
        for name, rows in groupby(_rows(lines, header["columns"]), key=lambda row: row[0]):
            inward: list[dict[str, Any]] = []
            for some in _batches(values for _, values in rows):
                inward += _without_inward(_TABLES[name], some)
                session.execute(insert(_TABLES[name]), some)
                counts[name] += len(some)
                done += len(some)
                if progress:
                    progress(done)
            _refer_inward(session, _TABLES[name], inward)
        if counts != {**dict.fromkeys(_TABLES, 0), **header["rows"]}:
            raise InvalidInput("The backup does not hold as many rows as it says")
        session.expire_all()
        session.info.clear()
        check(session)
    return Summary(counts)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _counted(session: Session) -> Summary:
    count = select(func.count())
    return Summary({name: session.scalar(count.select_from(table)) or 0 for name, table in _TABLES.items()})


def _header(revision: str | None, summary: Summary) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "revision": revision,
        "columns": {name: [column.name for column in table.columns] for name, table in _TABLES.items()},
        "rows": summary.counts,
    }


def _lines(
    session: Session, header: dict[str, Any], progress: Callable[[int], None] | None
) -> Iterator[dict[str, Any] | list[Any]]:
    yield header
    done = 0
    for name, table in _TABLES.items():
        for row in session.execute(select(table), execution_options={"yield_per": _BATCH}):
            yield [name, *map(_portable, row)]
            done += 1
            if progress and done % _BATCH == 0:
                progress(done)
    if progress:
        progress(done)


def _portable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _signed(lines: Iterable[dict[str, Any] | list[Any]]) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for line in lines:
        encoded = exact_json.dump(line).encode() + b"\n"
        digest.update(encoded)
        yield encoded
    yield exact_json.dump({"sha256": digest.hexdigest()}).encode() + b"\n"


def _verified(packed: gzip.GzipFile) -> Iterator[Any]:
    """Yield each line but the trailer; raise InvalidInput at the end, at the latest, if any was altered."""
    digest = hashlib.sha256()
    held: bytes | None = None
    try:
        for line in packed:
            if held is not None:
                digest.update(held)
                yield exact_json.parse(held)
            held = line
        trailer = exact_json.parse(held or b"")
    except (EOFError, zlib.error, gzip.BadGzipFile, exact_json.JSONTextError):
        raise InvalidInput("The backup is damaged, cut off, or none") from None
    if trailer != {"sha256": digest.hexdigest()}:
        raise InvalidInput("The backup is damaged: its checksum is another one")


def _verify(path: Path) -> None:
    """Read a file through, before any of its rows is believed."""
    with path.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
        lines = _verified(packed)
        _read_header(next(lines, {}))
        for _ in lines:
            pass


def _read_header(header: Any) -> dict[str, Any]:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InvalidInput("The file is not a backup of Mainstay")
    if header.get("version") != FORMAT_VERSION or header.get("revision") != newest_revision():
        raise InvalidInput(
            "The backup was made by another version of Mainstay: restore it with that one, then upgrade"
        )
    return header


def _rows(lines: Iterator[Any], columns: dict[str, list[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    moments = {
        name: {column.name for column in table.columns if isinstance(column.type, UTCDateTime)}
        for name, table in _TABLES.items()
    }
    for line in lines:
        if not isinstance(line, list) or not line or line[0] not in _TABLES or line[0] not in columns:
            raise InvalidInput("The backup holds a row of no table")
        name, *values = line
        row = dict(zip(columns[name], values, strict=True))
        for moment in moments[name] & row.keys():
            row[moment] = None if row[moment] is None else _moment(row[moment], f"{name}.{moment}")
        yield name, row


def _moment(text: Any, column: str) -> datetime:
    with suppress(TypeError, ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    raise InvalidInput(f"The backup holds what is no moment in {column}")


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    remaining = iter(rows)
    while some := list(islice(remaining, _BATCH)):
        yield some


def _without_inward(table: Table, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take out of rows what refers to rows of the same table, which may come later; return that."""
    inward = []
    for row in rows:
        named = {name: row[name] for name in _inward(table) if row.get(name) is not None}
        if named:
            inward.append({**{column.name: row[column.name] for column in table.primary_key}, **named})
            row.update(dict.fromkeys(named))
    return inward


def _refer_inward(session: Session, table: Table, inward: Iterable[dict[str, Any]]) -> None:
    for row in inward:
        keys = [column == row[column.name] for column in table.primary_key]
        session.execute(
            update(table).where(*keys).values({name: row[name] for name in _inward(table) if name in row})
        )


def _inward(table: Table) -> list[str]:
    return [key.parent.name for key in table.foreign_keys if key.column.table is table]


def _require_empty(session: Session) -> None:
    for name, table in _TABLES.items():
        if name != tables.Deployment.__tablename__ and not _is_empty(session, table):
            raise Conflict("A backup is restored into an empty database only, and this one is not")


def _is_empty(session: Session, table: Table) -> bool:
    return session.execute(select(table).limit(1)).first() is None
