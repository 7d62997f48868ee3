"""What routes ask for, as `Annotated` aliases: the rooms, who asks, ranges, pages."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Query, Request

from earshot.api import paging
from earshot.api.problems import ProblemError
from earshot.api.rights import rights_of, who_may
from earshot.api.schemas.common import Variant
from earshot.clock import Clock
from earshot.control import DEFAULT_WORKSPACE, Control, Person
from earshot.lake import Lake
from earshot.live import Live
from earshot.log import Log
from earshot.model.index import Span
from earshot.settings import Settings
from earshot.store import Store


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms the API serves from; the store is opened to read."""

    log: Log
    store: Store
    control: Control
    live: Live
    lake: Lake | None
    clock: Clock
    metrics: Callable[[], str] | None = None
    """More of /metrics in Prometheus' text format, e.g. of collectors in this process."""
    engine_alive: Callable[[], bool] | None = None
    """Whether the engine holds its home; None: judged by what it last noted."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and what they may do now."""

    person: Person
    rights: frozenset[str]
    via: str
    """session | token."""
    secret: str
    """Session secret or token text, to ask again whether it still holds. Never shown."""
    workspace: int = DEFAULT_WORKSPACE


@dataclass(frozen=True)
class May:
    """Dependency: lets through who may do `action`, and nobody else.

    Raises:
        ProblemError: `unauthenticated`, or `forbidden` with the right and who has it.
    """

    action: str

    def __call__(self, request: Request) -> Actor:
        """The one who asks."""
        actor = actor_of(request)
        if actor is None:
            raise ProblemError("unauthenticated")
        if self.action not in actor.rights:
            roles = " or ".join(who_may(self.action))
            over = (
                "" if self.action not in rights_of(actor.person.role) else " (this token lacks it)"
            )
            raise ProblemError(
                "forbidden", f"This needs the right {self.action}{over}, role {roles}."
            )
        return actor


def actor_of(request: Request) -> Actor | None:
    """Who a request is of: bearer token first, else session cookie; None: nobody."""
    return cast("Actor | None", request.app.state.auth.actor(request))


def _rooms(request: Request) -> Rooms:
    return cast("Rooms", request.app.state.rooms)


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


RoomsDep = Annotated[Rooms, Depends(_rooms)]
SettingsDep = Annotated[Settings, Depends(_settings)]


def utc(moment: dt.datetime | None, name: str) -> dt.datetime | None:
    """The moment in UTC; one without a zone is taken for UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    try:
        moment = moment.astimezone(dt.UTC)
    except OverflowError as e:
        raise ProblemError("invalid-input", f"`{name}` is beyond the calendar.") from e
    return moment


def _range(
    since: Annotated[
        dt.datetime | None, Query(description="Event time from here; without a zone it is UTC.")
    ] = None,
    until: Annotated[dt.datetime | None, Query(description="Event time before this.")] = None,
) -> Span:
    since, until = utc(since, "since"), utc(until, "until")
    if since and until and since > until:
        raise ProblemError("invalid-input", "`since` is after `until`.")
    return Span(since, until)


Range = Annotated[Span, Depends(_range)]


VariantOf = Annotated[
    Variant,
    Query(description="Which posts count; once: without copies, clean: also without spam."),
]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which posts a list is of."""

    q: str
    source: tuple[str, ...]
    lang: tuple[str, ...]
    rules: tuple[int, ...]
    span: Span
    variant: Variant = "all"


def _filters(  # noqa: PLR0913, PLR0917 - each a parameter of the address
    span: Range,
    q: Annotated[
        str,
        Query(
            description="An expression of the rule language; empty: every post.", max_length=20_000
        ),
    ] = "",
    source: Annotated[
        list[str] | None, Query(description="Only these networks.", max_length=20)
    ] = None,
    lang: Annotated[
        list[str] | None,
        Query(description="Only these languages (BCP 47 primary tags).", max_length=20),
    ] = None,
    rule: Annotated[
        list[int] | None,
        Query(description="Only posts that one of these rules matched.", max_length=50),
    ] = None,
    variant: VariantOf = "all",
) -> Filters:
    return Filters(
        q.strip(), tuple(source or ()), tuple(lang or ()), tuple(rule or ()), span, variant
    )


FiltersDep = Annotated[Filters, Depends(_filters)]
Limit = Annotated[int, Query(ge=1, le=paging.MOST, description="The most items of a page.")]
CursorText = Annotated[
    str | None, Query(description="`next` or `prev` of another page.", max_length=2000)
]
Source = Annotated[str, Query(description="The network; `*`: all.", max_length=100)]
RuleId = Annotated[int, Query(ge=0, lt=2**63, description="The rule; 0: all posts.")]

ReadMe = Annotated[Actor, Depends(May("me:read"))]
WriteMe = Annotated[Actor, Depends(May("me:write"))]
ReadPosts = Annotated[Actor, Depends(May("posts:read"))]
ExportPosts = Annotated[Actor, Depends(May("posts:export"))]
DeletePosts = Annotated[Actor, Depends(May("posts:delete"))]
ReadStats = Annotated[Actor, Depends(May("stats:read"))]
ReadRules = Annotated[Actor, Depends(May("rules:read"))]
WriteRules = Annotated[Actor, Depends(May("rules:write"))]
FollowStream = Annotated[Actor, Depends(May("stream:read"))]
ReadSources = Annotated[Actor, Depends(May("sources:read"))]
ReadQuarantine = Annotated[Actor, Depends(May("quarantine:read"))]
ReplayQuarantine = Annotated[Actor, Depends(May("quarantine:replay"))]
ReadSystem = Annotated[Actor, Depends(May("system:read"))]
ReadAudit = Annotated[Actor, Depends(May("audit:read"))]
