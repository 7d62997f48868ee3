"""`earshot bench`: measure it on this machine."""

from typing import Annotated

import typer

from earshot.cli.common import Json, answer, app, err, out, table
from earshot.engine.bench import measure_pipeline, shown

group = typer.Typer(no_args_is_help=True, help="Measure Earshot on this machine.")
app.add_typer(group, name="bench")


@group.command()
def pipeline(
    posts: Annotated[int, typer.Option(min=1000, help="Posts of the demo world.")] = 200_000,
    rules: Annotated[int, typer.Option(min=0, max=100_000, help="Rules to match.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of world and rules.")] = 7,
    as_json: Json = False,
) -> None:
    """Measure the whole embedded pipeline: log, rules, windows, every post stored and searchable.

    With --json the table goes to standard error, and one JSON object to standard output.

    Stages run on several threads, so that their times add up to more than the time that passed.
    """
    with err.status("measuring …"):
        figures = measure_pipeline(posts, rules, seed=seed)
    to = err if as_json else out
    table("stages", shown(figures), to=to)
    to.print(
        f"{figures['posts_per_second']:,.0f} posts/s, {figures['posts']:,} posts, "
        f"{figures['rules']:,} rules, {figures['hits_per_post']} hits a post, "
        f"{figures['rss_mb']:,.0f} MB, {figures['bytes_per_post']:,.0f} bytes a post",
        highlight=False,
    )
    answer(figures, as_json=as_json, show=lambda: None)
