"""`earshot search`: find stored posts."""

from typing import Annotated, Any

import polars as pl
import typer

from earshot.cli.common import CLOCK, Json, Variant, answer, app, out, settings_of
from earshot.engine.home import open_rooms
from earshot.engine.query import Found, Scope, search
from earshot.engine.rows import objects


@app.command("search")
def command(
    context: typer.Context,
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="An expression of the rule language.")
    ],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Posts to print.")] = 20,
    variant: Variant = "all",
    as_json: Json = False,
) -> None:
    """Find stored posts, newest first, with the language that rules are written in.

    earshot search '"night market" (music OR #music) -is:repost lang:en'
    """
    with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
        scope = Scope(variant=variant)
        found = search(rooms.store, expression, limit=limit, scope=scope, total=True)
    value: dict[str, Any] = {
        "total": found.total,
        "complete": found.complete,
        "posts": objects(found.posts),
    }
    answer(value, as_json=as_json, show=lambda: _show(found))


def _show(found: Found) -> None:
    for post in found.posts.select(
        pl.col("event_time").dt.strftime("%Y-%m-%d %H:%M:%S"),
        "source",
        pl.coalesce("author_handle", "author_name", "author_id"),
        "text",
    ).iter_rows():
        when, source, who, text = post
        out.print(f"[dim]{when}  {source}[/dim]  [bold]{_safe(who or '?')}[/bold]")
        out.print(f"  {text}", markup=False, highlight=False)
    more = "" if found.complete else " or more: the search was cut after its time budget"
    out.print(f"[dim]{found.total:,} posts{more}[/dim]")


def _safe(text: str) -> str:
    return text.replace("[", "\\[")
