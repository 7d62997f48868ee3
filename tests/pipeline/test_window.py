"""Windows equal what counting in plain Python gives, however they were cut, merged and written."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.model.schema import COUNTERS, STORED, TIME
from earshot.pipeline.codec import decode, encode
from earshot.pipeline.score import Weights
from earshot.pipeline.top import rows
from earshot.pipeline.window import Windows, roll, unobserved, window
from earshot.testing.windows import recount

T0 = dt.datetime(2026, 3, 1, 11, 50, tzinfo=dt.UTC)
WEIGHTS = Weights()
TEXTS = [
    "The demo begins now",
    "Große Demo in #Leipzig 2024 🎉🎉",
    "東京で花火を見る",
    "c'est l'été http://example.com/a",
    "@ada x 42 demo demo",
    "",
    None,
]
RULED = {**STORED, "rules": pl.List(pl.Int64)}
OBSERVED = {
    **RULED,
    "minute": TIME,
    "base": pl.Boolean,
    **{f"{when}_{c}": pl.Int64 for when in ("seen", "before") for c in COUNTERS},
}


def link(domain):
    return {"url": "u", "expanded": "u", "canonical": "u", "domain": domain}


@st.composite
def a_post(draw):
    return {
        "source": draw(st.sampled_from(["x", "bluesky", "reddit", "meetup"])),
        "id": draw(st.uuids().map(str)),
        "kind": draw(st.sampled_from(["post", "rsvp"])),
        "title": draw(st.sampled_from([None, "Demo"])),
        "text": draw(st.sampled_from(TEXTS)),
        "event_time": T0 + dt.timedelta(seconds=draw(st.integers(0, 1500))),
        "author_id": draw(st.sampled_from(["a", "b", "c", "d", None])),
        "lang": draw(st.sampled_from(["en", "de", "ja", "xx", None])),
        "country": draw(st.sampled_from(["DE", None])),
        "channel": draw(st.sampled_from(["r/tram", None])),
        "hashtags": draw(st.sampled_from([None, [], ["Leipzig"], ["LEIPZIG", "leipzig", "Ä"]])),
        "mentions": draw(st.sampled_from([None, [], ["Ada", "bob"]])),
        "links": draw(st.sampled_from([None, [], [link("a.com"), link("a.com"), link(None)]])),
        "consumed": draw(st.sampled_from([True, True, True, False])),
        "hidden": draw(st.sampled_from([False, False, False, True])),
        "copy": draw(st.booleans()),
        "rules": draw(st.sampled_from([[], [7], [7, 900_000_000_000]])),
    }


@st.composite
def an_observation(draw):
    some = st.one_of(st.none(), st.integers(0, 5))
    seen = {f"{when}_{c}": draw(some) for when in ("seen", "before") for c in COUNTERS}
    minute = T0 + dt.timedelta(minutes=draw(st.integers(0, 24)))
    return {**draw(a_post()), **seen, "minute": minute, "base": draw(st.booleans())}


def frame(items, schema=RULED):
    return pl.DataFrame(items, schema=schema, orient="row")


def table(windows, width, variant="all"):
    found = rows(windows, width=width, variant=variant)
    return {
        (int(r["start"].timestamp()), r["source"], r["rule"], r["facet"], r["value"]): (
            r["posts"],
            r["authors"],
            r["score"],
        )
        for r in found.to_dicts()
        if r["posts"] or r["score"]
    }


def written(windows):
    return Windows(windows.keys, decode(encode(windows.blocks)))


posts_st = st.lists(a_post(), max_size=25)
observed_st = st.lists(an_observation(), max_size=8)


@settings(max_examples=30, deadline=None)
@given(posts_st, observed_st)
def test_windows_equal_a_recount_in_plain_python(posts, observed):
    posts, observed = frame(posts), frame(observed, OBSERVED)
    made = window(posts, observed, WEIGHTS)
    posts, observed = posts.to_dicts(), observed.to_dicts()
    assert table(made, 60) == recount(posts, observed, WEIGHTS)
    assert table(made, 60, "once") == recount(posts, observed, WEIGHTS, once=True)
    assert table(made, 60, "clean") == table(made, 60, "once")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(posts_st, observed_st), max_size=4), st.sampled_from([60, 300, 3600]))
def test_merging_windows_equals_the_window_of_all_posts(batches, width):
    parts = [written(window(frame(p), frame(o, OBSERVED), WEIGHTS)) for p, o in batches]
    posts = frame([p for b, _ in batches for p in b]).to_dicts()
    observed = frame([o for _, b in batches for o in b], OBSERVED).to_dicts()
    for part in (roll(parts, width), roll([roll(parts[:2], 60), roll(parts[2:], 60)], width)):
        assert table(part, width) == recount(posts, observed, WEIGHTS, width=width)
        once = recount(posts, observed, WEIGHTS, width=width, once=True)
        assert table(written(part), width, "once") == once


@settings(max_examples=15, deadline=None)
@given(posts_st, observed_st)
def test_bytes_hold_a_window_whole(posts, observed):
    made = window(frame(posts), frame(observed, OBSERVED), WEIGHTS)
    again = written(made)
    for variant in ("all", "once"):
        assert table(again, 60, variant) == table(made, 60, variant)
    assert encode(again.blocks) == encode(written(again).blocks)


def test_a_window_is_there_for_every_minute_source_and_rule():
    base = {"text": "hi", "author_id": "a", "consumed": True, "hidden": False, "copy": False}
    posts = [
        {**base, "source": "x", "id": "1", "event_time": T0, "rules": [5]},
        {**base, "source": "reddit", "id": "1", "event_time": T0, "rules": []},
        {**base, "source": "x", "id": "2", "event_time": T0 + dt.timedelta(minutes=1), "rules": []},
    ]
    made = window(frame(posts), unobserved(frame(posts)), WEIGHTS)
    assert made.keys.rows() == [
        (T0, "reddit", 0),
        (T0, "x", 0),
        (T0, "x", 5),
        (T0 + dt.timedelta(minutes=1), "x", 0),
    ]


def test_no_posts_make_no_windows():
    made = window(frame([]), frame([], OBSERVED), WEIGHTS)
    assert made.keys.height == made.blocks.windows == 0
    assert roll([], 60).keys.height == 0
    assert encode(made.blocks) == []


def crowd(authors, *, copies_of=0, start=0):
    n = len(authors)
    return pl.DataFrame(
        {
            "source": ["x"] * n,
            "id": [f"{start + i}" for i in range(n)],
            "text": ["tram"] * n,
            "event_time": [T0 + dt.timedelta(minutes=i % 5) for i in range(n)],
            "author_id": [f"u{a}" for a in authors],
            "consumed": [True] * n,
            "hidden": [False] * n,
            "copy": [i < copies_of for i in range(n)],
            "rules": [[]] * n,
        },
        schema_overrides={c: RULED[c] for c in ("event_time", "rules")},
    ).pipe(lambda f: frame([], RULED).clear().pipe(lambda e: pl.concat([e, f], how="diagonal")))


@pytest.mark.parametrize(("authors", "slack"), [(1024, 0), (1025, 0.03), (20_000, 0.03)])
def test_authors_are_exact_up_to_1024_and_close_beyond(authors, slack):
    posts = crowd(range(authors), copies_of=authors // 2)
    whole = roll([window(posts, unobserved(posts), WEIGHTS)], 300)
    for variant, true in (("all", authors), ("once", authors - authors // 2)):
        found = rows(written(whole), width=300, variant=variant)
        total = found.filter(pl.col("facet") == "total")
        assert abs(total["authors"].item() - true) <= slack * true
        assert total["posts"].item() == true


@pytest.mark.parametrize("cut", [1, 700, 1500, 2999])
def test_sketches_do_not_show_the_order_of_merging(cut):
    authors = np.random.default_rng(5).integers(0, 2500, 3000)
    posts = crowd(authors, copies_of=900)
    at_once = roll([window(posts, unobserved(posts), WEIGHTS)], 300)
    a, b = (window(p, unobserved(p), WEIGHTS) for p in (posts[:cut], posts[cut:]))
    merged = roll([roll([written(b)], 300), written(roll([a], 60))], 300)
    for variant in ("all", "once"):
        assert table(merged, 300, variant) == table(at_once, 300, variant)
    assert (at_once.blocks.sketch >= 0).any()
