"""What every live room must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives the fixture `open_it`: a function that opens the room over a feed.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import polars as pl

from earshot.live import Live, Pushed
from earshot.model.schema import CHANGE

NOON = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
PATIENCE_S = 10.0
OpenIt = Callable[["ListFeed"], Live]


class ListFeed:
    """A change feed in a list, bounded like a store's."""

    def __init__(self, *, epoch: str = "e", keep: int = 10_000) -> None:
        self.epoch, self.keep = epoch, keep
        self.rows: list[dict[str, Any]] = []
        self.asked = -1
        """The place behind which changes were asked for last."""
        self._seq = 0

    def put(self, kind: str, payload: dict[str, Any], rules: Sequence[int] = ()) -> None:
        """Append a change."""
        self._seq += 1
        text = msgspec.json.encode(payload).decode()
        row = {"seq": self._seq, "at": NOON, "kind": kind, "rules": list(rules), "payload": text}
        self.rows = [*self.rows, row][-self.keep :]

    def posts(self, *ids: str, rule: int = 0, more: int = 0) -> None:
        """Append posts, the newest first, as a store tells of them."""
        rules = [rule] if rule else []
        posts = [{"source": "x", "id": i, "rules": rules} for i in ids]
        keys = [["x", i] for i in ids]
        self.put("posts", {"n": len(ids) + more, "keys": keys, "posts": posts}, rules)

    def corrects(self, *, removed: Sequence[str] = (), changed: Sequence[str] = ()) -> None:
        """Append a correction."""
        both = {"removed": [["x", i] for i in removed], "changed": [["x", i] for i in changed]}
        self.put("correction", both)

    def changes(self, after: int, *, limit: int = 1000) -> pl.DataFrame:
        """See `Feed.changes`."""
        self.asked = after
        return pl.DataFrame([r for r in self.rows if r["seq"] > after][:limit], CHANGE)

    def feed(self) -> tuple[str, int, int]:
        """See `Feed.feed`."""
        return self.epoch, self.rows[0]["seq"] if self.rows else 1, self._seq


class Listener:
    """Reads one listener's events, each within a time limit."""

    def __init__(self, live: Live, topics: str, after: str | None) -> None:
        self._events = live.listen(frozenset(topics.split(",")), after)
        self.last: Pushed | None = None

    async def read(self) -> tuple[str, dict[str, Any]]:
        """The next event."""
        self.last = await asyncio.wait_for(anext(self._events), PATIENCE_S)
        return self.last.kind, msgspec.json.decode(self.last.data)

    async def ids(self, n: int) -> list[str]:
        """The ids of the next `n` posts, in the order they came in."""
        found: list[str] = []
        while len(found) < n:
            kind, data = await self.read()
            assert kind == "posts", (kind, data)
            found += [i for _, i in reversed(data["keys"])]
        return found

    async def close(self) -> None:
        """Stop listening."""
        close: Callable[[], Awaitable[None]] = self._events.aclose  # type: ignore[attr-defined]  # ours are generators
        await close()


@asynccontextmanager
async def running(live: Live) -> AsyncIterator[None]:
    """The room at work."""
    task = asyncio.create_task(live.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class LiveContract:
    """The meaning of `Live`."""

    def test_what_happens_while_one_listens_arrives_in_order(self, open_it: OpenIt) -> None:
        """And what happened before does not."""

        async def story() -> None:
            feed = ListFeed()
            feed.posts("old")
            live = open_it(feed)
            async with running(live):
                listener = Listener(live, "posts:all", None)
                first, n = asyncio.create_task(listener.ids(1)), 0
                while not (await asyncio.wait([first], timeout=0.02))[0]:
                    feed.posts(f"{n}")  # until it is heard
                    n += 1
                ids = await first
                assert "old" not in ids
                feed.posts(f"{n + 1}", f"{n}")
                ids += await listener.ids(n + 2 - int(ids[0]) - len(ids))
                assert ids == [f"{k}" for k in range(int(ids[0]), n + 2)]
                await listener.close()

        asyncio.run(story())

    def test_after_a_place_everything_is_told_once_then_goes_on(self, open_it: OpenIt) -> None:
        """However much it is; no event holds more than 50 posts, and none is left out."""

        async def story() -> None:
            feed = ListFeed()
            live = open_it(feed)
            place = live.head()
            async with running(live):
                for n in range(60):
                    feed.posts(*(f"{n}.{k}" for k in range(9)))
                listener = Listener(live, "posts:all", place)
                ids = await listener.ids(540)
                feed.posts("last")
                ids += await listener.ids(1)
                await listener.close()
            assert sorted(ids) == sorted(
                [f"{n}.{k}" for n in range(60) for k in range(9)] + ["last"]
            )

        asyncio.run(story())

    def test_any_id_that_was_seen_last_resumes_without_a_hole(self, open_it: OpenIt) -> None:
        """Events that go out together carry the place before them, but the last one."""

        async def story() -> None:
            feed = ListFeed()
            live = open_it(feed)
            place, posts, gone = live.head(), set[str](), set[str]()
            for n in range(6):
                feed.posts(f"p{n}")
                feed.corrects(removed=[f"g{n}"])
            async with running(live):
                for reads in (1, 2, 3, 4, 5):  # leave after so many events, come back
                    listener = Listener(live, "posts:all,corrections", place)
                    for _ in range(reads):
                        if len(posts) == len(gone) == 6:
                            break
                        kind, data = await listener.read()
                        if kind == "posts":
                            posts |= {i for _, i in data["keys"]}
                        else:
                            gone |= {i for _, i in data["removed"]}
                    await listener.close()
                    place = listener.last.id if listener.last else place
            assert (len(posts), len(gone)) == (6, 6)

        asyncio.run(story())

    def test_a_place_that_is_gone_is_one_reset_then_the_present(self, open_it: OpenIt) -> None:
        """Too old, of another store, or nonsense."""

        async def story() -> None:
            feed = ListFeed(keep=3)
            for n in range(9):
                feed.posts(str(n))
            live = open_it(feed)
            wrong = {"e.1": "too-old", "f.8": "new-store", "e.99": "new-store", "?": "unreadable"}
            async with running(live):
                for place, reason in wrong.items():
                    listener = Listener(live, "posts:all", place)
                    kind, data = await listener.read()
                    assert (kind, data["reason"]) == ("reset", reason)
                    assert data["oldest"] == "e.6" == live.oldest()
                    await listener.close()
                listener = Listener(live, "posts:all", "e.6")
                assert await listener.ids(3) == ["6", "7", "8"]
                await listener.close()

        asyncio.run(story())

    def test_a_listener_hears_its_topics_only(self, open_it: OpenIt) -> None:
        """Of a rule's topic the posts that the rule matched."""

        async def story() -> None:
            feed = ListFeed()
            live = open_it(feed)
            place = live.head()
            feed.posts("a")
            feed.corrects(removed=["z"])
            feed.posts("b", rule=7)
            feed.posts("c", rule=8)
            async with running(live):
                listener = Listener(live, "posts:rule:7", place)
                assert await listener.ids(1) == ["b"]
                await listener.close()

        asyncio.run(story())

    def test_what_is_deleted_is_not_told_as_a_post_any_more(self, open_it: OpenIt) -> None:
        """The last word on a key counts; a post that came back is a post again."""

        async def story() -> None:
            feed = ListFeed()
            live = open_it(feed)
            place = live.head()
            feed.posts("b", "a")
            feed.corrects(removed=["a"])
            feed.corrects(changed=["b"], removed=["c"])
            feed.posts("c")
            async with running(live):
                listener = Listener(live, "posts:all,corrections", place)
                kind, posts = await listener.read()
                assert (kind, posts["keys"]) == ("posts", [["x", "c"], ["x", "b"]])
                kind, words = await listener.read()
                assert kind == "correction"
                assert words == {"removed": [["x", "a"]], "changed": [["x", "b"]]}
                await listener.close()

        asyncio.run(story())

    def test_a_slow_listener_is_bounded_and_told_what_it_missed(self, open_it: OpenIt) -> None:
        """The newest posts stay; every other one is counted."""

        async def story() -> None:
            feed = ListFeed(keep=100_000)
            live = open_it(feed)
            async with running(live):
                listener = Listener(live, "posts:all", live.head())
                feed.posts("first")
                await listener.ids(1)
                for n in range(300):  # nobody reads meanwhile
                    feed.posts(*(f"{n}.{k}" for k in reversed(range(10))), more=5)
                    await asyncio.sleep(0)
                ids, missed = set[str](), 0
                while len(ids) + missed < 300 * 15:
                    kind, data = await listener.read()
                    missed += data["skipped"] if kind == "lagged" else data["more"]
                    if kind == "posts":
                        assert len(data["keys"]) <= 50
                        ids |= {i for _, i in data["keys"]}
                assert len(ids) + missed == 300 * 15
                assert f"299.{9}" in ids
                await listener.close()

        asyncio.run(story())

    def test_a_new_store_makes_listeners_start_anew(self, open_it: OpenIt) -> None:
        """Its feed has another epoch."""

        async def story() -> None:
            feed = ListFeed()
            live = open_it(feed)
            async with running(live):
                listener = Listener(live, "posts:all", live.head())
                feed.posts("a")
                await listener.ids(1)
                feed.epoch, feed.rows, feed._seq = "f", [], 0  # noqa: SLF001 - our own
                feed.posts("b")
                kind, data = await listener.read()
                assert (kind, data["reason"]) == ("reset", "new-store")
                assert live.head() == "f.1"
                await listener.close()

        asyncio.run(story())
