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
    """One event of the stream, as it goes to one listener."""

    id: str
    """`epoch.seq` of the change feed; opaque to clients."""
    kind: str
    """posts | correction | windows | gap | rules | system | lagged | reset."""
    data: bytes
    """JSON. posts: `{keys: [[source, id]…], more}`, the newest first; correction: `{removed,
    changed}`, lists of keys; windows: `{windows: [{start, width}…], rules}`; gap: `{items}`;
    lagged: `{skipped, since, until}`; reset: `{reason, oldest}`. Keys, not contents: what is shown
    is read when it is shown, so that nothing deleted is."""


class Live(Protocol):
    """Follows the store's change feed and fans it out; bounded for every listener."""

    async def run(self) -> None:
        """Follow the feed until cancelled."""

    def listen(self, topics: frozenset[str], after: str | None) -> AsyncIterator[Pushed]:
        """Replay what came after `after` (None: nothing), then follow; never ends by itself.

        Topics: posts:all, posts:rule:<id>, windows, gaps, corrections, jobs, system. What cannot be
        replayed any more is one `reset`; what a slow listener misses is told by `lagged`.
        """

    def head(self) -> str:
        """Id of the newest event, read anew: take it before a query, then listen after it."""

    def oldest(self) -> str:
        """The oldest id that `listen` can go on after."""


def open_live(url: str, *, feed: Feed) -> Live:
    """Open what `url` names, e.g. `memory:`."""
    return cast("Live", open_room("live", url, feed=feed))
