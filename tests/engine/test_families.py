"""Days are settled when they are closed and at rest, beside the flow."""

import datetime as dt
import threading

import pytest
from tests.engine.homes import NOON, HandClock, deleted, engine_in, items, settings_in, tweet

from earshot.engine.collect import records_of
from earshot.engine.families import CLOSES, LOOK_EVERY_S, PATIENCE, Families
from earshot.errors import RetryableError
from earshot.model.index import Span
from earshot.sources import Chunk
from earshot.store import open_store
from earshot.testing.families import put_texts

TEXT = "the old bridge over the river will be closed for repairs until the end of next week"
DAY = 24 * 3600


@pytest.fixture
def clock():
    return HandClock(NOON + dt.timedelta(days=90))


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/store.db", writable=True) as store:
        yield store


@pytest.fixture
def families(store, clock):
    keeper = Families(store, clock)
    yield keeper
    keeper.close()


def open_days(store):
    return store.unsettled(before=dt.date(2100, 1, 1))["day"].to_list()


def step(families):
    """One call, and wait for what it began."""
    families.advance()
    if families._under_way is not None:
        families._under_way.exception(30)


def sizes(rooms):
    posts = rooms.store.select(None, Span(), limit=100)
    return dict(rooms.store.families(posts).select("id", "size").iter_rows())


def test_a_day_at_rest_is_settled_with_the_second_look(store, families, clock):
    put_texts(store, ("a", TEXT, 0), ("b", TEXT, 1))
    step(families)
    assert len(open_days(store)) == 1
    clock.move(LOOK_EVERY_S)
    step(families)
    assert open_days(store) == []


def test_a_day_that_changes_is_put_off_but_not_for_ever(store, families, clock):
    for offset in range(1, PATIENCE + 3):
        assert len(open_days(store)) == (offset > 1)
        put_texts(store, (str(offset), TEXT, offset), offset=offset)
        step(families)
        clock.move(LOOK_EVERY_S)
        if not open_days(store):
            break
    assert offset == PATIENCE + 1


def test_a_day_is_closed_when_its_last_posts_are_no_longer_in_time(store, tmp_path):
    put_texts(store, ("a", TEXT, 0))
    midnight = dt.datetime.combine(open_days(store)[0], dt.time(), dt.UTC) + dt.timedelta(days=1)
    for at, left in ((midnight + CLOSES - dt.timedelta(seconds=1), 1), (midnight + CLOSES, 0)):
        families = Families(store, HandClock(at))
        families.finish()
        families.close()
        assert len(open_days(store)) == left


def test_nothing_waits_for_a_day_that_is_being_settled(store, families, clock, monkeypatch):
    put_texts(store, ("a", TEXT, 0))
    go_on = threading.Event()
    settle = type(store).settle
    monkeypatch.setattr(
        type(store), "settle", lambda self, day: go_on.wait(30) and settle(self, day)
    )
    families.advance()
    clock.move(LOOK_EVERY_S)
    families.advance()
    families.advance()
    put_texts(store, ("b", TEXT, 1), offset=2)
    go_on.set()
    step(families)


def test_a_store_that_fails_is_tried_again(store, families, clock, monkeypatch):
    put_texts(store, ("a", TEXT, 0), ("b", TEXT, 1))
    failures = [RetryableError("the disk is full")]
    settle = type(store).settle

    def failing(self, day):
        if failures:
            raise failures.pop()
        settle(self, day)

    monkeypatch.setattr(type(store), "settle", failing)
    for _ in range(6):
        step(families)
        clock.move(LOOK_EVERY_S)
    assert not failures
    assert open_days(store) == []


def test_a_command_leaves_the_days_that_it_read_settled_and_deletes_unsettle_them(tmp_path):
    texts = [TEXT, TEXT + " folks", f"RT @ada: {TEXT}", "something else was said here by one of us"]
    said = [tweet(n, text) for n, text in enumerate(texts)]
    said[2]["retweeted_status"] = tweet(0, TEXT)
    clock = HandClock(NOON + dt.timedelta(days=2))
    with engine_in(settings_in(tmp_path, batch=2), clock) as (rooms, engine):
        rooms.log.append(records_of(Chunk(items=items(*said)), "c", clock.now()))
        engine.drain()
        assert set(sizes(rooms).values()) == {2}
        assert len(sizes(rooms)) == 2
        rooms.log.append(records_of(Chunk(items=items(deleted(1))), "c", clock.now()))
        engine.drain()
        assert sizes(rooms) == {}


def test_an_engine_that_runs_settles_in_its_upkeep(tmp_path):
    clock = HandClock(NOON + dt.timedelta(days=2))
    with engine_in(settings_in(tmp_path), clock) as (rooms, engine):
        said = [tweet(n, TEXT) for n in range(3)]
        rooms.log.append(records_of(Chunk(items=items(*said)), "c", clock.now()))
        engine.step()
        for _ in range(3):
            engine.upkeep(idle=True)
            clock.move(LOOK_EVERY_S)
        engine.close()
        assert set(sizes(rooms).values()) == {3}
