"""Collect room, one file per network: bytes, cursors and gaps; what they mean is for `formats`."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from earshot.clock import Clock
from earshot.rooms import open_room


@dataclass(frozen=True, slots=True)
class Item:
    """One raw record, before the log gives it an offset."""

    source: str
    format: str
    raw: bytes
    key: str = ""
    headers: str = ""
    received_at: dt.datetime | None = None
    """When it was taken in; None: the collector stamps it."""


@dataclass(frozen=True, slots=True)
class GapReport:
    """A span in which this source may have lost posts; see `model.schema.GAP` for reasons."""

    since: dt.datetime
    until: dt.datetime
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a source hands over at once: all of it is logged in one transaction, or none."""

    items: tuple[Item, ...] = ()
    cursor: str | None = None
    """Where to go on after these items; opaque to everybody else. None: unchanged."""
    gaps: tuple[GapReport, ...] = ()
    quarantine: tuple[tuple[Item, str], ...] = ()
    """Items that cannot be records, each with the reason (e.g. a truncated line of a file)."""
    state: str = ""
    """New state to show, when it changed: connecting | live | catching_up | waiting | done."""
    detail: str = ""
    """One sentence for people about the state, without secrets."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a network can do, as data; the engine adapts."""

    live: bool
    """Follows the present; False: it ends (an archive)."""
    resumable: bool
    push_down: frozenset[str] = field(default_factory=frozenset)
    """Rule operators the network can filter itself, e.g. {"from", "hashtag"}."""
    needs_key: bool = False


class Source(Protocol):
    """A network to listen to. It never sleeps without the clock's leave and never decodes."""

    name: str
    """The network: `bluesky`, `demo`, …"""
    capabilities: Capabilities

    def stream(self, cursor: str | None) -> AsyncIterator[Chunk]:
        """Yield chunks from after `cursor` on (None: from now, or from the beginning).

        Reconnects, backs off and fails over by itself, telling of it by `state` and `gaps`; ends
        only when there is nothing more to come. Closing the iterator closes all connections.
        """


def open_source(url: str, *, clock: Clock, options: Mapping[str, Any] | None = None) -> Source:
    """Open the source that `url` names, e.g. `bluesky:`, `demo:?seed=7`, `archive:/path`."""
    return cast("Source", open_room("sources", url, clock=clock, **(options or {})))
