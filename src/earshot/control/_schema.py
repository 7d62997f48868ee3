"""Tables of the control room, as they are now; `_migrations` says how they came to be so.

Everything a workspace owns carries `workspace_id`. Secrets are kept as hashes only. Moments are
whole microseconds since 1970-01-01 UTC.
"""

import datetime as dt
from typing import Any, Final

import sqlalchemy as sa

from earshot.clock import from_micros, micros


class Moment(sa.TypeDecorator[dt.datetime]):
    """A moment in UTC, kept as microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> int | None:  # noqa: ANN401, ARG002 - the library's signature
        """To the database."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Any) -> dt.datetime | None:  # noqa: ANN401, ARG002 - the library's signature
        """From the database."""
        return None if value is None else from_micros(value)


metadata: Final = sa.MetaData()


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(table: str, *, null: bool = False, name: str = "") -> sa.Column[int]:
    column = name or f"{table.removesuffix('s')}_id"
    return sa.Column(column, sa.Integer, sa.ForeignKey(f"{table}.id"), nullable=null)


workspaces: Final = sa.Table(
    "workspaces",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

rules: Final = sa.Table(
    "rules",
    metadata,
    _id(),
    _of("workspaces"),
    sa.Column("name", sa.Text, nullable=False),  # of the newest version
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("deleted_at", Moment),
    sqlite_autoincrement=True,  # an id is never given twice
)
sa.Index(
    "rules_name",
    rules.c.workspace_id,
    rules.c.name,
    unique=True,
    sqlite_where=rules.c.deleted_at.is_(None),
    postgresql_where=rules.c.deleted_at.is_(None),
)

rule_versions: Final = sa.Table(
    "rule_versions",
    metadata,
    sa.Column("rule_id", sa.Integer, sa.ForeignKey("rules.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("active_from", Moment, nullable=False),
    sa.Column("active_until", Moment),
    sa.Column("actor", sa.Text, nullable=False),
)

saved_searches: Final = sa.Table(
    "saved_searches",
    metadata,
    _id(),
    _of("workspaces"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # the expression
    sa.Column("filters", sa.Text, nullable=False),  # JSON object
    sa.Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

communities: Final = sa.Table(
    "communities",
    metadata,
    _id(),
    _of("workspaces"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),  # JSON object
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("deleted_at", Moment),
    sqlite_autoincrement=True,
)

alerts: Final = sa.Table(
    "alerts",
    metadata,
    _id(),
    _of("workspaces"),
    _of("rules", null=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("detector", sa.Text, nullable=False),  # JSON object
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("deleted_at", Moment),
    sqlite_autoincrement=True,
)

people: Final = sa.Table(
    "people",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, unique=True),  # folded: names differ in more
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("password", sa.Text),  # argon2id; null: none, only one-time codes let in
    sa.Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    _id(),
    _of("people", name="person_id"),
    sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),  # SHA-256 of the secret
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

tokens: Final = sa.Table(
    "tokens",
    metadata,
    _id(),
    _of("people", name="person_id"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),  # SHA-256 of the secret
    sa.Column("scopes", sa.Text, nullable=False),  # separated by spaces
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("used_at", Moment),
    sqlite_autoincrement=True,
)

codes: Final = sa.Table(
    "codes",
    metadata,
    _id(),
    _of("people", null=True, name="person_id"),  # whom it lets in; null: the first administrator
    sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

audit: Final = sa.Table(
    "audit",
    metadata,
    _id(),
    _of("workspaces", null=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("thing", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

stamps: Final = sa.Table(
    "stamps",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),  # grows with every change
)
