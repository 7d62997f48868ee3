"""The contract of near-duplicate families: what every store keeps of `Store.settle` and others."""

import datetime as dt
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from earshot.model.changes import FLAG, Changes
from earshot.model.index import Span
from earshot.store import Store
from earshot.testing.builders import NOON, batch, rows_of, stored
from earshot.testing.store import keys, put, tombstones

DAY: dt.date = NOON.date()
LATER = DAY + dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)
TEXT = "the old bridge over the river will be closed for repairs until the end of next week"
OTHER = "a family of swans has moved into the harbour and the ferry waits for them every morning"


def put_texts(store: Store, *posts: tuple[str, str, int], offset: int = 1) -> None:
    """Commit posts: id, text, seconds after noon."""
    rows = (stored(i, text=t, event_time=NOON + s * SECOND) for i, t, s in posts)
    put(store, batch(*rows), offset=offset)


def flag(i: str, *, hidden: bool) -> Changes:
    """A batch that hides or shows a post."""
    return batch(flags=rows_of(FLAG, ("mastodon", i, hidden)))


def settled(store: Store, *days: dt.date) -> dict[str, tuple[str | None, int]]:
    """Settle days; id → first post's id and size, of all stored posts with a family."""
    for day in days or (DAY,):
        store.settle(day)
    return families(store)


def families(store: Store) -> dict[str, tuple[str | None, int]]:
    """Id → first post's id and size, of all visible posts with a family."""
    found = store.families(everything(store))
    return {i: (first, n) for i, first, n in found.select("id", "first_id", "size").iter_rows()}


def everything(store: Store) -> pl.DataFrame:
    """All visible posts."""
    return store.select(None, Span(), limit=10_000)


class FamiliesContract:
    """The meaning of `unsettled`, `settle` and `families`, as tests."""

    @pytest.fixture
    def store(self, open_it: Callable[..., Store]) -> Iterator[Store]:
        """One that is new, to be written."""
        with open_it(writable=True) as store:
            yield store

    def test_posts_of_nearly_the_same_text_are_a_family_once_their_day_is_settled(
        self, store: Store
    ) -> None:
        """The first post is the least by event time; what is alone has no family."""
        put_texts(store, ("b", TEXT + " folks", 1), ("a", TEXT, 0), ("c", OTHER, 2))
        assert families(store) == {}
        assert settled(store) == {"a": ("a", 2), "b": ("a", 2)}

    def test_of_posts_of_one_millisecond_the_least_time_then_key_is_first(
        self, store: Store
    ) -> None:
        """Stores may place posts by milliseconds: times and keys decide."""
        micro = dt.timedelta(microseconds=1)
        ids = [f"{n:03d}" for n in range(30)]
        rows = [stored(i, text=TEXT, event_time=NOON + 5 * micro) for i in ids]
        put(store, batch(*rows, stored("zz", text=TEXT, event_time=NOON + 4 * micro)))
        assert set(settled(store).values()) == {("zz", 31)}
        put(store, batch(tombstones=tombstones("zz")), offset=2)
        assert set(settled(store).values()) == {("000", 30)}

    def test_networks_share_families(self, store: Store) -> None:
        """The first post is told with its network."""
        rows = [stored("1", text=TEXT, source=s) for s in ("x", "bluesky")]
        put(store, batch(*rows))
        store.settle(DAY)
        found = store.families(everything(store))
        assert set(found.select("source", "first_source", "first_id", "size").iter_rows()) == {
            ("x", "bluesky", "1", 2),
            ("bluesky", "bluesky", "1", 2),
        }

    def test_a_family_ends_with_its_day(self, store: Store) -> None:
        """Days are of event time, in UTC."""
        half = 12 * 3600
        put_texts(store, ("a", TEXT, half - 2), ("b", TEXT, half - 1), ("c", TEXT, half))
        assert settled(store, DAY, LATER) == {"a": ("a", 2), "b": ("a", 2)}

    def test_a_repost_is_no_copy(self, store: Store) -> None:
        """It is in no family, and makes none larger."""
        put(
            store,
            batch(
                stored("1", text=TEXT), stored("2", text=TEXT, kind="repost", repost_of="1"),
                stored("3", text=TEXT),
            ),
        )  # fmt: skip
        assert settled(store) == {"1": ("1", 2), "3": ("1", 2)}

    def test_families_depend_on_no_batch_and_no_order(self, open_it: Callable[..., Store]) -> None:
        """Post by post, newest first, settled in between, is as all at once."""
        texts = [TEXT, TEXT + " folks", OTHER, "so " + TEXT, OTHER + " now"]
        posts = [(str(n), text, n) for n, text in enumerate(texts)]
        expected = {"0": ("0", 3), "1": ("0", 3), "3": ("0", 3), "2": ("2", 2), "4": ("2", 2)}
        with open_it(writable=True) as store:
            for offset, post in enumerate(reversed(posts), 1):
                put_texts(store, post, offset=offset)
                store.settle(DAY)
            assert families(store) == expected
            put_texts(store, *posts, offset=9)
            assert settled(store) == expected

    def test_families_and_what_is_unsettled_survive_a_restart(
        self, open_it: Callable[..., Store]
    ) -> None:
        """Bands, too: what comes later joins what was there."""
        with open_it(writable=True) as store:
            put_texts(store, ("a", TEXT, 0), ("b", TEXT, 1))
            store.settle(DAY)
            put_texts(store, ("c", TEXT + " folks", 2), offset=2)
        with open_it(writable=True) as store:
            assert families(store) == {"a": ("a", 2), "b": ("a", 2)}
            assert store.unsettled(before=LATER)["day"].to_list() == [DAY]
            assert settled(store) == dict.fromkeys("abc", ("a", 3))

    def test_a_day_is_unsettled_until_it_is_settled_and_when_something_happened_since(
        self, store: Store
    ) -> None:
        """New posts, edits, deletes, hiding and showing; not what changes no text."""
        assert store.unsettled(before=LATER).is_empty()
        put_texts(store, ("a", TEXT, 0), ("b", TEXT, 1), ("c", OTHER, 2))
        assert store.unsettled(before=DAY).is_empty()
        told = store.unsettled(before=LATER)
        assert told["day"].to_list() == [DAY]
        put_texts(store, ("d", OTHER, 3), offset=2)
        assert store.unsettled(before=LATER)["changed"][0] > told["changed"][0]
        assert settled(store)["c"] == ("c", 2)
        assert store.unsettled(before=LATER).is_empty()
        put(store, Changes.none(), offset=3)
        assert store.unsettled(before=LATER).is_empty()
        steps = [
            batch(stored("a", text=OTHER, version=1)),
            flag("b", hidden=True),
            flag("b", hidden=False),
            batch(tombstones=tombstones("d")),
            batch(stored("a", text="too short", version=2)),
        ]
        for offset, changes in enumerate(steps, 4):
            put(store, changes, offset=offset)
            assert store.unsettled(before=LATER)["day"].to_list() == [DAY], offset
            store.settle(DAY)
            assert store.unsettled(before=LATER).is_empty(), offset

    def test_an_edit_takes_a_post_out_of_its_family_and_into_another(self, store: Store) -> None:
        """An edited text is as if it had always been there."""
        put_texts(store, ("a", TEXT, 0), ("b", TEXT, 1), ("c", OTHER, 2))
        store.settle(DAY)
        put_texts(store, ("b", OTHER, 1), offset=2)
        assert settled(store) == {"b": ("b", 2), "c": ("b", 2)}
        put_texts(store, ("b", "hi", 1), offset=3)
        assert settled(store) == {}

    def test_deleted_and_hidden_posts_are_in_no_family(self, store: Store) -> None:
        """Hidden ones come back when they are shown."""
        put_texts(store, ("a", TEXT, 0), ("b", TEXT, 1), ("c", TEXT, 2))
        put(store, flag("a", hidden=True), offset=2)
        assert settled(store) == {"b": ("b", 2), "c": ("b", 2)}
        put(store, flag("a", hidden=False), offset=3)
        assert settled(store)["c"] == ("a", 3)
        put(store, batch(tombstones=tombstones("a", "b")), offset=4)
        assert families(store) == {"c": (None, 3)}
        assert settled(store) == {}

    def test_retention_leaves_families_as_they_were_and_days_in_peace(self, store: Store) -> None:
        """A day that is incomplete is never settled again; its first post may be gone."""
        old = stored("a", text=TEXT, received_at=NOON - dt.timedelta(days=9))
        put(store, batch(old, *(stored(i, text=TEXT, event_time=NOON + SECOND) for i in "bc")))
        store.settle(DAY)
        store.retire(before=NOON, max_bytes=1 << 40, at=NOON)
        put_texts(store, ("d", TEXT, 3), offset=2)
        assert store.unsettled(before=LATER).is_empty()
        assert families(store) == {"b": (None, 3), "c": (None, 3)}

    def test_many_families_are_found_again(self, store: Store) -> None:
        """More than one page of whatever a store keeps them in."""
        words = [f"w{n} x{n} y{n} z{n} v{n} u{n}" for n in range(1200)]
        posts = [(f"{n}-{k}", words[n], n + 2000 * k) for n in range(1200) for k in (0, 1)]
        put_texts(store, *posts)
        found = settled(store)
        assert len(found) == 2400
        assert all(first == i.split("-")[0] + "-0" for i, (first, _) in found.items())
        some = store.get(keys("7-0", "1199-1"))
        assert store.families(some)["size"].to_list() == [2, 2]
