"""Control room in one SQLite file (WAL): several processes read and write it at once."""

from types import TracebackType
from typing import Self

import sqlalchemy as sa

from earshot.clock import Clock
from earshot.control._access import Access
from earshot.control._database import Database, open_database
from earshot.control._people import People
from earshot.control._rules import Rules
from earshot.control._schema import audit

CONTRACT_URL = "sqlite:///{tmp}/control.db"


class SqliteControl(Rules, People, Access):
    """See `earshot.control.Control`; every change and its audit line are one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def audit(self, actor: str, action: str, thing: str, detail: str = "") -> None:
        """See `Control.audit`."""
        with self._db.writing() as connection:
            self._db.note(connection, actor, action, thing, detail)

    def audit_lines(
        self, *, before: int | None = None, limit: int = 100, action: str | None = None
    ) -> list[dict[str, object]]:
        """See `Control.audit_lines`."""
        asked = (
            sa.select(
                audit.c.id,
                audit.c.at,
                audit.c.actor,
                audit.c.action,
                audit.c.thing,
                audit.c.detail,
            )
            .order_by(audit.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            asked = asked.where(audit.c.id < before)
        if action is not None:
            asked = asked.where(audit.c.action == action)
        with self._db.reading() as connection:
            return [dict(row) for row in connection.execute(asked).mappings()]

    def close(self) -> None:
        """See `Control.close`."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(url: str, *, clock: Clock) -> SqliteControl:
    """Open `sqlite:///PATH`, made and migrated as needed."""
    return SqliteControl(open_database(url, clock))
