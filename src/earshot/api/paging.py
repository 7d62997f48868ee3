"""Cursors: where a list goes on; opaque to clients and bound to the list's filters and order."""

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from earshot.api.problems import ProblemError
from earshot.clock import from_micros, micros

LIMIT = 50
MOST = 200

Place = tuple[dt.datetime, str, str]
"""(event_time, source, id) of a row."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list of posts."""

    place: Place
    """The row next to which the page begins."""
    back: bool
    """Whether the page lies before that row."""


class _Wire(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    at: int
    source: str
    id: str
    back: bool
    filters: str


def fingerprint(filters: Mapping[str, object]) -> str:
    """Short hash of what a list was asked for, so that a cursor fits one list only."""
    canonical = msgspec.json.encode(sorted((k, repr(v)) for k, v in filters.items()))
    return hashlib.sha256(canonical).hexdigest()[:16]


def encode(cursor: Cursor, filters: str) -> str:
    """The cursor as text for a URL; `filters` is the list's `fingerprint`."""
    at, source, id_ = cursor.place
    wire = _Wire(micros(at), source, id_, cursor.back, filters)
    return base64.urlsafe_b64encode(msgspec.json.encode(wire)).rstrip(b"=").decode()


def decode(text: str | None, filters: str) -> Cursor | None:
    """Read a cursor that `encode` made.

    Raises:
        ProblemError: `bad-cursor` or `cursor-mismatch`.
    """
    if not text:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        wire = msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=_Wire)
        place = (from_micros(wire.at), wire.source, wire.id)
    except (ValueError, OverflowError, msgspec.MsgspecError) as e:
        raise ProblemError("bad-cursor") from e
    if wire.filters != filters:
        raise ProblemError("cursor-mismatch")
    return Cursor(place, wire.back)


def number(text: str | None) -> int | None:
    """Read the cursor of a list that is ordered by a number.

    Raises:
        ProblemError: `bad-cursor`.
    """
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ProblemError("bad-cursor")
    return int(text)


def address(path: str, query: Mapping[str, object], cursor: str | None) -> str | None:
    """The address of another page of the same list; None where there is none."""
    if cursor is None:
        return None
    pairs = {k: v for k, v in query.items() if k != "cursor" and v not in (None, (), [], "")}
    return f"{path}?{urlencode({**pairs, 'cursor': cursor}, doseq=True)}"
