# ruff: noqa: A002 - the fields' names
"""Batches built by hand: what happens, one record each, and the frames that decoding would give."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from earshot.formats import Decoded
from earshot.model.schema import EVENT, INTERACTION, OUTCOME, POST, RECORD

NOON = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
LISTS = ("hashtags", "mentions", "cashtags", "links", "media")


@dataclass(frozen=True)
class Sight:
    """A post as a record shows it."""

    id: str
    author: str = "ada"
    version: int = 0
    text: str = "hello"
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Happening:
    """One record: exactly one class, and what belongs to it."""

    cls: str
    post: Sight | None = None
    embedded: tuple[Sight, ...] = ()
    event: dict[str, Any] | None = None
    act: dict[str, Any] | None = None
    source: str = "x"
    at: float = 0.0
    """Seconds after noon at which it was received."""
    headers: str = ""
    offset: int = 0


def create(
    id, author="ada", version=0, text="hello", embedded=(), source="x", headers="", **fields
):
    post = Sight(id, author, version, text, fields)
    return Happening("create", post, tuple(embedded), source=source, headers=headers)


def update(id, author="ada", version=1, text="edited", **fields):
    return Happening("updates", Sight(id, author, version, text, fields))


def event(kind, id=None, author="ada", version=None, cls="control", **more):
    said = {"kind": kind, "id": id, "author_id": author, "version": version, **more}
    return Happening(cls, event=said)


def delete(id, version=None, author=None):
    return event("delete", id, author, version, cls="deletes")


def like(key, object, kind="like"):
    return Happening(
        "interactions", act={"key": key, "kind": kind, "object": object, "removed": False}
    )


def unlike(key, kind="like"):
    return Happening(
        "interactions", act={"key": key, "kind": kind, "object": None, "removed": True}
    )


def log(*happenings, step=1.0):
    """Give records their offsets and times, in order."""
    return [replace(h, at=i * step, offset=i) for i, h in enumerate(happenings)]


def when(happening):
    return NOON + dt.timedelta(seconds=happening.at)


def frames(happenings) -> tuple[pl.DataFrame, Decoded]:
    """RECORD rows and what decoding would give."""
    records, posts, events, acts, outcome = [], [], [], [], []
    for number, h in enumerate(happenings):
        records.append(_record(h))
        outcome.append((number, h.cls, "broken" if h.cls == "quarantined" else None))
        if h.post:
            role = "create" if h.cls == "create" else "update"
            posts.append({"record": number, "role": role} | _post(h, h.post))
        posts += [{"record": number, "role": "embedded"} | _post(h, s) for s in h.embedded]
        if h.event:
            events.append(
                {"record": number, "source": h.source, "at": None, "profile": None} | h.event
            )
        if h.act:
            acts.append({"record": number, "source": h.source, "actor": "bob", "at": None} | h.act)
    number = {"record": pl.UInt32}
    return pl.DataFrame(records, RECORD, orient="row"), Decoded(
        posts=pl.DataFrame(posts, {**number, "role": pl.String, **POST}, orient="row"),
        events=pl.DataFrame(events, {**number, **EVENT}, orient="row"),
        interactions=pl.DataFrame(acts, {**number, **INTERACTION}, orient="row"),
        outcome=pl.DataFrame(outcome, OUTCOME, orient="row"),
    )


def _record(h):
    return {
        "offset": h.offset, "source": h.source, "connection": "test", "format": "test",
        "received_at": when(h), "key": "", "headers": h.headers, "raw": b"{}",
    }  # fmt: skip


def _post(h, sight):
    row = dict.fromkeys(POST) | {c: [] for c in LISTS}
    row |= {
        "source": h.source, "id": sight.id, "kind": "post", "text": sight.text,
        "event_time": NOON, "created_at": NOON, "version": sight.version,
        "author_id": sight.author, "visibility": "public",
    }  # fmt: skip
    return row | sight.fields
