"""What an operator does to stored data: it goes through the log, as a record, like everything."""

import msgspec

from earshot.clock import Clock
from earshot.engine.collect import records_of
from earshot.engine.home import Rooms, engine_lock, engine_runs, open_rooms
from earshot.engine.local import LocalEngine
from earshot.engine.replay import wait_for, wait_until
from earshot.engine.seal import sealed_upto
from earshot.settings import Settings
from earshot.sources import Chunk, Item

CONNECTION = "operator"


def control_record(**fields: object) -> Item:
    """A control record; see `earshot.formats.earshot` for its fields."""
    return Item("earshot", "earshot", msgspec.json.encode(fields))


def apply(settings: Settings, clock: Clock, items: tuple[Item, ...]) -> None:
    """Append records and return when they are applied, by the engine that runs or by our own."""
    if engine_runs(settings):
        with open_rooms(settings, clock, writable=False) as rooms:
            wait_for(rooms, _append(rooms, items))
        return
    with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
        _append(rooms, items)
        engine = LocalEngine(rooms)
        try:
            engine.drain()
            engine.close()
        finally:
            engine.abandon()


def seal_now(settings: Settings, clock: Clock) -> None:
    """Bring the lake up to what the store has, by the engine that runs or by our own."""
    if engine_runs(settings):
        with open_rooms(settings, clock, writable=False) as rooms:
            asked = _append(rooms, (control_record(kind="seal"),))
            wait_until(rooms, lambda: sealed_upto(rooms.store), asked)
        return
    with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
        LocalEngine(rooms).close()


def _append(rooms: Rooms, items: tuple[Item, ...]) -> int:
    records = records_of(Chunk(items=items), CONNECTION, rooms.clock.now())
    return rooms.log.append(records).stop - 1
