"""Me, my sessions, my tokens, the first set-up, and the audit."""

from typing import Annotated, Literal, cast

from fastapi import Query, Request, Response

import earshot
from earshot.api.auth import Auth
from earshot.api.deps import CursorText, Limit, ReadAudit, ReadMe, RoomsDep, WriteMe
from earshot.api.paging import address, number
from earshot.api.problems import ProblemError
from earshot.api.rights import rights_of
from earshot.api.routes import router
from earshot.api.schemas import people as shapes
from earshot.control import DEFAULT_WORKSPACE, Person
from earshot.errors import NotFoundError, UsageError

api = router("people")


@api.get("/me", operation_id="me_get")
def me(actor: ReadMe) -> shapes.Me:
    """Who I am, what I may do, and what I talk to."""
    return _me(actor.person, actor.rights, actor.via)


@api.post("/sessions", operation_id="sessions_create", status_code=201)
def sign_in(body: shapes.SignIn, request: Request, response: Response) -> shapes.Me:
    """Sign in with name and password; sets the session cookie."""
    auth = _auth(request)
    person, secret = auth.sign_in(request, body.name, body.password)
    auth.set_cookie(response, secret)
    return _me(person, rights_of(person.role), "session")


@api.get("/sessions", operation_id="sessions_list")
def sessions(actor: ReadMe, rooms: RoomsDep) -> shapes.Sessions:
    """Where I am signed in."""
    secret = actor.secret if actor.via == "session" else ""
    rows = rooms.control.sessions(actor.person.id, current=secret)
    return shapes.Sessions(items=[shapes.Session.model_validate(r) for r in rows])


@api.delete("/sessions/current", operation_id="sessions_end", status_code=204)
def sign_out(actor: WriteMe, request: Request, rooms: RoomsDep) -> Response:
    """Sign out here; the streams of this session close within 2 seconds."""
    if actor.via != "session":
        raise ProblemError("invalid-input", "A token has no session: revoke the token instead.")
    rooms.control.end_session(actor.secret)
    response = Response(status_code=204)
    _auth(request).drop_cookie(response)
    return response


@api.delete("/sessions/{session}", operation_id="sessions_delete", status_code=204)
def end_session(session: int, actor: WriteMe, rooms: RoomsDep) -> Response:
    """Sign out somewhere else."""
    known = {row["id"] for row in rooms.control.sessions(actor.person.id, current="")}
    if session not in known:
        msg = f"you have no session {session}"
        raise NotFoundError(msg)
    rooms.control.revoke_session(session, actor=actor.person.name)
    return Response(status_code=204)


@api.post("/setup", operation_id="setup_redeem", status_code=201)
def set_up(body: shapes.Setup, request: Request, response: Response) -> shapes.Me:
    """Redeem the one-time code that `earshot up` printed; sets the session cookie."""
    auth = _auth(request)
    try:
        person, secret = auth.redeem(request, body.code, body.name, body.password)
    except UsageError as e:
        raise ProblemError("setup-refused") from e
    auth.set_cookie(response, secret)
    return _me(person, rights_of(person.role), "session")


@api.get("/tokens", operation_id="tokens_list")
def tokens(actor: ReadMe, rooms: RoomsDep) -> shapes.Tokens:
    """My API tokens, without their secrets."""
    rows = rooms.control.tokens(actor.person.id)
    return shapes.Tokens(items=[shapes.Token.model_validate(r) for r in rows])


@api.post("/tokens", operation_id="tokens_create", status_code=201)
def make_token(body: shapes.TokenIn, actor: WriteMe, rooms: RoomsDep) -> shapes.NewToken:
    """Make an API token; its text is shown this once."""
    if beyond := sorted(set(body.scopes) - actor.rights):
        raise ProblemError("forbidden", f"You cannot give what you lack: {', '.join(beyond)}.")
    if body.expires is not None and body.expires <= rooms.clock.now():
        raise ProblemError("invalid-input", "`expires` is in the past.")
    text = rooms.control.new_token(
        actor.person.id, name=body.name, scopes=sorted(set(body.scopes)), expires=body.expires
    )
    made = next(r for r in rooms.control.tokens(actor.person.id) if f"esh_{r['id']}_" in text)
    return shapes.NewToken.model_validate({**made, "text": text})


@api.delete("/tokens/{token}", operation_id="tokens_delete", status_code=204)
def revoke_token(token: int, actor: WriteMe, rooms: RoomsDep) -> Response:
    """End a token; the streams it opened close within 2 seconds."""
    if token not in {row["id"] for row in rooms.control.tokens(actor.person.id)}:
        msg = f"you have no token {token}"
        raise NotFoundError(msg)
    rooms.control.revoke_token(token, actor=actor.person.name)
    return Response(status_code=204)


@api.get("/audit", operation_id="audit_list")
def audit(
    actor: ReadAudit,
    rooms: RoomsDep,
    limit: Limit = 50,
    cursor: CursorText = None,
    action: Annotated[str | None, Query(description="Only this action.", max_length=100)] = None,
) -> shapes.AuditPage:
    """What was done, by whom, newest first."""
    del actor
    rows = rooms.control.audit_lines(before=number(cursor), limit=limit + 1, action=action)
    after = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    return shapes.AuditPage(
        items=[shapes.AuditLine.model_validate(r) for r in rows[:limit]],
        next=after,
        next_url=address("/api/v1/audit", {"limit": limit, "action": action}, after),
    )


def _auth(request: Request) -> Auth:
    return cast("Auth", request.app.state.auth)


def _me(person: Person, rights: frozenset[str], via: str) -> shapes.Me:
    return shapes.Me(
        person=shapes.Person(id=person.id, name=person.name, role=cast("shapes.Role", person.role)),
        rights=sorted(rights),
        workspace=shapes.Workspace(id=DEFAULT_WORKSPACE, name="default"),
        via=cast("Literal['session', 'token']", via),
        build=earshot.__version__,
    )
