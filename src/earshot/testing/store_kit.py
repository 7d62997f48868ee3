"""What the tests of `earshot.testing.store` are written with: questions, batches and rows."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from earshot.model.changes import DIRTY_AT, KEY, Changes, Wanted
from earshot.model.index import Query, Span
from earshot.model.schema import (
    AUTHOR,
    OBSERVATION,
    TOMBSTONE,
)
from earshot.store import Store, WindowBlock
from earshot.testing.builders import NOON, rows_of, stored

OpenStore = Callable[..., Store]
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
MICRO = dt.timedelta(microseconds=1)
ALWAYS = Span()
NO_MINUTES = pl.DataFrame(schema=DIRTY_AT)


def keys(*ids: str, source: str = "mastodon") -> pl.DataFrame:
    """KEY rows."""
    return rows_of(KEY, *((source, i) for i in ids))


def tombstones(*ids: str, source: str = "mastodon", version: int = 0) -> pl.DataFrame:
    """TOMBSTONE rows."""
    return rows_of(TOMBSTONE, *((source, i, version, NOON) for i in ids))


def put(store: Store, changes: Changes, *, offset: int = 1, at: dt.datetime = NOON) -> None:
    """Commit a batch."""
    store.commit(changes, offset=offset, at=at)


def found(store: Store, query: Query | None = None, **more: Any) -> list[str]:  # noqa: ANN401 - of `select`
    """The ids that a search finds, newest first."""
    page = store.select(query, more.pop("span", ALWAYS), limit=more.pop("limit", 1000), **more)
    return page["id"].to_list()


def asked(*ids: str, authors: Sequence[str] = (), interactions: Sequence[str] = ()) -> Wanted:
    """A question about keys of one network."""
    return Wanted(keys(*ids), keys(*authors), keys(*interactions))


def known(store: Store, wanted: Wanted) -> dict[str, dict[str, Any]]:
    """Id → STATE of what a store knows."""
    return {row["id"]: row for row in store.state(wanted).posts.to_dicts()}


def told(store: Store, kind: str, after: int = 0) -> list[dict[str, Any]]:
    """The payloads of a kind in the change feed."""
    rows = store.changes(after, limit=10_000).filter(pl.col("kind") == kind)
    return [json.loads(text) for text in rows["payload"].to_list()]  # noqa: TID251 - a test


def block(start: dt.datetime, data: bytes = b"rows", **more: Any) -> WindowBlock:  # noqa: ANN401 - of the block
    """A window block of a minute."""
    totals: dict[str, Any] = {"posts": 3, "authors": 2, "score": 1500}
    shape: dict[str, Any] = {"width": 60, "source": "mastodon", "rule": 0}
    return WindowBlock(start=start, data=data, **(shape | totals | more))


WHOLE = stored(
    "whole",
    text="Grüße an #Berlin\u2028 \U0001f44b\x00\ufffd",
    title="A 'title'",
    event_time=NOON + 7 * MICRO,
    edited_at=NOON + DAY,
    version=(1 << 62) + 1,
    author_followers=0,
    author_verified=True,
    author_bot=False,
    lang="de",
    hashtags=["Berlin", "", 'x,y"z'],
    mentions=None,
    cashtags=[],
    links=[
        {"url": "https://t.co/1", "expanded": None, "canonical": "", "domain": "example.com"},
        {"url": None, "expanded": None, "canonical": None, "domain": None},
    ],
    media=[{"kind": "image", "url": "https://example.com/1.png", "alt": "ein Bär"}],
    place="Berlin",
    country="DE",
    latitude=52.52000000000001,
    longitude=-0.0,
    likes=0,
    score=-5,
    counters_at=NOON,
    sensitive=False,
    hidden=False,
    late=True,
    text_hash=(1 << 64) - 1,
)


def author(who: str, handle: str | None, *, at: int = 0, **more: Any) -> tuple[Any, ...]:  # noqa: ANN401 - of AUTHOR
    """A row of AUTHOR, seen so many minutes after noon."""
    row = dict.fromkeys(AUTHOR) | {"source": "mastodon", "id": who, "handle": handle}
    row |= {"seen_at": NOON + at * MINUTE}
    return tuple((row | more).values())


def observed(*seen: tuple[float, int] | tuple[float, int, bool]) -> pl.DataFrame:
    """OBSERVATION rows of post 1: minutes after noon, likes, whether it is a first sight."""
    rows = []
    for after, likes, *base in seen:
        at = NOON + after * MINUTE
        minute = at.replace(second=0, microsecond=0)
        rows.append(("mastodon", "1", minute, at, bool(base), likes, *(None,) * 5))
    return rows_of(OBSERVATION, *rows)


def aged() -> list[dict[str, Any]]:
    """Posts 0 to 3, one a day, each received when it was written."""
    days = (NOON + n * DAY for n in range(4))
    return [stored(str(n), event_time=t, received_at=t) for n, t in enumerate(days)]
