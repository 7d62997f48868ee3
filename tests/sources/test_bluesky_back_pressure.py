"""A source that is faster than what comes behind it: held, never piled up, nothing lost."""

import asyncio
import datetime as dt
import threading
import time
from contextlib import aclosing

import msgspec
from tests.simulators.jetstream import JetstreamSimulator
from tests.simulators.jetstream_world import POST, Happening
from tests.sources.bluesky_help import (
    Seen,
    all_of,
    bluesky,
    chunked,
    count,
    follow,
    known,
    now_us,
    start_then,
)

from earshot.clock import SystemClock
from earshot.engine.collect import Collector
from earshot.log import open_log
from earshot.sources import _jetstream

LIMIT = 1_000_000
"""Bytes of a log that fills at once."""


async def slowly(source, *, live, until):
    """Follow, and rest after the first chunk with events until the server has had enough."""
    seen, begun = Seen(), False
    async with asyncio.timeout(30), aclosing(source.stream(None)) as stream:
        async for chunk in stream:
            seen.chunks.append(chunk)
            if not begun and chunk.state in {"live", "catching_up"}:
                begun = True
                live()
            elif chunk.items and len(seen.items) == len(chunk.items):
                await until()
            if seen.details.count("ConsumerTooSlow") and chunk.items:
                break
    return seen


def big(sim, n):
    """Events so large that sockets and queues hold few of them."""
    body = {"collection": POST, "record": {"text": "x" * 100_000}}
    return [Happening("commit", sim.people.dids[0], {**body, "rkey": str(i)}) for i in range(n)]


def too_slow(sim, *, forget=0):
    """Read a little, let the server close for slowness, and let its look-back forget some."""

    async def had_enough():
        sim.publish(1_500)
        assert await asyncio.to_thread(sim.slow.wait, 20)
        if forget:
            sim.keep(len(sim.log.entries) - forget)

    def fill():
        sim.witness(big(sim, 900), us=now_us())

    source = bluesky(sim, compress=False, timing=chunked(5))
    return asyncio.run(slowly(source, live=fill, until=had_enough))


def test_who_was_too_slow_goes_on_where_it_was_and_has_lost_nothing():
    with JetstreamSimulator(slow_behind=1_000) as sim:
        sim.publish(5)
        seen = too_slow(sim)
        rest = follow(bluesky(sim), seen.cursor, until=count(10))
    assert "ConsumerTooSlow" in seen.details
    assert seen.gaps == rest.gaps == []
    rkeys = [msgspec.json.decode(i.raw)["rkey"] for i in (*seen.items, *rest.items)][:300]
    assert rkeys == [str(n) for n in range(len(rkeys))]


def test_what_the_server_no_longer_keeps_for_the_slow_is_a_gap_that_says_so():
    with JetstreamSimulator(slow_behind=1_000) as sim:
        sim.publish(5)
        seen = too_slow(sim, forget=899)
    assert [g.reason for g in seen.gaps] == ["slow"]
    assert seen.gaps[0].since < seen.gaps[0].until


def test_who_is_held_for_longer_than_a_silence_may_last_keeps_the_connection():
    async def run():
        source = bluesky(sim, compress=False, timing=chunked(5, patience=1.0))
        seen, events = Seen(), big(sim, 600)
        async with asyncio.timeout(30), aclosing(source.stream(None)) as stream:
            seen.chunks += [await anext(stream), await anext(stream)]
            sim.witness(events, us=now_us())
            seen.chunks.append(await anext(stream))
            await asyncio.sleep(3)
            while len(seen.items) < len(events):
                seen.chunks.append(await anext(stream))
        return seen

    with JetstreamSimulator() as sim:
        sim.publish(5)
        seen = asyncio.run(run())
    assert len(sim.connects) == 1
    assert "waiting" not in seen.states


def test_a_subscriber_that_replays_the_past_is_not_slow():
    with JetstreamSimulator(slow_behind=100) as sim:
        sim.publish(5)
        cursor = start_then(sim)
        published = sim.publish(3_000)
        seen = follow(bluesky(sim), cursor, until=all_of(published))
    assert not sim.slow.is_set()
    assert seen.gaps == []


def test_a_chunk_of_huge_frames_ends_early(monkeypatch):
    monkeypatch.setattr(_jetstream, "GRASP", 250_000)
    with JetstreamSimulator() as sim:
        sim.publish(5)
        events = big(sim, 20)
        seen = follow(
            bluesky(sim, compress=False, timing=chunked(50, linger=1.0)),
            until=count(20),
            live=lambda: sim.witness(events, us=now_us()),
        )
    assert seen.events == [known(e) for e in events]
    assert 7 <= len([c for c in seen.chunks if c.items]) <= 20
    assert max(len(c.items) for c in seen.chunks) <= 3


def test_a_full_log_holds_the_network_and_all_of_it_comes_in_the_end(tmp_path):
    events = 12_000
    url, told = f"sqlite:///{tmp_path}/log.db", []
    clock = SystemClock()
    with JetstreamSimulator() as sim, open_log(url, max_bytes=LIMIT) as log:
        sim.publish(5)
        collector = Collector(
            bluesky(sim, timing=chunked(500)), "bluesky", log, clock, sleep=asyncio.sleep
        )
        over = threading.Event()

        def trims_only_when_it_is_held():
            while not over.wait(0.02):
                report = msgspec.json.decode(log.reports().get("bluesky", b"{}"))
                told.append((report.get("state"), sim.delivered - log.head()))
                if report.get("state") == "held":
                    log.trim(upto=log.head(), before=_long_ago(), max_bytes=LIMIT // 2)

        engine = threading.Thread(target=trims_only_when_it_is_held)
        engine.start()
        try:
            asyncio.run(_collected(collector, sim, log, events))
        finally:
            over.set()
            engine.join()
        assert log.head() == events
        assert log.gaps().height == 0
        assert log.oldest() > 0
    assert "held" in {state for state, _ in told}
    assert max(waiting for state, waiting in told if state == "held") < events / 2


async def _collected(collector, sim, log, events):
    task = asyncio.create_task(collector.run())
    await asyncio.to_thread(_until, lambda: sim.open)
    await asyncio.to_thread(sim.publish, events)
    async with asyncio.timeout(60):
        await asyncio.to_thread(_until, lambda: log.head() >= events or task.done())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _until(holds):
    while not holds():
        time.sleep(0.02)


def _long_ago():
    return dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
