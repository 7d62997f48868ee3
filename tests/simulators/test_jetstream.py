"""The simulator is honest: refusals, cursors and filters as the lexicon says, and the real client
accepts it.
"""

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest
import zstandard
from tests.simulators.jetstream import (
    DICTIONARY_V2,
    METHOD,
    SUBPROTOCOL,
    Fault,
    JetstreamSimulator,
)
from tests.simulators.jetstream_world import POST, Happening
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

UNDERSTOOD = ["commit", "identity", "account"]
"""The server writes the blocks of `#sync` as {"$bytes": …}; atproto 0.0.73 cannot read that."""


@pytest.fixture
def sim():
    with JetstreamSimulator() as running:
        running.publish(100)
        yield running


def v2(sim, query=""):
    url = f"{sim.url}/xrpc/{METHOD}?{query}"
    return connect(url, subprotocols=[SUBPROTOCOL], proxy=None, close_timeout=0.1)


def v1(sim, query="", **more):
    return connect(f"{sim.url}/subscribe?{query}", proxy=None, close_timeout=0.1, **more)


def frames(ws, n):
    return [json.loads(ws.recv(timeout=5)) for _ in range(n)]


def refused(sim, query):
    with pytest.raises(InvalidStatus) as caught:
        v2(sim, query)
    response = caught.value.response
    assert response.status_code == 400
    return json.loads(response.body)


# ── cursors ──


def test_a_seq_cursor_is_inclusive(sim):
    with v2(sim, "cursor=40") as ws:
        assert ws.subprotocol == SUBPROTOCOL
        assert [f["payload"]["seq"] for f in frames(ws, 61)] == list(range(40, 101))


def test_a_time_cursor_starts_at_the_first_event_of_that_time_or_later(sim):
    us = sim.log.entries[30].us
    with v2(sim, f"cursor={us}") as ws, v2(sim, f"cursor={us - 1}") as before:
        assert frames(ws, 1) == frames(before, 1)


def test_a_seq_below_the_floor_is_refused_before_the_upgrade(sim):
    sim.keep(10)
    assert refused(sim, "cursor=90") == {
        "error": "CursorTooOld",
        "message": "cursor 90 is below the floor 91",
    }
    with v2(sim, "cursor=91") as ws:
        assert frames(ws, 1)[0]["payload"]["seq"] == 91


def test_a_time_below_the_floor_is_clamped_and_told(sim):
    us = sim.log.entries[0].us
    sim.keep(10)
    with v2(sim, f"cursor={us}") as ws:
        info, first = (f["payload"] for f in frames(ws, 2))
    assert info["name"] == "OutdatedCursor"
    assert "seq" not in info
    assert first["seq"] == 91


def test_a_seq_of_the_future_starts_at_the_tip_and_is_told(sim):
    with v2(sim, "cursor=5000") as ws:
        assert frames(ws, 1)[0]["payload"]["name"] == "FutureCursor"
        sim.publish(1)
        assert frames(ws, 1)[0]["payload"]["seq"] == 101


def test_v1_clamps_silently_and_never_sends_sync(sim):
    us = sim.log.entries[0].us
    sim.keep(50)
    wanted = [e for e in sim.log.entries if e.v1]
    with v1(sim, f"cursor={us}") as ws:
        got = frames(ws, len(wanted))
    assert got == [json.loads(e.v1) for e in wanted]


# ── filters ──


@pytest.mark.parametrize(
    "query",
    [
        "wantedCollections=app.bsky.feed.post",
        "wantedDids=did:plc:x",
        "collections=nonsense",
        "collections=not_an_nsid.*",
        "kinds=commits",
        "kinds=identity&collections=app.bsky.feed.post",
        "dids=alice",
        "cursor=-5",
        "cursor=soon",
        "zstdDictionary=0",
        "compress=true",
        "&".join(f"collections=app.bsky.x{n}.y" for n in range(101)),
    ],
)
def test_what_v2_does_not_know_is_refused_and_named(sim, query):
    assert refused(sim, query)["error"] == "InvalidRequest"


def test_collections_filter_commits_only(sim):
    with v2(sim, f"cursor=1&collections={POST}") as ws:
        sim.publish(400)
        got = [f["payload"] for f in frames(ws, 100)]
    assert {p.get("collection", POST) for p in got} == {POST}
    assert {p["$type"].partition("#")[2] for p in got} > {"commit"}


def test_kinds_dids_wildcards_and_size_filter_too(sim):
    did = sim.log.entries[50].happening.did
    for query, holds in (
        ("kinds=commit&collections=app.bsky.graph.*", lambda p: "graph" in p["collection"]),
        (f"dids={did}", lambda p: p["did"] == did),
        ("maxMessageSizeBytes=500", lambda p: len(json.dumps(p)) < 700),
    ):
        with v2(sim, f"cursor=1&{query}") as ws:
            sim.publish(300)
            assert all(holds(f["payload"]) for f in frames(ws, 3))


def test_v1_takes_a_hello_and_new_options(sim):
    with v1(sim, "requireHello=true&cursor=1") as ws:
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.2)
        options = {"wantedCollections": [POST], "wantedDids": []}
        ws.send(json.dumps({"type": "options_update", "payload": options}))
        got = frames(ws, 10)
    assert {f["commit"]["collection"] for f in got if f["kind"] == "commit"} == {POST}


# ── compression ──


def test_v2_frames_unpack_to_the_text_frame_with_the_fetched_dictionary(sim):
    url = f"{sim.http}/xrpc/network.bsky.jetstream.getZstdDictionary"
    with urllib.request.urlopen(url) as answer:
        blob = answer.read()
    zstd = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(blob))
    with v2(sim, f"cursor=1&zstdDictionary={DICTIONARY_V2}") as ws:
        packed = [ws.recv(timeout=5) for _ in range(100)]
    plain = [e.v2 for e in sim.log.entries]
    assert [zstd.decompress(p) for p in packed] == plain
    assert sum(map(len, packed)) < sum(map(len, plain)) / 2


def test_an_unknown_dictionary_is_refused_with_the_current_one(sim):
    answer = refused(sim, "zstdDictionary=999")
    assert answer["error"] == "UnknownZstdDictionary"
    assert str(DICTIONARY_V2) in answer["message"]


def test_v1_refuses_two_compressions_at_once(sim):
    with pytest.raises(InvalidStatus):
        v1(sim, "compress=true")
    with v1(sim, "compress=true&cursor=1", compression=None) as ws:
        assert isinstance(ws.recv(timeout=5), bytes)


# ── faults and others ──


def test_too_slow_is_an_error_frame_and_then_the_end(sim):
    sim.faults.append(Fault("too_slow", after=3))
    with v2(sim, "cursor=1") as ws:
        got = frames(ws, 4)
        with pytest.raises(ConnectionClosed):
            ws.recv(timeout=5)
    assert got[3]["$type"] == "error"
    assert got[3]["error"] == "ConsumerTooSlow"


def read_to_the_end(ws):
    got = []
    while True:
        try:
            got.append(ws.recv(timeout=10))
        except ConnectionClosed:
            return got


def test_a_consumer_that_does_not_read_is_told_that_it_is_too_slow():
    with JetstreamSimulator(slow_after=0.3) as sim, v2(sim) as ws:
        did, body = sim.people.dids[0], {"record": {"text": "x" * 100_000}}
        sim.witness([Happening("commit", did, body)] * 600, us=1)
        assert sim.slow.wait(10)
        got = read_to_the_end(ws)
    assert json.loads(got[-1])["error"] == "ConsumerTooSlow"
    assert 0 < len(got) < 600


def test_profiles_are_given_for_twenty_five_at_most(sim):
    def ask(dids):
        query = "&".join(f"actors={d}" for d in dids)
        with urllib.request.urlopen(f"{sim.http}/xrpc/app.bsky.actor.getProfiles?{query}") as r:
            return json.load(r)["profiles"]

    dids = sim.people.dids
    assert [p["did"] for p in ask(dids[:25])] == list(dids[:25])
    assert ask(["did:plc:" + "q" * 24]) == []
    with pytest.raises(HTTPError, match="400"):
        ask(dids[:26])


def test_it_runs_as_a_process_of_its_own():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.simulators.jetstream", "--rate", "200"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = json.loads(process.stdout.readline())
            with connect(f"{said['url']}/xrpc/{METHOD}", proxy=None) as ws:
                assert json.loads(ws.recv(timeout=10))["$type"] == "message"
        finally:
            process.terminate()


# ── the real client ──


@pytest.mark.parametrize("compress", [True, False])
def test_the_atproto_client_accepts_the_stream_and_resumes_after_a_cut(sim, compress):
    from atproto import JetstreamClient

    sim.faults.append(Fault("drop", after=120))
    params = {"cursor": 1, "kinds": UNDERSTOOD}
    client = JetstreamClient(params, f"{sim.url}/xrpc", compress=compress)
    got, compressed = [], []

    def on_message(message):
        got.append(message)
        compressed.append(client.compressed)
        if len(got) == 300:
            client.stop()

    sim.publish(300)
    client.start(on_message)
    wanted = [e.seq for e in sim.log.entries if e.happening.kind in UNDERSTOOD]
    assert [m.seq for m in got] == wanted[:300]
    assert set(compressed) == {compress}
    assert {m.py_type.partition("#")[2] for m in got} == set(UNDERSTOOD)
    seen = {m.record.py_type for m in got if getattr(m, "record", None)}
    assert POST in seen
    assert [c.cursor for c in sim.connects] == [1, wanted[119]]


def test_the_async_atproto_client_accepts_it_too(sim):
    from atproto import AsyncJetstreamClient

    async def run():
        params = {"cursor": 1, "collections": [POST], "kinds": UNDERSTOOD}
        client = AsyncJetstreamClient(params, f"{sim.url}/xrpc")
        got = []

        async def on_message(message):
            got.append(message)
            if len(got) == 20:
                await client.stop()

        async with asyncio.timeout(20):
            await client.start(on_message)
        return got

    got = asyncio.run(run())
    assert {m.collection for m in got if hasattr(m, "collection")} == {POST}


def test_the_atproto_client_is_told_that_its_cursor_is_too_old(sim):
    from atproto import JetstreamClient
    from atproto.exceptions import JetstreamCursorTooOldError

    sim.keep(5)
    client = JetstreamClient({"cursor": 1}, f"{sim.url}/xrpc")
    with pytest.raises(JetstreamCursorTooOldError):
        client.start(lambda _: None)
