"""Numbers over time: series, top lists, and what may be asked for."""

import datetime as dt
from typing import Annotated, Literal, get_args

from fastapi import Query

from earshot.api import charts, present
from earshot.api.deps import Range, ReadStats, RoomsDep, RuleId, Source, VariantOf, utc
from earshot.api.problems import ProblemError
from earshot.api.routes import router
from earshot.api.schemas import windows as shapes
from earshot.model.index import Span
from earshot.model.schema import FACETS, VARIANTS

api = router("windows")

Rules = Annotated[
    list[int] | None,
    Query(description="A line for each of these rules; 0: all posts.", max_length=20),
]


@api.get("/windows", operation_id="windows_series")
def series(
    actor: ReadStats,
    rooms: RoomsDep,
    span: Range,
    rule: Rules = None,
    source: Source = "*",
    by: Annotated[
        Literal["source"] | None, Query(description="Also a line for each source.")
    ] = None,
    measure: Annotated[shapes.Measure, Query(description="What to count.")] = "posts",
    step: Annotated[
        shapes.Step, Query(description="Width of a bucket; auto: as fine as 400 buckets allow.")
    ] = "auto",
    variant: VariantOf = "all",
) -> shapes.SeriesSet:
    """Posts, authors or score over time, at most 400 buckets; by default the last hour."""
    del actor
    as_of = rooms.live.head()
    asked = charts.Asked(
        since=span.since,
        until=span.until,
        now=rooms.clock.now(),
        step=step,
        rules=tuple(dict.fromkeys(rule or [0])),
        source=None if source == "*" else source,
        by_source=by == "source",
        measure=measure,
        variant=variant,
    )
    lines = charts.series(rooms.store, asked)
    return shapes.SeriesSet(
        t=lines.t,
        series=[
            shapes.Series(key=s.key, rule=s.rule, source=s.source, values=s.values)
            for s in lines.series
        ],
        step=lines.step,
        measure=measure,
        variant=variant,
        partial=lines.partial,
        gaps=present.gaps(rooms.store.gaps(lines.span), sources=_only(source), rules=asked.rules),
        as_of=as_of,
    )


@api.get("/top", operation_id="top_list")
def top(
    actor: ReadStats,
    rooms: RoomsDep,
    facet: Annotated[str, Query(description="What to rank, see /facets.", examples=["hashtag"])],
    window: Annotated[
        shapes.Width, Query(description="Width: 60m slides by the minute, the others are aligned.")
    ] = "60m",
    at: Annotated[
        dt.datetime | None, Query(description="The window ends here; default: now.")
    ] = None,
    rule: RuleId = 0,
    source: Source = "*",
    variant: VariantOf = "all",
    limit: Annotated[int, Query(ge=1, le=200, description="The most rows.")] = 10,
) -> shapes.Top:
    """Rank a facet's values in a window: posts, then distinct authors; with the change of rank."""
    del actor
    if facet not in FACETS:
        raise ProblemError("invalid-input", f"No facet {facet!r}; there are {', '.join(FACETS)}.")
    as_of = rooms.live.head()
    now = rooms.clock.now()
    ranked = charts.top(
        rooms.store,
        facet,
        window,
        utc(at, "at") or now,
        source=None if source == "*" else source,
        rule=rule,
        variant=variant,
        limit=limit,
    )
    return shapes.Top(
        facet=facet,
        window=window,
        since=ranked.since,
        until=ranked.until,
        rule=rule,
        source=source,
        variant=variant,
        partial=ranked.until > now,
        items=[shapes.TopRow(**row) for row in ranked.rows.iter_rows(named=True)],
        gaps=present.gaps(
            rooms.store.gaps(Span(ranked.since, ranked.until)), sources=_only(source), rules=(rule,)
        ),
        as_of=as_of,
    )


@api.get("/facets", operation_id="facets_list")
def facets(actor: ReadStats) -> shapes.Facets:
    """What `facet`, `window` and `variant` may be."""
    del actor
    return shapes.Facets(
        facets=list(FACETS), windows=list(get_args(shapes.Width)), variants=list(VARIANTS)
    )


def _only(source: str) -> tuple[str, ...]:
    return () if source == "*" else (source,)
