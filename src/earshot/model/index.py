"""A query that a store's index can answer: a superset of a rule's matches, to be verified.

Terms are tokens of `earshot.model.tokens`; tags are pseudo-tokens of `earshot.model.tags`.
"""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """Posts with this token (in the index form of the tokeniser)."""

    token: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Posts with a token that begins so."""

    start: str


@dataclass(frozen=True, slots=True)
class Near:
    """Posts with all these tokens within `span` tokens of each other, in any order."""

    tokens: tuple[str, ...]
    span: int


@dataclass(frozen=True, slots=True)
class Tag:
    """Posts with this pseudo-token."""

    tag: str


@dataclass(frozen=True, slots=True)
class All:
    """Posts that meet every part."""

    parts: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Posts that meet at least one part."""

    parts: tuple["Query", ...]


Query = Term | Prefix | Near | Tag | All | AnyOf


@dataclass(frozen=True, slots=True)
class Plan:
    """How a store answers an expression."""

    query: Query | None
    """None: the index cannot narrow it (only negations, ranges …): every post is a candidate."""
    exact: bool
    """True: the query's answer is the expression's answer; else candidates are verified."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of event time, half open; None: unbounded."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
