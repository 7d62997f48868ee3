"""A home in a folder, a clock that is told the time, sources that do as they are told."""

import datetime as dt
import json
import threading
from contextlib import contextmanager

from earshot.clock import SystemClock
from earshot.engine.home import engine_lock, open_rooms
from earshot.engine.local import LocalEngine
from earshot.settings import Keep, Settings
from earshot.sources import Capabilities, Chunk, Item

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
SYSTEM = SystemClock()


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, now=NOON):
        self.at, self.seconds = now, 1000.0

    def now(self):
        return self.at

    def monotonic(self):
        return self.seconds

    def move(self, seconds):
        self.at += dt.timedelta(seconds=seconds)
        self.seconds += seconds


def settings_in(folder, **more):
    return Settings(home=folder / "home", **more)


def small_log(folder, *, megabytes):
    return settings_in(folder, keep=Keep(log_gigabytes=megabytes / 1000))


@contextmanager
def engine_in(settings, clock=SYSTEM):
    """(rooms, engine) of a home, the only ones."""
    with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
        engine = LocalEngine(rooms)
        try:
            yield rooms, engine
        finally:
            engine.abandon()


@contextmanager
def running_engine(settings, clock=SYSTEM):
    """An engine that works on a thread, as `earshot engine` does in its process."""
    ready, stop, failures = threading.Event(), threading.Event(), []

    def work():
        try:
            with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
                engine = LocalEngine(rooms)
                ready.set()
                engine.run(stop)
        except BaseException as e:  # noqa: BLE001 - told to the test
            failures.append(e)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(60)
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
    assert not failures, failures


def tweet(number, text=None, *, at=NOON, author=None, **more):
    """A post of X, version 1.1; its id grows with the number."""
    author = number % 7 if author is None else author
    return {
        "created_at": at.strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "id_str": str(2_006_500_000_000_000_000 + number),
        "text": f"number {number} about #topic{number % 3}" if text is None else text,
        "user": {"id_str": str(author), "screen_name": f"ada{author}"},
        "lang": "en",
        **more,
    }


def deleted(number):
    id_str = str(2_006_500_000_000_000_000 + number)
    return {"delete": {"status": {"id_str": id_str, "user_id_str": "1"}, "timestamp_ms": "1"}}


def lines(*said):
    """Objects as JSON lines; text stays as it is."""
    return "".join((s if isinstance(s, str) else json.dumps(s)) + "\n" for s in said)


def items(*said):
    return tuple(Item("x", "x_v1", json.dumps(s).encode()) for s in said)


class Scripted:
    """A source that does what its script says: chunks are given, errors raised, functions run."""

    def __init__(self, *script, live=True, name="scripted"):
        self.name, self._script = name, list(script)
        self.capabilities = Capabilities(live=live, resumable=True)
        self.cursors = []
        """What it was asked to go on from, each time."""
        self.given = 0

    async def stream(self, cursor):
        self.cursors.append(cursor)
        while self._script:
            does = self._script.pop(0)
            if isinstance(does, BaseException):
                raise does
            if isinstance(does, Chunk):
                yield does
                self.given += 1
            else:
                await does()
