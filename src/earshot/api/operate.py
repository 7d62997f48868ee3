"""What an operator does to stored data goes through the log; this waits until it shows."""

import time
from collections.abc import Sequence

import polars as pl

from earshot.api.deps import Rooms
from earshot.api.schemas.posts import Applied
from earshot.engine.collect import records_of
from earshot.engine.operate import CONNECTION
from earshot.sources import Chunk, Item

WAIT_S = 5.0
POLL_S = 0.05


def again(row: pl.DataFrame) -> Item:
    """The record of a QUARANTINE row, to be taken in once more, as it came."""
    (record,) = row.iter_rows(named=True)
    return Item(
        source=record["source"],
        format=record["format"],
        raw=record["raw"],
        key=record["key"] or "",
        headers=record["headers"] or "",
    )


def append_and_wait(rooms: Rooms, items: Sequence[Item]) -> Applied:
    """Append records; wait until the engine has passed them, or some seconds are over."""
    records = records_of(Chunk(items=tuple(items)), CONNECTION, rooms.clock.now())
    last = rooms.log.append(records).stop - 1
    until = rooms.clock.monotonic() + WAIT_S
    while (passed := rooms.store.offset() > last) is False and rooms.clock.monotonic() < until:
        time.sleep(POLL_S)  # on a worker thread; the event loop goes on
    return Applied(offset=last, applied=passed)
