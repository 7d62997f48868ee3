"""`earshot sources`: how collection is doing."""

from typing import Any

import msgspec
import polars as pl
import typer

from earshot.cli.common import CLOCK, Json, answer, app, settings_of, table
from earshot.engine.home import open_rooms
from earshot.model.index import Span

SHOWN = ("connection", "source", "state", "per_second", "records", "last_received_at", "detail")


@app.command("sources")
def command(context: typer.Context, as_json: Json = False) -> None:
    """Show every connection with its state, and the gaps in which posts may have been lost."""
    with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
        reports: list[dict[str, Any]] = [
            msgspec.json.decode(text) for text in rooms.log.reports().values()
        ]
        gaps = rooms.store.gaps(Span()).with_columns(
            pl.col("since", "until").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
    answer(
        {"sources": reports, "gaps": gaps.to_dicts()},
        as_json=as_json,
        show=lambda: _show(reports, gaps),
    )


def _show(reports: list[dict[str, Any]], gaps: pl.DataFrame) -> None:
    rows = [{name: r.get(name) for name in SHOWN} for r in reports]
    table("sources", pl.DataFrame(rows, schema=list(SHOWN), infer_schema_length=None))
    table("gaps", gaps.drop("seq"))
