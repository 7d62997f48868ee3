import datetime as dt
import json
from concurrent.futures import wait

import pytest
from tests.engine.homes import (
    NOON,
    SYSTEM,
    HandClock,
    deleted,
    engine_in,
    items,
    running_engine,
    settings_in,
    tweet,
)

from earshot.engine import seal
from earshot.engine.collect import records_of
from earshot.engine.home import lake_of
from earshot.engine.operate import apply, control_record, seal_now
from earshot.engine.seal import TOUCHED, sealed_upto
from earshot.errors import RetryableError
from earshot.sources import Chunk, Item


@pytest.fixture
def settings(tmp_path):
    return settings_in(tmp_path, batch=10)


def log(rooms, *said):
    append(rooms, *items(*said))


def append(rooms, *given):
    rooms.log.append(records_of(Chunk(items=given), "c", rooms.clock.now()))


def bluesky(number, text, *, at=NOON, edit=False):
    """A post of Bluesky, whose edit may say that it was written at another time."""
    commit = {
        "rev": "3mptbypcq373f" if edit else "3mptbypcq372f",
        "operation": "update" if edit else "create",
        "collection": "app.bsky.feed.post",
        "rkey": rkey(number),
        "record": {"$type": "app.bsky.feed.post", "createdAt": at.isoformat(), "text": text},
    }
    event = {"did": "did:plc:ann", "time_us": 1767268799000000, "kind": "commit", "commit": commit}
    return Item("bluesky", "jetstream", json.dumps(event).encode())


def rkey(number):
    return f"3mptbyoeyc22{'klm'[number]}"


def uri(number):
    return f"at://did:plc:ann/app.bsky.feed.post/{rkey(number)}"


def order(rooms, **fields):
    chunk = Chunk(items=(control_record(**fields),))
    rooms.log.append(records_of(chunk, "operator", rooms.clock.now()))


def upkeep(engine):
    """One turn between batches, and the page that it had written."""
    engine.upkeep(idle=True)
    if engine._sealer._step is not None:
        wait([engine._sealer._step])


def id_of(number):
    return tweet(number)["id_str"]


@pytest.mark.parametrize("dies", [False, True])
def test_an_edit_that_moves_a_post_to_another_day_leaves_one_row(settings, dies):
    """Also when it is hidden then: the old text does not come back."""
    moved = NOON + dt.timedelta(days=2)
    with engine_in(settings) as (rooms, engine):
        append(rooms, *(bluesky(n, "before") for n in range(3)))
        engine.step()
        engine._sealer.seal()
        append(rooms, *(bluesky(n, "after", at=moved, edit=True) for n in range(2)))
        order(rooms, kind="hide", source="bluesky", id=uri(0))
        while engine.step():
            pass
        if not dies:
            engine.close()
    if dies:
        with engine_in(settings) as (_, engine):
            engine.close()
    with lake_of(settings) as lake:
        found = lake.sql("SELECT id, text FROM posts ORDER BY id").rows()
    assert found == [(uri(1), "after"), (uri(2), "before")]


def in_lake(settings, what="id"):
    with lake_of(settings) as lake:
        return set(lake.sql(f"SELECT {what} FROM posts").to_series().to_list())


def test_the_lake_gets_what_the_store_has_when_an_engine_ends(settings):
    with engine_in(settings) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(25)), deleted(3))
        engine.drain()
        engine.close()
        assert sealed_upto(rooms.store) == 26
    assert in_lake(settings) == {id_of(n) for n in range(25) if n != 3}


def test_after_a_crash_what_was_not_sealed_is_found_in_the_store(settings):
    with engine_in(settings) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(12)))
        engine.drain()
        engine.close()
    with engine_in(settings) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(12, 30)))
        engine.drain()  # and then it is killed
    with engine_in(settings) as (rooms, engine):
        log(rooms, tweet(99))
        engine.drain()
        engine.close()
    assert in_lake(settings) == {id_of(n) for n in (*range(30), 99)}


def test_what_was_hidden_is_hidden_in_the_lake_also_after_a_crash(settings):
    with engine_in(settings) as (rooms, engine):
        log(rooms, tweet(1), tweet(2), tweet(3))
        engine.drain()
        engine.close()
    with engine_in(settings) as (rooms, engine):
        order(rooms, kind="hide", source="x", id=id_of(2))
        engine.drain()  # killed before it seals
        assert id_of(2) in rooms.store.facts(TOUCHED)[TOUCHED]
    with engine_in(settings) as (rooms, engine):
        engine.close()
        assert rooms.store.facts(TOUCHED)[TOUCHED] == "[]"
    assert in_lake(settings) == {id_of(1), id_of(3)}


def test_more_changed_keys_than_are_named_lose_none(settings, monkeypatch):
    monkeypatch.setattr(seal, "NAMED_MOST", 3)
    with engine_in(settings) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(10)))
        engine.drain()
        engine.close()
    with engine_in(settings) as (rooms, engine):
        for n in range(6):
            order(rooms, kind="hide", source="x", id=id_of(n))
        engine.drain()
        assert rooms.store.facts(TOUCHED)[TOUCHED] == "all"
    with engine_in(settings) as (rooms, engine):
        engine.close()
        assert rooms.store.facts(TOUCHED)[TOUCHED] == "[]"
    assert in_lake(settings) == {id_of(n) for n in range(6, 10)}


def test_sealing_goes_page_by_page_and_a_batch_in_between_is_sealed_the_next_time(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(seal, "PAGE", 5)
    clock, settings = HandClock(), settings_in(tmp_path)
    with engine_in(settings, clock) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(12)))
        engine.step()
        clock.move(601)
        upkeep(engine)
        assert len(in_lake(settings)) == 5
        log(rooms, tweet(50))
        engine.step()
        for _ in range(4):
            upkeep(engine)
        assert (len(in_lake(settings)), sealed_upto(rooms.store)) == (12, 12)
        engine.close()
        assert (len(in_lake(settings)), sealed_upto(rooms.store)) == (13, 13)


def test_a_lake_that_cannot_be_written_for_a_while_misses_nothing(settings, monkeypatch):
    with engine_in(settings) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(12)))
        engine.drain()
        order(rooms, kind="hide", source="x", id=id_of(4))
        engine.step()

        def full(*_):
            raise RetryableError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(engine._sealer._lake, "append", full)
            with pytest.raises(RetryableError):
                engine._sealer.seal()
        assert sealed_upto(rooms.store) == 0
        engine._sealer.seal()
        assert sealed_upto(rooms.store) == 13
    assert in_lake(settings) == {id_of(n) for n in range(12) if n != 4}


def test_an_operators_delete_is_applied_by_an_engine_of_its_own(settings):
    with engine_in(settings) as (rooms, engine):
        log(rooms, tweet(1), tweet(2))
        engine.drain()
        engine.close()
    apply(settings, SYSTEM, (control_record(kind="delete", source="x", id=id_of(1)),))
    with engine_in(settings) as (rooms, _):
        assert rooms.store.tombstoned("x", id_of(1))
    assert in_lake(settings) == {id_of(2)}


def test_beside_an_engine_what_was_asked_for_is_done_when_the_call_returns(settings):
    with running_engine(settings):
        apply(settings, SYSTEM, items(tweet(1), tweet(2)))
        seal_now(settings, SYSTEM)
        assert in_lake(settings) == {id_of(1), id_of(2)}
        apply(settings, SYSTEM, (control_record(kind="delete", source="x", id=id_of(1)),))
        assert in_lake(settings) == {id_of(2)}


def test_a_name_that_came_after_its_post_is_in_the_lake_too(settings):
    with engine_in(settings) as (rooms, engine):
        log(rooms, tweet(1, user={"id_str": "9"}), tweet(2, user={"id_str": "8"}))
        engine.step()
        profile = {"handle": "ann", "name": "Ann"}
        order(rooms, kind="author_update", source="x", author_id="9", profile=profile)
        engine.step()
        engine.close()
    assert in_lake(settings, "author_handle") == {"ann", None}


def test_what_happens_to_a_post_before_it_is_sealed_is_what_the_lake_shows(settings):
    with engine_in(settings) as (rooms, engine):
        log(rooms, *(tweet(n) for n in range(4)))
        engine.step()
        order(rooms, kind="hide", source="x", id=id_of(1))
        log(rooms, deleted(2))
        engine.step()
        engine.close()
    assert in_lake(settings) == {id_of(0), id_of(3)}
