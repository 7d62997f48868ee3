"""Who is here: me, sessions, set-up, tokens."""

from typing import Literal

from pydantic import Field

from earshot.api.schemas.common import Moment, Shape

Role = Literal["viewer", "editor", "admin"]


class Person(Shape):
    """Somebody with an account."""

    id: int = Field(examples=[1])
    """Number of the account."""
    name: str = Field(examples=["ada"])
    """The name to sign in with."""
    role: Role = Field(examples=["admin"])
    """What they may do, see `rights`."""


class Workspace(Shape):
    """What rules, alerts and communities belong to."""

    id: int = Field(examples=[1])
    """Number of the workspace."""
    name: str = Field(examples=["default"])
    """Its name."""


class Me(Shape):
    """The signed-in person, what they may do, and what they talk to."""

    person: Person
    """Who I am."""
    rights: list[str] = Field(examples=[["posts:read", "rules:write"]])
    """Actions that this session or token may do."""
    workspace: Workspace
    """The workspace looked at."""
    via: Literal["session", "token"] = Field(examples=["session"])
    """How this request proved who it is."""
    build: str = Field(examples=["0.1.0"])
    """Version of the server; a tab with another one offers to reload."""


class SignIn(Shape):
    """Name and password."""

    name: str = Field(min_length=1, max_length=100, examples=["ada"])
    """The account's name."""
    password: str = Field(min_length=1, max_length=1024, examples=["correct horse battery"])
    """Its password."""


class Setup(Shape):
    """Redeems the one-time code that `earshot up` printed."""

    code: str = Field(min_length=1, max_length=200, examples=["Jx0p3v6lQ9"])
    """The code from the printed address."""
    name: str = Field("", max_length=100, examples=["ada"])
    """The name of the first administrator; not needed where the code is for somebody already."""
    password: str | None = Field(None, min_length=10, max_length=1024, examples=["a long sentence"])
    """Without one, new one-time links from `earshot up` are the only way in."""


class Session(Shape):
    """One place where I am signed in."""

    id: int = Field(examples=[7])
    """Number of the session."""
    agent: str = Field(examples=["Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"])
    """What the browser called itself."""
    created: Moment
    """When it began."""
    last_used: Moment
    """When it was last used, to the minute."""
    expires: Moment
    """When it ends by itself."""
    current: bool = Field(examples=[True])
    """Whether it is the one that asks."""


class Sessions(Shape):
    """All my sessions, newest first."""

    items: list[Session]
    """The sessions."""


class TokenIn(Shape):
    """A token to be made."""

    name: str = Field(min_length=1, max_length=100, examples=["notebook"])
    """What it is for."""
    scopes: list[str] = Field(min_length=1, max_length=50, examples=[["posts:read"]])
    """What it may do: at most my own rights."""
    expires: Moment | None = None
    """When it stops to work; null: never."""


class Token(Shape):
    """A token, without its secret."""

    id: int = Field(examples=[3])
    """Number of the token."""
    name: str = Field(examples=["notebook"])
    """What it is for."""
    scopes: list[str] = Field(examples=[["posts:read"]])
    """What it may do."""
    created: Moment
    """When it was made."""
    expires: Moment | None
    """When it stops to work; null: never."""
    last_used: Moment | None
    """When it was last used, to the minute; null: never."""


class NewToken(Token):
    """A token just made; the only time that its text is shown."""

    text: str = Field(examples=["esh_3_Vf2c1Qd0example"])
    """The whole token, for the header `Authorization: Bearer …`."""


class Tokens(Shape):
    """All my tokens, newest first."""

    items: list[Token]
    """The tokens."""


class AuditLine(Shape):
    """What was done, by whom, to what."""

    id: int = Field(examples=[41])
    """Number of the line."""
    at: Moment
    """When."""
    actor: str = Field(examples=["ada"])
    """Who: a person's name, `setup`, or a command."""
    action: str = Field(examples=["rule.edit"])
    """What was done."""
    thing: str = Field(examples=["rule:12"])
    """To what."""
    detail: str = Field(examples=["version 3"])
    """More of it; never a secret."""


class AuditPage(Shape):
    """A page of audit lines, newest first."""

    items: list[AuditLine]
    """The lines."""
    next: str | None = Field(examples=["41"])
    """Cursor of the page after; null: this is the last."""
    next_url: str | None = Field(examples=["/api/v1/audit?cursor=41"])
    """The same as an address."""
