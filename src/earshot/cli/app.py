"""The command line's root: its options, the list of commands, and how it ends.

A command's module is imported when the command is run: the list is shown, and a quick question
answered, without the libraries of all the others.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from earshot import __version__
from earshot.errors import EarshotError, RuleSyntaxError, UsageError

err = Console(stderr=True)

STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


class Listed(NamedTuple):
    """A command as the list shows it: a test holds both against the command itself."""

    module: str
    """In `earshot.cli`; it registers the command when it is imported."""
    help: str
    """First sentence of the command's own help."""
    hidden: bool = False


COMMANDS: Final[Mapping[str, Listed]] = {
    "up": Listed(
        "up", "Start everything: collectors, pipeline and web app, at http://localhost:8000."
    ),
    "engine": Listed(
        "up",
        "Work off the log of the home until SIGTERM; `earshot up` starts and supervises this.",
        hidden=True,
    ),
    "replay": Listed(
        "replay", "Take in archives of posts: every line is accounted for, each post is kept once."
    ),
    "rules": Listed("rules", "Add, change, try and list rules."),
    "search": Listed(
        "search",
        "Find stored posts, newest first, with the language that rules are written in.",
    ),
    "top": Listed(
        "top",
        "Rank the values of a facet in a window of event time: posts, then distinct authors.",
    ),
    "counts": Listed(
        "counts", "Account for every record consumed since the beginning, by source and by rule."
    ),
    "export": Listed(
        "export",
        "Write stored posts, one a line in schema order (`source` and `id` first), without a cap.",
    ),
    "sql": Listed(
        "sql",
        "Ask the history with SQL (DuckDB) over the view `posts`; nothing can be changed by it.",
    ),
    "sources": Listed(
        "sources",
        "Show every connection with its state, and the gaps in which posts may have been lost.",
    ),
    "tokens": Listed("tokens", "Make, list and end API tokens."),
    "bench": Listed("bench", "Measure Earshot on this machine."),
    "doctor": Listed(
        "doctor",
        "Check the machine, the home and every room; name what is wrong and how to mend it.",
    ),
}
"""The order is the order of `--help`."""

RULES: Final[Mapping[str, Listed]] = {
    "add": Listed(
        "rule_texts",
        "Save a rule; it acts on what comes in from now on (within 2 s where an engine runs).",
    ),
    "edit": Listed(
        "rule_texts", "Write a new version of a rule; the old one stays in its history."
    ),
    "remove": Listed("rules", "End a rule; what it found stays found."),
    "list": Listed("rules", "List the rules."),
    "format": Listed(
        "rule_texts",
        "Print an expression in its canonical form, or say what is wrong with it and where.",
    ),
    "test": Listed("rule_texts", "Say what an expression would have found, without saving it."),
}


def lazily(listed: Mapping[str, Listed], find: Callable[[], typer.Typer]) -> type[TyperGroup]:
    """A group that shows `listed`, and imports a command's module when the command is run.

    Args:
        listed: Name → command.
        find: Gives the app on which the modules register; not called before one was imported.
    """

    class Lazy(TyperGroup):
        def __init__(self, **attrs: Any) -> None:  # noqa: ANN401 - the library's own
            super().__init__(**attrs)
            real = dict(self.commands)
            for name, one in listed.items():
                self.commands[name] = real.get(name) or TyperCommand(
                    name, help=one.help, hidden=one.hidden
                )

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - the library's types moved between its versions
            if args[0] in listed:
                import_module(f"earshot.cli.{listed[args[0]].module}")
                whole: Any = typer.main.get_command(find())
                self.commands.update(whole.commands)
            return super().resolve_command(ctx, args)

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as above
            return list(listed)

    return Lazy


app: typer.Typer = typer.Typer(
    cls=lazily(COMMANDS, lambda: app),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Listen to public conversation as it happens.

Start with `earshot up`: it collects, stores and shows posts at http://localhost:8000.
Everything lies in one folder, `--home`.""",
)


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
    context.obj = import_module("earshot.cli.common").begin(home=home, log_format=log_format)


class Stopped(SystemExit):
    """A signal asked the command to end; raised in the main thread, where it waits."""


def report(command: Callable[[], None]) -> int:
    """Run a command and turn how it ended into an exit code.

    A command that a signal stops ends in good order; a second signal ends it at once.
    """
    for number in STOPPING:
        signal.signal(number, _stop)
    try:
        command()
    except EarshotError as error:
        _explain(error)
        return 2 if isinstance(error, UsageError) else 1
    except Stopped as stopped:
        err.print("stopped")
        sys.stdout.flush()
        # All is closed. A thread that reads from a pipe would hold up, or abort, a usual end.
        os._exit(int(str(stopped.code)))
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return 0


def _stop(number: int, _: object) -> None:
    for again in STOPPING:
        signal.signal(again, signal.SIG_DFL)
    raise Stopped(128 + number)


def _explain(error: EarshotError) -> None:
    err.print(f"[red]error:[/red] {_plain(str(error))}", highlight=False, soft_wrap=True)
    if isinstance(error, RuleSyntaxError):
        err.print(f"       at character {error.at + 1}", highlight=False)
    if error.hint:
        err.print(f"hint:  {error.hint}", highlight=False, soft_wrap=True, markup=False)


def _plain(text: str) -> str:
    """Text of others must not be read as markup."""
    return text.replace("[", "\\[")
