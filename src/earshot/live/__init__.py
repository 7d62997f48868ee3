"""Push room: the change feed, fanned out to everybody who looks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, cast

from earshot.rooms import open_room
from earshot.store import Store


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


def open_live(url: str, *, store: Store) -> Live:
    """Open what `url` names, e.g. `memory:`."""
    return cast("Live", open_room("live", url, store=store))
