"""What every command shares: the settings, and how answers are printed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earshot.cli.app import app, err
from earshot.clock import SystemClock
from earshot.engine.observe import configure
from earshot.errors import UsageError
from earshot.model.schema import VARIANTS
from earshot.settings import Settings, load

__all__ = ["CLOCK", "Json", "Variant", "answer", "app", "begin", "err", "known", "out"]
__all__ += ["settings_of", "table"]

CLOCK = SystemClock()
out = Console()

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object as the last line, and nothing else."),
]
Variant = Annotated[
    str,
    typer.Option(
        metavar="|".join(VARIANTS),
        help="Which posts count; once: without copies, clean: also without spam.",
    ),
]


def begin(*, home: Path | None, log_format: str | None) -> Settings:
    """Read the settings, and send the program's own messages where they say."""
    settings = load(home=home, log_format=log_format)
    configure(settings.log_format)
    return settings


def settings_of(context: typer.Context) -> Settings:
    """The settings the root read."""
    settings: Settings = context.obj
    return settings


def answer(value: dict[str, Any], *, as_json: bool, show: Callable[[], None]) -> None:
    """Print `value` as one JSON object, or let `show` print it for people."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    else:
        show()


def known(what: str, given: str, names: tuple[str, ...]) -> None:
    """Check a name that was given.

    Raises:
        UsageError: It is none of `names`, which the hint lists.
    """
    if given not in names:
        msg = f"unknown {what} {given!r}"
        raise UsageError(msg, hint=f"known: {', '.join(names) or 'none'}")


def table(title: str, frame: pl.DataFrame, *, to: Console = out) -> None:
    """Print a frame as a table, numbers to the right."""
    grid = Table(title=title, title_justify="left")
    for name, kind in frame.schema.items():
        grid.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        grid.add_row(*map(_cell, row))
    to.print(grid)


def _cell(value: object) -> Text:
    """A value as text, which is never read as markup."""
    shown = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return Text(shown)
