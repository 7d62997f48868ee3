"""Bluesky on real sockets: what comes, and what comes again after a fault."""

import asyncio
import json
from collections import Counter
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.jetstream import DICTIONARY_V2, Fault, JetstreamSimulator
from tests.simulators.jetstream_world import POST, Happening
from tests.sources.bluesky_help import (
    Seen,
    all_of,
    bluesky,
    chunked,
    count,
    follow,
    known,
    start_then,
)

from earshot.clock import SystemClock
from earshot.sources.bluesky import connect


@pytest.fixture
def sim():
    with JetstreamSimulator() as running:
        running.publish(20)
        yield running


# ── what comes ──


def test_each_kind_of_event_comes_as_its_untouched_payload(sim):
    published = []
    seen = follow(bluesky(sim), until=count(400), live=lambda: published.extend(sim.publish(400)))
    payloads = [json.loads(w.v2)["payload"] for w in published]
    assert [json.loads(i.raw) for i in seen.items] == payloads
    assert all(i.raw in w.v2 for i, w in zip(seen.items, published, strict=True))
    assert {i.format for i in seen.items} == {"jetstream"}
    assert [i.key for i in seen.items] == [w.happening.did for w in published]
    kinds = {w.happening.kind for w in published}
    assert kinds == {"commit", "identity", "account", "sync"}
    operations = {w.happening.body.get("operation") for w in published}
    assert operations >= {"create", "update", "delete"}


def test_likes_reposts_and_follows_can_be_left_out(sim):
    source = connect(f"bluesky:?interactions=no&host={sim.url}", clock=SystemClock())
    seen = follow(source, until=count(60), live=lambda: sim.publish(300))
    assert {json.loads(i.raw).get("collection", "") for i in seen.items} == {POST, ""}
    assert sim.connects[-1].query["collections"] == [POST]


def test_only_the_named_authors_are_asked_for(sim):
    some = sim.people.dids[:3]
    source = bluesky(sim, dids=some)
    seen = follow(source, until=count(20), live=lambda: sim.publish(600))
    assert {i.key for i in seen.items} <= set(some)
    assert sim.connects[-1].query["dids"] == list(some)


def test_frames_come_packed_with_the_hosts_own_dictionary_unless_told_otherwise(sim):
    follow(bluesky(sim), until=count(5), live=lambda: sim.publish(5))
    follow(bluesky(sim, compress=False), until=count(5), live=lambda: sim.publish(5))
    asked = [c.query.get("zstdDictionary") for c in sim.connects]
    assert asked == [[str(DICTIONARY_V2)], None]


def test_a_retired_dictionary_is_fetched_again(sim):
    def begin():
        sim.publish(5)
        sim.rotate_dictionary()

    sim.faults.append(Fault("drop", after=5))
    source = bluesky(sim, sleep=lambda _: asyncio.to_thread(sim.publish, 4))
    seen = follow(source, until=count(9), live=begin)
    assert len(seen.items) == 9
    assert [c.status for c in sim.connects] == [101, 400, 101]
    assert sim.connects[-1].query["zstdDictionary"] == [str(DICTIONARY_V2 + 1)]


def test_without_a_dictionary_to_be_had_frames_come_plain(sim):
    sim.dictionary_status = 503
    seen = follow(bluesky(sim), until=count(9), live=lambda: sim.publish(9))
    assert len(seen.items) == 9
    assert "zstdDictionary" not in sim.connects[-1].query


# ── what comes again ──


def test_a_resume_on_the_same_instance_repeats_nothing_and_loses_nothing(sim):
    cursor = start_then(sim)
    missed = sim.publish(500)
    seen = follow(bluesky(sim), cursor, until=all_of(missed))
    assert seen.events == [known(w.happening) for w in missed]
    assert sim.connects[-1].cursor == json.loads(cursor)["seq"]
    assert not seen.gaps


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 50))
def test_wherever_the_connection_is_cut_each_event_comes_once_and_in_order(cuts, chunk):
    with JetstreamSimulator() as sim:
        sim.publish(20)
        sim.faults.extend(Fault("drop", after=n) for n in cuts)
        published = []
        seen = follow(
            bluesky(sim, timing=chunked(chunk), compress=False),
            until=count(150),
            live=lambda: published.extend(sim.publish(150)),
        )
    assert seen.events == [known(w.happening) for w in published]
    assert not seen.gaps


@pytest.mark.parametrize("kind", ["drop", "close", "too_slow", "corrupt", "stall", "half_open"])
def test_after_a_fault_the_stream_goes_on_where_it_was(sim, kind):
    sim.faults.append(Fault(kind, after=50))
    published = []
    seen = follow(
        bluesky(sim, timing=chunked(20, patience=1.5)),
        until=count(200),
        live=lambda: published.extend(sim.publish(200)),
    )
    assert seen.events == [known(w.happening) for w in published]
    assert not seen.gaps
    assert seen.states[:2] == ["connecting", "live"]
    assert "waiting" in seen.states
    assert [c.status for c in sim.connects] == [101, 101]


def test_a_silent_connection_is_given_up_after_the_patience(sim):
    sim.faults.append(Fault("stall", after=3))
    seen = follow(
        bluesky(sim, timing=chunked(20, patience=1.0)),
        until=count(9),
        live=lambda: sim.publish(9),
    )
    spent = sim.connects[1].at - sim.connects[0].at
    assert 1.0 <= spent < 5
    assert "nothing came for 1 s" in seen.details


def test_a_narrow_stream_may_be_silent_as_long_as_it_answers(sim):
    source = bluesky(sim, dids=sim.people.dids[:1], timing=chunked(20, patience=0.7))

    async def run():
        seen = Seen()
        async with aclosing(source.stream(None)) as stream:
            seen.chunks += [await anext(stream), await anext(stream)]
            waiting = asyncio.create_task(anext(stream))
            done, _ = await asyncio.wait({waiting}, timeout=2.0)
            assert not done
            sim.witness([Happening("identity", sim.people.dids[0], {"seq": 1})], us=10**16)
            seen.chunks.append(await waiting)
        return seen

    seen = asyncio.run(run())
    assert len(seen.items) == 1
    assert len(sim.connects) == 1


def test_a_frame_that_is_none_is_quarantined_and_the_stream_goes_on(sim):
    sim.faults.append(Fault("garbage", after=4))
    seen = follow(bluesky(sim), until=count(10), live=lambda: sim.publish(10))
    [(item, reason)] = seen.quarantine
    assert item.raw == b'{"$type":"message","payl'
    assert "no Jetstream v2 frame" in reason
    assert len(seen.items) == 10
    assert len(sim.connects) == 1


def test_the_servers_own_duplicates_are_passed_on(sim):
    sim.faults.append(Fault("duplicate", after=5))
    published = []
    seen = follow(bluesky(sim), until=count(15), live=lambda: published.extend(sim.publish(10)))
    assert Counter(seen.events).total() == 15
    assert set(seen.events) == {known(w.happening) for w in published}


def test_a_stream_that_broke_before_its_first_event_misses_none_since_it_began(sim):
    sim.faults.append(Fault("drop", after=0))
    published = []

    def meanwhile(seconds):
        published.extend(sim.publish(10))
        return asyncio.sleep(0)

    seen = follow(bluesky(sim, sleep=meanwhile), until=count(10))
    assert set(seen.events) >= {known(w.happening) for w in published[:10]}
    assert sim.connects[1].cursor is not None
