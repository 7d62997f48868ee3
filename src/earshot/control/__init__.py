"""Who may do what, and what is listened for: workspaces, rules, people, sessions, tokens, audit."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self, cast

from earshot.clock import Clock
from earshot.model.rule import RuleVersion
from earshot.rooms import open_room

DEFAULT_WORKSPACE: Final = 1
ROLES: Final = ("viewer", "editor", "admin")
"""Weakest first."""
SESSION_DAYS: Final = 30
"""A session ends by itself after so long."""
MIN_PASSWORD: Final = 10
"""Characters that a password has at least."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in."""

    id: int
    name: str
    role: str
    """One of ROLES; see `earshot.api.rights`."""


class Control(Protocol):
    """What API and commands may ask; every change leaves an audit line in the same transaction."""

    # -- rules -----------------------------------------------------------------------------
    def rules(self, workspace: int = DEFAULT_WORKSPACE) -> list[RuleVersion]:
        """The newest version of every rule that is not deleted, by name."""

    def rule_versions(self, rule: int | None = None) -> list[RuleVersion]:
        """All versions, of one rule or of every workspace's; what the engine compiles.

        Those of deleted rules are among them.
        """

    def rules_stamp(self) -> int:
        """Grows with every change of a rule; cheap enough to ask five times a second."""

    def add_rule(
        self,
        name: str,
        text: str,
        *,
        active_from: dt.datetime,
        actor: str,
        workspace: int = DEFAULT_WORKSPACE,
    ) -> RuleVersion:
        """Make a rule; the caller has checked `text`.

        Raises:
            ConflictError: The name is taken.
        """

    def add_rules(
        self,
        texts: Mapping[str, str],
        *,
        active_from: dt.datetime,
        actor: str,
        workspace: int = DEFAULT_WORKSPACE,
    ) -> list[RuleVersion]:
        """Make a rule of each name and text, in this order: all of them, or none.

        One transaction, so thousands take a second where `add_rule` takes minutes.

        Raises:
            ConflictError: A name is taken; none of the rules was made.
        """

    def edit_rule(  # noqa: PLR0913 - an edit, its parts
        self,
        rule: int,
        *,
        name: str | None,
        text: str | None,
        active_from: dt.datetime,
        actor: str,
        if_version: int | None = None,
    ) -> RuleVersion:
        """Write a new version.

        Raises:
            NotFoundError: No such rule, or it was deleted.
            ConflictError: `if_version` is not the newest, or the name is taken.
        """

    def delete_rule(self, rule: int, *, active_until: dt.datetime, actor: str) -> None:
        """End it; its versions stay. Raises NotFoundError."""

    # -- people, sessions, tokens ----------------------------------------------------------
    def people(self) -> list[Person]:
        """All accounts."""

    def add_person(self, name: str, *, role: str, password: str | None, actor: str) -> Person:
        """Make an account.

        Raises:
            ConflictError: The name is taken.
            UsageError: An unknown role, or a password that is too short.
        """

    def sign_in_code(self, name: str, *, actor: str) -> str:
        """A fresh one-time code that lets an existing person in. Raises NotFoundError."""

    def code_is_for(self, code: str) -> str | None:
        """Whom a one-time code lets in, without using it up.

        A name, or "" for the first administrator; None: the code does not work.
        """

    def setup_code(self) -> str | None:
        """A fresh one-time code that makes the first administrator; None: there is one already."""

    def redeem_setup(self, code: str, *, name: str, password: str | None) -> Person:
        """Make the first administrator, or let in whom the code is for.

        For the latter `name` counts for nothing, and a password becomes the new one.

        Raises:
            UsageError: A wrong, used or old code; a password that is too short (then the code
                works again).
        """

    def sign_in(self, name: str, password: str) -> Person | None:
        """The person, if the password is right (argon2id; same time for unknown names)."""

    def new_session(self, person: int, *, agent: str) -> str:
        """Open a session and return its secret, 32 random bytes in base64url; its hash is kept."""

    def session(self, secret: str) -> Person | None:
        """Who this session is of; None: unknown, ended or old."""

    def sessions(self, person: int, *, current: str = "") -> list[dict[str, object]]:
        """id, agent, created, last_used, expires, current; newest first, never the secret.

        `current` is true for the session that has the secret `current`.
        """

    def end_session(self, secret: str) -> None:
        """Sign out."""

    def revoke_session(self, session: int, *, actor: str) -> None:
        """End a session by its id. Raises NotFoundError."""

    def new_token(
        self, person: int, *, name: str, scopes: Sequence[str], expires: dt.datetime | None
    ) -> str:
        """Make an API token `esh_<id>_<secret>`, shown once; its SHA-256 is kept."""

    def token(self, text: str) -> tuple[Person, frozenset[str]] | None:
        """Who this token is of and what it may; notes when it was last used."""

    def tokens(self, person: int) -> list[dict[str, object]]:
        """id, name, scopes, created, expires, last_used; never the secret."""

    def revoke_token(self, token: int, *, actor: str) -> None:
        """End a token. Raises NotFoundError."""

    def audit(self, actor: str, action: str, thing: str, detail: str = "") -> None:
        """Note what was done, by whom, to what."""

    def audit_lines(
        self, *, before: int | None = None, limit: int = 100, action: str | None = None
    ) -> list[dict[str, object]]:
        """id, at, actor, action, thing, detail; newest first; only this action, where given."""

    def close(self) -> None:
        """Let go of connections."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


def open_control(url: str, *, clock: Clock) -> Control:
    """Open what `url` names, e.g. `sqlite:///data/control.db`; migrated to the newest version."""
    return cast("Control", open_room("control", url, clock=clock))
