"""Is collection whole? Counts, gaps, sources, quarantine."""

from earshot.api import health, present
from earshot.api.deps import (
    CursorText,
    Limit,
    Range,
    ReadQuarantine,
    ReadSources,
    ReadStats,
    ReadSystem,
    ReplayQuarantine,
    RoomsDep,
    SettingsDep,
)
from earshot.api.operate import again, append_and_wait
from earshot.api.paging import address, number
from earshot.api.routes import router
from earshot.api.schemas import collection as shapes
from earshot.api.schemas.posts import Applied
from earshot.engine.operate import control_record
from earshot.engine.tallies import counts_of
from earshot.errors import NotFoundError

api = router("collection")


@api.get("/counts", operation_id="counts_get")
def counts(actor: ReadStats, rooms: RoomsDep, span: Range) -> shapes.Counts:
    """What became of every record since the beginning (or received since `since`)."""
    del actor
    names = {r.rule: r.name for r in rooms.control.rule_versions()}
    return shapes.Counts.model_validate(counts_of(rooms.store.counts(since=span.since), names))


@api.get("/gaps", operation_id="gaps_list")
def gaps(
    actor: ReadStats, rooms: RoomsDep, span: Range, limit: Limit = 50, cursor: CursorText = None
) -> shapes.GapsPage:
    """Spans in which a source may have lost posts, newest first."""
    del actor
    rows = rooms.store.gaps(span).sort("seq", descending=True)
    before = number(cursor)
    rest = rows if before is None else rows.filter(rows["seq"] < before)
    page = rest.head(limit)
    after = str(page["seq"][-1]) if rest.height > limit else None
    asked = {"since": present.iso(span.since), "until": present.iso(span.until), "limit": limit}
    return shapes.GapsPage(
        items=present.gap_rows(page), next=after, next_url=address("/api/v1/gaps", asked, after)
    )


@api.get("/sources", operation_id="sources_list")
def sources(actor: ReadSources, rooms: RoomsDep) -> shapes.Sources:
    """How each connection to a network is doing."""
    del actor
    now = rooms.clock.now()
    reports = sorted(rooms.log.reports().items())
    return shapes.Sources(items=[present.source_state(c, r, now) for c, r in reports])


@api.get("/quarantine", operation_id="quarantine_list")
def quarantine(
    actor: ReadQuarantine, rooms: RoomsDep, limit: Limit = 50, cursor: CursorText = None
) -> shapes.QuarantinePage:
    """Records that could not be read, with the reason."""
    del actor
    after = number(cursor)
    rows = rooms.store.quarantine(after=-1 if after is None else after, limit=limit + 1)
    page = rows.head(limit)
    onward = str(page["offset"][-1]) if rows.height > limit else None
    return shapes.QuarantinePage(
        items=present.quarantined(page),
        next=onward,
        next_url=address("/api/v1/quarantine", {"limit": limit}, onward),
    )


@api.post("/quarantine/replay", operation_id="quarantine_replay")
def replay(body: shapes.ReplayIn, actor: ReplayQuarantine, rooms: RoomsDep) -> Applied:
    """Read records again, after what made them unreadable was mended."""
    items = []
    for offset in sorted(set(body.offsets)):
        row = rooms.store.quarantine(after=offset - 1, limit=1)
        if row.height == 0 or row["offset"][0] != offset:
            msg = f"no record {offset} is in quarantine"
            raise NotFoundError(msg)
        items.append(again(row))
    rooms.control.audit(
        actor.person.name, "quarantine.replay", f"{len(items)} records", f"{min(body.offsets)}…"
    )
    marker = control_record(
        kind="replay", offsets=sorted(set(body.offsets)), actor=actor.person.name
    )
    return append_and_wait(rooms, (*items, marker))


@api.get("/system", operation_id="system_get")
def system(actor: ReadSystem, rooms: RoomsDep, settings: SettingsDep) -> shapes.System:
    """What runs here, and what it holds."""
    del actor
    return health.system(rooms, settings)
