"""Frames → schemas: the one place where columns become what clients see."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import polars as pl

from earshot.api.deps import Actor, Filters, Rooms
from earshot.api.schemas.collection import Quarantined, SourceState
from earshot.api.schemas.common import Gap
from earshot.api.schemas.posts import Family, Post, PostKey, Span
from earshot.api.schemas.rules import RuleHits
from earshot.engine import query
from earshot.model.index import Span as TimeSpan
from earshot.model.rule import RuleVersion
from earshot.model.schema import GAP, MARKS
from earshot.store import Store

SHOWN: Final = tuple(
    f.alias or n for n, f in Post.model_fields.items() if n not in {"rules", "family", "spans"}
)
RAW_SHOWN = 2000
MOST_GAPS = 100


def scope_of(filters: Filters) -> query.Scope:
    """The filters beside the expression, as the search takes them."""
    return query.Scope(filters.span, filters.source, filters.lang, filters.rules, filters.variant)


def asked(filters: Filters, **more: object) -> dict[str, object]:
    """What a list was asked for, as query parameters."""
    return {
        "q": filters.q,
        "since": iso(filters.span.since),
        "until": iso(filters.span.until),
        "source": list(filters.source),
        "lang": list(filters.lang),
        "rule": list(filters.rules),
        "variant": filters.variant if filters.variant != "all" else None,
        **more,
    }


def iso(moment: dt.datetime | None) -> str | None:
    """A moment as a query parameter."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def visible(rooms: Rooms, actor: Actor) -> frozenset[int]:
    """Rules that the actor's workspace sees."""
    return frozenset(r.rule for r in rooms.control.rules(actor.workspace))


def posts(
    store: Store, rows: pl.DataFrame, rules: frozenset[int], expression: str = ""
) -> list[Post]:
    """Rows of a store as posts; what `expression` finds in them is marked."""
    marked = query.spans(expression, rows) if expression else [[] for _ in range(rows.height)]
    families = {(s, i): family for s, i, *family in store.families(rows).iter_rows()}
    return [
        _post(row | {"family": _family(families.get((row["source"], row["id"])))}, rules, found)
        for row, found in zip(rows.select(*SHOWN, "rules").to_dicts(), marked, strict=True)
    ]


def _family(found: list[Any] | None) -> Family | None:
    if found is None:
        return None
    source, id_, size = found
    return Family(first=None if id_ is None else PostKey(source=source, id=id_), size=size)


def _post(row: dict[str, Any], rules: frozenset[int], found: Sequence[query.Mark]) -> Post:
    if row["permalink"] is not None and not row["permalink"].startswith(("https://", "http://")):
        row["permalink"] = None  # a page makes it a link: only the web may be behind it
    row["rules"] = [r for r in row["rules"] or () if r in rules]
    row["spans"] = [Span(field=m.field, offset=m.offset, length=m.length) for m in found]
    return Post.model_validate(row)


def gaps(
    rows: pl.DataFrame, *, sources: Sequence[str] = (), rules: Sequence[int] = ()
) -> list[Gap]:
    """The newest gaps of these sources (all, where none is named) that concern these rules."""
    if sources:
        rows = rows.filter(pl.col("source").is_in(list(sources)))
    if rules:
        rows = rows.filter(pl.col("rule").is_in([0, *rules]))
    return gap_rows(rows.sort("until", descending=True).head(MOST_GAPS))


def gap_rows(rows: pl.DataFrame) -> list[Gap]:
    """GAP rows as they are."""
    return [Gap(**row) for row in rows.select(GAP.names()).iter_rows(named=True)]


def rule_hits(store: Store) -> dict[int, dict[str, int]]:
    """Rule → its marks since the beginning."""
    hits: dict[int, dict[str, int]] = {}
    for rule, name, n in store.counts().select("rule", "name", "n").iter_rows():
        if rule and name in MARKS:
            marks = hits.setdefault(rule, dict.fromkeys(MARKS, 0))
            marks[name] += n
    return hits


def rule(version: RuleVersion, hits: dict[int, dict[str, int]], store: Store) -> dict[str, Any]:
    """Members of the `Rule` shape."""
    newest = store.select(None, TimeSpan(), limit=1, rules=[version.rule])
    return {
        "id": version.rule,
        "version": version.version,
        "name": version.name,
        "text": version.text,
        "canonical": query.canonical_or_text(version.text),
        "active_from": version.active_from,
        "hits": RuleHits(**hits.get(version.rule, dict.fromkeys(MARKS, 0))),
        "last_hit": newest["event_time"][0] if newest.height else None,
    }


def source_state(connection: str, report: str, now: dt.datetime) -> SourceState:
    """A connection's report; what it does not say is null."""
    try:
        said = msgspec.json.decode(report, type=dict[str, Any])
    except msgspec.MsgspecError:
        said = {"state": "unknown", "detail": "its report cannot be read"}
    last = moment(said.get("last_received_at"))
    return SourceState(
        connection=connection,
        source=str(said.get("source", "")),
        state=str(said.get("state", "unknown")),
        detail=str(said.get("detail", "")),
        last_event_at=last,
        age_seconds=max(0.0, (now - last).total_seconds()) if last else None,
        rate=figure(said.get("per_second")),
        lag_seconds=figure(said.get("lag_seconds")),
        records=whole(said.get("records")),
        restarts=whole(said.get("restarts")),
        updated_at=moment(said.get("updated_at")),
    )


def quarantined(rows: pl.DataFrame) -> list[Quarantined]:
    """QUARANTINE rows, the beginning of each record as text."""
    return [
        Quarantined(
            **{k: row[k] for k in ("offset", "source", "connection", "format", "received_at")},
            key=row["key"] or "",
            reason=row["reason"] or "",
            raw=row["raw"][:RAW_SHOWN].decode("utf-8", "replace"),
            size=len(row["raw"]),
        )
        for row in rows.iter_rows(named=True)
    ]


def moment(value: object) -> dt.datetime | None:
    """A moment out of a report; None when it is none."""
    if not isinstance(value, str) or not value:
        return None
    try:
        read = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=dt.UTC)


def figure(value: object) -> float | None:
    """A number out of a report; None when it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: object) -> int | None:
    """A whole number out of a report; None when it is none."""
    return None if figure(value) is None else int(figure(value) or 0)
