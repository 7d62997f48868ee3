"""Queries of the index as SQLite's full-text expressions, and pages of what they find.

A page is read in two steps: spots in their order (time in milliseconds), then the rows. Posts of
one millisecond lie there in no order that means anything, so the last millisecond of a step is
always read whole and sorted by (event_time, source, id).
"""
# ruff: noqa: S608 - SQL is put together from names of our own only

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw
import polars as pl

from earshot.clock import from_micros, micros
from earshot.disk import rows
from earshot.model.index import All, AnyOf, Near, Prefix, Query, Span, Tag, Term
from earshot.model.schema import STORED
from earshot.model.tags import rule_tag
from earshot.store._keys import FARTHEST_MS, SLOTS, span_of
from earshot.store._names import with_names
from earshot.store._rows import ROW, frame, read_spots
from earshot.store._schema import HIDDEN

After = tuple[dt.datetime, str, str]
ORDER: Final = ("event_time", "source", "id")
FOUND: Final = pl.Schema([("spot", pl.Int64()), *((c, STORED[c]) for c in ORDER)])
FIRST, LAST = -(1 << 63), (1 << 63) - 1


def expression(query: Query) -> str | bool:
    """The full-text expression of a query; True: every post, False: none."""
    match query:
        case Term(token):
            return f"words : {_quoted(token)}"
        case Prefix(start):
            return f"words : {_quoted(start)} *"
        case Near(tokens, span):
            return f"words : NEAR({' '.join(map(_quoted, tokens))}, {span})"
        case Tag(tag):
            return f"tags : {_quoted(tag)}"
        case All(parts):
            return _joined([expression(p) for p in parts], " AND ", neutral=True)
        case AnyOf(parts):
            return _joined([expression(p) for p in parts], " OR ", neutral=False)


def _joined(parts: Sequence[str | bool], operator: str, *, neutral: bool) -> str | bool:
    if (not neutral) in parts:
        return not neutral
    texts = [p for p in parts if isinstance(p, str)]
    if len(texts) < 2:
        return texts[0] if texts else neutral
    return "(" + operator.join(texts) + ")"


def _quoted(token: str) -> str:
    """One token as a string of the expression language; without a NUL, which would end it."""
    return '"' + token.replace('"', '""').replace("\0", " ") + '"'


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: an expression of the index (None: no use of it) in a span of time."""

    match: str | None
    span: Span

    @classmethod
    def of(
        cls, db: apsw.Connection, query: Query | None, span: Span, rules: Sequence[int]
    ) -> "Search | None":
        """The search for a query and posts of any of `rules`; None: nothing can be found."""
        parts: list[Query] = [] if query is None else [with_names(db, query)]
        if rules:
            parts.append(AnyOf(tuple(Tag(rule_tag(r)) for r in rules)))
        text = expression(All(tuple(parts)))
        if text is False:
            return None
        return cls(text if isinstance(text, str) else None, span)

    def spots(self) -> tuple[int, int]:
        """The first and the last spot at which something may lie."""
        low, high = FIRST, LAST
        if self.span.since is not None:
            low = span_of(micros(self.span.since) // 1000)[0]
        if self.span.until is not None:
            high = span_of((micros(self.span.until) - 1) // 1000)[1]
        return low, high

    def where(self) -> tuple[str, list[Any]]:
        """Tables and condition up to the range of spots, and the values of the condition."""
        if self.match is None:
            return f"posts p WHERE flags & {HIDDEN} = 0 AND p.spot", []
        join = "fts w JOIN posts p ON p.spot = w.rowid"
        shown = "w.rowid NOT IN (SELECT spot FROM hidden)"
        return f"{join} WHERE fts MATCH ? AND {shown} AND w.rowid", [self.match]

    def inside(self) -> pl.Expr:
        """Which rows lie in the span to the microsecond."""
        within: pl.Expr = pl.lit(value=True)
        if self.span.since is not None:
            within = within & (pl.col("event_time") >= self.span.since)
        if self.span.until is not None:
            within = within & (pl.col("event_time") < self.span.until)
        return within


def page(
    db: apsw.Connection, search: Search, *, limit: int, after: After | None, newest_first: bool
) -> pl.DataFrame:
    """At most `limit` ROWs of a search behind `after`, in order of (event_time, source, id)."""
    wanted = search.inside()
    if after is not None:
        wanted = wanted & _behind(after, newest_first=newest_first)
    parts: list[pl.DataFrame] = []
    for found in _steps(db, search, limit, after, newest_first=newest_first):
        parts.append(found.filter(wanted))
        if sum(p.height for p in parts) >= limit:
            break
    keys = pl.concat(parts) if parts else pl.DataFrame(schema=FOUND)
    chosen = keys.sort(ORDER, descending=newest_first).head(limit)
    posts = read_spots(db, chosen["spot"].to_numpy())
    return posts.sort(ORDER, descending=newest_first).select(ROW.names())


def _behind(after: After, *, newest_first: bool) -> pl.Expr:
    """Which rows come after this one, in the order of the page."""
    behind: pl.Expr = pl.lit(value=False)
    for column, value in reversed(list(zip(ORDER, after, strict=True))):
        this, other = pl.col(column), pl.lit(value)
        further = this < other if newest_first else this > other
        behind = further | ((this == other) & behind)
    return behind


def _steps(
    db: apsw.Connection, search: Search, limit: int, after: After | None, *, newest_first: bool
) -> Iterator[pl.DataFrame]:
    """FOUND rows from the page's side on, each step ending with a whole millisecond."""
    low, high = search.spots()
    if after is not None:
        first, last = span_of(micros(after[0]) // 1000)
        low, high = (low, min(high, last)) if newest_first else (max(low, first), high)
    while low <= high:
        found = _keys(db, search, low, high, limit=limit, newest_first=newest_first)
        if len(found) < limit:
            yield frame(found, FOUND)
            return
        edge = found[-1][0]
        group = edge // SLOTS * SLOTS
        rest = (group, edge - 1) if newest_first else (edge + 1, group + SLOTS - 1)
        found += _keys(db, search, *rest, limit=-1, newest_first=newest_first)
        yield frame(found, FOUND)
        low, high = (low, group - 1) if newest_first else (group + SLOTS, high)


def _keys(  # noqa: PLR0913 - one statement, its parts
    db: apsw.Connection, search: Search, low: int, high: int, *, limit: int, newest_first: bool
) -> list[tuple[Any, ...]]:
    where, values = search.where()
    by = "w.rowid" if search.match is not None else "p.spot"
    order = "DESC" if newest_first else "ASC"
    statement = f"""SELECT p.spot, p.event_time, p.source, p.id FROM {where} BETWEEN ? AND ?
        ORDER BY {by} {order} LIMIT ?"""
    return rows(db, statement, (*values, low, high, limit))


def total(db: apsw.Connection, search: Search) -> int:
    """How many posts a search finds, exactly."""
    low, high = search.spots()
    found = _counted(db, search, low, high)
    for group in _cut_groups(search.span):
        keys = frame(_keys(db, search, *group, limit=-1, newest_first=True), FOUND)
        found -= keys.filter(~search.inside()).height
    return found


def _counted(db: apsw.Connection, search: Search, low: int, high: int) -> int:
    """Posts found in a range of spots, as the index counts them, less the hidden ones."""
    between = (low, high)
    hidden = "SELECT count(*) FROM hidden WHERE spot BETWEEN ? AND ?"
    (unseen,) = rows(db, hidden, between)[0]
    if search.match is None:
        whole = between == (FIRST, LAST)
        every = "SELECT count(*) FROM posts" + ("" if whole else " WHERE spot BETWEEN ? AND ?")
        return int(rows(db, every, () if whole else between)[0][0]) - int(unseen)
    some = "SELECT count(*) FROM fts WHERE fts MATCH ? AND rowid BETWEEN ? AND ?"
    if unseen:
        some += " AND rowid NOT IN (SELECT spot FROM hidden)"
    return int(rows(db, some, (search.match, *between))[0][0])


def _cut_groups(span: Span) -> set[tuple[int, int]]:
    """Places of the milliseconds that the span cuts, so that only a part of each lies in it."""
    edges = []
    if span.since is not None:
        edges.append(micros(span.since))
    if span.until is not None:
        edges.append(micros(span.until))
    cut = {us // 1000 for us in edges if us % 1000 or abs(us // 1000) >= FARTHEST_MS - 1}
    return {span_of(ms) for ms in cut}


def day_page(
    db: apsw.Connection, day: dt.date, source: str, *, after: After | None, limit: int
) -> pl.DataFrame:
    """STORED rows of a day and source behind `after`, oldest first, hidden ones too."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    whole = Search(None, Span(midnight, midnight + dt.timedelta(days=1)))
    wanted = whole.inside() & (_behind(after, newest_first=False) if after else pl.lit(value=True))
    low, high = whole.spots()
    if after is not None:
        low = max(low, span_of(micros(after[0]) // 1000)[0])
    some = "spot BETWEEN ? AND ? AND source = ?"
    statement = f"SELECT spot, event_time, source, id FROM posts WHERE {some} ORDER BY spot LIMIT ?"
    parts: list[pl.DataFrame] = []
    while low <= high and sum(p.height for p in parts) < limit:
        found = rows(db, statement, (low, high, source, limit))
        group = high if len(found) < limit else found[-1][0] // SLOTS * SLOTS + SLOTS - 1
        if len(found) == limit:
            found += rows(db, statement, (found[-1][0] + 1, group, source, -1))
        parts.append(frame(found, FOUND).filter(wanted))
        low = group + 1
    keys = pl.concat(parts) if parts else pl.DataFrame(schema=FOUND)
    chosen = keys.sort(ORDER).head(limit)
    return read_spots(db, chosen["spot"].to_numpy()).sort(ORDER).select(STORED.names())


def bounds(db: apsw.Connection) -> tuple[dt.datetime, dt.datetime] | None:
    """Least and greatest event time; the ends lie in the first and in the last millisecond."""
    ends = []
    for pick, order in (("min", "ASC"), ("max", "DESC")):
        edge = rows(db, f"SELECT spot FROM posts ORDER BY spot {order} LIMIT 1")
        if not edge:
            return None
        group = edge[0][0] // SLOTS * SLOTS
        some = f"SELECT {pick}(event_time) FROM posts WHERE spot BETWEEN ? AND ?"
        ends.append(from_micros(rows(db, some, (group, group + SLOTS - 1))[0][0]))
    return ends[0], ends[1]
