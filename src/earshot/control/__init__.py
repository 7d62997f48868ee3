"""Who may do what, and what is listened for: workspaces, rules, people, sessions, tokens, audit."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast

from earshot.clock import Clock
from earshot.model.rule import RuleVersion
from earshot.rooms import open_room

DEFAULT_WORKSPACE = 1


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in."""

    id: int
    name: str
    role: str
    """viewer | editor | admin; see `earshot.api.rights`."""


class Control(Protocol):
    """What API and commands may ask; every change leaves an audit line in the same transaction."""

    # -- rules -----------------------------------------------------------------------------
    def rules(self, workspace: int = DEFAULT_WORKSPACE) -> list[RuleVersion]:
        """The newest version of every rule that is not deleted, by name."""

    def rule_versions(self, rule: int | None = None) -> list[RuleVersion]:
        """All versions, of one rule or of every rule of every workspace, deleted ones included:
        what the engine compiles."""

    def rules_stamp(self) -> int:
        """Grows with every change of a rule; cheap enough to ask five times a second."""

    def add_rule(
        self, name: str, text: str, *, active_from: dt.datetime, actor: str,
        workspace: int = DEFAULT_WORKSPACE,
    ) -> RuleVersion:
        """Make a rule. The caller has checked `text`. Raises ConflictError when the name is taken."""

    def edit_rule(
        self, rule: int, *, name: str | None, text: str | None, active_from: dt.datetime,
        actor: str, if_version: int | None = None,
    ) -> RuleVersion:
        """Write a new version. Raises NotFoundError; ConflictError when `if_version` is not the
        newest."""

    def delete_rule(self, rule: int, *, active_until: dt.datetime, actor: str) -> None:
        """End it; its versions stay. Raises NotFoundError."""

    # -- people, sessions, tokens ----------------------------------------------------------
    def people(self) -> list[Person]:
        """All accounts."""

    def setup_code(self) -> str | None:
        """A fresh one-time code that makes the first administrator; None: there is one already."""

    def redeem_setup(self, code: str, *, name: str, password: str | None) -> Person:
        """Make the first administrator. Raises UsageError for a wrong, used or old code."""

    def sign_in(self, name: str, password: str) -> Person | None:
        """The person, if the password is right (argon2id; same time for unknown names)."""

    def new_session(self, person: int, *, agent: str) -> str:
        """Open a session and return its secret, 32 random bytes in base64url; its hash is kept."""

    def session(self, secret: str) -> Person | None:
        """Who this session is of; None: unknown, ended or old."""

    def end_session(self, secret: str) -> None:
        """Sign out."""

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

    def audit_lines(self, *, before: int | None = None, limit: int = 100) -> list[dict[str, object]]:
        """id, at, actor, action, thing, detail; newest first."""

    def close(self) -> None:
        """Let go of connections."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


def open_control(url: str, *, clock: Clock) -> Control:
    """Open what `url` names, e.g. `sqlite:///data/control.db`; migrated to the newest version."""
    return cast("Control", open_room("control", url, clock=clock))
