"""Users' events and what was changed in the catalogue, kept where a crash does not reach them.

SQLite by default: write-ahead log, `synchronous=FULL`, so that what `append` has returned for is on the disk. For
several servers, PostgreSQL by its URL. Both are one interface and one set of statements; a user's events stand in the
order of their time, and of their arrival where times are equal.
"""

import json
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from slmrec.errors import UserError

Result = TypeVar("Result")
LONGEST = 10_000
"""Most recent events of a user that are read."""
RECENT = 50_000
"""Most recent events among which `recent_users` looks."""
VERSION = 1
"""Of the tables."""

TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq {serial}, user_id TEXT NOT NULL, event_id TEXT NOT NULL, item_id TEXT NOT NULL, at BIGINT NOT NULL,
    UNIQUE (user_id, event_id)
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, at, seq, item_id);
CREATE TABLE IF NOT EXISTS added_items (seq {serial}, item_id TEXT NOT NULL UNIQUE, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS withdrawn_items (item_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS revision (number BIGINT NOT NULL);
"""


@dataclass(frozen=True)
class Event:
    """A user chose an item."""

    event_id: str
    """Names it among the user's events; the same one is kept once."""
    item_id: str
    at: int
    """Microseconds since the epoch."""


class StoreError(Exception):
    """The store cannot be reached or written to; nothing was acknowledged."""


class Store(ABC):
    """The interface, and the statements that both databases understand.

    Each thread has a connection of its own. Methods raise `StoreError` where the database fails.
    """

    mark: str
    """What stands for a value in a statement."""

    # -- events -----------------------------------------------------------------------------------------------

    @abstractmethod
    def append(self, posts: Sequence[tuple[str, Sequence[Event]]]) -> list[int]:
        """Keep the events of (user, events) pairs in one transaction, on the disk when this returns.

        Returns:
            For each pair, how many of its events were new; the others' ids had been kept already, or stood there twice.
        """

    def events(self, user: str) -> list[Event]:
        """A user's `LONGEST` most recent events, oldest first."""
        rows = self._read(
            f"SELECT event_id, item_id, at FROM events WHERE user_id = {self.mark} "
            f"ORDER BY at DESC, seq DESC LIMIT {LONGEST}",
            (user,),
        )
        return [Event(*row) for row in reversed(rows)]

    def histories(self, users: Iterable[str]) -> dict[str, list[str]]:
        """The items of users' `LONGEST` most recent events, oldest first; empty for one without events."""
        statement = f"SELECT item_id FROM events WHERE user_id = {self.mark} ORDER BY at DESC, seq DESC LIMIT {LONGEST}"
        return {user: [item for (item,) in reversed(self._read(statement, (user,)))] for user in users}

    def recent_users(self, most: int) -> list[str]:
        """Users of the latest events, the latest first."""
        rows = self._read(
            f"SELECT user_id FROM (SELECT user_id, seq FROM events ORDER BY seq DESC LIMIT {RECENT}) AS latest "
            f"GROUP BY user_id ORDER BY MAX(seq) DESC LIMIT {self.mark}",
            (most,),
        )
        return [user for (user,) in rows]

    def forget(self, user: str) -> int:
        """Delete all events of a user; returns how many there were."""

        def delete(cursor: Any) -> int:
            cursor.execute(f"DELETE FROM events WHERE user_id = {self.mark}", (user,))
            return cursor.rowcount

        return self._write(delete)

    # -- the catalogue's changes ------------------------------------------------------------------------------

    def add_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Keep new items: `item_id`, `text`, attributes."""
        statement = (
            f"INSERT INTO added_items (item_id, facts) VALUES ({self.mark}, {self.mark}) "
            "ON CONFLICT (item_id) DO NOTHING"
        )
        self._change(statement, [(str(item["item_id"]), json.dumps(item)) for item in items])

    def added_items(self) -> list[dict[str, Any]]:
        """Kept items, in the order of their coming."""
        return [json.loads(facts) for (facts,) in self._read("SELECT facts FROM added_items ORDER BY seq")]

    def withdraw(self, item: str) -> None:
        """Keep an item out of every list."""
        self._change(
            f"INSERT INTO withdrawn_items (item_id) VALUES ({self.mark}) ON CONFLICT (item_id) DO NOTHING", [(item,)]
        )

    def restore(self, items: Iterable[str]) -> None:
        """Undo `withdraw`."""
        self._change(f"DELETE FROM withdrawn_items WHERE item_id = {self.mark}", [(item,) for item in items])

    def withdrawn(self) -> set[str]:
        """Items that are out of every list."""
        return {item for (item,) in self._read("SELECT item_id FROM withdrawn_items")}

    def revision(self) -> int:
        """A number that grows whenever the catalogue changes, whichever server changed it."""
        return self._read("SELECT number FROM revision")[0][0]

    # -- what a database gives --------------------------------------------------------------------------------

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a statement."""

    @abstractmethod
    def _write(self, work: Callable[[Any], Result]) -> Result:
        """Let work write through a cursor: all of it is on the disk when this returns, or nothing where it raises."""

    def _change(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Change the catalogue."""

        def write(cursor: Any) -> None:
            cursor.executemany(statement, rows)
            cursor.execute("UPDATE revision SET number = number + 1")

        self._write(write)


class SQLiteStore(Store):
    """One file, for one machine.

    Raises:
        UserError: the file cannot be opened, is no SQLite database, or holds other tables.
    """

    mark = "?"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connections: list[sqlite3.Connection] = []
        self._local = _Local()
        self._writing = threading.Lock()  # in turn: SQLite lets one that waits sleep while the others go on
        if not path.absolute().parent.is_dir():
            raise UserError(f"there is no folder {path.absolute().parent} to keep events in; make it first")
        try:
            connection = self._connection()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version != VERSION and (version or tables):
                raise UserError(
                    f"{path} holds another database (version {version}, not {VERSION}); choose another path"
                )
            if not version:
                self._write(self._make)
        except (sqlite3.Error, StoreError) as error:
            self.close()
            raise UserError(f"events cannot be kept in {path} ({error}); choose another path") from error

    def append(self, posts: Sequence[tuple[str, Sequence[Event]]]) -> list[int]:
        def write(cursor: sqlite3.Cursor) -> list[int]:
            new = []
            for user, events in posts:
                before = cursor.connection.total_changes
                cursor.executemany(
                    "INSERT INTO events (user_id, event_id, item_id, at) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (user_id, event_id) DO NOTHING",
                    [(user, event.event_id, event.item_id, event.at) for event in events],
                )
                new.append(cursor.connection.total_changes - before)
            return new

        return self._write(write)

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def _connection(self) -> sqlite3.Connection:
        if self._local.connection is None:
            connection = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)
            self._connections.append(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # a user who is forgotten is so on the disk too
            self._local.connection = connection
        return self._local.connection

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._connection().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def _write(self, work: Callable[[sqlite3.Cursor], Result]) -> Result:
        try:
            with self._writing:
                cursor = self._connection().cursor()
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    result = work(cursor)
                    cursor.execute("COMMIT")
                except BaseException:
                    if cursor.connection.in_transaction:
                        cursor.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
        return result

    def _make(self, cursor: sqlite3.Cursor) -> None:
        for statement in TABLES.format(serial="INTEGER PRIMARY KEY AUTOINCREMENT").split(";"):
            cursor.execute(statement)
        cursor.execute("INSERT INTO revision SELECT 0 WHERE NOT EXISTS (SELECT * FROM revision)")
        cursor.execute(f"PRAGMA user_version = {VERSION}")


class PostgresStore(Store):
    """A PostgreSQL database that several servers share.

    Where a connection breaks, what it was asked for is asked once more on a new one. None of it does harm when it is
    done twice; but events of a write whose acknowledgement was lost are then counted as duplicates.

    Raises:
        UserError: psycopg is not installed, or the database does not answer.
    """

    mark = "%s"

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise UserError(
                "a PostgreSQL store needs psycopg; install it with: pip install 'slmrec[postgres]'"
            ) from None
        self.url, self._psycopg = url, psycopg
        self._connections: list[Any] = []
        self._local = _Local()
        try:
            self._write(self._make)
        except StoreError as error:
            self.close()
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"the PostgreSQL store cannot be used ({reason}); check its URL and its server") from error

    def append(self, posts: Sequence[tuple[str, Sequence[Event]]]) -> list[int]:
        rows = [(user, event) for user, events in posts for event in events]
        columns = [
            [user for user, _ in rows],
            [event.event_id for _, event in rows],
            [event.item_id for _, event in rows],
            [event.at for _, event in rows],
        ]

        def write(cursor: Any) -> set[tuple[str, str]]:
            # In the order given, as seq tells which of two events of one time came first.
            cursor.execute(
                "INSERT INTO events (user_id, event_id, item_id, at) "
                "SELECT u, e, i, t FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) "
                "WITH ORDINALITY AS given (u, e, i, t, place) ORDER BY place "
                "ON CONFLICT (user_id, event_id) DO NOTHING RETURNING user_id, event_id",
                columns,
            )
            return set(cursor.fetchall())

        kept = self._write(write)
        new = []
        for user, events in posts:
            own = {(user, event.event_id) for event in events} & kept
            kept -= own
            new.append(len(own))
        return new

    def histories(self, users: Iterable[str]) -> dict[str, list[str]]:
        users = list(users)
        rows = self._read(  # one round trip for the whole batch
            "SELECT u, array(SELECT item_id FROM events WHERE user_id = u "
            f"ORDER BY at DESC, seq DESC LIMIT {LONGEST}) FROM unnest(%s::text[]) AS asked (u)",
            (users,),
        )
        return {user: items[::-1] for user, items in rows}

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def _connection(self) -> Any:
        connection = self._local.connection
        if connection is None or connection.closed:
            connection = self._psycopg.connect(self.url, autocommit=True, connect_timeout=5)
            self._connections = [kept for kept in self._connections if not kept.closed] + [connection]
            self._local.connection = connection
        return connection

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._asked(lambda connection: connection.execute(statement, values).fetchall())

    def _write(self, work: Callable[[Any], Result]) -> Result:
        def write(connection: Any) -> Result:
            with connection.transaction(), connection.cursor() as cursor:
                return work(cursor)

        return self._asked(write)

    def _asked(self, work: Callable[[Any], Result]) -> Result:
        """What work says of a connection, of another one where that broke."""
        try:
            try:
                return work(self._connection())
            except self._psycopg.OperationalError:
                if self._local.connection is None or not self._local.connection.closed:
                    raise
                return work(self._connection())
        except self._psycopg.Error as error:
            raise StoreError(str(error)) from error

    def _make(self, cursor: Any) -> None:
        cursor.execute("SELECT pg_advisory_xact_lock(7563)")  # two servers that start at once
        cursor.execute(TABLES.format(serial="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))
        cursor.execute("INSERT INTO revision SELECT 0 WHERE NOT EXISTS (SELECT * FROM revision)")


class _Local(threading.local):
    """A thread's own connection."""

    connection: Any = None


def open_store(where: str) -> Store:
    """The store at a path, or behind a `postgresql://` URL.

    Raises:
        UserError: it cannot be used.
    """
    if where.startswith(("postgresql://", "postgres://")):
        return PostgresStore(where)
    return SQLiteStore(Path(where))
