"""Problem details (RFC 9457): one registry of kinds, one exception, handlers by class.

Every answer that is no success is `application/problem+json`, whoever raises it. What an
unexpected error says stays in the log, under the request's id.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from earshot.api.schemas.common import ErrorItem, Problem
from earshot.errors import (
    ConflictError,
    EarshotError,
    LogFullError,
    NotFoundError,
    RetryableError,
    RuleSyntaxError,
    UsageError,
)

say = structlog.get_logger(__name__)
E = TypeVar("E", bound=Exception)

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, its one sentence, and what to do about it."""

    status: int
    title: str
    remedy: str


KINDS: Final[dict[str, Kind]] = {
    "bad-request": Kind(400, "The request cannot be read", "Send it as the API reference says."),
    "unauthenticated": Kind(401, "Not signed in", "Sign in, or send a valid token."),
    "bad-credentials": Kind(
        401,
        "Name or password is wrong",
        "Try again, or ask for a new one-time link: `earshot up` prints one.",
    ),
    "forbidden": Kind(403, "Not allowed", "Ask somebody with the role that is named."),
    "setup-refused": Kind(
        403,
        "The one-time code does not work",
        "It is wrong, used or older than a day: start `earshot up` again for a new one.",
    ),
    "cross-origin": Kind(
        403,
        "The request comes from another site",
        "Use the app itself, or a token in the header Authorization.",
    ),
    "not-found": Kind(404, "Not here", "Check the address; it may belong to another workspace."),
    "method-not-allowed": Kind(
        405, "This address cannot do that", "Use a method that the header Allow names."
    ),
    "not-acceptable": Kind(406, "Not in that form", "Ask for a form that the reference names."),
    "edit-conflict": Kind(
        409,
        "Somebody else changed it",
        "Look at the current version, then send the change again with its ETag.",
    ),
    "name-taken": Kind(409, "The name is taken", "Choose another name."),
    "post-deleted": Kind(
        410, "The post was deleted", "Nothing of it is kept. Take it off your lists too."
    ),
    "too-large": Kind(413, "The request is too large", "Send less at once."),
    "unsupported-media-type": Kind(
        415, "The body is in the wrong form", "Send JSON with Content-Type: application/json."
    ),
    "unknown-host": Kind(
        421,
        "This server does not answer to that name",
        "Use localhost, or set EARSHOT_WEB__PUBLIC_URL to the address people use.",
    ),
    "invalid-input": Kind(422, "The input cannot be used", "Mend what `errors` names."),
    "rule-syntax": Kind(422, "The rule cannot be read", "Mend the place that `errors` points at."),
    "limit-too-large": Kind(
        422,
        "A page holds at most 200 items",
        "Ask for up to 200 and follow `next`, or take everything with /api/v1/export.",
    ),
    "bad-cursor": Kind(422, "The cursor cannot be read", "Start again without `cursor`."),
    "cursor-mismatch": Kind(
        422,
        "The cursor belongs to another list",
        "Keep filters and order as they were, or start again without `cursor`.",
    ),
    "precondition-required": Kind(
        428,
        "Say which version you change",
        "Send the ETag you saw in the header If-Match.",
    ),
    "too-many-requests": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "internal": Kind(
        500, "Something went wrong here", "Look in the log of the server for the request's id."
    ),
    "unavailable": Kind(503, "A part of Earshot is not there", "Try again in a moment."),
    "log-full": Kind(503, "The log is full", "Wait until the engine has caught up."),
}
"""Code → kind; each has a page under /problems/."""

_BY_STATUS: Final = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
    503: "unavailable",
}


class ProblemError(Exception):
    """Ends a request with a problem of a known kind.

    Attributes:
        code: A key of `KINDS`.
        detail: What happened here; the kind's remedy is added.
    """

    def __init__(  # noqa: PLR0913 - all that a problem may say
        self,
        code: str,
        detail: str = "",
        *,
        errors: tuple[ErrorItem, ...] = (),
        retry_after: float | None = None,
        current: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code, self.detail, self.errors = code, detail, errors
        self.retry_after, self.current = retry_after, dict(current) if current else None
        self.headers = dict(headers or {})


def respond(problem: ProblemError, *, request_id: str) -> Response:
    """The answer that tells of a problem."""
    kind = KINDS[problem.code]
    body = Problem(
        type=f"/problems/{problem.code}",
        title=kind.title,
        status=kind.status,
        detail=" ".join(filter(None, (problem.detail, kind.remedy))),
        instance=request_id,
        code=problem.code,
        errors=list(problem.errors),
        retry_after=problem.retry_after,
        current=problem.current,
    )
    headers = {"Cache-Control": "no-store", **problem.headers}
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="earshot"')
    if problem.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_after))
    return Response(
        body.model_dump_json(exclude_none=True),
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def rule_syntax(error: RuleSyntaxError, pointer: str) -> ProblemError:
    """The problem that shows where an expression cannot be read."""
    item = ErrorItem(
        pointer=pointer,
        code="syntax",
        detail=str(error),
        hint=error.hint,
        offset=error.at,
        length=error.length,
    )
    return ProblemError("rule-syntax", f"{error} (character {error.at + 1}).", errors=(item,))


def from_earshot(error: EarshotError) -> ProblemError:  # noqa: PLR0911 - one a class
    """The kind of problem that an error of a room is, for those who may see its message."""
    said = " ".join(filter(None, (_sentence(str(error)), _sentence(error.hint))))
    match error:
        case RuleSyntaxError():
            return rule_syntax(error, "/query/q")
        case NotFoundError():
            return ProblemError("not-found", said)
        case ConflictError():
            return ProblemError("edit-conflict", said)
        case LogFullError():
            return ProblemError("log-full", said, retry_after=error.retry_after)
        case RetryableError():
            return ProblemError("unavailable", said, retry_after=2.0)
        case UsageError():
            return ProblemError("invalid-input", said)
        case _:
            return ProblemError("internal")


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        return respond(_as(error, ProblemError), request_id=id_of(request))

    async def on_room(request: Request, error: Exception) -> Response:
        problem = from_earshot(_as(error, EarshotError))
        if problem.code == "internal":
            say.error("request failed", request_id=id_of(request), exc_info=error)
        return respond(problem, request_id=id_of(request))

    async def on_http(request: Request, error: Exception) -> Response:
        return respond(_from_http(_as(error, HTTPException)), request_id=id_of(request))

    async def on_input(request: Request, error: Exception) -> Response:
        problem = _from_input(_as(error, RequestValidationError))
        return respond(problem, request_id=id_of(request))

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(EarshotError, on_room)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_input)


def id_of(request: Request) -> str:
    """The request's id, as the outermost middleware chose it."""
    return str(request.scope.get("earshot.request_id", ""))


def _as(error: Exception, kind: type[E]) -> E:
    if not isinstance(error, kind):
        raise error
    return error


def _from_http(error: HTTPException) -> ProblemError:
    code = _BY_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "")
    return ProblemError(code or "bad-request", headers=error.headers)


def _from_input(error: RequestValidationError) -> ProblemError:
    items = tuple(_item(e) for e in error.errors())
    if any(e["type"] == "json_invalid" for e in error.errors()):
        return ProblemError("bad-request", "The body is no JSON.", errors=items)
    if any(_is_limit(e) for e in error.errors()):
        return ProblemError("limit-too-large", errors=items)
    named = "; ".join(f"{i.pointer}: {i.detail}" for i in items[:3])
    return ProblemError("invalid-input", f"{named}.", errors=items)


def _item(error: Mapping[str, Any]) -> ErrorItem:
    place = "/".join(str(p).replace("~", "~0").replace("/", "~1") for p in error["loc"])
    said = str(error["msg"]).removeprefix("Value error, ")
    return ErrorItem(pointer=f"/{place}", code=error["type"].replace("_", "-"), detail=said)


def _is_limit(error: Mapping[str, Any]) -> bool:
    return tuple(error["loc"]) == ("query", "limit") and error["type"] == "less_than_equal"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."
