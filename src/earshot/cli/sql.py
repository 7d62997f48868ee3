"""`earshot sql`: ask the lake."""

from typing import Annotated

import typer

from earshot.cli.common import CLOCK, Json, answer, app, settings_of, table
from earshot.engine.home import lake_of
from earshot.engine.operate import seal_now


@app.command("sql")
def command(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help='E.g. "SELECT … FROM posts".')],
    as_json: Json = False,
) -> None:
    """Ask the history with SQL (DuckDB) over the view `posts`; nothing can be changed by it.

    earshot sql "SELECT lang, count(*) AS n FROM posts GROUP BY lang ORDER BY n DESC"
    """
    settings = settings_of(context)
    seal_now(settings, CLOCK)
    with lake_of(settings) as lake:
        rows = lake.sql(query)
    answer({"rows": rows.to_dicts()}, as_json=as_json, show=lambda: table(query, rows))
