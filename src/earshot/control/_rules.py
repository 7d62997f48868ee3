"""Rules and their versions."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from earshot.control import DEFAULT_WORKSPACE
from earshot.control._database import Database
from earshot.control._schema import rule_versions, rules, stamps
from earshot.errors import ConflictError, NotFoundError
from earshot.model.rule import RuleVersion

_VERSIONS: Final = (
    sa.select(
        rule_versions.c.rule_id,
        rule_versions.c.version,
        rules.c.workspace_id,
        rule_versions.c.name,
        rule_versions.c.text,
        rule_versions.c.active_from,
        rule_versions.c.active_until,
    )
    .join(rules, rules.c.id == rule_versions.c.rule_id)
    .order_by(rule_versions.c.rule_id, rule_versions.c.version)
)
_ADD: Final = rules.insert().returning(rules.c.id, sort_by_parameter_order=True)
NAMES_ASKED: Final = 500
"""So many names are looked for by one statement."""
_STAMP: Final = sa.select(stamps.c.value).where(stamps.c.name == "rules")


class Rules:
    """See `earshot.control.Control`."""

    _db: Database

    def rules(self, workspace: int = DEFAULT_WORKSPACE) -> list[RuleVersion]:
        """See `Control.rules`."""
        alive = _VERSIONS.where(rules.c.workspace_id == workspace, rules.c.deleted_at.is_(None))
        with self._db.reading() as connection:
            newest = {v.rule: v for v in _versions(connection, alive)}  # the last of each stays
        return sorted(newest.values(), key=lambda v: v.name)

    def rule_versions(self, rule: int | None = None) -> list[RuleVersion]:
        """See `Control.rule_versions`."""
        asked = _VERSIONS if rule is None else _VERSIONS.where(rule_versions.c.rule_id == rule)
        with self._db.reading() as connection:
            return _versions(connection, asked)

    def rules_stamp(self) -> int:
        """See `Control.rules_stamp`."""
        with self._db.reading() as connection:
            return int(connection.execute(_STAMP).scalar_one())

    def add_rule(
        self,
        name: str,
        text: str,
        *,
        active_from: dt.datetime,
        actor: str,
        workspace: int = DEFAULT_WORKSPACE,
    ) -> RuleVersion:
        """See `Control.add_rule`."""
        (made,) = self.add_rules(
            {name: text}, active_from=active_from, actor=actor, workspace=workspace
        )
        return made

    def add_rules(
        self,
        texts: Mapping[str, str],
        *,
        active_from: dt.datetime,
        actor: str,
        workspace: int = DEFAULT_WORKSPACE,
    ) -> list[RuleVersion]:
        """See `Control.add_rules`."""
        if not texts:
            return []
        now = self._db.clock.now()
        own = [{"workspace_id": workspace, "name": n, "created_at": now} for n in texts]
        with self._db.writing() as connection:
            _free(connection, workspace, *texts)
            ids = connection.scalars(_ADD, own).all()
            made = [
                RuleVersion(rule, 1, workspace, name, text, active_from)
                for rule, (name, text) in zip(ids, texts.items(), strict=True)
            ]
            self._write(connection, made, actor)
            lines = [(f"rule:{v.rule}", f"{v.name}: {v.text}") for v in made]
            self._db.note_all(connection, actor, "rule.add", lines)
        return made

    def edit_rule(  # noqa: PLR0913 - the contract's
        self,
        rule: int,
        *,
        name: str | None,
        text: str | None,
        active_from: dt.datetime,
        actor: str,
        if_version: int | None = None,
    ) -> RuleVersion:
        """See `Control.edit_rule`."""
        with self._db.writing() as connection:
            now = _newest(connection, rule)
            if if_version is not None and if_version != now.version:
                msg = f"rule {now.name!r} is at version {now.version} now, not {if_version}"
                raise ConflictError(msg, hint="look at it again before you change it")
            if name is not None and name != now.name:
                _free(connection, now.workspace, name)
            made = RuleVersion(
                rule,
                now.version + 1,
                now.workspace,
                name or now.name,
                text or now.text,
                max(active_from, now.active_from),  # versions follow each other without overlap
            )
            self._end(connection, now, made.active_from)
            self._write(connection, [made], actor)
            connection.execute(rules.update().where(rules.c.id == rule).values(name=made.name))
            detail = f"version {made.version}, {made.name}: {made.text}"
            self._db.note(connection, actor, "rule.edit", f"rule:{rule}", detail)
        return made

    def delete_rule(self, rule: int, *, active_until: dt.datetime, actor: str) -> None:
        """See `Control.delete_rule`."""
        with self._db.writing() as connection:
            now = _newest(connection, rule)
            self._end(connection, now, max(active_until, now.active_from))
            gone = rules.update().where(rules.c.id == rule)
            connection.execute(gone.values(deleted_at=self._db.clock.now()))
            self._db.note(connection, actor, "rule.delete", f"rule:{rule}", now.name)

    @staticmethod
    def _write(connection: sa.Connection, made: Sequence[RuleVersion], actor: str) -> None:
        rows = [
            {
                "rule_id": version.rule,
                "version": version.version,
                "name": version.name,
                "text": version.text,
                "active_from": version.active_from,
                "actor": actor,
            }
            for version in made
        ]
        connection.execute(rule_versions.insert(), rows)
        _stamp(connection)

    @staticmethod
    def _end(connection: sa.Connection, version: RuleVersion, at: dt.datetime) -> None:
        connection.execute(
            rule_versions.update()
            .where(
                rule_versions.c.rule_id == version.rule,
                rule_versions.c.version == version.version,
            )
            .values(active_until=at)
        )
        _stamp(connection)


def _stamp(connection: sa.Connection) -> None:
    """Tell everybody who polls that rules changed; in the change's own transaction."""
    changed = stamps.update().where(stamps.c.name == "rules")
    connection.execute(changed.values(value=stamps.c.value + 1))


def _versions(connection: sa.Connection, asked: sa.Select[Any]) -> list[RuleVersion]:
    return [RuleVersion(*row) for row in connection.execute(asked)]


def _newest(connection: sa.Connection, rule: int) -> RuleVersion:
    asked = _VERSIONS.where(rules.c.id == rule, rules.c.deleted_at.is_(None))
    if not (found := _versions(connection, asked)):
        msg = f"there is no rule {rule}"
        raise NotFoundError(msg, hint="`earshot rules list` shows those that there are")
    return found[-1]


def _free(connection: sa.Connection, workspace: int, *names: str) -> None:
    for first in range(0, len(names), NAMES_ASKED):
        taken = sa.select(rules.c.name).where(
            rules.c.workspace_id == workspace,
            rules.c.name.in_(names[first : first + NAMES_ASKED]),
            rules.c.deleted_at.is_(None),
        )
        if (name := connection.scalar(taken.limit(1))) is not None:
            msg = f"there is a rule named {name!r} already"
            raise ConflictError(msg, hint="choose another name, or edit that rule")
