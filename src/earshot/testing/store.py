"""What every store must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives the fixture `open_it`, a function that opens the same store anew; it takes
`writable`.
"""

from collections.abc import Iterator

import polars as pl
import pytest

from earshot.errors import ConflictError
from earshot.store import Store
from earshot.testing.builders import NOON, batch, posts_of, rows_of, stored
from earshot.testing.store_kit import (
    ALWAYS,
    DAY,
    MICRO,
    MINUTE,
    WHOLE,
    OpenStore,
    asked,
    block,
    found,
    keys,
    known,
    put,
    told,
    tombstones,
)
from earshot.testing.store_ledgers import LedgerLaws
from earshot.testing.store_posts import PostLaws
from earshot.testing.store_state import StateLaws

__all__ = [
    "ALWAYS",
    "DAY",
    "MICRO",
    "MINUTE",
    "NOON",
    "WHOLE",
    "OpenStore",
    "StoreContract",
    "asked",
    "batch",
    "block",
    "found",
    "keys",
    "known",
    "posts_of",
    "put",
    "rows_of",
    "stored",
    "told",
    "tombstones",
]


class StoreContract(PostLaws, StateLaws, LedgerLaws):
    """The meaning of `Store`, as tests."""

    @pytest.fixture
    def store(self, open_it: OpenStore) -> Iterator[Store]:
        """A new store, open to write."""
        with open_it(writable=True) as opened:
            yield opened

    # -- life ------------------------------------------------------------------------------
    def test_reopening_changes_nothing(self, open_it: OpenStore) -> None:
        """All that was committed is there, the memory of keys and texts too."""
        with open_it(writable=True) as store:
            put(store, batch(stored("1"), texts=pl.Series("texts", [5], pl.UInt64)), offset=9)
            put(store, batch(tombstones=tombstones("2")), offset=10)
            feed = store.feed()
        with open_it(writable=True) as store:
            assert (store.offset(), store.feed()) == (10, feed)
            assert set(known(store, asked("1", "2", "3"))) == {"1", "2"}
            assert store.known_texts(pl.Series([5, 6], dtype=pl.UInt64)).to_list() == [5]
            assert found(store) == ["1"]

    def test_there_is_one_writer(self, open_it: OpenStore) -> None:
        """A second one is told who holds it; readers may come and go, and cannot write."""
        with open_it(writable=True) as store:
            with pytest.raises(ConflictError, match="process"):
                open_it(writable=True)
            with open_it(writable=False) as reader:
                put(store, batch(stored("1")))
                assert found(reader) == ["1"]
                with pytest.raises(ConflictError):
                    put(reader, batch(stored("2")))
        with open_it(writable=True) as store:
            put(store, batch(stored("2")), offset=2)

    def test_a_batch_that_fails_leaves_no_trace(self, store: Store) -> None:
        """All of it is visible, or none of it."""
        put(store, batch(stored("1")), offset=3)
        feed = store.feed()
        bad = batch(stored("2"), counts=pl.DataFrame({"minute": ["no time"]}))
        with pytest.raises(pl.exceptions.PolarsError):
            store.commit(bad, offset=4, at=NOON, notes={"a": "1"})
        assert (store.offset(), store.feed(), found(store)) == (3, feed, ["1"])
        assert store.facts() == {}
        store.commit(batch(stored("2")), offset=4, at=NOON, notes={"a": "2", "b": "3"})
        assert store.facts() == {"a": "2", "b": "3"}
        assert set(found(store)) == {"1", "2"}

    def test_closing_twice_is_closing_once(self, open_it: OpenStore) -> None:
        """And leaves it open to others."""
        store = open_it(writable=True)
        store.close()
        store.close()
        open_it(writable=True).close()
