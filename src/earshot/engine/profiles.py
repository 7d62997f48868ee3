"""Asks Bluesky for the names behind the DIDs of matched posts, politely, beside the stream."""

import asyncio
from collections import OrderedDict

import msgspec
import structlog

from earshot.engine.collect import records_of
from earshot.engine.home import Rooms
from earshot.errors import RetryableError
from earshot.settings import Settings
from earshot.sources import Chunk
from earshot.sources.bluesky import ProfileResolver

say = structlog.get_logger(__name__)

CONNECTION = "bluesky-profiles"
EVERY_S = 1.0
REMEMBER = 50_000


class Profiles:
    """Follows the change feed for Bluesky authors without a handle; appends what it learns.

    What is learned goes through the log as `author_update` records, like every change of data.
    """

    def __init__(self, rooms: Rooms, settings: Settings) -> None:
        self._rooms = rooms
        self._resolver = (
            ProfileResolver(settings.bluesky.profiles, clock=rooms.clock)
            if settings.bluesky.profiles
            else None
        )
        self._asked: OrderedDict[str, None] = OrderedDict()

    async def run(self) -> None:
        """Until cancelled."""
        if self._resolver is None:
            return
        seen = (await asyncio.to_thread(self._rooms.store.feed))[2]
        try:
            while True:
                wanted, seen = await asyncio.to_thread(self._wanted, seen)
                if wanted:
                    await self._learn(wanted)
                await asyncio.sleep(EVERY_S)
        finally:
            await self._resolver.close()

    async def _learn(self, dids: list[str]) -> None:
        assert self._resolver is not None  # noqa: S101 - `run` left otherwise
        try:
            items = await self._resolver.resolve(dids)
        except (RetryableError, OSError) as e:
            say.warning("profiles not resolved", n=len(dids), why=str(e))
            return
        if items:
            records = records_of(Chunk(items=tuple(items)), CONNECTION, self._rooms.clock.now())
            await asyncio.to_thread(self._rooms.log.append, records)

    def _wanted(self, seen: int) -> tuple[list[str], int]:
        """DIDs of newly stored posts that were not asked for yet, and the feed's new place."""
        feed = self._rooms.store.changes(seen)
        wanted: list[str] = []
        for payload in feed.filter(feed["kind"] == "posts")["payload"]:
            for post in msgspec.json.decode(payload, type=_Posts).posts:
                if post.source == "bluesky" and post.author_id and not post.author_handle:
                    if post.author_id not in self._asked:
                        wanted.append(post.author_id)
                    self._asked[post.author_id] = None
        while len(self._asked) > REMEMBER:
            self._asked.popitem(last=False)
        return wanted, int(feed["seq"][-1]) if feed.height else seen


class _Post(msgspec.Struct):
    source: str = ""
    author_id: str | None = None
    author_handle: str | None = None


class _Posts(msgspec.Struct):
    posts: list[_Post] = msgspec.field(default_factory=list)
