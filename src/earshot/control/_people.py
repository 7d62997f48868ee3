"""People, and the one-time codes that let the first one (or one without a password) in."""

import datetime as dt
import hashlib
import secrets
import threading
import unicodedata
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from earshot.control import MIN_PASSWORD, ROLES, Person
from earshot.control._database import Database
from earshot.control._schema import codes, people
from earshot.errors import ConflictError, NotFoundError, UsageError

CODE_LIVES: Final = dt.timedelta(hours=24)
_HASHER: Final = PasswordHasher()  # argon2id, 64 MiB
_AT_ONCE: Final = threading.BoundedSemaphore(2)  # bounds the memory that guessing can take


@cache
def _nobody() -> str:
    """Checked for names nobody has, so that the answer takes as long as for a wrong password."""
    return _HASHER.hash(secrets.token_urlsafe(16))


class People:
    """See `earshot.control.Control`."""

    _db: Database

    def people(self) -> list[Person]:
        """See `Control.people`."""
        asked = sa.select(people.c.id, people.c.name, people.c.role).order_by(people.c.name_key)
        with self._db.reading() as connection:
            return [Person(*row) for row in connection.execute(asked)]

    def add_person(self, name: str, *, role: str, password: str | None, actor: str) -> Person:
        """See `Control.add_person`."""
        hashed = _hash(password)
        with self._db.writing() as connection:
            made = self._insert(connection, name, role, hashed)
            self._db.note(connection, actor, "person.add", f"person:{made.id}", f"{name}, {role}")
        return made

    def setup_code(self) -> str | None:
        """See `Control.setup_code`."""
        with self._db.writing() as connection:
            if _has_admin(connection):
                return None
            return self._code(connection, None)

    def sign_in_code(self, name: str, *, actor: str) -> str:
        """See `Control.sign_in_code`."""
        with self._db.writing() as connection:
            row = connection.execute(_by_name(name)).first()
            if row is None:
                msg = f"nobody is named {name!r}"
                raise NotFoundError(msg)
            self._db.note(connection, actor, "person.code", f"person:{row.id}")
            return self._code(connection, row.id)

    def code_is_for(self, code: str) -> str | None:
        """See `Control.code_is_for`."""
        asked = (
            sa.select(codes.c.id, people.c.name)
            .outerjoin(people, people.c.id == codes.c.person_id)
            .where(codes.c.hash == digest(code), codes.c.expires_at > self._db.clock.now())
        )
        with self._db.reading() as connection:
            row = connection.execute(asked).first()
        return None if row is None else row.name or ""

    def redeem_setup(self, code: str, *, name: str, password: str | None) -> Person:
        """See `Control.redeem_setup`."""
        hashed = _hash(password)
        with self._db.writing() as connection:
            used = connection.execute(
                codes.delete()
                .where(codes.c.hash == digest(code), codes.c.expires_at > self._db.clock.now())
                .returning(codes.c.person_id)
            ).first()
            if used is None:
                msg = "the one-time code is wrong, used or too old"
                raise UsageError(msg, hint="start `earshot up` again for a new one")
            if used.person_id is None:
                return self._first(connection, name, hashed)
            return self._again(connection, used.person_id, hashed)

    def sign_in(self, name: str, password: str) -> Person | None:
        """See `Control.sign_in`."""
        with self._db.reading() as connection:
            row = connection.execute(_by_name(name)).first()
        known = row is not None and bool(row.password)
        kept = row.password if row is not None and known else _nobody()
        try:
            with _AT_ONCE:
                _HASHER.verify(kept, password)
        except VerificationError:
            return None
        return Person(row.id, row.name, row.role) if row is not None and known else None

    def _first(self, connection: sa.Connection, name: str, hashed: str | None) -> Person:
        if _has_admin(connection):
            msg = "there is an administrator already"
            raise UsageError(msg, hint="ask them for an account")
        made = self._insert(connection, name, "admin", hashed)
        self._db.note(connection, name, "setup", f"person:{made.id}", "first administrator")
        return made

    def _again(self, connection: sa.Connection, person: int, hashed: str | None) -> Person:
        if hashed is not None:
            own = people.update().where(people.c.id == person)
            connection.execute(own.values(password=hashed))
        row = connection.execute(sa.select(people).where(people.c.id == person)).one()
        self._db.note(connection, row.name, "person.redeem", f"person:{person}")
        return Person(row.id, row.name, row.role)

    def _insert(
        self, connection: sa.Connection, name: str, role: str, hashed: str | None
    ) -> Person:
        if role not in ROLES:
            msg = f"no role is named {role!r}"
            raise UsageError(msg, hint=f"known: {', '.join(ROLES)}")
        if not name.strip() or any(unicodedata.category(c).startswith("C") for c in name):
            msg = "a name needs something that can be read, and no control characters"
            raise UsageError(msg)
        if connection.execute(_by_name(name)).first() is not None:
            msg = f"somebody is named {name!r} already"
            raise ConflictError(msg, hint="choose another name")
        key = connection.execute(
            people.insert()
            .values(
                name=name.strip(),
                name_key=_fold(name),
                role=role,
                password=hashed,
                created_at=self._db.clock.now(),
            )
            .returning(people.c.id)
        ).scalar_one()
        return Person(key, name.strip(), role)

    def _code(self, connection: sa.Connection, person: int | None) -> str:
        """A fresh code; those that were made before for the same purpose work no more."""
        same = codes.c.person_id.is_(None) if person is None else codes.c.person_id == person
        connection.execute(codes.delete().where(same))
        code, now = secrets.token_urlsafe(24), self._db.clock.now()
        connection.execute(
            codes.insert().values(
                person_id=person, hash=digest(code), created_at=now, expires_at=now + CODE_LIVES
            )
        )
        return code


def digest(secret: str) -> bytes:
    """What is kept of a secret of our own making: it is random, so that a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def _hash(password: str | None) -> str | None:
    """The argon2id hash. Raises UsageError for a password that is too short."""
    if password is None:
        return None
    if len(password) < MIN_PASSWORD:
        msg = f"the password is too short: {MIN_PASSWORD} characters at least"
        raise UsageError(msg, hint="a sentence is easier to keep in mind than a word")
    with _AT_ONCE:
        return _HASHER.hash(password)


def _has_admin(connection: sa.Connection) -> bool:
    asked = sa.select(people.c.id).where(people.c.role == "admin").limit(1)
    return connection.execute(asked).first() is not None


def _by_name(name: str) -> sa.Select[Any]:
    return sa.select(people).where(people.c.name_key == _fold(name))


def _fold(name: str) -> str:
    """Names are the same when they look the same."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()
