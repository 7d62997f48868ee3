"""`earshot top`: what is talked about most."""

import datetime as dt
from typing import Annotated

import polars as pl
import typer

from earshot.cli.common import CLOCK, Json, Variant, answer, app, known, settings_of, table
from earshot.engine.home import open_rooms
from earshot.engine.spans import top_of
from earshot.errors import UsageError
from earshot.model.schema import FACETS, VARIANTS

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command()
def top(
    context: typer.Context,
    facet: Annotated[str, typer.Option(help=f"One of {', '.join(FACETS)}.")] = "hashtag",
    window: Annotated[str, typer.Option(help="Width: 1m, 5m, 1h, 60m, 1d …")] = "1h",
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The window ends then (ISO 8601); now.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 10,
    source: Annotated[str | None, typer.Option(help="One network only.")] = None,
    rule: Annotated[str | None, typer.Option(help="Name of a rule: its posts only.")] = None,
    variant: Variant = "all",
    as_json: Json = False,
) -> None:
    """Rank the values of a facet in a window of event time: posts, then distinct authors."""
    known("facet", facet, FACETS)
    known("variant", variant, VARIANTS)
    end = _moment(at) if at else CLOCK.now()
    with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
        ids = {r.name: r.rule for r in rooms.control.rules()}
        if rule is not None:
            known("rule", rule, tuple(ids))
        rows = top_of(
            rooms.store,
            facet,
            _seconds(window),
            end,
            source=source,
            rule=ids[rule] if rule else 0,
            variant=variant,
            limit=limit,
        ).select("rank", "value", "posts", "authors", pl.col("score") / 1000)
    answer(
        {"facet": facet, "window": window, "at": end.isoformat(), "rows": rows.to_dicts()},
        as_json=as_json,
        show=lambda: table(f"{facet}, {window} until {end:%Y-%m-%d %H:%M} UTC", rows),
    )


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in UNITS or int(number) == 0:
        msg = f"--window {text!r} is no width"
        raise UsageError(msg, hint="a number and a unit: 30m, 1h, 2d")
    return int(number) * UNITS[unit]


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as e:
        msg = f"--at {text!r} is no time"
        raise UsageError(msg, hint="ISO 8601, e.g. 2026-11-21T09:00:00Z") from e
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
