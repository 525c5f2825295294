"""Where a study keeps its trials: a journal file in the sweep's directory, or a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps.directory import SweepDirectory

PASSWORD_VARIABLE = "VITRUVIAN_DATABASE_PASSWORD"  # as for the database of landmarks
PATIENCE_S = 60.0  # how long a writer waits for the others
_KEY = "hydra.sweeper.storage"
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class Journal(JournalFileBackend):
    """A journal that a killed writer cannot damage.

    Optuna's lock is a link, which works on any file system; one that a killed process leaves behind
    is released after half a minute. Half a line that such a process leaves at the end would become
    part of the next one and make the file unreadable for good: it is cut off first.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(str(file), JournalFileSymlinkLock(str(file)))
        self._journal = file

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, one line each."""
        if not _is_whole(self._journal):
            self._mend()
        super().append_logs(logs)

    def _mend(self) -> None:
        self._lock.acquire()  # whoever was in the middle of a line is done now, or dead
        try:
            if not _is_whole(self._journal):
                content = self._journal.read_bytes()
                os.truncate(self._journal, content.rfind(b"\n") + 1)
        finally:
            self._lock.release()


def _is_whole(journal: Path) -> bool:
    with journal.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def settled_url(storage: str | None) -> str | None:
    """Check `hydra.sweeper.storage` and make the path of an SQLite file absolute.

    Returns:
        A URL of SQLAlchemy that is safe to write down; None for the journal.

    Raises:
        ConfigError: it is no database that several processes can share, or holds a password.
    """
    if storage is None:
        return None
    url = _parsed(str(storage))
    if url.password is not None or "password" in url.query:
        raise ConfigError(
            f"{_KEY}: a password does not belong here, it would be kept with the sweep; "
            f"put it into {PASSWORD_VARIABLE}, PGPASSWORD or ~/.pgpass"
        )
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise ConfigError(f"{_KEY}: a study in memory ends with its process; name a file")
        url = url.set(database=str(Path(str(url.database)).expanduser().resolve()))
    return str(url.render_as_string())


def _parsed(text: str) -> Any:
    import sqlalchemy as sa

    if "://" not in text:
        text = f"sqlite:///{text}"
    try:
        url = sa.make_url(text)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        url.get_dialect().import_dbapi()
    except sa.exc.ArgumentError as error:
        name, _, _ = text.partition("://")
        raise ConfigError(
            f"{_KEY}: {name}: no database known by this name, or its URL is ill-formed; "
            "expected null, sqlite:////path/study.db or postgresql://user@host/name"
        ) from error
    except ImportError as error:
        raise ConfigError(
            f"{_KEY}: the driver of this database is not installed ({error.name}); "
            "for PostgreSQL: pip install 'vitruvian[postgresql]'"
        ) from error
    return url


def open_storage(sweep: SweepDirectory, url: str | None) -> BaseStorage:
    """The storage of a sweep; `url` as `settled_url` gave it.

    Raises:
        RunError: the file cannot be made, or the database does not answer.
    """
    with telling(url):
        if url is None:
            return JournalStorage(Journal(sweep.journal))
        return RDBStorage(_with_password(url), engine_kwargs=_engine_keys(url))


def _with_password(url: str) -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None or url.startswith("sqlite"):
        return url
    return str(_parsed(url).set(password=password).render_as_string(hide_password=False))


def _engine_keys(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": PATIENCE_S}}
    return {"pool_pre_ping": True}  # trials last long: the server may have closed the connection


@contextmanager
def telling(url: str | None) -> Iterator[None]:
    """Say in the user's words what is wrong with the storage.

    Raises:
        RunError: it cannot be read or written.
    """
    import sqlalchemy as sa

    known = (sa.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError)
    try:
        yield
    except known as error:
        cause = error.__cause__ or error
        first = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise RunError(
            f"the study's {'journal' if url is None else 'database'} cannot be used: {first}; "
            "mend it, then continue: vitruvian-sweep resume DIR"
        ) from None  # the chain may show the password
