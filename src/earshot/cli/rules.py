"""`earshot rules`: what is listened for. Here: what needs no reading of expressions."""

import datetime as dt
from typing import Annotated, Any

import polars as pl
import typer

from earshot.cli.app import RULES, app, lazily
from earshot.cli.common import CLOCK, Json, answer, out, settings_of, table
from earshot.control import Control
from earshot.engine.home import engine_runs, open_control_of
from earshot.errors import NotFoundError
from earshot.model.rule import RuleVersion
from earshot.settings import Settings

ACTS_AFTER = dt.timedelta(seconds=2)
"""A saved version acts from then on, so that hits do not depend on when the engine reloads."""
ACTOR = "command line"

group: typer.Typer = typer.Typer(
    cls=lazily(RULES, lambda: group),
    no_args_is_help=True,
    help="Add, change, try and list rules.",
)
app.add_typer(group, name="rules")

Name = Annotated[str, typer.Argument(help="Name of the rule.")]


@group.command()
def remove(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """End a rule; what it found stays found."""
    settings = settings_of(context)
    with open_control_of(settings, CLOCK) as control:
        rule = named(control, name)
        control.delete_rule(rule.rule, active_until=acts_from(settings), actor=ACTOR)
    answer(shown(rule), as_json=as_json, show=lambda: say(f"rule {name!r} removed"))


@group.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the rules."""
    with open_control_of(settings_of(context), CLOCK) as control:
        rules = [shown(r) for r in control.rules()]
    columns = ["id", "name", "version", "text", "active_from"]
    answer(
        {"rules": rules},
        as_json=as_json,
        show=lambda: table("rules", pl.DataFrame(rules, schema=columns)),
    )


def say(text: str) -> None:
    """Print a sentence; what people wrote is not read as markup."""
    out.print(text, markup=False)


def shown(rule: RuleVersion) -> dict[str, Any]:
    """A rule as an object of JSON."""
    return {
        "id": rule.rule,
        "name": rule.name,
        "version": rule.version,
        "text": rule.text,
        "active_from": rule.active_from.isoformat(),
    }


def named(control: Control, name: str) -> RuleVersion:
    """The rule of that name. Raises NotFoundError."""
    known = {r.name: r for r in control.rules()}
    if name not in known:
        msg = f"no rule is named {name!r}"
        raise NotFoundError(msg, hint=f"there are: {', '.join(known) or 'none yet'}")
    return known[name]


def acts_from(settings: Settings) -> dt.datetime:
    """From when on a change acts that is saved now."""
    return CLOCK.now() + (ACTS_AFTER if engine_runs(settings) else dt.timedelta())
