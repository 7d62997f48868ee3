"""Whatever happened on the way, families are those of the posts that are there in the end."""

import datetime as dt
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.model.changes import FLAG
from earshot.store import open_store
from earshot.testing.builders import NOON, batch, rows_of, stored
from earshot.testing.families import DAY, LATER, OTHER, TEXT, everything, settled
from earshot.testing.store import put, tombstones

TEXTS = [TEXT, TEXT + " folks", "so " + TEXT, OTHER, OTHER + " now", "hi", TEXT + " " + OTHER]
IDS = "abcdefgh"
PUT = st.tuples(st.just("put"), st.sampled_from(IDS), st.integers(0, len(TEXTS) - 1))
OTHERS = st.tuples(
    st.sampled_from(["hide", "show", "delete"]), st.sampled_from(IDS), st.just(0)
)  # fmt: skip
STEPS = st.lists(st.one_of(PUT, PUT, PUT, OTHERS), max_size=25)


def post(i, text):
    """A post whose time follows from its id: some share a millisecond, two lie on the next day."""
    hours = 12 if i in "gh" else 0
    return stored(
        i, text=TEXTS[text], event_time=NOON + dt.timedelta(hours=hours, microseconds=ord(i) % 3)
    )


def changes_of(step):
    what, i, text = step
    match what:
        case "put":
            return batch(post(i, text))
        case "delete":
            return batch(tombstones=tombstones(i))
        case _:
            return batch(flags=rows_of(FLAG, ("mastodon", i, what == "hide")))


@settings(max_examples=30, deadline=None)
@given(STEPS, st.sets(st.integers(0, 25)), st.sets(st.integers(0, 25)))
def test_families_are_those_of_what_is_left(steps, settles, restarts):
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/store.db"
        store = open_store(url, writable=True)
        for n, step in enumerate(steps):
            put(store, changes_of(step), offset=n + 1)
            if n in settles:
                store.settle(DAY)
            if n in restarts:
                store.close()
                store = open_store(url, writable=True)
        found = settled(store, DAY, LATER)
        left = everything(store)
        store.close()
        again = f"sqlite:///{folder}/again.db"
        with open_store(again, writable=True) as fresh:
            texts = dict(left.select("id", "text").iter_rows())
            whole = [post(i, TEXTS.index(texts[i])) for i in sorted(texts, reverse=True)]
            put(fresh, batch(*whole))
            assert found == settled(fresh, DAY, LATER)
