import asyncio
import datetime as dt

import msgspec
import pytest
from tests.engine.homes import NOON, HandClock, Scripted, items, tweet

from earshot.engine.collect import BACKOFF_S, Collector, records_of
from earshot.errors import ConfigError, EarshotError, FormatError, LogFullError, RetryableError
from earshot.log import open_log
from earshot.sources import Chunk, GapReport, Item


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def log(tmp_path):
    with open_log(f"sqlite:///{tmp_path}/log.db") as log:
        yield log


class Sleeps:
    """Moves the clock instead of waiting, and remembers for how long."""

    def __init__(self, clock, most=1000):
        self.clock, self.waits, self.most = clock, [], most
        self.enough = asyncio.Event()

    async def __call__(self, seconds):
        self.waits.append(seconds)
        if len(self.waits) == self.most:
            self.enough.set()
            await asyncio.Event().wait()
        self.clock.move(seconds)
        await asyncio.sleep(0)


def chunk(*numbers, cursor="1", **more):
    return Chunk(items=items(*(tweet(n) for n in numbers)), cursor=cursor, **more)


def report(log, connection="c"):
    return msgspec.json.decode(log.reports()[connection])


def collector(source, log, clock, **more):
    return Collector(source, "c", log, clock, sleep=Sleeps(clock), **more)


# -- what is taken -------------------------------------------------------------------------
def test_records_cursor_and_gaps_of_a_chunk_are_in_the_log_before_the_next_is_asked_for(log, clock):
    seen = []

    async def look():
        seen.append((log.head(), log.cursor("c"), log.gaps().height))

    gap = GapReport(NOON, NOON, "disconnect")
    source = Scripted(chunk(1, 2, cursor="a", gaps=(gap,)), look, chunk(3, cursor="b"), look)
    asyncio.run(collector(source, log, clock).run())
    assert seen == [(2, "a", 1), (3, "b", 1)]


def test_a_collector_goes_on_behind_what_the_log_has(log, clock):
    asyncio.run(collector(Scripted(chunk(1, cursor="a")), log, clock).run())
    source = Scripted()
    asyncio.run(collector(source, log, clock).run())
    assert source.cursors == ["a"]


def test_what_cannot_be_a_record_is_logged_with_its_reason_and_not_lost():
    odd = Chunk(quarantine=((Item("x", "x_v1", b"\xff"), "a torn line"),), items=items(tweet(1)))
    rows = records_of(odd, "c", NOON)
    assert rows["format"].to_list() == ["x_v1", "unreadable"]
    assert msgspec.json.decode(rows["headers"][1]) == {"reason": "a torn line"}
    assert rows["raw"][1] == b"\xff"


# -- failures ------------------------------------------------------------------------------
def test_a_live_source_that_fails_is_started_again_ever_later(log, clock):
    failures = [EarshotError("no route"), OSError("reset"), ValueError("a bug of ours")] * 3
    source = Scripted(*failures, chunk(1), name="net")
    run = collector(source, log, clock)
    asyncio.run(run.run())
    assert run._sleep.waits == [*BACKOFF_S, 60.0, 60.0, 60.0]
    assert (run.health.restarts, log.head(), report(log)["state"]) == (9, 1, "done")


def test_a_source_that_ran_for_long_is_started_again_at_once(log, clock):
    async def an_hour():
        clock.move(3600)

    source = Scripted(EarshotError("a"), EarshotError("b"), an_hour, EarshotError("c"), chunk(1))
    run = collector(source, log, clock)
    asyncio.run(run.run())
    assert run._sleep.waits == [1.0, 2.0, 1.0]


def test_wrong_use_is_not_tried_again(log, clock):
    source = Scripted(ConfigError("no such thing"), chunk(1))
    run = collector(source, log, clock)
    with pytest.raises(ConfigError):
        asyncio.run(run.run())
    assert (report(log)["state"], report(log)["detail"]) == ("failed", "no such thing")


def test_an_archive_that_fails_ends_with_its_error_and_keeps_what_came(log, clock):
    source = Scripted(chunk(1, 2), FormatError("torn"), chunk(3), live=False)
    with pytest.raises(FormatError, match="torn"):
        asyncio.run(collector(source, log, clock).run())
    assert log.head() == 2
    assert report(log)["state"] == "failed"


def test_an_archive_read_whole_is_not_read_again_before_it_is_concluded(log, clock):
    def archive():
        return Scripted(chunk(1, 2), Chunk(cursor="end", state="done"), live=False)

    first, killed, again = archive(), archive(), archive()
    asyncio.run(collector(first, log, clock).run())
    asyncio.run(collector(killed, log, clock).run())
    assert (log.head(), killed.cursors) == (2, [])
    collector(killed, log, clock).conclude()
    asyncio.run(collector(again, log, clock).run())
    assert (log.head(), again.cursors) == (4, ["end"])


class Stubborn:
    """A log that refuses as often as it is told to."""

    def __init__(self, log, *refusals):
        self._log, self.refusals = log, list(refusals)
        self.told = []

    def __getattr__(self, name):
        return getattr(self._log, name)

    def append(self, *args, **more):
        if self.refusals:
            raise self.refusals.pop(0)
        return self._log.append(*args, **more)

    def report(self, connection, report):
        self.told.append(msgspec.json.decode(report)["state"])
        self._log.report(connection, report)


def test_a_full_log_holds_the_source_and_loses_nothing(log, clock):
    source = Scripted(chunk(1, state="live"), chunk(2), chunk(3))
    full = Stubborn(log)
    given_while_full = []

    class Counting(Sleeps):
        async def __call__(self, seconds):
            given_while_full.append(source.given)
            await super().__call__(seconds)

    run = Collector(source, "c", full, clock, sleep=Counting(clock))
    full.refusals = [LogFullError("full", retry_after=0.5)] * 4
    asyncio.run(run.run())
    assert given_while_full == [0, 0, 0, 0]
    assert run._sleep.waits == [0.5] * 4
    assert full.told == ["live", "held", "held", "held", "held", "live", "done"]
    assert log.head() == 3


def test_a_disk_that_is_full_for_a_while_does_not_end_a_live_collector(log, clock):
    full = Stubborn(log, RetryableError("the disk is full"), RetryableError("the disk is full"))
    source = Scripted(chunk(1))
    asyncio.run(collector(source, full, clock).run())
    assert (log.head(), len(source.cursors)) == (1, 1)


def test_a_state_that_cannot_be_kept_stops_no_collector(log, clock):
    class Mute(Stubborn):
        def report(self, connection, report):
            raise RetryableError("busy")

    asyncio.run(collector(Scripted(chunk(1, state="live")), Mute(log), clock).run())
    assert log.head() == 1


def test_a_cancelled_collector_says_that_it_was_stopped(log, clock):
    async def main():
        here = asyncio.Event()

        async def for_ever():
            here.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(collector(Scripted(chunk(1), for_ever), log, clock).run())
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert report(log)["state"] == "stopped"


# -- the watchdog --------------------------------------------------------------------------
def test_the_watchdog_learns_a_rhythm_and_says_when_a_source_is_quiet(log, clock):
    run = collector(Scripted(), log, clock)
    run.health.state = "live"
    for _ in range(20):
        run.health.saw(clock.monotonic(), clock.now(), 1)
        clock.move(10)  # a chunk every ten seconds
    assert not run.health.quiet(clock.monotonic() + 80)
    assert run.health.quiet(clock.monotonic() + 100)


def test_a_busy_source_is_quiet_after_half_a_minute_and_a_new_one_never(log, clock):
    busy, new = collector(Scripted(), log, clock).health, collector(Scripted(), log, clock).health
    busy.state = new.state = "live"
    for _ in range(100):
        busy.saw(clock.monotonic(), clock.now(), 50)
        clock.move(0.1)
    assert not busy.quiet(clock.monotonic() + 29)
    assert busy.quiet(clock.monotonic() + 31)
    assert not new.quiet(clock.monotonic() + 10_000)


def test_silence_that_is_explained_is_not_called_quiet(log, clock):
    health = collector(Scripted(), log, clock).health
    for _ in range(10):
        health.saw(clock.monotonic(), clock.now(), 1)
        clock.move(1)
    for state, quiet in (("live", True), ("done", False), ("held", False), ("waiting", False)):
        health.state = state
        assert health.quiet(clock.monotonic() + 3600) is quiet


def test_the_state_is_reported_each_second_also_while_nothing_comes(log, clock):
    async def main():
        sleeps = Sleeps(clock, most=3)
        run = Collector(Scripted(), "c", log, clock, sleep=sleeps)
        run.health.saw(clock.monotonic(), clock.now(), 30)
        task = asyncio.create_task(run.watch())
        await sleeps.enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    said = report(log)
    assert said["silent_seconds"] == 2.0
    assert (said["records"], said["per_second"]) == (30, 3.0)
    assert dt.datetime.fromisoformat(said["last_received_at"]) == NOON
