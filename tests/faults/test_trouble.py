"""Disks that are full, slow, held or read-only, clocks that jump, processes that are paused.

Each time: nothing is lost, nothing is doubled, it is said what is wrong, and it goes on by itself.
"""

import asyncio
import contextlib
import datetime as dt
import os
import random
import subprocess
import threading
import time

import apsw
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.engine.homes import NOON, HandClock, Scripted, items, settings_in, tweet
from tests.faults.whole import assert_same, everything

from earshot import disk
from earshot.engine import local
from earshot.engine.collect import Collector
from earshot.engine.home import engine_lock, open_rooms
from earshot.engine.local import LocalEngine
from earshot.errors import DiskError, RetryableError
from earshot.sources import Chunk

POSTS = 240
CHUNKS = 12
ROOT = os.geteuid() == 0


class Stepping(HandClock):
    """Its seconds pass; its time of day is what it is told."""

    def monotonic(self):
        return time.monotonic()


def source():
    """The same chunks for every run: posts in several minutes, edits of some, deletes, copies."""
    size, rng = POSTS // CHUNKS, random.Random(3)
    chunks = []
    for n in range(CHUNKS):
        at = NOON - dt.timedelta(minutes=20 - n)
        said = [tweet(n * size + k, at=at, ballast=rng.randbytes(500).hex()) for k in range(size)]
        said.append(tweet(n, at=NOON - dt.timedelta(minutes=20)))  # seen before, from chunk 1 on
        chunks.append(Chunk(items=items(*said), cursor=str(n)))
    return chunks


@contextlib.contextmanager
def at_work(settings, clock, *, failures=None):
    """(rooms, engine) that works on a thread, as `earshot engine` does."""
    stop, failed = threading.Event(), []
    with engine_lock(settings), open_rooms(settings, clock, writable=True) as rooms:
        engine = LocalEngine(rooms)

        def work():
            try:
                engine.run(stop)
            except BaseException as e:  # noqa: BLE001 - told to the test
                failed.append(e)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield rooms, engine
        finally:
            stop.set()
            thread.join(60)
    if failures is None:
        assert not failed, failed
    else:
        failures += failed


def collect(rooms, clock, *script):
    """Run a collector over what is said, on a thread; gives (collector, thread)."""
    it = Collector(Scripted(*script), "scripted", rooms.log, clock, sleep=_short)
    thread = threading.Thread(target=lambda: asyncio.run(it.run()))
    thread.start()
    return it, thread


async def _short(seconds):
    await asyncio.sleep(min(seconds, 0.02))


def until(holds, *, seconds=40):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def worked_off(rooms, records):
    return rooms.log.head() >= records and rooms.store.offset() == rooms.log.head()


RECORDS = POSTS + CHUNKS


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Waits are short; what is waited for is not."""
    monkeypatch.setattr(local, "BACKOFF_S", (0.02, 0.05))
    monkeypatch.setattr(disk, "BUSY_MS", 50)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What it comes to when nothing goes wrong."""
    settings, clock = settings_in(tmp_path_factory.mktemp("undisturbed")), Stepping()
    with at_work(settings, clock) as (rooms, _):
        collect(rooms, clock, *source())[1].join()
        until(lambda: worked_off(rooms, RECORDS))
    whole = everything(settings, clock)
    assert whole["posts"].height == POSTS
    counts = dict(whole["counts"].filter(rule=0).select("name", "n").iter_rows())
    assert counts["duplicate"] == CHUNKS
    return whole


def test_a_disk_without_room_is_waited_for_by_engine_and_collector(tmp_path, undisturbed):
    """Neither file can grow for a while: each says so, and goes on when there is room."""
    settings, clock = settings_in(tmp_path), Stepping()
    with at_work(settings, clock) as (rooms, engine):
        files = [rooms.log._writer, rooms.store._db]
        for db in files:
            db.pragma("max_page_count", int(db.pragma("page_count")))
        it, thread = collect(rooms, clock, *source())
        until(lambda: it.health.state == "held")
        assert "the disk is full" in it.health.detail
        files[0].pragma("max_page_count", 1 << 30)
        thread.join()
        until(lambda: engine.pulse.trouble)
        assert "store.db: the disk is full: free some space" in engine.pulse.trouble
        files[1].pragma("max_page_count", 1 << 30)
        until(lambda: worked_off(rooms, RECORDS) and not engine.pulse.trouble)
    assert_same(everything(settings, clock), undisturbed)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of a few megabytes."""
    if not ROOT:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Take all the room there is."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_real_disk_that_is_full(small_disk, undisturbed):
    settings, clock = settings_in(small_disk), Stepping()
    with at_work(settings, clock) as (rooms, _):
        ballast = fill(small_disk)
        it, thread = collect(rooms, clock, *source())
        until(lambda: it.health.state == "held")
        ballast.unlink()
        thread.join()
        until(lambda: worked_off(rooms, RECORDS))
    assert_same(everything(settings, clock), undisturbed)


def test_the_lake_says_that_the_disk_is_full(small_disk):
    """Parquet files are written by polars, which has errors of its own."""
    fill(small_disk)
    frame, path = pl.DataFrame({"a": range(1_000_000)}), small_disk / "x.parquet"
    with pytest.raises(DiskError, match="the disk is full"), disk.explained(small_disk):
        frame.write_parquet(path, compression="uncompressed")


def test_a_busy_file_is_waited_for(tmp_path, undisturbed):
    """Another program holds the write lock of store and log, and a reader the first state."""
    settings, clock = settings_in(tmp_path), Stepping()
    with at_work(settings, clock) as (rooms, engine), contextlib.ExitStack() as stack:
        others = [apsw.Connection(str(room.path)) for room in (rooms.log, rooms.store)]
        reader = stack.enter_context(contextlib.closing(apsw.Connection(str(rooms.store.path))))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM posts").fetchall()
        for other in others:
            stack.enter_context(contextlib.closing(other))
            other.execute("BEGIN IMMEDIATE")
        it, thread = collect(rooms, clock, *source())
        until(lambda: it.health.state == "held")
        others[0].execute("ROLLBACK")
        thread.join()
        until(lambda: engine.pulse.trouble)
        assert "another process holds it for too long" in engine.pulse.trouble
        others[1].execute("ROLLBACK")
        until(lambda: worked_off(rooms, RECORDS))
        reader.execute("ROLLBACK")
    assert_same(everything(settings, clock), undisturbed)


def test_a_slow_disk_delays_and_nothing_else(tmp_path, undisturbed, monkeypatch):
    settings, clock = settings_in(tmp_path), Stepping()
    with at_work(settings, clock) as (rooms, _):
        for room, name in ((rooms.log, "append"), (rooms.store, "commit")):
            monkeypatch.setattr(type(room), name, _slow(getattr(type(room), name)))
        collect(rooms, clock, *source())[1].join()
        until(lambda: worked_off(rooms, RECORDS))
    monkeypatch.undo()
    assert_same(everything(settings, clock), undisturbed)


@pytest.mark.parametrize("hours", [24 * 30, -7])
def test_a_clock_that_jumps_and_comes_back_changes_only_when_things_were_received(
    tmp_path, undisturbed, hours
):
    """Posts stay where they happened; nothing is retired, lost or doubled."""
    settings, clock = settings_in(tmp_path), Stepping()
    with at_work(settings, clock) as (rooms, engine):
        script = source()
        collect(rooms, clock, *script[:4])[1].join()
        clock.move(hours * 3600)
        collect(rooms, clock, *script[4:8])[1].join()
        until(lambda: worked_off(rooms, RECORDS * 8 // CHUNKS))
        engine._due["retire"] = 0.0  # it is time for it, just then
        until(lambda: engine._due["retire"] > 0.0)
        clock.move(-hours * 3600)
        collect(rooms, clock, *script[8:])[1].join()
        until(lambda: worked_off(rooms, RECORDS))
    found = everything(settings, clock, exact=False)
    # A post whose time lies ahead of the clock that was set back counts when it was received.
    told = ["id", "text", "rules", *(["event_time"] if hours > 0 else [])]
    assert_frame_equal(
        found["posts"].select(told), undisturbed["posts"].select(told), check_row_order=False
    )
    assert_frame_equal(found["counts"], undisturbed["counts"].pipe(_not_late, found["counts"]))
    assert found["dirty"].is_empty()


def _not_late(counts, like):
    """Counts, with as many late posts as there are: that is what such a clock says."""
    late = like.filter(name="late")
    return pl.concat([counts.filter(pl.col("name") != "late"), late]).sort("source", "rule", "name")


def _slow(method):
    def later(*args, **more):
        time.sleep(0.05)
        return method(*args, **more)

    return later


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError, apsw.ReadOnlyError, OSError])
def test_what_the_disk_does_may_pass(tmp_path, error):
    with pytest.raises(DiskError) as caught, disk.explained(tmp_path):
        raise error("it failed")
    assert isinstance(caught.value, RetryableError)
    assert caught.value.hint
