"""Workspaces and all that belongs to one; people and how they come in; audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables, and the default workspace."""
    workspaces = op.create_table(
        "workspaces",
        _id(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        _moment("created_at"),
        sqlite_autoincrement=True,
    )
    op.bulk_insert(workspaces, [{"id": 1, "name": "default", "created_at": 0}])
    _listening()
    _kept()
    _people()
    op.create_table(
        "audit",
        _id(),
        _of("workspaces.id", "workspace_id", null=True),
        _moment("at"),
        *(_text(n) for n in ("actor", "action", "thing", "detail")),
        sqlite_autoincrement=True,
    )
    stamps = op.create_table(
        "stamps",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(stamps, [{"name": "rules", "value": 0}])


def _listening() -> None:
    op.create_table(
        "rules",
        _id(),
        _of("workspaces.id", "workspace_id"),
        _text("name"),
        _moment("created_at"),
        _moment("deleted_at", null=True),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "rules_name",
        "rules",
        ["workspace_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "rule_versions",
        sa.Column("rule_id", sa.Integer, sa.ForeignKey("rules.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        _text("name"),
        _text("text"),
        _moment("active_from"),
        _moment("active_until", null=True),
        _text("actor"),
    )


def _kept() -> None:
    op.create_table(
        "saved_searches",
        _id(),
        _of("workspaces.id", "workspace_id"),
        *(_text(n) for n in ("name", "text", "filters")),
        _moment("created_at"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "communities",
        _id(),
        _of("workspaces.id", "workspace_id"),
        *(_text(n) for n in ("name", "settings")),
        _moment("created_at"),
        _moment("deleted_at", null=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alerts",
        _id(),
        _of("workspaces.id", "workspace_id"),
        _of("rules.id", "rule_id", null=True),
        *(_text(n) for n in ("name", "detector")),
        sa.Column("enabled", sa.Boolean, nullable=False),
        _moment("created_at"),
        _moment("deleted_at", null=True),
        sqlite_autoincrement=True,
    )


def _people() -> None:
    op.create_table(
        "people",
        _id(),
        _text("name"),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        _text("role"),
        sa.Column("password", sa.Text),
        _moment("created_at"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        _id(),
        _of("people.id", "person_id"),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        _text("agent"),
        *(_moment(n) for n in ("created_at", "used_at", "expires_at")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tokens",
        _id(),
        _of("people.id", "person_id"),
        _text("name"),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        _text("scopes"),
        _moment("created_at"),
        _moment("expires_at", null=True),
        _moment("used_at", null=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "codes",
        _id(),
        _of("people.id", "person_id", null=True),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        _moment("created_at"),
        _moment("expires_at"),
        sqlite_autoincrement=True,
    )


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(target: str, name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, sa.ForeignKey(target), nullable=null)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _moment(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)
