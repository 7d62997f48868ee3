import datetime as dt
import threading

import msgspec
import polars as pl
import pytest
from tests.engine.homes import (
    NOON,
    HandClock,
    deleted,
    engine_in,
    items,
    settings_in,
    small_log,
    tweet,
)

from earshot.engine.collect import records_of
from earshot.engine.home import open_rooms
from earshot.engine.local import LocalEngine
from earshot.engine.tallies import tally_of
from earshot.engine.windows import top_of
from earshot.errors import ConfigError, EarshotError, LogFullError, RetryableError
from earshot.model.index import Span
from earshot.model.schema import FLOW_CLASSES, GAP
from earshot.sources import Chunk


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def settings(tmp_path):
    return settings_in(tmp_path, batch=4)


def log(rooms, *said, connection="c", gaps=None):
    records = records_of(Chunk(items=items(*said)), connection, rooms.clock.now())
    return rooms.log.append(records, gaps=gaps)


def gap(*reasons):
    rows = [("x", "c", 0, NOON, NOON, reason, "") for reason in reasons]
    return pl.DataFrame(rows, schema=GAP, orient="row")


def counts(rooms):
    return {n: v for _, rule, n, v in rooms.store.counts().iter_rows() if rule == 0}


class Failing:
    """A room whose calls fail as often as they are told to, before or after they did their work."""

    def __init__(self, room):
        self._room, self.before, self.after = room, {}, {}

    def __getattr__(self, name):
        real = getattr(self._room, name)

        def call(*args, **more):
            if self.before.get(name):
                raise self.before[name].pop()
            answer = real(*args, **more)
            if self.after.get(name):
                raise self.after[name].pop()
            return answer

        return call if callable(real) else real


def failing(rooms):
    """The same rooms, with a store and a log that can be made to fail."""
    return type(rooms)(
        rooms.settings, rooms.clock, Failing(rooms.log), Failing(rooms.store), rooms.control
    )


# -- batches -------------------------------------------------------------------------------
def test_every_record_is_in_one_class_and_told_by_connection(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(6)), connection="a")
        log(rooms, tweet(0), deleted(1), tweet(9, quoted_status=tweet(50)), connection="b")
        engine.drain()
        assert tally_of(rooms.store, "a") == {"unique": 6}
        assert tally_of(rooms.store, "b") == {
            "duplicate": 1,
            "deletes": 1,
            "unique": 1,
            "embedded_new": 1,
        }
        assert sum(counts(rooms).get(c, 0) for c in FLOW_CLASSES) == rooms.log.head() == 9


def test_windows_are_made_when_the_log_is_worked_off(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(6)), deleted(0))
        engine.drain()
        top = top_of(rooms.store, "hashtag", 60, NOON + dt.timedelta(minutes=1))
        assert dict(top.select("value", "posts").iter_rows()) == {
            "topic1": 2,
            "topic2": 2,
            "topic0": 1,
        }


def test_an_engine_goes_on_where_another_was_abandoned(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(9)))
        engine.step()
    with engine_in(settings, clock) as (rooms, engine):
        engine.drain()
        assert counts(rooms)["unique"] == 9


# -- gaps ----------------------------------------------------------------------------------
def test_a_gap_is_told_with_the_batch_or_without_one(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, tweet(1), gaps=gap("disconnect"))
        engine.step()
        log(rooms, gaps=gap("rate_limit"))
        clock.move(1)
        engine.step()
        assert rooms.store.gaps(Span())["reason"].to_list() == ["disconnect", "rate_limit"]


def test_a_gap_neither_doubles_nor_vanishes_when_its_commit_fails(settings, clock):
    with engine_in(settings, clock) as (rooms, _):
        shaky = failing(rooms)
        engine = LocalEngine(shaky)
        log(rooms, tweet(1), gaps=gap("disconnect"))
        shaky.store.before["commit"] = [RetryableError("full")]
        with pytest.raises(RetryableError):
            engine.step()
        engine.step()
        engine.abandon()
        assert rooms.store.gaps(Span()).height == 1
        assert rooms.store.facts("gaps.")["gaps.seq"] == "1"


# -- failures ------------------------------------------------------------------------------
@pytest.mark.parametrize("call", ["state", "known_texts", "commit"])
def test_a_batch_that_failed_is_done_again_whole(settings, clock, call):
    with engine_in(settings, clock) as (rooms, _):
        shaky = failing(rooms)
        engine = LocalEngine(shaky)
        log(rooms, *(tweet(n, quoted_status=tweet(100 + n)) for n in range(10)), deleted(3))
        shaky.store.before[call] = [RetryableError("busy"), RetryableError("busy")]
        for _ in range(2):
            with pytest.raises(RetryableError):
                engine.step()
        engine.drain()
        engine.abandon()
        assert tally_of(rooms.store, "c") == {"unique": 10, "deletes": 1, "embedded_new": 10}
        assert counts(rooms)["unique"] == 10
        top = top_of(rooms.store, "total", 60, NOON + dt.timedelta(minutes=1))
        assert top["posts"].to_list() == [9]


def test_a_log_that_cannot_be_read_for_a_while_is_read_again(settings, clock):
    with engine_in(settings, clock) as (rooms, _):
        shaky = failing(rooms)
        engine = LocalEngine(shaky)
        log(rooms, *(tweet(n) for n in range(10)))
        engine.step()
        shaky.log.before["read"] = [RetryableError("busy")] * 2
        failed = 0
        while rooms.store.offset() < 10:
            try:
                engine.step()
            except RetryableError:
                failed += 1
        engine.abandon()
        assert (failed, counts(rooms)["unique"]) == (2, 10)


def test_while_the_disk_is_full_the_engine_waits_says_so_and_goes_on(settings, clock):
    with engine_in(settings, clock) as (rooms, _):
        shaky = failing(rooms)
        engine, stop, notes = LocalEngine(shaky), threading.Event(), []
        log(rooms, *(tweet(n) for n in range(10)))
        shaky.store.before["commit"] = [RetryableError("the disk is full")] * 3
        waits = []

        class Stop:
            """Notes how long the engine means to wait, and waits for nothing."""

            is_set = stop.is_set

            def wait(self, seconds):
                waits.append(seconds)
                fact = rooms.store.facts("engine").get("engine")
                notes.append(msgspec.json.decode(fact)["trouble"] if fact else None)
                if rooms.store.offset() == 10:
                    stop.set()

        engine.run(Stop())
        assert waits[:3] == [0.5, 1.0, 2.0]
        assert notes[:3] == ["the disk is full"] * 3
        assert counts(rooms)["unique"] == 10
        assert msgspec.json.decode(rooms.store.facts("engine")["engine"])["trouble"] == ""


def test_an_error_that_will_not_pass_ends_the_engine_and_nothing_half_made_is_kept(settings, clock):
    with engine_in(settings, clock) as (rooms, _):
        shaky = failing(rooms)
        engine = LocalEngine(shaky)
        log(rooms, *(tweet(n) for n in range(3)))
        shaky.store.after["commit"] = [EarshotError("a bug behind the commit")]
        with pytest.raises(EarshotError, match="a bug"):
            engine.run(threading.Event())
        assert rooms.store.dirty().height == 1  # not made from half a memory, and not forgotten
    with engine_in(settings, clock) as (rooms, engine):
        engine.drain()
        top = top_of(rooms.store, "total", 60, NOON + dt.timedelta(minutes=1))
        assert top["posts"].to_list() == [3]
        assert counts(rooms)["unique"] == 3


def test_a_log_that_does_not_belong_to_the_store_is_refused(tmp_path, clock):
    settings = settings_in(tmp_path)
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, tweet(1))
        engine.drain()
    other = settings.model_copy(update={"log": "sqlite:///data/other.db"})
    with (
        pytest.raises(ConfigError, match="do not belong together") as caught,
        engine_in(other, clock),
    ):
        pass
    assert "--home" in caught.value.hint


# -- rules ---------------------------------------------------------------------------------
def test_a_rule_acts_on_records_taken_in_from_then_on(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        rooms.control.add_rule("n", "number", active_from=NOON + dt.timedelta(seconds=2), actor="t")
        clock.move(1.0)
        log(rooms, tweet(1))
        clock.move(1.0)
        log(rooms, tweet(2))
        engine.drain()
        assert counts(rooms)["matched"] == 1


def test_an_edit_acts_on_the_very_first_record_of_its_time(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        rooms.control.add_rule("n", "number", active_from=NOON, actor="t")
        log(rooms, tweet(1), tweet(2, "cats"))
        clock.move(0.2)
        engine.drain()
        later = NOON + dt.timedelta(seconds=2)
        rooms.control.edit_rule(1, name=None, text="cats", active_from=later, actor="t")
        clock.move(1.8)
        log(rooms, tweet(3), tweet(4, "cats"), tweet(5, "cats"))
        engine.step()
        hits = rooms.store.counts().filter(pl.col("rule") == 1, pl.col("name") == "matched")
        assert hits["n"].to_list() == [1 + 2]


# -- room ----------------------------------------------------------------------------------
def test_what_was_worked_off_is_trimmed_while_a_collector_is_held(tmp_path, clock):
    settings = small_log(tmp_path, megabytes=0.4)
    text = "".join(chr(97 + i * i % 26) for i in range(200))
    with engine_in(settings, clock) as (rooms, engine):
        taken, held = 0, 0
        while taken < 20_000:
            said = [tweet(taken + n, f"{text} {(taken + n) * 7919}") for n in range(1000)]
            try:
                log(rooms, *said)
            except LogFullError:
                held += 1
                assert held < 100, "the log stays full"
                engine.step()
                clock.move(1)
                engine.upkeep(idle=False)
            else:
                taken += 1000
        assert held
        engine.drain()
        assert counts(rooms)["unique"] == 20_000


def test_an_engine_that_is_never_idle_keeps_its_promise_of_retention(tmp_path, clock):
    with engine_in(settings_in(tmp_path), clock) as (rooms, engine):
        log(rooms, tweet(1))
        engine.step()
        engine.upkeep()
        clock.move(8 * 86_400)
        log(rooms, tweet(2))
        engine.step()
        for _ in range(400):
            engine.upkeep(idle=False)
            clock.move(1)
        assert counts(rooms)["expired"] == 1


def test_the_note_says_how_the_engine_is(settings, clock):
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(10)))
        engine.step()
        engine.upkeep()
        said = msgspec.json.decode(rooms.store.facts("engine")["engine"])
        assert (said["records"], said["lag_records"]) == (4, 6)
        assert said["records_per_second"] == 0.4


def test_reading_rooms_need_no_engine(settings, clock):
    with open_rooms(settings, clock, writable=False) as rooms:
        assert rooms.store.counts().is_empty()
