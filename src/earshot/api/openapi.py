"""Write openapi.json: `python -m earshot.api.openapi [FILE]`. The file is committed."""

import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

import earshot
from earshot.api.routes import collection, export, people, posts, probes, rules, stream, windows
from earshot.api.schemas.common import Problem
from earshot.api.schemas.stream import EVENTS

PREFIX: Final = "/api/v1"
TARGET: Final = Path("web/openapi.json")


ROUTERS: Final = (
    (people.api, PREFIX),
    (posts.api, PREFIX),
    (export.api, PREFIX),
    (rules.api, PREFIX),
    (windows.api, PREFIX),
    (collection.api, PREFIX),
    (stream.api, PREFIX),
    (probes.api, ""),
)
"""Every router and the prefix of its paths."""


def add_routes(app: FastAPI) -> None:
    """Put every route of the API into an app."""
    for router, prefix in ROUTERS:
        app.include_router(router, prefix=prefix)


def describe(app: FastAPI) -> dict[str, Any]:
    """The API as OpenAPI: problems everywhere, and the shapes of the stream's events."""
    described = get_openapi(
        title="Earshot",
        version=earshot.__version__,
        summary="Real-time social listening and community intelligence, self-hosted.",
        routes=app.routes,
    )
    schemas = described["components"]["schemas"]
    extra = [(shape, "serialization") for shape in (Problem, *EVENTS.values())]
    _, more = models_json_schema(extra, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # the mode is a Literal
    schemas.update(more["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path in described["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # `default` says it, in the form we send
    described["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "earshot"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    described["security"] = [{"session": []}, {"token": []}]
    return described


def text() -> str:
    """openapi.json, the same for the same routes."""
    app = FastAPI(openapi_url=None)
    add_routes(app)
    return msgspec.json.format(msgspec.json.encode(describe(app)), indent=2).decode() + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).write_text(text(), encoding="utf-8")
