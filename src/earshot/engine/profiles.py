"""Learns the names behind the DIDs of Bluesky's posts, politely, beside the stream.

What is learned goes through the log as `author_update` records, like every change of data.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
import polars as pl
import structlog

from earshot.errors import RetryableError

say = structlog.get_logger(__name__)

EVERY_S = 1.0
SPARE = 100
"""Authors of posts that no rule matched are asked for only while fewer than this many wait."""


class Feed(Protocol):
    """The part of a store that is followed."""

    def changes(self, after: int, *, limit: int = 1000) -> pl.DataFrame:
        """CHANGE rows with seq > `after`, in order."""

    def feed(self) -> tuple[str, int, int]:
        """(epoch, oldest seq kept, newest seq)."""


class Resolver(Protocol):
    """What is offered authors to look up."""

    @property
    def waiting(self) -> int:
        """How many authors are still to be asked for."""

    def offer(self, dids: Iterable[str]) -> int:
        """Note authors to be asked for."""


class _Post(msgspec.Struct):
    source: str = ""
    author_id: str | None = None
    author_handle: str | None = None
    rules: list[int] = msgspec.field(default_factory=list)


class _Posts(msgspec.Struct):
    posts: list[_Post] = msgspec.field(default_factory=list)


async def offer_authors(
    feed: Feed, resolver: Resolver, *, every: Callable[[], float] = lambda: EVERY_S
) -> None:
    """Offer the authors of newly stored posts, those of matched posts first; until cancelled."""
    seen = (await asyncio.to_thread(feed.feed))[2]
    while True:
        try:
            matched, others, seen = await asyncio.to_thread(_unnamed, feed, seen)
        except RetryableError as e:
            say.warning("new authors not read", why=str(e))
        else:
            resolver.offer(matched)
            resolver.offer(others[: max(0, SPARE - resolver.waiting)])
        await asyncio.sleep(every())


def _unnamed(feed: Feed, seen: int) -> tuple[list[str], list[str], int]:
    """DIDs of posts without a handle, matched ones apart, and the feed's new place."""
    changes = feed.changes(seen)
    posts = [
        post
        for payload in changes.filter(pl.col("kind") == "posts")["payload"]
        for post in msgspec.json.decode(payload, type=_Posts).posts
        if post.source == "bluesky" and post.author_id and not post.author_handle
    ]
    matched = [p.author_id for p in posts if p.rules and p.author_id]
    others = [p.author_id for p in reversed(posts) if not p.rules and p.author_id]
    return matched, others, int(changes["seq"][-1]) if changes.height else seen
