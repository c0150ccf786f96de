"""What the lines of one run mean by ids: one id for two persons or records names neither of them any more."""

import sqlite3

#: Of a name: what the first line meant by it, that line, and the first one that means something else.
_TABLE = "CREATE TABLE said (name TEXT PRIMARY KEY, meaning TEXT, place TEXT, other TEXT) WITHOUT ROWID"


class SaidNames:
    """Names as ``Type/id``, each with its meaning; on disk, for a file may have a million."""

    def __init__(self) -> None:
        # SQLite keeps a database without a name in a file of its own, and takes it away at the end.
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute(_TABLE)

    def close(self) -> None:
        self._rows.close()

    def say(self, name: str, meaning: str, place: str) -> None:
        """Note what a line means by a name; place: which line."""
        self._rows.execute(
            "INSERT INTO said (name, meaning, place) VALUES (:name, :meaning, :place) ON CONFLICT (name)"
            " DO UPDATE SET other = :place WHERE other IS NULL AND meaning != :meaning",
            {"name": name, "meaning": meaning, "place": place},
        )

    def say_first(self, name: str, meaning: str, place: str) -> None:
        """Note what a line means by a name of which no line has said anything yet."""
        self._rows.execute(
            "INSERT INTO said (name, meaning, place) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (name, meaning, place),
        )

    def meaning(self, name: str) -> str | None:
        """Return what a name means; None where no line has said so."""
        row = self._rows.execute("SELECT meaning FROM said WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def disputed(self, name: str) -> str | None:
        """Return the two lines that mean different things by a name, for people; None if there are no two."""
        row = self._rows.execute(
            "SELECT place, other FROM said WHERE name = ? AND other IS NOT NULL", (name,)
        ).fetchone()
        return None if row is None else f"{row[0]} and {row[1]}"
