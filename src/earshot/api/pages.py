"""Pages that need no script: sign in, first set-up, what a problem means, and "not built yet".

They are rendered here, so that a broken bundle locks nobody out.
"""

import math
import re
from html import escape
from typing import Annotated, Final, cast
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from earshot.api.auth import Auth
from earshot.api.deps import RoomsDep
from earshot.api.problems import KINDS, ProblemError
from earshot.control import MIN_PASSWORD
from earshot.errors import NotFoundError, UsageError

pages = APIRouter(include_in_schema=False)

STYLE = """\
:root { color-scheme: light dark; --ink: #14181c; --muted: #56606b; --page: #fbfbfa;
  --surface: #fff; --line: #7f8893; --primary: #005b8f; --on: #fff; --danger: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --muted: #a3adb8; --page: #0f1214;
  --surface: #171b1f; --line: #737d88; --primary: #7cccf2; --on: #0f1214; --danger: #ff8a7a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; background: var(--surface); padding: 2rem;
  border: 1px solid var(--line); border-radius: 8px; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; } .muted { color: var(--muted); font-size: .875rem; }
.bad { color: var(--danger); } label { display: block; margin: 0 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .625rem .75rem; margin: 0 0 1rem; font: inherit; color: inherit;
  background: var(--page); border: 1px solid var(--line); border-radius: 4px; }
button { width: 100%; min-height: 2.75rem; font: inherit; font-weight: 600; color: var(--on);
  background: var(--primary); border: 0; border-radius: 4px; cursor: pointer; }
:focus-visible { outline: 3px solid var(--primary); outline-offset: 2px; }
a { color: var(--primary); } code { font-size: .875rem; overflow-wrap: anywhere; }
"""

MOST_FORM: Final = 10_000
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
Code = Annotated[str, Query(max_length=200)]
Next = Annotated[str, Query(max_length=2000)]


@pages.get("/plain.css")
def style() -> Response:
    """The one style sheet of these pages."""
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


async def _form(request: Request) -> dict[str, str]:
    """The fields of a plain HTML form, the last of each name."""
    body = await request.body()
    if len(body) > MOST_FORM:
        raise ProblemError("too-large")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20, keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


Form = Annotated[dict[str, str], Depends(_form)]


@pages.get("/sign-in")
def sign_in_form(next: Next = "/") -> Response:  # noqa: A002 - the parameter's name
    """Ask for name and password."""
    return _page("Sign in", _sign_in(next))


@pages.post("/sign-in")
def sign_in(request: Request, form: Form, next: Next = "/") -> Response:  # noqa: A002 - as above
    """Open a session, then on to where one wanted to go."""
    auth, name = cast("Auth", request.app.state.auth), form.get("name", "")
    try:
        _, secret = auth.sign_in(request, name, form.get("password", ""))
    except ProblemError as problem:
        return _again(problem, "Sign in", _sign_in(next, name, _why(problem)))
    return _go(auth, secret, next)


@pages.get("/setup")
def setup_form(rooms: RoomsDep, code: Code = "") -> Response:
    """Show what the one-time code leads to; looking does not use it up."""
    known = rooms.control.code_is_for(code) if code else None
    if known is None:
        return _refused()
    return _page("Welcome to Earshot", _setup(code, known, "", ""))


@pages.post("/setup")
def setup(request: Request, rooms: RoomsDep, form: Form) -> Response:
    """Redeem the code and open a session."""
    auth = cast("Auth", request.app.state.auth)
    code, name = form.get("code", ""), form.get("name", "")
    known = rooms.control.code_is_for(code)
    if known is None:
        return _refused()
    try:
        _, secret = auth.redeem(request, code, name, form.get("password") or None)
    except ProblemError as problem:
        return _again(problem, "Welcome to Earshot", _setup(code, known, name, _why(problem)))
    except UsageError as e:
        why = ". ".join(filter(None, (str(e), e.hint)))
        return _page("Welcome to Earshot", _setup(code, known, name, why), 422)
    return _go(auth, secret, "/")


@pages.get("/problems/{code}")
def problem(code: str) -> Response:
    """What a kind of problem means, and what to do about it."""
    if code not in KINDS:
        msg = f"no kind of problem is named {code!r}"
        raise NotFoundError(msg, hint=f"known: {', '.join(KINDS)}")
    kind = KINDS[code]
    body = (
        f"<p>{escape(kind.remedy)}</p>"
        f'<p class="muted">Status {kind.status}, code <code>{escape(code)}</code>. '
        "The id in <code>instance</code> is in the log of the server too.</p>"
        '<p><a href="/">Back to Earshot</a></p>'
    )
    return _page(kind.title, body)


def not_built() -> Response:
    """Shown where the web app was not built into the package."""
    body = (
        "<p>The API runs; the web app is not built yet. In the repository, run</p>"
        "<p><code>make web</code></p><p>then reload this page.</p>"
        '<p class="muted">An installed package has it inside.</p>'
    )
    return _page("The page is not built", body, 503)


def safe_next(target: str) -> str:
    """Where to go after signing in: a path of our own, whatever was asked for."""
    bad = not target.startswith("/") or target[1:2] in {"/", "\\"} or _CONTROL.search(target)
    return "/" if bad else target


def _go(auth: Auth, secret: str, target: str) -> Response:
    response = RedirectResponse(safe_next(target), status_code=303)
    auth.set_cookie(response, secret)
    return response


def _again(problem: ProblemError, title: str, body: str) -> Response:
    response = _page(title, body, KINDS[problem.code].status)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(problem.retry_after))
    return response


def _why(problem: ProblemError) -> str:
    kind = KINDS[problem.code]
    return f"{kind.title}. {kind.remedy}"


def _refused() -> Response:
    kind = KINDS["setup-refused"]
    body = (
        f'<p>{escape(kind.remedy)}</p><p><a href="/sign-in">Sign in with name and password</a></p>'
    )
    return _page(kind.title, body, kind.status)


def _sign_in(target: str, name: str = "", why: str = "") -> str:
    return f"""{_bad(why)}
<form method="post" action="/sign-in?next={quote(safe_next(target), safe="")}">
<label for="name">Name</label>
<input id="name" name="name" value="{escape(name)}" autocomplete="username" required
  maxlength="100" autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
  maxlength="1024">
<button>Sign in</button></form>
<p class="muted">No password? Start <code>earshot up</code> for a one-time link.</p>"""


def _setup(code: str, known: str, name: str, why: str) -> str:
    own = (
        f"<p>This link signs in <strong>{escape(known)}</strong>.</p>"
        if known
        else f"""<label for="name">Your name</label>
<input id="name" name="name" value="{escape(name)}" autocomplete="username" required
  maxlength="100" autofocus>"""
    )
    return f"""{_bad(why)}
<form method="post" action="/setup"><input type="hidden" name="code" value="{escape(code)}">{own}
<label for="password">A password (may stay empty)</label>
<input id="password" name="password" type="password" autocomplete="new-password"
  minlength="{MIN_PASSWORD}" maxlength="1024">
<p class="muted">{MIN_PASSWORD} characters at least. Without one, only new one-time links let you
in again.</p><button>Start</button></form>"""


def _bad(why: str) -> str:
    return f'<p class="bad" role="alert">{escape(why)}</p>' if why else ""


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Earshot</title><link rel="stylesheet" href="/plain.css"></head>
<body><main><h1>{escape(title)}</h1>{body}</main></body></html>
""",
        status_code=status,
    )
