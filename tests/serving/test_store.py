"""Both stores: one interface, one set of tests. PostgreSQL is a real one, started here."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from slmrec.errors import UserError
from slmrec.serving.store import Event, StoreError, open_store

FOLDERS = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's own programs, the newest first; Debian keeps them off the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in [*debian, *FOLDERS] if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres():
    """URL of a throwaway database."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    become: list[str] = []
    folder = tempfile.mkdtemp(prefix="slmrec-pg")  # not pytest's, which other users may not enter
    if os.getuid() == 0:  # it refuses to run as root
        if subprocess.run(["id", "postgres"], capture_output=True).returncode or not shutil.which("runuser"):
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it as")
        shutil.chown(folder, "postgres")
        become = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *words: str) -> None:
        command = [*become, str(programs / program), "-D", f"{folder}/data", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=120)

    try:
        run("initdb", "-A", "trust", "-U", "slmrec", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        run("pg_ctl", "-o", options, "-l", f"{folder}/log", "-w", "start")
        yield f"postgresql://slmrec@/postgres?host={folder}"
        run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path):
    """Opens one and the same store."""
    if request.param == "sqlite":
        where = str(tmp_path / "events.sqlite")
    else:
        import psycopg

        where = request.getfixturevalue("postgres")
        with psycopg.connect(where) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    stores = []

    def open_it():
        stores.append(open_store(where))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def of(*pairs):
    return [Event(name, f"i{name}", at) for name, at in pairs]


def test_events_are_known_by_user_and_id(opened):
    store = opened()
    assert store.append([("u", of(("a", 3), ("b", 1))), ("v", of(("a", 2)))]) == [2, 1]
    assert store.append([("u", of(("a", 9), ("c", 5))), ("u", of(("c", 6), ("d", 1), ("d", 2)))]) == [1, 1]
    assert store.events("u") == [Event("b", "ib", 1), Event("d", "id", 1), Event("a", "ia", 3), Event("c", "ic", 5)]
    assert store.histories(["u", "v", "w"]) == {"u": ["ib", "id", "ia", "ic"], "v": ["ia"], "w": []}
    assert store.recent_users(5) == ["u", "v"]
    assert store.recent_users(1) == ["u"]
    assert store.forget("u") == 4
    assert store.forget("u") == 0
    assert store.recent_users(5) == ["v"]


def test_events_of_one_time_stand_as_they_came(opened):
    store = opened()
    names = [str(i) for i in (5, 3, 9, 1, 7)]
    store.append([("u", of(*((name, 4) for name in names[:3]))), ("u", of(*((name, 4) for name in names[3:])))])
    assert [event.event_id for event in store.events("u")] == names


def test_only_the_latest_events_are_read(opened, monkeypatch):
    store = opened()
    monkeypatch.setattr("slmrec.serving.store.LONGEST", 3)
    store.append([("u", of(*((str(i), i) for i in range(5))))])
    assert [event.event_id for event in store.events("u")] == ["2", "3", "4"]
    assert store.histories(["u"])["u"] == ["i2", "i3", "i4"]


def test_a_store_opened_again_holds_what_it_held(opened):
    first = opened()
    first.append([("u", of(("a", 1)))])
    first.add_items([{"item_id": 7, "text": "Ü", "year": 1999}, {"item_id": "x", "text": None}])
    first.add_items([{"item_id": "7", "text": "another"}])
    first.withdraw("x")
    first.withdraw("y")
    first.restore(["y", "z"])
    second = opened()
    assert second.events("u") == of(("a", 1))
    assert second.added_items() == [{"item_id": 7, "text": "Ü", "year": 1999}, {"item_id": "x", "text": None}]
    assert second.withdrawn() == {"x"}
    assert second.revision() == first.revision() == 5


def test_threads_that_write_at_once_lose_nothing(opened):
    store = opened()
    new: list[int] = []

    def write(number: int) -> None:
        for i in range(20):
            new.extend(store.append([("u", of((f"{number}-{i}", i), (f"shared-{i}", i)))]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.events("u")) == 100 == sum(new)


def test_a_failing_write_keeps_nothing_of_it(opened):
    store = opened()
    with pytest.raises((StoreError, sqlite3.Error)):
        store.append([("u", of(("a", 1))), ("v", [Event("b", None, 2)])])
    assert store.events("u") == []


def test_sqlite_writes_through_to_the_disk(tmp_path):
    store = open_store(str(tmp_path / "e.sqlite"))
    connection = store._connection()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_files_that_are_no_store_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(UserError, match="not a database"):
        open_store(str(tmp_path / "text"))
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE precious (a)")
    connection.close()
    with pytest.raises(UserError, match="another database"):
        open_store(str(tmp_path / "other.db"))
    with pytest.raises(UserError, match="no folder"):
        open_store(str(tmp_path / "none" / "e.sqlite"))
    with pytest.raises(UserError, match="cannot be kept"):
        open_store(str(tmp_path))


def test_a_database_that_does_not_answer_is_refused(tmp_path):
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(UserError, match="check its URL"):
        open_store(f"postgresql://nobody@/none?host={tmp_path}")


def test_a_broken_connection_is_made_anew(postgres):
    import psycopg

    store = open_store(postgres)
    store.append([("again", of(("a", 1)))])
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
        )
    assert store.append([("again", of(("b", 2)))]) == [1]
    assert len(store.events("again")) == 2
    store.forget("again")
    store.close()
