"""`earshot tokens`: secrets for programs that use the API."""

import datetime as dt
from typing import Annotated, Any

import polars as pl
import typer

from earshot.api.rights import ACTIONS, rights_of
from earshot.cli.app import app
from earshot.cli.common import CLOCK, Json, answer, known, out, settings_of, table
from earshot.control import Control, Person
from earshot.engine.home import open_control_of
from earshot.errors import NotFoundError

ACTOR = "command line"

group = typer.Typer(no_args_is_help=True, help="Make, list and end API tokens.")
app.add_typer(group, name="tokens")

Owner = Annotated[
    str | None, typer.Option("--person", help="Whose token; the first administrator's.")
]


@group.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A right it has (several times); what a viewer may do."),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.01, help="Days until it ends; never.")] = None,
    person: Owner = None,
    as_json: Json = False,
) -> None:
    """Make an API token and print it: this is the only time that it is shown.

    Programs send it as `Authorization: Bearer esh_…`.
    """
    scopes = scope or sorted(rights_of("viewer"))
    for one in scopes:
        known("--scope", one, tuple(ACTIONS))
    expires = CLOCK.now() + dt.timedelta(days=days) if days else None
    with open_control_of(settings_of(context), CLOCK) as control:
        owner = _person(control, person)
        text = control.new_token(owner.id, name=name, scopes=scopes, expires=expires)
    answer(
        {"token": text, "name": name, "person": owner.name, "scopes": scopes},
        as_json=as_json,
        show=lambda: out.print(text, markup=False, highlight=False, soft_wrap=True),
    )


@group.command("list")
def list_(context: typer.Context, person: Owner = None, as_json: Json = False) -> None:
    """List the tokens of a person, without their secrets."""
    with open_control_of(settings_of(context), CLOCK) as control:
        tokens = control.tokens(_person(control, person).id)
    columns = ["id", "name", "scopes", "created", "expires", "last_used"]
    rows = pl.DataFrame([_shown(t) for t in tokens], schema=dict.fromkeys(columns, pl.String()))
    answer({"tokens": tokens}, as_json=as_json, show=lambda: table("tokens", rows))


@group.command()
def revoke(
    context: typer.Context,
    token: Annotated[int, typer.Argument(help="Number of the token.")],
    as_json: Json = False,
) -> None:
    """End a token at once."""
    with open_control_of(settings_of(context), CLOCK) as control:
        control.revoke_token(token, actor=ACTOR)
    answer({"revoked": token}, as_json=as_json, show=lambda: out.print(f"token {token} ended"))


def _person(control: Control, name: str | None) -> Person:
    people = control.people()
    for person in people:
        if person.name == name or (name is None and person.role == "admin"):
            return person
    msg = f"nobody is named {name!r}" if name else "there is no administrator yet"
    hint = f"there are: {', '.join(p.name for p in people)}" if people else "start `earshot up`"
    raise NotFoundError(msg, hint=hint)


def _shown(token: dict[str, object]) -> dict[str, Any]:
    """A token with everything as text."""
    return {
        name: " ".join(map(str, value))
        if isinstance(value, list | tuple | set | frozenset)
        else None
        if value is None
        else str(value)
        for name, value in token.items()
    }
