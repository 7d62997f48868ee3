"""The database under the control room: opened, migrated, and written in whole transactions."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from earshot.clock import Clock
from earshot.control import DEFAULT_WORKSPACE
from earshot.control._schema import audit
from earshot.errors import ConfigError, RetryableError

MIGRATIONS: Final = Path(__file__).parent / "_migrations"
BUSY_S: Final = 20.0
"""How long a writer waits for another process; every transaction here is short."""


class Database:
    """Connections, transactions, and the audit line that goes with every change."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self.clock = engine, clock

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state throughout."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that holds the write lock from its first word on.

        Raises:
            RetryableError: Another process held the lock for too long.
        """
        try:
            with _locking(self._engine) as connection:
                yield connection
        except sa.exc.OperationalError as e:
            if "locked" not in str(e.orig):
                raise
            msg = f"the control database is busy for over {BUSY_S:.0f} s"
            raise RetryableError(msg) from e

    def note(
        self, connection: sa.Connection, actor: str, action: str, thing: str, detail: str = ""
    ) -> None:
        """Write the audit line of a change into the change's own transaction."""
        self.note_all(connection, actor, action, [(thing, detail)])

    def note_all(
        self,
        connection: sa.Connection,
        actor: str,
        action: str,
        lines: Sequence[tuple[str, str]],
    ) -> None:
        """As `note`, of several things and their details."""
        said = {
            "workspace_id": DEFAULT_WORKSPACE,
            "at": self.clock.now(),
            "actor": actor,
            "action": action,
        }
        rows = [{**said, "thing": thing, "detail": detail} for thing, detail in lines]
        connection.execute(audit.insert(), rows)

    def close(self) -> None:
        """Let go of all connections; a second call does nothing."""
        self._engine.dispose()


def open_database(url: str, clock: Clock) -> Database:
    """Open (or make) the SQLite file of `sqlite:///PATH` and bring its tables up to date.

    Raises:
        ConfigError: The file cannot be opened, or a newer Earshot wrote it.
    """
    path = Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = _engine(path)
        _migrate(engine, path)
    except (sa.exc.DatabaseError, OSError) as e:
        why = getattr(e, "orig", e)
        msg = f"the control database {path} cannot be opened: {why}"
        raise ConfigError(msg, hint="check that the folder can be written") from e
    return Database(engine, clock)


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_S},
        pool_size=8,
        max_overflow=40,
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _: Any) -> None:  # noqa: ANN401 - the library's record
    connection.isolation_level = None  # transactions begin where we say, DDL included
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


@contextmanager
def _locking(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is alone in writing from its beginning on."""
    with (
        engine.connect().execution_options(earshot_write=True) as connection,
        connection.begin(),
    ):
        yield connection


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("earshot_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: sa.Engine, path: Path) -> None:
    """Run the steps that are missing. Who comes second waits, then finds nothing to do."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        if (found := _revision(connection)) == scripts.get_current_head():
            return
    known = {step.revision for step in scripts.walk_revisions()}
    if found is not None and found not in known:
        msg = f"{path} was written by a newer Earshot (step {found})"
        raise ConfigError(msg, hint="install that version again, or restore a backup")
    with _locking(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
