"""Rules: what is listened for."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

from fastapi import Header, Path, Response

from earshot.api import present
from earshot.api.deps import CursorText, Limit, ReadRules, Rooms, RoomsDep, WriteRules
from earshot.api.health import engine_runs
from earshot.api.paging import Cursor, address, decode, encode
from earshot.api.problems import ProblemError, rule_syntax
from earshot.api.routes import router
from earshot.api.schemas import rules as shapes
from earshot.clock import from_micros
from earshot.engine import query
from earshot.errors import ConflictError, NotFoundError, RuleSyntaxError
from earshot.model.index import Span
from earshot.model.rule import RuleVersion

api = router("rules")

ACTS_AFTER = dt.timedelta(seconds=2)
"""A saved version acts from then on, so that hits do not depend on when the engine reloads."""
BY_NAME = "rules by name"
Id = Annotated[int, Path(ge=1, lt=2**63, description="Number of the rule.")]
IfMatch = Annotated[str | None, Header(description="The ETag of the version you saw.")]


@api.get("/rules", operation_id="rules_list")
def rules(
    actor: ReadRules, rooms: RoomsDep, limit: Limit = 50, cursor: CursorText = None
) -> shapes.RulesPage:
    """The rules of the workspace by name, with what they found."""
    every = sorted(rooms.control.rules(actor.workspace), key=_place)
    at = decode(cursor, BY_NAME)
    rest = [r for r in every if at is None or _place(r) > at.place[1:]]
    page, more = rest[:limit], len(rest) > limit
    after = (
        encode(Cursor((from_micros(0), *_place(page[-1])), back=False), BY_NAME) if more else None
    )
    return shapes.RulesPage(
        items=_rules(rooms, page),
        next=after,
        next_url=address("/api/v1/rules", {"limit": limit}, after),
        total=len(every),
    )


@api.post("/rules", operation_id="rules_create", status_code=201)
def create(
    body: shapes.RuleIn, actor: WriteRules, rooms: RoomsDep, response: Response
) -> shapes.RuleDetail:
    """Save a rule; it acts within 2 seconds on what comes in."""
    _readable(body.text)
    try:
        made = rooms.control.add_rule(
            body.name,
            body.text,
            active_from=_acts_from(rooms),
            actor=actor.person.name,
            workspace=actor.workspace,
        )
    except ConflictError as e:
        raise ProblemError("name-taken", f"There is a rule named {body.name!r}.") from e
    response.headers["Location"] = f"/api/v1/rules/{made.rule}"
    return _detail(rooms, made, response)


@api.post("/rules/validate", operation_id="rules_validate")
def validate(body: shapes.RuleText, actor: ReadRules) -> shapes.RuleCheck:
    """Check an expression; one that cannot be read is the problem `rule-syntax`."""
    del actor
    canonical = _readable(body.text)
    return shapes.RuleCheck(canonical=canonical, indexed=query.indexed(body.text))


@api.post("/rules/test", operation_id="rules_test")
def test(body: shapes.RuleTestIn, actor: ReadRules, rooms: RoomsDep) -> shapes.RuleTestOut:
    """Try an expression on the stored posts, without saving it."""
    canonical = _readable(body.text)
    span = Span(body.since, body.until)
    tried = query.rule_test(
        rooms.store, body.text, span=span, variant=body.variant, samples=body.samples
    )
    return shapes.RuleTestOut(
        canonical=canonical,
        posts=tried.posts,
        hits=tried.hits,
        rate_per_hour=tried.rate_per_hour,
        complete=tried.complete,
        since=tried.span.since,
        until=tried.span.until,
        samples=present.posts(rooms.store, tried.samples, present.visible(rooms, actor), body.text),
    )


@api.get("/rules/{rule}", operation_id="rules_get")
def get(rule: Id, actor: ReadRules, rooms: RoomsDep, response: Response) -> shapes.RuleDetail:
    """One rule with its history; the header ETag names its version."""
    return _detail(rooms, _newest(rooms, rule, actor.workspace), response)


@api.patch("/rules/{rule}", operation_id="rules_edit")
def edit(
    rule: Id,
    body: shapes.RulePatch,
    actor: WriteRules,
    rooms: RoomsDep,
    response: Response,
    if_match: IfMatch = None,
) -> shapes.RuleDetail:
    """Write a new version; it acts within 2 seconds, the old one stays in the history."""
    now = _newest(rooms, rule, actor.workspace)
    if if_match is None:
        raise ProblemError("precondition-required")
    if if_match.strip() not in {_etag(now), "*"}:
        raise _conflict(now)
    if body.text is not None:
        _readable(body.text)
    if body.name not in {None, now.name} and any(
        r.name == body.name for r in rooms.control.rules(actor.workspace)
    ):
        raise ProblemError("name-taken", f"There is a rule named {body.name!r}.")
    try:
        made = rooms.control.edit_rule(
            rule,
            name=body.name,
            text=body.text,
            active_from=_acts_from(rooms),
            actor=actor.person.name,
            if_version=now.version,
        )
    except ConflictError as e:
        raise _conflict(_newest(rooms, rule, actor.workspace)) from e
    return _detail(rooms, made, response)


@api.delete("/rules/{rule}", operation_id="rules_delete", status_code=204)
def delete(rule: Id, actor: WriteRules, rooms: RoomsDep) -> Response:
    """End a rule; what it found stays found, its versions stay in the history."""
    _newest(rooms, rule, actor.workspace)
    rooms.control.delete_rule(rule, active_until=_acts_from(rooms), actor=actor.person.name)
    return Response(status_code=204)


def _place(rule: RuleVersion) -> tuple[str, str]:
    """Order of the list: by name, then by id."""
    return rule.name, f"{rule.rule:019d}"


def _readable(text: str) -> str:
    """The canonical form. Raises the problem `rule-syntax`."""
    try:
        return query.canonical(text)
    except RuleSyntaxError as e:
        raise rule_syntax(e, "/body/text") from e


def _newest(rooms: Rooms, rule: int, workspace: int) -> RuleVersion:
    found = next((r for r in rooms.control.rules(workspace) if r.rule == rule), None)
    if found is None:
        msg = f"no rule {rule} in this workspace"
        raise NotFoundError(msg)
    return found


def _etag(rule: RuleVersion) -> str:
    return f'"{rule.version}"'


def _conflict(now: RuleVersion) -> ProblemError:
    current = {"version": now.version, "name": now.name, "text": now.text}
    return ProblemError("edit-conflict", current=current, headers={"ETag": _etag(now)})


def _acts_from(rooms: Rooms) -> dt.datetime:
    return rooms.clock.now() + (ACTS_AFTER if engine_runs(rooms) else dt.timedelta())


def _rules(rooms: Rooms, page: Sequence[RuleVersion]) -> list[shapes.Rule]:
    hits = present.rule_hits(rooms.store)
    return [shapes.Rule(**present.rule(r, hits, rooms.store)) for r in page]


def _detail(rooms: Rooms, rule: RuleVersion, response: Response) -> shapes.RuleDetail:
    response.headers["ETag"] = _etag(rule)
    versions = sorted(rooms.control.rule_versions(rule.rule), key=lambda v: v.version, reverse=True)
    return shapes.RuleDetail(
        **present.rule(rule, present.rule_hits(rooms.store), rooms.store),
        versions=[
            shapes.RuleVersion(
                version=v.version,
                name=v.name,
                text=v.text,
                active_from=v.active_from,
                active_until=v.active_until,
            )
            for v in versions
        ],
    )
