"""Whether the service does its work: each thing that must hold, by name."""

import shutil
from collections.abc import Callable
from typing import Any

import msgspec

import earshot
from earshot.api.deps import Rooms
from earshot.api.present import figure, moment, whole
from earshot.api.schemas.collection import Check, Engine, Kept, Readiness, System
from earshot.errors import EarshotError
from earshot.model.schema import RECORD, empty
from earshot.settings import Settings

ALIVE_S = 10.0
"""An engine notes something each second; after this long without, it does not work."""
LOW_BYTES = 50_000_000
"""With less room than this on the disk of the home, writes are about to fail."""


def engine(rooms: Rooms) -> Engine:
    """What the engine last noted of itself in the store, under the key `engine`."""
    said = _noted(rooms)
    updated = moment(said.get("updated_at"))
    silent = None if updated is None else (rooms.clock.now() - updated).total_seconds()
    # A clock that was set back makes the note look as if it came from the future: no sign of death.
    fresh = silent is not None and silent < ALIVE_S
    running = rooms.engine_alive() if rooms.engine_alive else fresh
    stages, records = said.get("stage_us", {}), whole(said.get("records"))
    return Engine(
        running=running,
        trouble=_trouble(str(said.get("trouble", "")), silent) if running else None,
        started_at=moment(said.get("started_at")),
        updated_at=updated,
        batches=whole(said.get("batches")),
        records=records,
        posts_per_second=figure(said.get("records_per_second")),
        lag_records=whole(said.get("lag_records")),
        event_lag_seconds=figure(said.get("lag_seconds")),
        rss_mb=figure(said.get("rss_mb")),
        stage_us={k: round(float(v) / max(1, records or 1), 3) for k, v in stages.items()},
    )


def engine_runs(rooms: Rooms) -> bool:
    """Whether an engine works on this home now."""
    return engine(rooms).running


def readiness(rooms: Rooms, settings: Settings) -> Readiness:
    """Look at each room; a check that raises is one that does not hold."""
    checks = [
        _check("engine", lambda: _engine(rooms)),
        _check("disk", lambda: _disk(settings)),
        _check("log", lambda: _log(rooms)),
        _check(
            "store", lambda: (True, f"{rooms.store.size():,} bytes, epoch {rooms.store.feed()[0]}")
        ),
        _check("control", lambda: (True, f"rules at change {rooms.control.rules_stamp()}")),
    ]
    return Readiness(ready=all(c.ok for c in checks), checks=checks)


def system(rooms: Rooms, settings: Settings) -> System:
    """What runs here, and what it holds."""
    bounds = rooms.store.bounds()
    return System(
        build=earshot.__version__,
        engine=engine(rooms),
        keep=Kept(
            posts=settings.keep.posts,
            days=settings.keep.days,
            gigabytes=settings.keep.gigabytes,
        ),
        oldest=bounds[0] if bounds else None,
        newest=bounds[1] if bounds else None,
        store_bytes=rooms.store.size(),
        log_bytes=rooms.log.size(),
        log_oldest=rooms.log.oldest(),
        log_head=rooms.log.head(),
    )


def _noted(rooms: Rooms) -> dict[str, Any]:
    text = rooms.store.facts("engine").get("engine")
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


def _engine(rooms: Rooms) -> tuple[bool, str]:
    now = engine(rooms)
    if not now.running:
        return False, "no engine works on this home: start `earshot up`"
    if now.trouble:
        return False, now.trouble
    lag = f"{now.lag_records:,} records" if now.lag_records is not None else "not known how far"
    return True, f"{lag} behind"


def _trouble(said: str, silent: float | None) -> str | None:
    """What keeps an engine that is there from working.

    One whose disk refuses every write cannot note that either; nor can one that is paused.
    """
    if silent is not None and silent >= ALIVE_S:
        why = said or "it is paused, or what it writes to the disk is refused"
        return f"nothing was heard of it for {silent:,.0f} s: {why}"
    return said or None


def _disk(settings: Settings) -> tuple[bool, str]:
    """Room on the disk of the home: a log that is not written to does not notice a full one."""
    free = shutil.disk_usage(settings.home.expanduser()).free
    if free < LOW_BYTES:
        return False, f"{free:,} bytes free at {settings.home}: free some space, nothing is lost"
    return True, f"{free / 1e9:,.1f} GB free"


def _log(rooms: Rooms) -> tuple[bool, str]:
    """Append nothing: a log that can be written takes it."""
    rooms.log.append(empty(RECORD))
    return True, f"next offset {rooms.log.head():,}"


def _check(name: str, look: Callable[[], tuple[bool, str]]) -> Check:
    try:
        ok, detail = look()
    except (EarshotError, OSError) as e:
        hint = getattr(e, "hint", "")
        ok, detail = False, f"{e}: {hint}" if hint else str(e)
    return Check(name=name, ok=ok, detail=detail)
