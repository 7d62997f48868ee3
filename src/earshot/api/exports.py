"""Exports over HTTP: streamed as they are read, with how the posts were found."""

from typing import Final

import msgspec
from fastapi.responses import StreamingResponse

from earshot.api.deps import Actor, Filters, Rooms
from earshot.api.present import scope_of
from earshot.engine.export import encoded, provenance_of
from earshot.engine.query import export_rows

MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "ids": "text/plain; charset=utf-8",
}


def respond(
    rooms: Rooms, actor: Actor, filters: Filters, form: str, provenance: str
) -> StreamingResponse:
    """Begin an export; what is wrong with the expression is said before the first byte."""
    scope = scope_of(filters)
    rows = export_rows(rooms.store, filters.q, scope=scope)
    now = rooms.clock.now()
    named = [r for r in rooms.control.rules(actor.workspace) if r.rule in filters.rules]
    about = provenance_of(rooms.store, filters.q, scope, rules=named, at=now)
    rooms.control.audit(actor.person.name, "posts.export", form, filters.q)
    if provenance == "only":
        return StreamingResponse(iter([msgspec.json.encode(about)]), media_type="application/json")
    data = encoded(rooms.store, rows, form, about if provenance == "with" else None)
    name = f"earshot-{now:%Y%m%dT%H%M%SZ}.{'txt' if form == 'ids' else form}"
    return StreamingResponse(
        data,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
