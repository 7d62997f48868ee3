"""`earshot rules`: what is listened for."""

import datetime as dt
from typing import Annotated, Any

import polars as pl
import typer

from earshot.cli.common import CLOCK, Json, answer, app, out, settings_of, table
from earshot.control import Control
from earshot.engine.home import engine_runs, open_rooms
from earshot.engine.trial import Trial, try_on_files, try_on_store
from earshot.errors import NotFoundError
from earshot.model.rule import RuleVersion
from earshot.rules import format_rule, parse
from earshot.settings import Settings

ACTS_AFTER = dt.timedelta(seconds=2)
"""A saved version acts from then on, so that hits do not depend on when the engine reloads."""
ACTOR = "command line"

group = typer.Typer(no_args_is_help=True, help="Add, change, try and list rules.")
app.add_typer(group, name="rules")

Name = Annotated[str, typer.Argument(help="Name of the rule.")]
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
    with open_rooms(settings, CLOCK, writable=False) as rooms:
        rule = rooms.control.add_rule(
            name, expression, active_from=_acts_from(settings), actor=ACTOR
        )
    answer(_out(rule), as_json=as_json, show=lambda: out.print(f"rule {name!r} added"))


@group.command()
def edit(context: typer.Context, name: Name, expression: Expression, as_json: Json = False) -> None:
    """Write a new version of a rule; the old one stays in its history."""
    settings = settings_of(context)
    parse(expression)
    with open_rooms(settings, CLOCK, writable=False) as rooms:
        rule = rooms.control.edit_rule(
            _named(rooms.control, name).rule,
            name=None,
            text=expression,
            active_from=_acts_from(settings),
            actor=ACTOR,
        )
    answer(_out(rule), as_json=as_json, show=lambda: out.print(f"rule {name!r} changed"))


@group.command()
def remove(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """End a rule; what it found stays found."""
    settings = settings_of(context)
    with open_rooms(settings, CLOCK, writable=False) as rooms:
        rule = _named(rooms.control, name)
        rooms.control.delete_rule(rule.rule, active_until=CLOCK.now(), actor=ACTOR)
    answer(_out(rule), as_json=as_json, show=lambda: out.print(f"rule {name!r} removed"))


@group.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the rules."""
    with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
        rules = [_out(r) for r in rooms.control.rules()]
    answer(
        {"rules": rules},
        as_json=as_json,
        show=lambda: table(
            "rules", pl.DataFrame(rules, schema=["id", "name", "version", "text", "active_from"])
        ),
    )


@group.command("format")
def format_(expression: Expression, as_json: Json = False) -> None:
    """Print an expression in its canonical form, or say what is wrong with it and where."""
    text = format_rule(parse(expression))
    answer({"text": text}, as_json=as_json, show=lambda: out.print(text, markup=False))


@group.command()
def test(
    context: typer.Context,
    expression: Expression,
    on: Annotated[
        str, typer.Option("--on", metavar="stored|PATH", help="The stored posts, or files.")
    ] = "stored",
    as_json: Json = False,
) -> None:
    """Say what an expression would have found, without saving it."""
    if on == "stored":
        with open_rooms(settings_of(context), CLOCK, writable=False) as rooms:
            trial = try_on_store(rooms.store, expression)
    else:
        trial = try_on_files(on, expression, clock=CLOCK)
    answer(trial.flat(), as_json=as_json, show=lambda: _show(trial))


def _show(trial: Trial) -> None:
    flat = trial.flat()
    out.print(f"{flat['hits']:,} of {flat['posts']:,} posts")
    for post in trial.samples:
        out.print(f"  {post['event_time']}  {post['text']!r}"[:200], markup=False)


def _out(rule: RuleVersion) -> dict[str, Any]:
    return {
        "id": rule.rule,
        "name": rule.name,
        "version": rule.version,
        "text": rule.text,
        "active_from": rule.active_from.isoformat(),
    }


def _named(control: Control, name: str) -> RuleVersion:
    known = {r.name: r for r in control.rules()}
    if name not in known:
        msg = f"no rule is named {name!r}"
        raise NotFoundError(msg, hint=f"there are: {', '.join(known) or 'none yet'}")
    return known[name]


def _acts_from(settings: Settings) -> dt.datetime:
    return CLOCK.now() + (ACTS_AFTER if engine_runs(settings) else dt.timedelta())
