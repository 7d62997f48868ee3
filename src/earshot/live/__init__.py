"""Push room: the change feed, fanned out to everybody who looks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, cast

import polars as pl

from earshot.rooms import open_room


class Feed(Protocol):
    """The part of a store that is followed; see `earshot.store.Store`."""

    def changes(self, after: int, *, limit: int = 1000) -> pl.DataFrame:
        """CHANGE rows with seq > `after`, in order."""

    def feed(self) -> tuple[str, int, int]:
        """(epoch, oldest seq kept, newest seq)."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One event of the stream, encoded once for all listeners."""

    id: str
    """`epoch.seq` of the change feed; opaque to clients."""
    kind: str
    topics: frozenset[str]
    data: bytes


class Live(Protocol):
    """Follows the store's change feed and fans it out; bounded for every listener."""

    async def run(self) -> None:
        """Follow the feed until cancelled."""

    def listen(self, topics: frozenset[str], after: str | None) -> AsyncIterator[Pushed]:
        """Replay what came after `after`, then follow; a slow listener gets `lagged`."""

    def head(self) -> str:
        """Id of the newest event."""


def open_live(url: str, *, feed: Feed) -> Live:
    """Open what `url` names, e.g. `memory:`."""
    return cast("Live", open_room("live", url, feed=feed))
