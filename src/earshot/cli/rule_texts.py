"""`earshot rules`: what reads an expression, and what tries one."""

from typing import Annotated

import typer

from earshot.cli.common import CLOCK, Json, Variant, answer, known, out, settings_of
from earshot.cli.rules import ACTOR, Name, acts_from, group, named, say, shown
from earshot.engine.home import open_control_of, open_rooms
from earshot.engine.trial import Trial, try_on_files, try_on_store
from earshot.model.schema import VARIANTS
from earshot.rules import format_rule, parse

Expression = Annotated[
    str,
    typer.Argument(
        metavar="EXPR", help="""The expression, e.g. '"justin bieber" (music OR #music) lang:en'."""
    ),
]


@group.command()
def add(context: typer.Context, name: Name, expression: Expression, as_json: Json = False) -> None:
    """Save a rule; it acts on what comes in from now on (within 2 s where an engine runs)."""
    settings = settings_of(context)
    parse(expression)
    with open_control_of(settings, CLOCK) as control:
        rule = control.add_rule(name, expression, active_from=acts_from(settings), actor=ACTOR)
    answer(shown(rule), as_json=as_json, show=lambda: say(f"rule {name!r} added"))


@group.command()
def edit(context: typer.Context, name: Name, expression: Expression, as_json: Json = False) -> None:
    """Write a new version of a rule; the old one stays in its history."""
    settings = settings_of(context)
    parse(expression)
    with open_control_of(settings, CLOCK) as control:
        rule = control.edit_rule(
            named(control, name).rule,
            name=None,
            text=expression,
            active_from=acts_from(settings),
            actor=ACTOR,
        )
    answer(shown(rule), as_json=as_json, show=lambda: say(f"rule {name!r} changed"))


@group.command("format")
def format_(expression: Expression, as_json: Json = False) -> None:
    """Print an expression in its canonical form, or say what is wrong with it and where."""
    text = format_rule(parse(expression))
    answer({"text": text}, as_json=as_json, show=lambda: out.print(text, markup=False))


@group.command("test")
def try_(
    context: typer.Context,
    expression: Expression,
    on: Annotated[
        str, typer.Option("--on", metavar="stored|PATH", help="The stored posts, or files.")
    ] = "stored",
    variant: Variant = "all",
    as_json: Json = False,
) -> None:
    """Say what an expression would have found, without saving it."""
    known("variant", variant, VARIANTS)
    if on == "stored":
        with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
            trial = try_on_store(rooms.store, expression, variant=variant)
    else:
        trial = try_on_files(on, expression, variant=variant, clock=CLOCK)
    answer(trial.flat(), as_json=as_json, show=lambda: _show(trial))


def _show(trial: Trial) -> None:
    flat = trial.flat()
    more = "" if trial.complete else " (looked at so far: the time was up)"
    out.print(f"{flat['hits']:,} of {flat['posts']:,} posts{more}", highlight=False)
    for post in trial.samples:
        out.print(f"  {post['event_time']}  {post['text']!r}"[:200], markup=False)
