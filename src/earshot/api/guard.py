"""What wraps every request: its id, the headers of every answer, host, origin and size.

Pure ASGI, so that a stream of hours passes through without being held.
"""

import ipaddress
import secrets
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import earshot
from earshot.api.problems import ProblemError, respond
from earshot.clock import Clock
from earshot.settings import Settings

say = structlog.get_logger(__name__)

MOST_BODY: Final = 1_000_000
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
CSP: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Earshot-Version": earshot.__version__,
}


class Guard:
    """Outermost of all. An error that nobody expected ends here, as a problem without its text."""

    def __init__(self, app: ASGIApp, *, settings: Settings, cookie: str, clock: Clock) -> None:
        self._app, self._cookie, self._clock = app, cookie, clock
        self._hosts = frozenset(_names(settings))
        self._https = urlsplit(settings.web.public_url).scheme == "https"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what may pass; tell of everything else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["earshot.request_id"] = secrets.token_hex(8)
        began, status = self._clock.monotonic(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, _bounded(scope, receive), answer)
        except ProblemError as problem:
            if status:
                raise
            await respond(problem, request_id=request_id)(scope, receive, answer)
        except Exception as e:
            say.error("request failed", request_id=request_id, path=scope["path"], exc_info=e)
            if status:
                raise
            answered = respond(ProblemError("internal"), request_id=request_id)
            await answered(scope, receive, answer)
        finally:
            took = round((self._clock.monotonic() - began) * 1000, 1)
            say.debug(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=took,
            )

    def _dress(self, headers: MutableHeaders, request_id: str) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["X-Request-Id"] = request_id
        if self._https:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        # nothing here is for a cache unless a route says so: most of it is somebody's
        headers.setdefault("Cache-Control", "no-store")

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = _host_of(headers.get("host", ""))
        if not self._knows(host, scope):
            raise ProblemError("unknown-host")
        if scope["method"] not in SAFE and "authorization" not in headers:
            self._check_origin(headers, Request(scope))
        if int(_digits(headers.get("content-length"))) > MOST_BODY:
            raise ProblemError("too-large", f"At most {MOST_BODY:,} bytes.")

    def _knows(self, host: str, scope: Scope) -> bool:
        """Known names, and the very address that was connected to: no name can be rebound to us."""
        if host in self._hosts:
            return True
        server = scope.get("server")
        return _is_address(host) and server is not None and host == str(server[0]).lower()

    def _check_origin(self, headers: Headers, request: Request) -> None:
        """Only our own pages write with a cookie (a form of another site would carry it too)."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            good = site in {"same-origin", "none"}
        elif origin is not None:
            good = urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        else:
            good = self._cookie not in request.cookies
        if not good:
            raise ProblemError("cross-origin")


def _names(settings: Settings) -> Iterable[str]:
    yield from ("localhost", "127.0.0.1", "::1")
    if settings.web.host not in {"", "0.0.0.0", "::"}:  # noqa: S104 - named, not bound
        yield settings.web.host.lower()
    if public := urlsplit(settings.web.public_url).hostname:
        yield public.lower()


def _host_of(header: str) -> str:
    """The host of a Host header in lower case, without port and brackets; "" when it is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _digits(text: str | None) -> str:
    return text if text and text.isascii() and text.isdigit() and len(text) < 19 else "0"


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """`receive` that ends a body without a length once it is too large."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BODY:
            raise HTTPException(413)  # of all errors, FastAPI lets this through as it is
        return message

    return receive if scope["method"] in SAFE else bounded
