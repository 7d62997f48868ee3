"""Bluesky's other hosts, its older wire, and what is said to be missing."""

import json
from collections import Counter

import pytest
from tests.simulators.jetstream import Fault, JetstreamSimulator
from tests.simulators.jetstream_world import POST, People
from tests.sources.bluesky_help import (
    all_of,
    bluesky,
    count,
    follow,
    known,
    now_us,
    start_then,
    tell,
    two,
)

from earshot.clock import from_micros


@pytest.fixture
def sim():
    with JetstreamSimulator() as running:
        running.publish(20)
        yield running


# ── other hosts ──


def test_when_a_host_dies_the_next_one_goes_on_by_time_and_nothing_is_lost():
    first, second = two()
    people = People(seed=3)
    with second:
        with first:
            tell((first, second), people, 100, us=now_us(-60))
            before = []
            a = follow(
                bluesky(first, second),
                until=count(100),
                live=lambda: before.extend(tell((first, second), people, 100, us=now_us(-2))),
            )
        missed = tell((second,), people, 100, us=now_us(-1))
        b = follow(
            bluesky(first, second),
            a.cursor,
            until=lambda s: set(missed) <= set(s.events),
        )
    assert a.events == before
    assert not b.gaps
    repeated = [e for e in b.events if e not in set(missed)]
    assert set(repeated) <= set(before), "more than the rewind came again"
    assert max(Counter(b.events).values()) == 1
    assert second.connects[0].cursor == json.loads(a.cursor)["us"] - 5_000_000
    assert "connecting" in b.states


def test_a_host_that_has_just_delivered_is_tried_once_more_before_the_next(sim):
    other = JetstreamSimulator()
    with other:
        other.publish(5)
        sim.faults.append(Fault("drop", after=10))
        follow(bluesky(sim, other), until=count(30), live=lambda: sim.publish(30))
    assert len(sim.connects) == 2
    assert not other.connects


def test_a_restart_goes_back_to_the_host_that_gave_the_cursor(sim):
    with JetstreamSimulator() as preferred:
        cursor = start_then(sim)
        missed = sim.publish(20)
        seen = follow(bluesky(preferred, sim), cursor, until=count(20))
    assert seen.events == [known(w.happening) for w in missed]
    assert not preferred.connects


def test_another_instance_behind_the_same_name_is_noticed_and_asked_by_time():
    first, second = two()
    people = People(seed=4)
    with first, second:
        tell((first, second), people, 50, us=now_us(-60))
        a = follow(
            bluesky(first),
            until=count(20),
            live=lambda: tell((first, second), people, 20, us=now_us(-2)),
        )
        missed = tell((first, second), people, 20, us=now_us(-1))
        for seq in (1060, 5_000_020, 9_000_000):
            cursor = json.dumps({**json.loads(a.cursor), "host": second.url, "seq": seq})
            b = follow(bluesky(second), cursor, until=lambda s: set(missed) <= set(s.events))
            assert not b.gaps
            assert second.connects[-1].cursor == json.loads(a.cursor)["us"] - 5_000_000


def test_a_host_without_v2_is_spoken_to_in_v1():
    with JetstreamSimulator(speaks=(1,)) as sim:
        sim.publish(20, us=now_us(-60))
        published = []
        sim.faults.append(Fault("drop", after=60))
        seen = follow(
            bluesky(sim),
            until=lambda s: all_of([w for w in published if w.v1])(s) and published,
            live=lambda: published.extend(sim.publish(200)),
        )
    assert set(seen.events) == {known(w.happening) for w in published if w.v1}
    assert not seen.gaps
    assert [(c.version, c.status) for c in sim.connects] == [(2, 404), (1, 101), (1, 101)]
    asked = sim.connects[1].query
    assert asked["wantedCollections"][0] == POST
    assert "compress" not in asked


def test_v1_is_packed_where_its_dictionary_is_handed_in():
    with JetstreamSimulator(speaks=(1,)) as sim:
        sim.publish(20)
        blob = sim.packer(1).blob
        seen = follow(
            bluesky(sim, v1_dictionary=blob), until=count(20), live=lambda: sim.publish(40)
        )
    assert sim.connects[-1].query["compress"] == ["true"]
    assert sim.connects[-1].headers["socket-encoding"] == "zstd"
    assert all(json.loads(i.raw)["did"] == i.key for i in seen.items)


def test_moving_from_v2_to_v1_and_back_goes_by_time():
    old = JetstreamSimulator(speaks=(1,), first_seq=1)
    new = JetstreamSimulator(first_seq=77)
    people = People(seed=5)
    with old, new:
        tell((new, old), people, 50, us=now_us(-60))
        a = follow(
            bluesky(new),
            until=count(20),
            live=lambda: tell((new, old), people, 20, us=now_us(-4)),
        )
        b = follow(
            bluesky(old),
            a.cursor,
            until=lambda s: len(s.items) >= 20,
            live=lambda: tell((new, old), people, 30, us=now_us(-3)),
        )
        last = tell((new, old), people, 10, us=now_us(-1))
        c = follow(bluesky(new), b.cursor, until=lambda s: set(last) <= set(s.events))
    assert not [*a.gaps, *b.gaps, *c.gaps]
    assert old.connects[-1].cursor == json.loads(a.cursor)["us"] - 5_000_000
    assert new.connects[-1].cursor == json.loads(b.cursor)["us"] - 5_000_000


# ── what is missing ──


def test_a_cursor_older_than_the_look_back_gives_all_that_is_left_and_a_gap(sim):
    cursor = start_then(sim)
    lost = sim.publish(50)
    left = sim.publish(50)
    sim.keep(50)
    seen = follow(bluesky(sim), cursor, until=count(50))
    assert seen.events == [known(w.happening) for w in left]
    [gap] = seen.gaps
    assert gap.reason == "clamped_cursor"
    assert gap.since == from_micros(json.loads(cursor)["us"])
    assert gap.until == from_micros(left[0].us)
    assert gap.since <= from_micros(lost[0].us) <= gap.until
    assert [c.status for c in sim.connects[1:]] == [400, 101]


def test_a_gap_comes_in_one_chunk_with_the_first_events_after_it(sim):
    cursor = start_then(sim)
    sim.publish(100)
    sim.keep(50)
    seen = follow(bluesky(sim), cursor, until=count(50))
    [chunk] = [c for c in seen.chunks if c.gaps]
    assert chunk.items
    assert chunk.cursor


def test_a_rewind_below_the_floor_alone_is_no_gap():
    first, second = two()
    people = People(seed=6)
    with first, second:
        tell((first, second), people, 50, us=now_us(-60))
        a = follow(
            bluesky(first),
            until=count(20),
            live=lambda: tell((first, second), people, 20, us=now_us(-2), apart=0),
        )
        second.keep(10)
        missed = tell((second,), people, 20, us=now_us(-1))
        b = follow(bluesky(second), a.cursor, until=lambda s: set(missed) <= set(s.events))
    assert not b.gaps


def test_a_time_below_the_floor_of_another_host_is_a_gap():
    first, second = two()
    people = People(seed=6)
    with first, second:
        tell((first, second), people, 50, us=now_us(-600))
        a = follow(
            bluesky(first),
            until=count(20),
            live=lambda: tell((first, second), people, 20, us=now_us(-300)),
        )
        tell((second,), people, 20, us=now_us(-200))
        second.keep(10)
        b = follow(bluesky(second), a.cursor, until=count(10))
    [gap] = b.gaps
    assert gap.reason == "clamped_cursor"
    assert gap.since == from_micros(json.loads(a.cursor)["us"])


def test_v1_clamps_without_a_word_and_the_gap_is_found_by_time():
    with JetstreamSimulator(speaks=(1,)) as sim:
        sim.publish(20, us=now_us(-5000))
        cursor = follow(
            bluesky(sim), until=count(20), live=lambda: sim.publish(40, us=now_us(-4000))
        ).cursor
        sim.publish(40, us=now_us(-3000))
        left = sim.publish(40, us=now_us(-2000))
        sim.keep(40)
        seen = follow(bluesky(sim), cursor, until=all_of([w for w in left if w.v1]))
    [gap] = seen.gaps
    assert gap.reason == "clamped_cursor"
    assert gap.until == from_micros(next(w.us for w in left if w.v1))
    assert sim.connects[-1].status == 101


def test_a_v1_resume_within_the_look_back_is_no_gap():
    with JetstreamSimulator(speaks=(1,)) as sim:
        sim.publish(20)
        cursor = follow(bluesky(sim), until=count(20), live=lambda: sim.publish(40)).cursor
        missed = sim.publish(40)
        seen = follow(bluesky(sim), cursor, until=all_of([w for w in missed if w.v1]))
    assert not seen.gaps
