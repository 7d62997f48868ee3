"""Routes, one file a noun: parse by type, right by dependency, one call into a room, schema out."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from fastapi import APIRouter

PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457).",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
}


def router(*tags: str) -> APIRouter:
    """A router whose every route answers with problem details when it does not succeed."""
    names: Sequence[str | Enum] = tags
    return APIRouter(tags=list(names), responses=PROBLEM)
