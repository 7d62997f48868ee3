"""`earshot replay`: take archives in."""

from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from earshot.cli.common import CLOCK, Json, answer, app, err, out, settings_of
from earshot.engine.replay import Replayed, replay
from earshot.sources import Source


@app.command("replay")
def command(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH…", help="Files, folders, or - for standard input."),
    ],
    speed: Annotated[
        str, typer.Option(help="1x … 1000x of the archive's own pace, or max.")
    ] = "max",
    shift: Annotated[
        bool, typer.Option("--shift", help="Move event times so that the archive begins now.")
    ] = False,
    format_: Annotated[
        str | None, typer.Option("--format", help="Format of the payloads; found by itself.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take in archives of posts: every line is accounted for, each post is kept once.

    X (v1.1 lines, v2 responses), Jetstream, Reddit, Mastodon, Meetup and CSV, plain, gz or zst.
    Interrupted, it goes on where it was; run again, it adds nothing.

        earshot replay tweets.jsonl.gz
        earshot replay ~/archives --speed 60x
    """
    options = {"speed": speed, "shift": shift, "format": format_}
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=as_json and not err.is_terminal,
    ) as progress:
        task = progress.add_task("replay", total=None, records=0)
        taken = 0

        def moved(source: Source, n: int) -> None:
            nonlocal taken
            taken += n
            at = getattr(source, "progress", None)
            if at is not None and at.total:
                progress.update(task, completed=at.done, total=at.total)
            progress.update(task, records=taken)

        done = replay(settings_of(context), CLOCK, paths, options=options, on_progress=moved)
    answer(done.flat(), as_json=as_json, show=lambda: _show(done))


def _show(done: Replayed) -> None:
    flat = done.flat()
    rate, seconds = flat.pop("posts_per_second"), flat.pop("seconds")
    for name, n in flat.items():
        out.print(f"{n:>12,}  {name.replace('_', ' ')}", highlight=False)
    out.print(f"in {seconds:.1f} s: {rate:,.0f} posts/s", highlight=False)
