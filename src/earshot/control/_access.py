"""Sessions and tokens: random secrets, of which only hashes are kept."""

import datetime as dt
import hmac
import secrets
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from earshot.control import SESSION_DAYS, Person
from earshot.control._database import Database
from earshot.control._people import digest
from earshot.control._schema import people, sessions, tokens
from earshot.errors import NotFoundError

NOTE_USE_EVERY: Final = dt.timedelta(minutes=1)
"""Last use is kept to the minute, so that reading seldom writes."""


class Access:
    """See `earshot.control.Control`."""

    _db: Database

    def new_session(self, person: int, *, agent: str) -> str:
        """See `Control.new_session`."""
        secret, now = secrets.token_urlsafe(32), self._db.clock.now()
        with self._db.writing() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires_at <= now))
            name = connection.execute(
                sa.select(people.c.name).where(people.c.id == person)
            ).scalar_one()
            connection.execute(
                sessions.insert().values(
                    person_id=person,
                    hash=digest(secret),
                    agent=agent,
                    created_at=now,
                    used_at=now,
                    expires_at=now + dt.timedelta(days=SESSION_DAYS),
                )
            )
            self._db.note(connection, name, "session.open", f"person:{person}", agent)
        return secret

    def session(self, secret: str) -> Person | None:
        """See `Control.session`."""
        now = self._db.clock.now()
        asked = (
            sa.select(people.c.id, people.c.name, people.c.role, sessions.c.used_at)
            .join(sessions, sessions.c.person_id == people.c.id)
            .where(sessions.c.hash == digest(secret), sessions.c.expires_at > now)
        )
        with self._db.reading() as connection:
            row = connection.execute(asked).first()
        if row is None:
            return None
        if now - row.used_at >= NOTE_USE_EVERY:
            self._used(sessions.update().where(sessions.c.hash == digest(secret)), now)
        return Person(row.id, row.name, row.role)

    def sessions(self, person: int, *, current: str = "") -> list[dict[str, object]]:
        """See `Control.sessions`."""
        asked = (
            sa.select(sessions)
            .where(sessions.c.person_id == person, sessions.c.expires_at > self._db.clock.now())
            .order_by(sessions.c.id.desc())
        )
        own = digest(current)
        with self._db.reading() as connection:
            return [
                {
                    "id": row.id,
                    "agent": row.agent,
                    "created": row.created_at,
                    "last_used": row.used_at,
                    "expires": row.expires_at,
                    "current": hmac.compare_digest(row.hash, own),
                }
                for row in connection.execute(asked)
            ]

    def end_session(self, secret: str) -> None:
        """See `Control.end_session`."""
        with self._db.writing() as connection:
            ended = connection.execute(
                sessions.delete()
                .where(sessions.c.hash == digest(secret))
                .returning(sessions.c.person_id)
            ).first()
            if ended is not None:
                self._note(connection, ended.person_id, "session.end")

    def revoke_session(self, session: int, *, actor: str) -> None:
        """See `Control.revoke_session`."""
        with self._db.writing() as connection:
            if not connection.execute(sessions.delete().where(sessions.c.id == session)).rowcount:
                msg = f"there is no session {session}"
                raise NotFoundError(msg)
            self._db.note(connection, actor, "session.revoke", f"session:{session}")

    def new_token(
        self, person: int, *, name: str, scopes: Sequence[str], expires: dt.datetime | None
    ) -> str:
        """See `Control.new_token`."""
        secret = secrets.token_urlsafe(32)
        with self._db.writing() as connection:
            key = connection.execute(
                tokens.insert()
                .values(
                    person_id=person,
                    name=name,
                    hash=digest(secret),
                    scopes=" ".join(sorted(scopes)),
                    created_at=self._db.clock.now(),
                    expires_at=expires,
                )
                .returning(tokens.c.id)
            ).scalar_one()
            self._note(connection, person, "token.add", f"token:{key}", f"{name}: {scopes}")
        return f"esh_{key}_{secret}"

    def token(self, text: str) -> tuple[Person, frozenset[str]] | None:
        """See `Control.token`."""
        prefix, _, rest = text.partition("_")
        key, _, secret = rest.partition("_")
        if prefix != "esh" or not key.isascii() or not key.isdigit() or len(key) > 18:
            return None
        asked = (
            sa.select(tokens, people.c.name.label("person"), people.c.role)
            .join(people, people.c.id == tokens.c.person_id)
            .where(tokens.c.id == int(key))
        )
        with self._db.reading() as connection:
            row = connection.execute(asked).first()
        now = self._db.clock.now()
        if row is None or not hmac.compare_digest(row.hash, digest(secret)):
            return None
        if row.expires_at is not None and row.expires_at <= now:
            return None
        if row.used_at is None or now - row.used_at >= NOTE_USE_EVERY:
            self._used(tokens.update().where(tokens.c.id == row.id), now)
        return Person(row.person_id, row.person, row.role), frozenset(row.scopes.split())

    def tokens(self, person: int) -> list[dict[str, object]]:
        """See `Control.tokens`."""
        asked = sa.select(tokens).where(tokens.c.person_id == person).order_by(tokens.c.id.desc())
        with self._db.reading() as connection:
            return [
                {
                    "id": row.id,
                    "name": row.name,
                    "scopes": row.scopes.split(),
                    "created": row.created_at,
                    "expires": row.expires_at,
                    "last_used": row.used_at,
                }
                for row in connection.execute(asked)
            ]

    def revoke_token(self, token: int, *, actor: str) -> None:
        """See `Control.revoke_token`."""
        with self._db.writing() as connection:
            if not connection.execute(tokens.delete().where(tokens.c.id == token)).rowcount:
                msg = f"there is no token {token}"
                raise NotFoundError(msg)
            self._db.note(connection, actor, "token.revoke", f"token:{token}")

    def _used(self, statement: sa.Update, now: dt.datetime) -> None:
        with self._db.writing() as connection:
            connection.execute(statement.values(used_at=now))

    def _note(
        self, connection: sa.Connection, person: int, action: str, thing: str = "", detail: str = ""
    ) -> None:
        name: Any = sa.select(people.c.name).where(people.c.id == person)
        actor = connection.execute(name).scalar_one()
        self._db.note(connection, actor, action, thing or f"person:{person}", detail)
