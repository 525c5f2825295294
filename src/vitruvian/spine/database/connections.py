"""Connections to a landmark database: SQLite files made safe for several processes, or a server.

Every piece of work opens a connection and closes it again. An SQLite file is then whole whenever
nobody works on it, nothing has to survive a fork or a spawn, and a killed process holds no lock.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from vitruvian.core.errors import ConfigError, DataError, RunError, UserError
from vitruvian.spine.database.schema import METADATA, SCHEMA, VERSION

PASSWORD_VARIABLE = "VITRUVIAN_DATABASE_PASSWORD"
PATIENCE_S = 60.0  # how long a writer waits for the others
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_IN_THE_WAY = {"40001", "40P01"}  # SQLSTATE: serialization failure, deadlock
_LOCK = 0x76697472  # of PostgreSQL, while tables are made; any number that others do not use

Result = TypeVar("Result")


class Connections:
    """Opens connections to one database; knows nothing of clips.

    Args:
        url: an SQLite file, or a URL of SQLAlchemy. A password does not belong into it, because
            configurations are stored with every run: `VITRUVIAN_DATABASE_PASSWORD` holds it.

    Raises:
        ConfigError: the URL is ill-formed or holds a password, or its driver is not installed.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = _parsed(url)
        self.file = _file_of(self.url)
        self._engines: dict[str, sa.Engine] = {}
        self._checked = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engines": {}}  # another process makes its own

    def __str__(self) -> str:
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that changes nothing.

        Raises:
            DataError: there is no such database, it is damaged or of a newer version, or the
                server does not answer.
        """
        with self._told():
            if self.file and not self.file.is_file():
                raise DataError(f"{self.file}: no such landmark database; extract videos into it")
            with self._engine("r").connect() as connection:
                self._check(connection)
                yield connection

    def exists(self) -> bool:
        """Whether the tables are there."""
        if self._checked:
            return True
        if self.file and not (self.file.is_file() and self.file.stat().st_size):
            return False
        with self._told(), self._engine("r").connect() as connection:
            return sa.inspect(connection).has_table(SCHEMA.name)

    def write(self, action: Callable[[sa.Connection], Result]) -> Result:
        """Run `action` in a transaction of its own, again where other writers were in the way.

        The database and its tables are made if they are not there.

        Returns:
            What `action` returns.

        Raises:
            IntegrityError: a row contradicts those that are there.
            DataError: as in `reading`.
            RunError: the database cannot be written, or is locked for too long.
        """
        with self._told():
            self._ensure_tables()
            return _patiently(lambda: self._transact(action))

    def compact(self) -> None:
        """Give back the space of deleted rows, so that their content is gone from an SQLite file.

        Raises:
            RunError: the database cannot be written.
        """
        if self.file:
            with self._told(), self._raw() as connection:
                _patiently(lambda: connection.execute("VACUUM"))

    def _transact(self, action: Callable[[sa.Connection], Result]) -> Result:
        with self._engine("w").begin() as connection:
            return action(connection)

    # -- tables -------------------------------------------------------------------------------

    def _ensure_tables(self) -> None:
        if self._checked:
            return
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            _patiently(self._prepare_file)
        _patiently(lambda: self._transact(self._create))
        self._checked = True

    def _prepare_file(self) -> None:
        with self._raw() as connection:
            # readers go on while a clip is written; the setting stays with the file
            connection.execute("PRAGMA journal_mode = WAL")

    def _create(self, connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":  # two processes may begin at once
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        inspector = sa.inspect(connection)
        if inspector.has_table(SCHEMA.name):
            self._check(connection)
            return
        if self.file and inspector.get_table_names():
            raise DataError(f"{self}: an SQLite file of something else; choose another name")
        METADATA.create_all(connection)
        connection.execute(SCHEMA.insert().values(version=VERSION))

    def _check(self, connection: sa.Connection) -> None:
        if self._checked:
            return
        if not sa.inspect(connection).has_table(SCHEMA.name):
            raise DataError(f"{self}: not a landmark database; extract videos into a new one")
        version = connection.execute(sa.select(sa.func.max(SCHEMA.c.version))).scalar_one()
        if version != VERSION:
            raise DataError(
                f"{self}: its tables have version {version}, this Vitruvian knows {VERSION}; "
                "install the newer version"
            )
        self._checked = True

    # -- opening ------------------------------------------------------------------------------

    def _engine(self, mode: str) -> sa.Engine:
        if mode not in self._engines:
            self._engines[mode] = _file(self.file, mode) if self.file else _server(self.url)
        return self._engines[mode]

    @contextmanager
    def _raw(self) -> Iterator[sqlite3.Connection]:
        assert self.file is not None
        connection = _open_file(self.file, "w")
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what went wrong with the database in the user's words."""
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise _explained(str(self), error) from error


def _file(path: Path, mode: str) -> sa.Engine:
    engine = sa.create_engine(
        "sqlite://", creator=lambda: _open_file(path, mode), poolclass=NullPool
    )
    # a transaction that begins by reading and then writes fails at once if another wrote in
    # between, however long it would wait: a writer takes the lock first
    begin = "BEGIN IMMEDIATE" if mode == "w" else "BEGIN"
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _open_file(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{_access(path, mode)}",
        uri=True,
        timeout=PATIENCE_S,
        isolation_level=None,
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # who asks to be forgotten is overwritten
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _access(path: Path, mode: str) -> str:
    """How SQLite opens the file; WAL needs a writable folder even to read, unless nobody writes."""
    if mode == "w":
        return "mode=rwc"
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    log = path.with_name(f"{path.name}-wal")
    return "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"


def _server(url: sa.URL) -> sa.Engine:
    password = os.environ.get(PASSWORD_VARIABLE)
    return sa.create_engine(url.set(password=password) if password else url, poolclass=NullPool)


def _parsed(url: str | Path) -> sa.URL:
    if "://" not in str(url):
        if not str(url):
            raise ConfigError("database: a file or a URL is needed")
        return sa.URL.create("sqlite", database=str(Path(url).expanduser()))
    scheme, rest = str(url).split("://", 1)
    try:
        parsed = sa.make_url(f"{_DRIVERS.get(scheme, scheme)}://{rest}")
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"database: {_first_line(error)}") from error
    except ImportError as error:
        extra = " 'vitruvian[postgresql]'" if "psycopg" in str(error) else ""
        missing = error.name or scheme
        raise ConfigError(f"database: {missing} is not installed: pip install{extra}") from error
    if parsed.password:
        raise ConfigError(
            f"database: a password in the URL would be stored with every run; "
            f"put it into the environment variable {PASSWORD_VARIABLE}"
        )
    return parsed


def _file_of(url: sa.URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise ConfigError("database: one in memory would be gone at once; name a file")
    return Path(url.database)


# --- trouble -------------------------------------------------------------------------------------


def _patiently(work: Callable[[], Result]) -> Result:
    """Try again where SQLite or the server says that another writer was in the way."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work()
        except (DBAPIError, sqlite3.OperationalError) as error:
            if not _is_in_the_way(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.01, 0.1))


def _is_in_the_way(error: Exception) -> bool:
    cause: Any = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.OperationalError):
        return _is_busy(cause)
    return getattr(cause, "sqlstate", None) in _IN_THE_WAY


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return (error.sqlite_errorcode or 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_READ_ONLY = {
    sqlite3.SQLITE_READONLY: "it is read-only; choose another place",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened for writing; choose another place",
    sqlite3.SQLITE_FULL: "the disk is full; free space",
    sqlite3.SQLITE_IOERR: "the disk fails or is full; check it",
    sqlite3.SQLITE_BUSY: f"other processes have kept it locked for {PATIENCE_S:.0f} s; try again",
}
_DAMAGED = {
    sqlite3.SQLITE_NOTADB: "not a landmark database (no SQLite file at all)",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a copy, or extract into a new one",
}


def _explained(name: str, error: Exception) -> UserError:
    cause: Any = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _READ_ONLY:
            return RunError(f"cannot use {name}: {_READ_ONLY[code]}")
        return DataError(f"{name}: {_DAMAGED.get(code) or _first_line(cause)}")
    if isinstance(cause, OSError):
        return RunError(f"cannot use {name}: {cause.strerror or cause}; choose another place")
    return RunError(f"the database {name} does not do its work: {_first_line(cause)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
