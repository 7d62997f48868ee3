"""Numbers for keys: ordered, placed, and remembered without forgetting."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.model.schema import TIME
from earshot.store._keys import SLOTS, Known, MaybeKnown, Spots, hashes, ordered, span_of, spots

TID = "234567abcdefghijklmnopqrstuvwxyz"
UNSIGNED = st.integers(0, (1 << 64) - 1)


def numbers(*ids):
    return ordered(pl.Series(list(ids), dtype=pl.String)).tolist()


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("9", "10"),
        ("1050118621198921728", "1050118621198921729"),
        ("at://did:plc:zzz/app.bsky.feed.post/3jzfcijpj2z2a", "at://did:plc:aaa/x/3jzfcijpj2z2b"),
        ("t1_ab9z", "t1_aba0"),
        ("t3_z", "t3_10"),
    ],
)
def test_ids_that_grow_with_time_have_numbers_that_grow(earlier, later):
    first, second = numbers(earlier, later)
    assert 0 <= first < second


def test_the_number_of_a_tid_is_its_value():
    tid = "3jzfcijpj2z2a"
    value = 0
    for c in tid:
        value = value * 32 + TID.index(c)
    assert numbers(f"at://did:web:x/app.bsky.feed.post/{tid}") == [value]


@given(st.lists(st.text(max_size=30)))
def test_every_id_has_a_number_that_is_not_negative(ids):
    found = numbers(*ids)
    assert all(n >= 0 for n in found)
    assert found == [numbers(i)[0] for i in ids]


@given(st.lists(st.tuples(st.datetimes(), UNSIGNED), max_size=20))
def test_spots_are_in_order_of_the_millisecond(rows):
    times = pl.Series([t.replace(tzinfo=dt.UTC) for t, _ in rows], dtype=TIME)
    at = spots(times, np.array([h for _, h in rows], np.uint64))
    ms = np.floor_divide(times.to_physical().to_numpy(), 1000)
    for here, first in zip(at.tolist(), ms.tolist(), strict=True):
        low, high = span_of(first)
        assert low <= here <= high == low + SLOTS - 1
    order = np.argsort(ms, kind="stable")
    assert (np.diff(at[order] // SLOTS) >= 0).all()


@given(st.lists(st.integers(0, (1 << 63) - 1), max_size=50))
def test_a_filter_never_forgets(given_):
    filter_ = MaybeKnown()
    for n in given_:
        filter_.add(np.array([n], np.int64))
    assert filter_.may(np.array(given_, np.int64)).all()


def test_few_strangers_look_known_however_much_a_filter_holds():
    mine = np.arange(0, 2_400_000, 2, dtype=np.int64) << 22
    filter_ = MaybeKnown()
    filter_.add(mine)
    assert filter_.may(mine).all()
    assert filter_.may(mine[:300_000] + 1).mean() < 0.006


@given(st.lists(st.lists(UNSIGNED, max_size=40), max_size=5), st.lists(UNSIGNED, max_size=20))
def test_the_exact_set_is_exact(batches, strangers):
    mine, known = set(), Known()
    for some in batches:
        known.add(np.array(some, np.uint64))
        mine |= set(some) - {0}
    asked = [*mine, *strangers, 0]
    assert known.has(np.array(asked, np.uint64)).tolist() == [n in mine for n in asked]


def test_the_exact_set_grows():
    known, mine = Known(), np.arange(1, 100_000, dtype=np.uint64)
    for part in np.array_split(mine, 7):
        known.add(part)
    assert known.has(mine).all()
    assert not known.has(mine + np.uint64(200_000)).any()


def test_where_keys_lie_is_found_by_key():
    keys = pl.DataFrame({"source": ["x", "x", "y"], "id": ["1", "2", "1"], "spot": [10, 20, 30]})
    where = Spots.of(keys)
    assert where.at(keys.drop("spot").reverse())["spot"].to_list() == [30, 20, 10]
    more = pl.DataFrame({"source": ["x"], "id": ["1"], "spot": [11]})
    moved = where.with_more(more).without(np.array([30]))
    assert sorted(moved.at(keys.drop("spot")).rows()) == [("x", "1", 11), ("x", "2", 20)]
    assert where.at(keys.head(0)).height == 0
    assert len(set(hashes(keys).tolist())) == 3
