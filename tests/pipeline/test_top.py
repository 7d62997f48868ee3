"""Who leads, in which order, and from which rank."""

import datetime as dt

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.model.schema import STORED, WINDOW
from earshot.pipeline.codec import decode, encode
from earshot.pipeline.score import Weights
from earshot.pipeline.top import TOP, rows, top, totals, with_previous
from earshot.pipeline.window import unobserved, window

T0 = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def windows(posts):
    """Windows of (minute, author, tags, copy)."""
    frame = pl.DataFrame(
        [
            {
                "source": "x",
                "id": str(i),
                "event_time": T0 + dt.timedelta(minutes=minute),
                "author_id": author,
                "hashtags": tags,
                "consumed": True,
                "hidden": False,
                "copy": copy,
                "rules": [],
            }
            for i, (minute, author, tags, copy) in enumerate(posts)
        ],
        schema={**STORED, "rules": pl.List(pl.Int64)},
        orient="row",
    )
    return window(frame, unobserved(frame), Weights())


def naive(posts, limit, *, once):
    tags = {tag for _, _, tags, _ in posts for tag in tags}
    table = []
    for tag in tags:
        having = [p for p in posts if tag in p[2] and not (once and p[3])]
        if having:
            table.append((-len(having), -len({p[1] for p in having}), tag.encode(), tag))
    best = sorted(table)[:limit]
    return [(rank, tag, -n, -a, 0) for rank, (n, a, _, tag) in enumerate(best, 1)]


posts_st = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from("abc"),
        st.lists(st.sampled_from(["a", "b", "c", "ü", "z", "日本"]), max_size=3, unique=True),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None)
@given(posts_st, st.integers(1, 5), st.booleans())
def test_top_is_the_head_of_all_values_in_order(posts, limit, once):
    made = windows(posts)
    parts = [decode([blob], facet="hashtag") for blob in encode(made.blocks)]
    variant = "once" if once else "all"
    found = top(parts, "hashtag", limit=limit, variant=variant)
    assert found.rows() == naive(posts, limit, once=once)
    assert found.schema == TOP
    assert top(made.blocks, "hashtag", limit=limit, variant=variant).equals(found)


@settings(max_examples=15, deadline=None)
@given(posts_st)
def test_rows_have_the_schema_and_order_of_windows(posts):
    found = rows(windows(posts), width=60)
    assert found.schema == WINDOW
    key = [
        (r["start"], r["source"], r["rule"], r["facet"], -r["posts"], -r["authors"], r["value"])
        for r in found.filter(pl.col("facet") == "hashtag").to_dicts()
    ]
    assert key == sorted(key, key=lambda k: (*k[:-1], k[-1].encode()))


def test_totals_stand_beside_each_window():
    made = windows([(0, "a", [], False), (0, "a", [], True), (1, "b", ["t"], False)])
    assert totals(made.blocks).rows() == [(2, 1, 0), (1, 1, 0)]
    assert totals(made.blocks, "once").rows() == [(1, 1, 0), (1, 1, 0)]


def test_values_without_a_post_are_on_no_list():
    made = windows([(0, "a", ["t"], True)])
    assert top(made.blocks, "hashtag", variant="once").is_empty()


def test_rank_changes_are_told_against_the_window_before():
    before = windows([(0, "a", ["x"], False), (0, "a", ["x", "y"], False)])
    now = windows([(0, "a", ["y"], False), (0, "b", ["y", "x", "new"], False)])
    ranks = (top(w.blocks, "hashtag") for w in (now, before))
    found = with_previous(*ranks).select("value", "previous_rank", "change")
    assert found.rows() == [("y", 2, 1), ("new", None, None), ("x", 1, -2)]
