"""The app: rooms, middleware, routes. No logic."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI

from earshot.api import problems
from earshot.api.auth import Auth
from earshot.api.deps import Rooms
from earshot.api.guard import Guard
from earshot.api.openapi import PREFIX, add_routes, describe
from earshot.api.pages import pages
from earshot.api.static import DIST, serve
from earshot.settings import Settings


def create_app(settings: Settings, rooms: Rooms, *, dist: Path = DIST) -> FastAPI:
    """Build the app that serves API, pages and web app from these rooms.

    The caller opens and closes the rooms, and runs `rooms.live.run()` as long as the app serves.

    Args:
        settings: Frozen configuration.
        rooms: Open rooms; the store to read.
        dist: Where the built web app lies.
    """
    app = FastAPI(openapi_url=f"{PREFIX}/openapi.json", docs_url=None, redoc_url=None)
    app.state.rooms, app.state.settings = rooms, settings
    auth = app.state.auth = Auth(rooms.control, settings, rooms.clock)
    problems.install(app)
    add_routes(app)
    app.include_router(pages)
    serve(app, dist)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's own hook
    app.add_middleware(Guard, settings=settings, cookie=auth.cookie, clock=rooms.clock)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema
