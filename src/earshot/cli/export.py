"""`earshot export`: take posts out."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from earshot.cli.common import CLOCK, Variant, app, err, known, settings_of
from earshot.engine.export import FORMATS, write_posts
from earshot.engine.home import open_rooms
from earshot.engine.query import Scope
from earshot.errors import UsageError


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write; it gets its name when all is written, and not before.

    Raises:
        UsageError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        file = draft.open("wb")
    except OSError as e:
        msg = f"{path} cannot be written: {e.strerror}"
        raise UsageError(msg, hint="name a file in a folder that exists, with --output") from e
    try:
        with file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@app.command("export")
def command(
    context: typer.Context,
    expression: Annotated[
        str | None, typer.Argument(metavar="[EXPR]", help="Only posts this finds; else all.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="csv, jsonl, parquet or ids.")] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file; else stdout.")
    ] = None,
    variant: Variant = "all",
) -> None:
    """Write stored posts, one a line in schema order (`source` and `id` first), without a cap.

    earshot export --format csv -o posts.csv 'lang:en #music'
    """
    known("format", format_, FORMATS)
    if output is None and format_ == "parquet" and sys.stdout.isatty():
        msg = "Parquet is not for a terminal"
        raise UsageError(msg, hint="name a file with --output")
    with ExitStack() as stack:
        rooms = stack.enter_context(open_rooms(settings_of(context), CLOCK, writable=False))
        to = stack.enter_context(_whole(output)) if output else sys.stdout.buffer
        progress = stack.enter_context(
            Progress(
                SpinnerColumn(),
                TextColumn("{task.fields[posts]:,} posts"),
                console=err,
                transient=True,
            )
        )
        task = progress.add_task("export", total=None, posts=0)
        written = write_posts(
            rooms.store,
            to,
            format_,
            expression,
            scope=Scope(variant=variant),
            on_progress=lambda n: progress.update(task, posts=n),
        )
    err.print(f"{written:,} posts written", highlight=False)
