import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.errors import RetryableError
from earshot.live import memory
from earshot.live.memory import MemoryLive
from earshot.testing.live import Listener, ListFeed, running


def test_at_most_four_deliveries_a_second_go_to_one_listener():
    async def story():
        feed = ListFeed()
        live = MemoryLive(feed, poll_s=0.001)
        async with running(live):
            listener = Listener(live, "posts:all", live.head())
            clock, times = asyncio.get_running_loop().time, []
            for n in itertools.count():
                feed.posts(str(n))
                reading = asyncio.ensure_future(listener.read())
                while not reading.done():
                    feed.posts(f"{n}!")
                    await asyncio.sleep(0.005)
                times.append(clock())
                if len(times) == 8:
                    break
            await listener.close()
        assert times[-1] - times[1] > 6 * 0.25 - 0.2  # the first ones catch up

    asyncio.run(story())


def test_a_reader_that_stood_still_is_told_by_lagged(monkeypatch):
    monkeypatch.setattr(memory, "SLOW_S", 0.0)

    async def story():
        feed = ListFeed()
        live = MemoryLive(feed, poll_s=0.001, every_s=0.0)
        async with running(live):
            listener = Listener(live, "posts:all", live.head())
            for name in ("a", "b"):
                reading = asyncio.create_task(listener.ids(1))
                while not live._listeners:
                    await asyncio.wait([reading], timeout=0.001)
                feed.posts(name)
                await reading
            for n in range(3):
                feed.posts(*(f"{n}.{k}" for k in range(40)))
            while feed.asked < 5:  # noqa: ASYNC110 - of another task, which rings for nobody
                await asyncio.sleep(0.001)
            kind, data = await listener.read()
            assert (kind, data["skipped"]) == ("lagged", 70)
            assert (data["since"], data["until"]) == ("e.2", "e.5")
            kind, data = await listener.read()
            assert (kind, len(data["keys"]), data["more"]) == ("posts", 50, 0)
            await listener.close()

    asyncio.run(story())


def test_too_many_corrections_for_one_to_take_are_a_reset(monkeypatch):
    monkeypatch.setattr(memory, "MOST_KEYS", 10)

    async def story():
        feed = ListFeed()
        live = MemoryLive(feed)
        place = live.head()
        feed.corrects(removed=[str(n) for n in range(11)])
        async with running(live):
            listener = Listener(live, "corrections", place)
            kind, data = await listener.read()
            assert (kind, data["reason"]) == ("reset", "too-many")
            await listener.close()

    asyncio.run(story())


def test_a_feed_that_cannot_be_read_for_a_while_is_asked_again(monkeypatch):
    monkeypatch.setattr(memory, "TROUBLE_S", 0.01)

    async def story():
        feed = ListFeed()
        live = MemoryLive(feed, poll_s=0.001)
        place, read, left = live.head(), feed.feed, [5]

        def broken():
            if left[0]:
                left[0] -= 1
                raise RetryableError("busy")
            return read()

        feed.feed = broken
        feed.posts("a")
        async with running(live):
            listener = Listener(live, "posts:all", place)
            assert await listener.ids(1) == ["a"]
            assert left == [0]
            await listener.close()

    asyncio.run(story())


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["posts", "removed", "changed"]), st.lists(st.integers(0, 9), max_size=4)
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.lists(st.integers(0, 19), max_size=4))
def test_however_changes_are_merged_the_last_word_on_each_key_is_the_same(changes, cuts):
    """Merging all at once, or in pieces, leaves a page in the same state."""
    feed = ListFeed()
    for kind, keys in changes:
        ids = [str(k) for k in dict.fromkeys(keys)]
        if kind == "posts":
            feed.posts(*ids)
        else:
            feed.corrects(**{kind: ids})
    every = memory._changes(feed.changes(0))
    bounds = sorted({0, len(every), *(c for c in cuts if c < len(every))})
    pieces = [every[a:b] for a, b in itertools.pairwise(bounds)]
    assert _page([every]) == _page(pieces) == _page([[c] for c in every])


def _page(pieces):
    """What a page shows: key → known."""
    page, topics = {}, frozenset({"posts:all", "corrections"})
    for piece in pieces:
        pending = memory._Pending(topics, 0, 0)
        for change in piece:
            pending.merge(change)
        for kind, data in pending.events("a", "b"):
            if kind == "posts":
                page |= {id_: "shown" for _, id_ in data["keys"]}
            else:
                page |= {id_: "gone" for _, id_ in data["removed"]}
                page |= {id_: "shown" for _, id_ in data["changed"]}
    return page


@pytest.mark.parametrize("after", [None, "e.0"])
def test_an_empty_feed_has_a_head_one_can_listen_after(after):
    live = MemoryLive(ListFeed())
    assert (live.head(), live.oldest()) == ("e.0", "e.0")
    assert memory._place(after, "e", 1, 0) == ("", 0)
