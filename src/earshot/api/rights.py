"""Who may do what: one table, used by routes, by `/me`, by the matrix test and by the page.

Every route names one action; what is no action of the table cannot be asked for.
"""

from typing import Final

ROLES: Final = ("viewer", "editor", "admin")

ACTIONS: Final[dict[str, str]] = {
    # action: least role
    "me:read": "viewer",
    "me:write": "viewer",  # own sessions and tokens
    "posts:read": "viewer",
    "posts:export": "viewer",
    "posts:delete": "admin",
    "stats:read": "viewer",  # windows, top lists, counts, gaps
    "rules:read": "viewer",
    "rules:write": "editor",
    "stream:read": "viewer",
    "sources:read": "viewer",
    "quarantine:read": "editor",
    "quarantine:replay": "admin",
    "system:read": "viewer",
    "metrics:read": "admin",
    "audit:read": "admin",
}
"""Action → the least role that may do it; every role may do what the ones before it may."""


def rights_of(role: str) -> frozenset[str]:
    """All actions a role may do; an unknown role may do nothing."""
    rank = ROLES.index(role) if role in ROLES else -1
    return frozenset(a for a, least in ACTIONS.items() if ROLES.index(least) <= rank)


def who_may(action: str) -> tuple[str, ...]:
    """The roles that may do an action, weakest first."""
    return ROLES[ROLES.index(ACTIONS[action]) :]
