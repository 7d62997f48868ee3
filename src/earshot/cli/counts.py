"""`earshot counts`: every record is accounted for."""

from typing import Any

import polars as pl
import typer

from earshot.cli.common import CLOCK, Json, answer, app, settings_of, table
from earshot.engine.home import open_rooms
from earshot.engine.tallies import counts_of


@app.command()
def counts(context: typer.Context, as_json: Json = False) -> None:
    """Account for every record consumed since the beginning, by source and by rule."""
    with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
        names = {r.rule: r.name for r in rooms.control.rule_versions()}
        value = counts_of(rooms.store.counts(), names)
    answer(value, as_json=as_json, show=lambda: _show(value))


def _show(value: dict[str, Any]) -> None:
    sources = value["by_source"]
    names = [n for n in value if not n.startswith("by_")]
    table(
        "counts",
        pl.DataFrame(
            {"": names, "all": [value[n] for n in names]}
            | {s: [c.get(n, 0) for n in names] for s, c in sources.items()}
        ),
    )
    if value["by_rule"]:
        rows = [{"rule": name, **marks} for name, marks in value["by_rule"].items()]
        table("by rule", pl.DataFrame(rows))
