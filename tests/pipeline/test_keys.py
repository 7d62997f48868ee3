"""Numbers of keys: equal keys have one number, others never do, whatever their hashes are."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.model.hashing import key_hash
from earshot.pipeline import keys
from earshot.pipeline.keys import NO_KEY, numbered

KEYS = st.lists(
    st.tuples(st.sampled_from(("x", "bluesky")), st.sampled_from(("1", "2", "author:1", None))),
    max_size=12,
)


def columns(pairs):
    frame = pl.DataFrame(pairs, {"source": pl.String, "id": pl.String}, orient="row")
    return frame["source"], frame["id"]


def same_partition(pairs):
    codes, first = numbered(*columns(pairs))

    for (source, id_), code in zip(pairs, codes, strict=True):
        if id_ is None:
            assert code == NO_KEY
        else:
            assert pairs[first[code]] == (source, id_)
    there = {pair: code for pair, code in zip(pairs, codes, strict=True) if pair[1]}
    assert len(set(there.values())) == len(there)


@given(KEYS)
def test_equal_keys_have_one_number_that_names_a_place_of_theirs(pairs):
    same_partition(pairs)


@pytest.mark.parametrize("kinds", [1, 2])
def test_two_keys_of_one_hash_are_told_apart_all_the_same(monkeypatch, kinds):
    """With one hash for all, and with one for each pair of keys."""
    monkeypatch.setattr(keys, "key_hash", lambda *a: key_hash(*a) % np.uint64(kinds))
    pairs = [("x", "1"), ("x", "2"), ("bluesky", "1"), ("x", None), ("x", "1"), ("x", "author:1")]

    same_partition(pairs)
    same_partition(pairs[:1])
    same_partition([])
