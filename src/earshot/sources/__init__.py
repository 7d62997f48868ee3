"""Collect room, one file per network: bytes, cursors and gaps; what they mean is for `formats`."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

import msgspec
import polars as pl

from earshot.clock import Clock
from earshot.model.schema import RECORD
from earshot.rooms import open_room

RECORDS: Final = pl.Schema({name: kind for name, kind in RECORD.items() if name != "offset"})
"""Columns of `Chunk.frame` and `Chunk.records`: RECORD before the log gives it offsets."""


class Item(msgspec.Struct, frozen=True, gc=False):
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
    frame: pl.DataFrame | None = None
    """RECORDS, as columns instead of `items` (never beside them), where records come by the
    thousand. A null `received_at` is stamped by the collector, as is `connection` always."""

    def records(self, connection: str, now: dt.datetime) -> pl.DataFrame:
        """All records as RECORDS, whichever form they came in; what is not stamped gets `now`."""
        frame = _framed(self.items) if self.frame is None else self.frame
        return frame.select(
            "source",
            pl.lit(connection).alias("connection"),
            "format",
            pl.col("received_at").fill_null(pl.lit(now).cast(RECORDS["received_at"])),
            "key",
            "headers",
            "raw",
        )


def _framed(items: tuple[Item, ...]) -> pl.DataFrame:
    """Turn items into columns."""
    columns: dict[str, list[Any]] = {
        "source": [i.source for i in items],
        "connection": [""] * len(items),
        "format": [i.format for i in items],
        "received_at": [i.received_at for i in items],
        "key": [i.key for i in items],
        "headers": [i.headers for i in items],
        "raw": [i.raw for i in items],
    }
    return pl.DataFrame(columns, schema=RECORDS)


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
