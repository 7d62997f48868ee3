"""What every command shares: the app, the settings, how answers and errors are printed."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from earshot import __version__
from earshot.clock import SystemClock
from earshot.engine.observe import configure
from earshot.errors import EarshotError, RuleSyntaxError, UsageError
from earshot.settings import Settings, load

CLOCK = SystemClock()
err = Console(stderr=True)
out = Console()

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Listen to public conversation as it happens.

Start with `earshot up`: it collects, stores and shows posts at http://localhost:8000.
Everything lies in one folder, `--home`.""",
)

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object as the last line, and nothing else."),
]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"earshot {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="EARSHOT_HOME",
            file_okay=False,
            help="The folder in which everything the program keeps lies.",
        ),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="The program's own messages: auto, pretty or json.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and leave.")
    ] = False,
) -> None:
    """Read the settings once; every command is handed them."""
    del version
    settings = load(home=home, log_format=log_format)
    configure(settings.log_format)
    context.obj = settings


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


def table(title: str, frame: pl.DataFrame) -> None:
    """Print a frame as a table, numbers to the right."""
    grid = Table(title=title, title_justify="left")
    for name, kind in frame.schema.items():
        grid.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        grid.add_row(*("" if v is None else f"{v:,}" if isinstance(v, int) else str(v) for v in row))
    out.print(grid)


def report(command: Callable[[], None]) -> int:
    """Run a command and turn how it ended into an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        command()
    except EarshotError as error:
        _explain(error)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        err.print("stopped")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return 0


def _explain(error: EarshotError) -> None:
    err.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
    if isinstance(error, RuleSyntaxError):
        err.print(f"       at character {error.at + 1}", highlight=False)
    if error.hint:
        err.print(f"hint:  {error.hint}", highlight=False, soft_wrap=True, markup=False)
