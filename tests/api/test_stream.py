"""The live stream on a real socket."""

import asyncio
import threading
import time
from dataclasses import dataclass

import httpx2
import msgspec
import polars as pl
import pytest
import uvicorn

from earshot.engine.windows import WindowKeeper
from earshot.model.changes import DIRTY
from earshot.model.schema import GAP, TOMBSTONE
from earshot.testing.control import NOON
from earshot.testing.store import rows_of, stored


@dataclass
class Event:
    kind: str
    id: str | None
    data: dict


class Server:
    """The app on an ephemeral port, with its live room running."""

    def __init__(self, world):
        config = uvicorn.Config(
            world.app, host="127.0.0.1", port=0, log_config=None, access_log=False
        )
        self._server, self._live = uvicorn.Server(config), world.rooms.live
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    async def _run(self):
        live = asyncio.create_task(self._live.run())
        try:
            await self._server.serve()
        finally:
            live.cancel()
            await asyncio.gather(live, return_exceptions=True)

    def stop(self):
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


class Reader:
    """One EventSource; blocks on the socket, with a time limit."""

    def __init__(self, server, cookie, headers=None, **params):
        self._client = httpx2.Client(timeout=8.0)
        cookies = {"Cookie": f"earshot={cookie}"} if cookie else {}
        self._context = self._client.stream(
            "GET", f"http://127.0.0.1:{server.port}/api/v1/stream", params=params,
            headers=cookies | (headers or {}),
        )  # fmt: skip
        self.answer = self._context.__enter__()
        self._lines = self.answer.iter_lines()
        self.last = None

    def read(self):
        """The next event; None: the stream ended."""
        fields = {}
        for line in self._lines:
            if not line:
                break
            name, _, value = line.partition(": ")
            fields[name] = value
        if not fields:
            return None
        self.last = fields.get("id", self.last)
        return Event(fields["event"], fields.get("id"), msgspec.json.decode(fields["data"]))

    def until(self, kind):
        """The next event of a kind."""
        while (event := self.read()) is not None:
            if event.kind == kind:
                return event
        return None

    def close(self):
        self._context.__exit__(None, None, None)
        self._client.close()


@pytest.fixture
def server(world):
    running = Server(world)
    yield running
    running.stop()


@pytest.fixture
def follow(world, server):
    """Open a stream as a role (a new session), or with a given cookie."""
    readers = []

    def opened(role="viewer", *, cookie=None, **more):
        if cookie is None and role is not None:
            cookie = world.rooms.control.new_session(world.person(role).id, agent="test")
        readers.append(Reader(server, cookie, **more))
        return readers[-1]

    yield opened
    for reader in readers:
        reader.close()


def test_the_first_events_say_where_one_stands(world, follow):
    world.put(stored("1"))
    reader = follow()
    headers = reader.answer.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
    hello, tick = reader.read(), reader.read()
    assert (hello.kind, tick.kind) == ("hello", "tick")
    assert hello.id == hello.data["head"] == world.rooms.live.head()
    assert hello.data["heartbeat_s"] == 10
    assert tick.data["engine"] is False


def test_a_committed_post_arrives_whole_and_soon(world, follow):
    reader = follow()
    reader.until("tick")
    began = time.monotonic()
    world.put(stored("1", "hello", hashtags=["a"]))
    posts = reader.until("posts").data
    assert time.monotonic() - began < 1.5
    assert (posts["items"][0]["id"], posts["items"][0]["hashtags"], posts["more"]) == (
        "1",
        ["a"],
        0,
    )


def test_a_list_and_the_stream_meet_without_a_hole(world, follow, admin):
    world.put(stored("1"))
    as_of = admin.get("/api/v1/posts").json()["as_of"]
    world.put(stored("2"))
    world.put(stored("3"))
    reader = follow(after=as_of, topics="posts:all")
    ids = []
    while len(ids) < 2:
        ids += [p["id"] for p in reader.until("posts").data["items"]]
    assert sorted(ids) == ["2", "3"]


def test_a_cut_stream_resumes_without_a_hole_and_counts_each_once(world, follow):
    """500 posts while the reader is away: all of them come, none is missing."""
    reader = follow(topics="posts:all")
    reader.until("tick")
    world.put(stored("first"))
    assert reader.until("posts").data["items"][0]["id"] == "first"
    place = reader.last
    reader.close()
    for n in range(0, 500, 20):
        world.put(*(stored(f"{k}") for k in range(n, n + 20)))
    again = follow(topics="posts:all", headers={"Last-Event-ID": place})
    seen = []
    while len(seen) < 500:
        event = again.until("posts")
        assert len(event.data["items"]) <= 50
        assert event.data["more"] == 0
        seen += [p["id"] for p in event.data["items"]]
    assert sorted(seen, key=int) == [str(n) for n in range(500)]
    world.put(stored("last"))
    assert again.until("posts").data["items"][0]["id"] == "last"


def test_wherever_the_cut_falls_resuming_repeats_rather_than_loses(world, follow):
    place = world.rooms.live.head()
    for n in range(30):
        world.put(stored(f"{n}"), tombstones=rows_of(TOMBSTONE, ("x", f"d{n}", 1, NOON)))
    posts, gone = set(), set()
    while len(posts) < 30 or len(gone) < 30:
        reader = follow(topics="posts:all,corrections", headers={"Last-Event-ID": place})
        event = reader.read()
        while event is not None and event.kind in {"hello", "tick"}:
            event = reader.read()
        if event.kind == "posts":
            posts |= {p["id"] for p in event.data["items"]}
        else:
            gone |= {k["id"] for k in event.data["removed"]}
        if event.id == place:  # not the last of its group: go one further, as the socket would
            event = reader.read()
            gone |= {k["id"] for k in event.data.get("removed", ())}
        place = event.id
        reader.close()
    assert (len(posts), len(gone)) == (30, 30)


@pytest.mark.parametrize("place", ["other.3", "nonsense", "x.y", "é"])
def test_a_place_that_is_not_kept_is_one_reset(world, follow, place):
    world.put(stored("1"))
    reader = follow(after=place)
    event = reader.until("reset")
    assert event.data["reason"] in {"new-store", "unreadable"}
    world.put(stored("2"))
    assert [p["id"] for p in reader.until("posts").data["items"]] == ["2"]


def test_a_deleted_post_is_taken_back_and_its_text_never_sent_again(world, follow):
    world.put(stored("1", "secret"))
    place = world.rooms.live.head().rpartition(".")[0] + ".0"
    world.put(tombstones=rows_of(TOMBSTONE, ("mastodon", "1", 1, NOON)))
    reader = follow(after=place, topics="posts:all,corrections")
    event = reader.until("correction")
    assert event.data == {"removed": [{"source": "mastodon", "id": "1"}], "changed": []}
    again = follow(after=place, topics="posts:all,corrections")
    while (event := again.read()).kind != "correction":
        assert "secret" not in str(event.data)


def test_an_edit_comes_as_the_post_as_it_is_now(world, follow):
    world.put(stored("1", "old"))
    reader = follow(topics="posts:all,corrections")
    reader.until("tick")
    world.put(stored("1", "new", version=5))
    event = reader.until("correction")
    assert event.data["changed"] == [{"source": "mastodon", "id": "1"}]


def test_a_rules_topic_brings_its_posts_only(world, follow):
    reader = follow(topics="posts:rule:7")
    reader.until("tick")
    world.put(stored("1"), stored("2"), hits=[("mastodon", "2", 7, 1)])
    world.put(stored("3"))
    world.put(stored("4"), hits=[("mastodon", "4", 8, 1), ("mastodon", "4", 7, 1)])
    ids = []
    while len(ids) < 2:
        ids += [p["id"] for p in reader.until("posts").data["items"]]
    assert sorted(ids) == ["2", "4"]


def test_windows_come_with_absolute_totals(world, follow):
    reader = follow(topics="windows")
    reader.until("tick")
    keeper = WindowKeeper(world.writer, {})
    for n, total in ((1, 1), (2, 2)):
        dirty = rows_of(DIRTY, (NOON, "x"), (NOON, "mastodon"))
        world.put(stored(f"{n}"), stored(f"{n}", source="x", author_id="b"), dirty=dirty)
        keeper.flush(NOON, everything=True)
        minute = [
            (w["source"], w["posts"], w["authors"])
            for w in reader.until("windows").data["items"]
            if w["step"] == 60 and w["t"] == NOON.timestamp()
        ]
        assert sorted(minute) == [("*", 2 * total, 2), ("mastodon", total, 1), ("x", total, 1)]


def test_a_gap_is_told_when_it_is_noted(world, follow):
    reader = follow(topics="gaps")
    reader.until("tick")
    schema = pl.Schema({"seq": pl.Int64, **GAP})
    world.put(gaps=rows_of(schema, (1, "x", "x", 0, NOON, NOON, "disconnect", "")))
    assert reader.until("gap").data["items"][0]["reason"] == "disconnect"


def test_a_revoked_session_ends_its_stream_within_two_seconds(world, follow):
    cookie = world.rooms.control.new_session(world.person("viewer").id, agent="test")
    reader = follow(cookie=cookie)
    reader.until("tick")
    began = time.monotonic()
    world.rooms.control.end_session(cookie)
    assert reader.read() is None
    assert time.monotonic() - began < 2.5  # 2 s, and a slow machine's leave


def test_a_revoked_token_ends_its_stream_too(world, follow):
    token = world.token("viewer", "stream:read")
    reader = follow(None, headers={"Authorization": f"Bearer {token}"})
    reader.until("tick")
    world.rooms.control.revoke_token(1, actor="ada")
    assert reader.read() is None


@pytest.mark.parametrize("topics", ["posts", "posts:rule:x", "all,windows", ",", "posts:rule:0"])
def test_an_unknown_topic_is_refused(world, follow, topics):
    reader = follow(topics=topics)
    assert reader.answer.status_code == 422
    assert b"invalid-input" in reader.answer.read()


def test_a_stranger_hears_nothing(world, follow):
    assert follow(None).answer.status_code == 401


def test_the_server_stops_though_somebody_listens(world, follow, server):
    reader = follow()
    reader.until("tick")
    server.stop()
