"""Bluesky's manners: waits, closing, back-pressure, states, and what is refused at once."""

import asyncio
import json
from contextlib import aclosing

import pytest
from tests.simulators.jetstream import Fault, JetstreamSimulator, dead_url
from tests.simulators.jetstream_world import POST, Happening
from tests.sources.bluesky_help import (
    Seen,
    bluesky,
    chunked,
    count,
    follow,
    following,
    now_us,
    start_then,
)

from earshot.clock import SystemClock, from_micros
from earshot.errors import ConfigError, UsageError
from earshot.sources.bluesky import can_reach, connect, reachable


@pytest.fixture
def sim():
    with JetstreamSimulator() as running:
        running.publish(20)
        yield running


# ── manners ──


def test_a_server_that_cuts_every_connection_is_asked_ever_less_often(sim):
    waits = []

    async def note(seconds):
        waits.append(seconds)

    sim.faults.extend(Fault("drop", after=0) for _ in range(12))
    timing = chunked(50, base=1.0, cap=8.0)
    seen = follow(
        bluesky(sim, sleep=note, timing=timing),
        until=lambda s: len(waits) >= 10,
    )
    assert len(sim.connects) <= len(waits) + 1
    wholes = [1, 2, 4, 8, 8, 8, 8, 8, 8, 8]
    assert all(w / 2 <= s <= w for w, s in zip(wholes, waits, strict=False))
    assert seen.states.count("waiting") >= 10


@pytest.mark.parametrize(("status", "at_least"), [(503, 0), (429, 120)])
def test_a_refusal_moves_on_and_the_server_may_say_how_long_to_wait(sim, status, at_least):
    waits = []

    async def note(seconds):
        waits.append(seconds)

    headers = (("Retry-After", "120"),) if at_least else ()
    with JetstreamSimulator() as other:
        other.publish(5)
        sim.faults.append(Fault("refuse", status=status, headers=headers))
        follow(bluesky(sim, other, sleep=note), until=count(5), live=lambda: other.publish(5))
    assert waits[0] >= at_least
    assert [c.status for c in sim.connects] == [status]
    assert [c.status for c in other.connects] == [101]


def test_closing_the_iterator_ends_the_connection_at_once(sim):
    async def run():
        source = bluesky(sim)
        await following(source, until=count(5), live=lambda: sim.publish(50))
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
    assert sim.emptied.wait(2)


def test_a_stream_that_is_not_pulled_leaves_the_socket_unread(sim):
    body = {"collection": POST, "record": {"text": "x" * 100_000}}
    big = [Happening("commit", sim.people.dids[0], {**body, "rkey": str(n)}) for n in range(1200)]

    async def run():
        seen = Seen()
        source = bluesky(sim, compress=False, timing=chunked(5, linger=0.5))
        async with asyncio.timeout(30), aclosing(source.stream(None)) as stream:
            seen.chunks += [await anext(stream), await anext(stream)]
            sim.witness(big, us=now_us())
            seen.chunks.append(await anext(stream))
            held = -1
            while held != sim.delivered:
                held = sim.delivered
                await asyncio.sleep(0.3)
            while len(seen.items) < len(big):
                seen.chunks.append(await anext(stream))
        return held, seen

    held, seen = asyncio.run(run())
    # 256 frames of the library, and as much as the kernel buffers: some 36 MB at most.
    assert held < 900, "the server could send on although nobody read"
    assert [json.loads(i.raw)["rkey"] for i in seen.items] == [str(n) for n in range(1200)]


def test_old_events_are_catching_up_and_new_ones_live(sim):
    cursor = start_then(sim)
    sim.publish(50)

    class Later:
        def now(self):
            return from_micros(now_us(3600))

        def monotonic(self):
            return 0.0

    seen = follow(bluesky(sim, clock=Later()), cursor, until=count(50))
    assert seen.states == ["connecting", "catching_up"]
    seen = follow(bluesky(sim), cursor, until=count(50))
    assert seen.states == ["connecting", "catching_up", "live"]


def test_a_cursor_of_another_source_is_refused(sim):
    with pytest.raises(UsageError, match="not one of this source"):
        follow(bluesky(sim), "file:line", until=count(1))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("bluesky:?host=https://example.org", "no Jetstream host"),
        ("bluesky:?did=alice.example", "no DID"),
        ("bluesky:?interactions=perhaps", "unknown option 'interactions=perhaps'"),
        ("bluesky:?speed=9", "unknown option 'speed=9'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_opened(url, message):
    with pytest.raises(ConfigError, match=message):
        connect(url, clock=SystemClock())


def test_too_many_authors_are_refused():
    dids = tuple(f"did:plc:{'a' * 24}" for _ in range(10_001))
    with pytest.raises(ConfigError, match="10001 authors"):
        connect("bluesky:", clock=SystemClock(), dids=dids)


def test_an_unknown_option_is_named():
    with pytest.raises(ConfigError, match="'colour'"):
        connect("bluesky:", clock=SystemClock(), colour="red")


# ── can it be reached ──


@pytest.mark.parametrize("speaks", [(2, 1), (1,)])
def test_one_host_that_answers_is_enough(speaks):
    with JetstreamSimulator(speaks=speaks) as sim:
        assert reachable([dead_url(), sim.url], timeout=3)


def test_nobody_there_is_not_reachable():
    assert not reachable([dead_url(), dead_url()], timeout=3)
    assert not reachable([], timeout=3)


def test_a_host_that_accepts_and_says_nothing_is_not_reachable_and_does_not_hold_us():
    async def swallow(reader, writer):
        await reader.read()
        writer.close()

    async def run():
        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            began = asyncio.get_running_loop().time()
            answer = await can_reach([f"ws://127.0.0.1:{port}"], 0.3)
            return answer, asyncio.get_running_loop().time() - began

    answer, spent = asyncio.run(run())
    assert not answer
    assert spent < 2
