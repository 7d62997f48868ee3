"""The built web app: hashed assets for ever, index never kept, every page of the app is index."""

import re
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

from earshot.api.pages import not_built

DIST: Final = Path(__file__).parent / "dist"
FOR_EVER: Final = "public, max-age=31536000, immutable"
A_WHILE: Final = "public, max-age=3600"
HASHED: Final = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.\w+(\.map)?$")
LONGEST: Final = 200
"""Characters of a path that may name a file of the build."""
THEMES: Final = frozenset({"light", "dark", "system"})
_THEME: Final = re.compile(rb'data-theme="[a-z]*"')
_NOT_PAGES: Final = ("api/", "problems/", "assets/")


def serve(app: FastAPI, dist: Path = DIST) -> None:
    """Answer every other path with a file of the built app, or with its index.

    Args:
        app: Whose routes come first.
        dist: Where the build lies; it may come later.
    """

    @app.get("/{path:path}", include_in_schema=False)
    def page(path: str, request: Request) -> Response:
        found = _file(dist, path)
        if found is not None and found.name != "index.html":
            kept = FOR_EVER if path.startswith("assets/") and HASHED.search(path) else A_WHILE
            return FileResponse(found, headers={"Cache-Control": kept})
        if f"{path}/".startswith(_NOT_PAGES) or not _wants_page(request, path):
            raise HTTPException(404)
        index = dist / "index.html"
        return _index(index, request) if index.is_file() else not_built()


def _index(index: Path, request: Request) -> Response:
    """The one page; the theme is set here, so that it neither flashes nor needs inline script."""
    data, theme = index.read_bytes(), request.cookies.get("theme", "")
    if theme in THEMES:
        data = _THEME.sub(b'data-theme="' + theme.encode() + b'"', data, count=1)
    return HTMLResponse(data, headers={"Cache-Control": "no-store"})


def _file(dist: Path, path: str) -> Path | None:
    """The file of a path below `dist`; None: there is none, or it lies outside."""
    if not path or "\0" in path or len(path) > LONGEST:
        return None
    target = (dist / path).resolve()
    return target if target.is_relative_to(dist.resolve()) and target.is_file() else None


def _wants_page(request: Request, path: str) -> bool:
    """Whether a browser asks for a page (and not a program for a file that is not there)."""
    accepts = request.headers.get("accept", "*/*")
    named = "." not in path.rpartition("/")[2] or path == "index.html"
    return named and ("text/html" in accepts or "*/*" in accepts)
