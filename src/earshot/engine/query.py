"""Ask the store in the rule language: the index finds candidates, the evaluator has the last word.

`rules.plan` turns an expression into what an index can answer; where that is only a superset, the
candidates are verified page by page, within a time budget. A cut answer says so and can go on.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import polars as pl

from earshot.clock import Clock, SystemClock
from earshot.errors import RuleSyntaxError, UsageError
from earshot.model.document import document
from earshot.model.index import All, Plan, Query, Span, Tag
from earshot.model.schema import VARIANTS
from earshot.model.tags import IS, tag
from earshot.model.tokens import tokenize
from earshot.rules import Node, format_rule, matches, parse, plan
from earshot.rules import spans as spans_of
from earshot.store import Store

BUDGET_S: Final = 2.0
"""How long an interactive question may look for posts."""
FIRST_PAGE: Final = 256
WIDEST_PAGE: Final = 4096
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_CLOCK: Final = SystemClock()

Place = tuple[dt.datetime, str, str]
"""(event_time, source, id): where a row stands in the order of the store."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which posts are asked for, beside the expression; empty means any."""

    span: Span = field(default_factory=Span)
    sources: tuple[str, ...] = ()
    langs: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()
    variant: str = "all"
    """One of VARIANTS; as long as nothing is marked as spam or abuse, `clean` is as `once`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    posts: pl.DataFrame
    """STORED + `rules`, in the order asked for."""
    cursor: Place | None
    """Where the next page begins; None: there is nothing more."""
    complete: bool
    """False: time ran out; `cursor` goes on from there, and `total` is what was counted so far."""
    total: int | None
    """All matches; None: it was not asked for."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What an expression would have found."""

    posts: int
    """Stored posts in the span."""
    hits: int
    samples: pl.DataFrame
    """STORED + `rules`: the newest hits."""
    complete: bool
    """False: time ran out, the oldest part of the span was not looked at."""
    span: Span
    """What was looked at; empty when nothing is stored."""
    rate_per_hour: float


@dataclass(frozen=True, slots=True)
class Mark:
    """What an expression found in a post: a stretch of one of its fields."""

    field: Literal["text", "title"]
    offset: int
    """In characters (code points)."""
    length: int


@dataclass(frozen=True, slots=True)
class _Question:
    """An expression made ready: how the index answers, and how candidates are verified."""

    node: Node | None
    plan: Plan
    scope: Scope

    def verified(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.scope.variant != "all":
            rows = rows.filter(~pl.col("copy"))
        if self.plan.exact or self.node is None or rows.height == 0:
            return rows
        tokens = tokenize(document(rows), index=True)
        return rows.filter(pl.Series(matches(self.node, rows, tokens)))


def canonical(expression: str) -> str:
    """The expression, formatted. Raises RuleSyntaxError."""
    return format_rule(parse(expression))


def canonical_or_text(expression: str) -> str:
    """The expression, formatted; as it is where it cannot be read (e.g. by a newer version)."""
    try:
        return canonical(expression)
    except RuleSyntaxError:
        return expression


def indexed(expression: str) -> bool:
    """Whether an index can narrow the search for it."""
    return plan(parse(expression)).query is not None


def search(  # noqa: PLR0913 - one question, its parts
    store: Store,
    expression: str,
    *,
    limit: int,
    scope: Scope | None = None,
    after: Place | None = None,
    newest_first: bool = True,
    total: bool = False,
    budget_s: float = BUDGET_S,
    clock: Clock = _CLOCK,
) -> Found:
    """Find stored posts; page after page, each is seen once, whatever comes in meanwhile.

    Args:
        store: Open to read.
        expression: In the rule language; empty: every post.
        limit: The most posts.
        scope: Further conditions.
        after: `cursor` of the page before.
        newest_first: By event time, then source, then id; or the reverse.
        total: Also count all matches.
        budget_s: Seconds after which an answer is cut.
        clock: Measures them.

    Raises:
        RuleSyntaxError: The expression cannot be read.
    """
    question = _ask(expression, scope or Scope())
    deadline = clock.monotonic() + budget_s
    posts, cursor, complete = _page(
        store, question, limit=limit, after=after, newest_first=newest_first,
        late=lambda: clock.monotonic() > deadline,
    )  # fmt: skip
    if not total:
        return Found(posts, cursor, complete, None)
    if after is None and cursor is None and complete:
        return Found(posts, cursor, complete, posts.height)
    counted, whole, _ = _count(store, question, lambda: clock.monotonic() > deadline)
    return Found(posts, cursor, complete and whole, counted)


def rule_test(  # noqa: PLR0913 - one question, its parts
    store: Store,
    expression: str,
    *,
    span: Span | None = None,
    variant: str = "all",
    samples: int = 10,
    budget_s: float = BUDGET_S,
    clock: Clock = _CLOCK,
) -> Tried:
    """Say what an expression would have found among the stored posts.

    Raises:
        RuleSyntaxError: The expression cannot be read.
    """
    question = _ask(expression, Scope(span or Span(), variant=variant))
    deadline = clock.monotonic() + budget_s
    counted, whole, reached = _count(store, question, lambda: clock.monotonic() > deadline)
    first = search(store, expression, limit=max(1, samples), scope=question.scope, clock=clock)
    looked = _looked_at(store, question.scope.span, None if whole else reached)
    return Tried(
        posts=_number(store, None, question.scope),
        hits=counted,
        samples=first.posts.head(samples),
        complete=whole,
        span=looked,
        rate_per_hour=_rate(counted, looked),
    )


def export_rows(
    store: Store, expression: str, *, scope: Scope | None = None, page: int = WIDEST_PAGE
) -> Iterator[pl.DataFrame]:
    """All matches, oldest first, as frames of at most `page` rows; none is empty.

    Raises:
        RuleSyntaxError: The expression cannot be read (at once, not while iterating).
    """
    question = _ask(expression, scope or Scope())
    return _pages(store, question, page)


def spans(expression: str, rows: pl.DataFrame) -> list[list[Mark]]:
    """What an expression finds in each row, in order; nothing overlaps."""
    node = parse(expression)
    whole = document(rows)
    return [
        list(_marks(node, title, text or "", found or ""))
        for title, text, found in zip(rows["title"], rows["text"], whole, strict=True)
    ]


def _marks(node: Node, title: str | None, text: str, whole: str) -> Iterator[Mark]:
    """Stretches of a post's document (title, line break, text, more) as stretches of its fields."""
    head = 0 if title is None else len(title) + 1
    for offset, length in spans_of(node, whole):
        end = min(offset + length, head + len(text))
        if offset < head - 1:
            yield Mark("title", offset, min(offset + length, head - 1) - offset)
        if (begin := max(offset, head)) < end:
            yield Mark("text", begin - head, end - begin)


def place_of(rows: pl.DataFrame, row: int) -> Place:
    """Where a row stands in the order of the store."""
    return rows["event_time"][row], rows["source"][row], rows["id"][row]


def _ask(expression: str, scope: Scope) -> _Question:
    """Read an expression and its scope."""
    if scope.variant not in VARIANTS:
        msg = f"unknown variant {scope.variant!r}"
        raise UsageError(msg, hint=f"known: {', '.join(VARIANTS)}")
    parts = []
    if expression.strip():
        parse(expression)  # alone first: an error points at the place where it was typed
        parts.append(f"({expression})")
    for operator, values in (("source", scope.sources), ("lang", scope.langs)):
        if values:
            either = " OR ".join(f"{operator}:{_name(operator, v)}" for v in values)
            parts.append(f"({either})")
    if not parts:
        return _Question(None, Plan(query=None, exact=True), scope)
    node = parse(" ".join(parts))
    return _Question(node, plan(node), scope)


def _page(  # noqa: PLR0913 - one page, its parts
    store: Store,
    question: _Question,
    *,
    limit: int,
    after: Place | None,
    newest_first: bool,
    late: Callable[[], bool],
) -> tuple[pl.DataFrame, Place | None, bool]:
    """`limit` verified rows, where the next page begins, and whether time was enough."""
    kept: list[pl.DataFrame] = []
    found, size, place = 0, max(limit + 1, 0 if question.plan.exact else FIRST_PAGE), after
    while True:
        rows = _select(store, question, size, place, newest_first=newest_first)
        good = question.verified(rows)
        kept.append(good)
        found += good.height
        if found > limit:
            posts = pl.concat(kept).head(limit)
            return posts, place_of(posts, -1), True
        if rows.height < size:
            return pl.concat(kept), None, True
        place = place_of(rows, -1)
        if late():
            return pl.concat(kept), place, False
        size = min(2 * size, WIDEST_PAGE)


def _count(
    store: Store, question: _Question, late: Callable[[], bool]
) -> tuple[int, bool, Place | None]:
    """All matches; whether all candidates were looked at; the last one that was."""
    scope = question.scope
    if question.plan.exact:
        return _number(store, question.plan.query, scope), True, None
    counted, place = 0, None
    while True:
        rows = _select(store, question, WIDEST_PAGE, place, newest_first=True)
        counted += question.verified(rows).height
        if rows.height < WIDEST_PAGE:
            return counted, True, None
        place = place_of(rows, -1)
        if late():
            return counted, False, place


def _number(store: Store, query: Query | None, scope: Scope) -> int:
    """How many posts the index finds, exactly."""
    found = store.count(query, scope.span, rules=scope.rules)
    if scope.variant == "all":
        return found
    copies = Tag(tag(IS, "copy"))
    both = copies if query is None else All((query, copies))
    return found - store.count(both, scope.span, rules=scope.rules)


def _pages(store: Store, question: _Question, size: int) -> Iterator[pl.DataFrame]:
    place: Place | None = None
    while True:
        rows = _select(store, question, size, place, newest_first=False)
        if (good := question.verified(rows)).height:
            yield good
        if rows.height < size:
            return
        place = place_of(rows, -1)


def _select(
    store: Store, question: _Question, size: int, after: Place | None, *, newest_first: bool
) -> pl.DataFrame:
    return store.select(
        question.plan.query,
        question.scope.span,
        limit=size,
        after=after,
        newest_first=newest_first,
        rules=question.scope.rules,
    )


def _looked_at(store: Store, asked: Span, reached: Place | None) -> Span:
    """The part of the span in which posts are stored, down to where a cut answer came."""
    bounds = store.bounds()
    if bounds is None:
        return Span()
    since = max(filter(None, (bounds[0], asked.since, reached and reached[0])))
    until = min(filter(None, (bounds[1], asked.until)))
    return Span(since, max(since, until))


def _rate(hits: int, looked: Span) -> float:
    """Hits an hour; of a span shorter than a minute nothing can be said but that."""
    if looked.since is None or looked.until is None:
        return 0.0
    seconds = max(60.0, (looked.until - looked.since).total_seconds())
    return round(hits * 3600 / seconds, 3)


def _name(what: str, value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = f"{what} {value!r} is no name"
        raise UsageError(msg, hint="letters, digits, - and _ only")
    return value
