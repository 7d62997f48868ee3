"""Laws of identity: wherever batches are cut, in whatever order records come."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pipeline.memory import MemoryStore
from tests.pipeline.reference import Reference, expected, kept
from tests.pipeline.world import (
    NOON,
    Sight,
    create,
    delete,
    event,
    frames,
    like,
    log,
    unlike,
    update,
)

from earshot.model.schema import FLOW_CLASSES
from earshot.pipeline import flow
from earshot.rules import compile_rules

NO_RULES = compile_rules([])
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def work(store, happenings, compiled=NO_RULES, **options):
    """Work off one batch."""
    prepared = flow.prepare_decoded(*frames(happenings))
    state = flow.with_texts(store.state(prepared.wanted), store.known_texts(prepared.text_hashes))
    options = flow.FlowOptions(**options)
    flowed = flow.run(flow.matched(prepared, compiled, options), state, options)
    store.apply(flowed.changes)
    return flowed


def world(happenings, cuts=(), **options):
    """A store that worked off these records, cut into batches."""
    store = MemoryStore()
    edges = [0, *sorted(set(cuts)), len(happenings)]
    store.classes = []
    for start, end in pairwise(edges):
        if start < end:
            store.classes += work(store, happenings[start:end], **options).classes.to_list()
    return store


# -- what may happen -----------------------------------------------------------------------
IDS, AUTHORS, TEXTS = ("1", "2", "3"), ("ada", "bob"), ("sun", "moon")
AUTHOR_OF = {"1": "ada", "2": "ada", "3": "bob"}


SAID = st.sampled_from(TEXTS)
PLACES = st.sampled_from((None, "Rome"))


def sights(texts=SAID):
    return st.builds(
        lambda of, version, text, likes, place: Sight(
            of, AUTHOR_OF[of], version, text, {"likes": likes, "place": place}
        ),
        st.sampled_from(IDS),
        st.integers(0, 2),
        texts,
        st.none() | st.integers(0, 2),
        PLACES,
    )


def showing(post, more):
    """A create of `post`, with others embedded in it."""
    return replace(create(post.id, embedded=[s for s in more if s.id != post.id]), post=post)


def creates(shown=None):
    shown = sights() if shown is None else shown
    return st.builds(showing, shown, st.lists(shown, max_size=2, unique_by=lambda s: s.id))


def updates(shown=None):
    shown = sights() if shown is None else shown
    return st.builds(lambda post: replace(update(post.id), post=post), shown)


DELETES = st.builds(delete, st.sampled_from(IDS), st.none() | st.integers(0, 3))
HIDES = st.builds(
    event,
    st.sampled_from(("hide", "show")),
    st.sampled_from((*IDS, None)),
    st.sampled_from(AUTHORS),
)
SYNCS = st.builds(
    lambda a, v: event("sync", None, a, v), st.sampled_from(AUTHORS), st.integers(0, 3)
)
SCRUBS = st.builds(
    lambda a, v: event("geo_scrub", None, a, v), st.sampled_from(AUTHORS), st.integers(0, 4)
)
AUTHOR_DELETES = st.builds(lambda a: event("author_delete", None, a), st.sampled_from(AUTHORS))
KEYS = st.sampled_from(("a", "b"))
LIKES = st.builds(lambda k, i: like(f"{k}{i}", i), KEYS, st.sampled_from(IDS))
UNLIKES = st.builds(lambda k, i: unlike(f"{k}{i}"), KEYS, st.sampled_from(IDS))
OTHERS = st.sampled_from(
    [replace(event("show", "7"), event=None, cls=c) for c in ("control", "quarantined")]
)
ANYTHING = st.lists(
    st.one_of(
        creates(),
        creates(),
        updates(),
        DELETES,
        HIDES,
        SYNCS,
        SCRUBS,
        AUTHOR_DELETES,
        LIKES,
        UNLIKES,
        OTHERS,
    ),
    min_size=5,
    max_size=16,
)
CUTS = st.lists(st.integers(0, 16), max_size=5)
STEPS = st.sampled_from((1.0, 25.0, 400.0))


# -- laws ----------------------------------------------------------------------------------
@QUICK
@given(ANYTHING, CUTS, STEPS)
def test_where_batches_are_cut_makes_no_difference(happenings, cuts, step):
    records = log(*happenings, step=step)

    assert world(records, cuts).content() == world(records).content()


@QUICK
@given(ANYTHING, CUTS, STEPS)
def test_a_batch_means_what_its_records_mean_one_after_the_other(happenings, cuts, step):
    records = log(*happenings, step=step)
    store, reference = world(records, cuts), Reference().take(records)

    assert kept(store) == expected(reference)
    assert store.classes == reference.classes
    for name in (*FLOW_CLASSES, "embedded_new", "embedded_seen", "copies", "late"):
        assert store.total(name) == reference.counts[name], name


VERSIONED = sights(texts=st.none())


def told_apart(happenings):
    """Give the same version the same text, and each record's counters a value of their own."""

    def shown(sight, likes):
        fields = sight.fields | {"likes": likes, "place": None}
        return replace(sight, text=f"text {sight.id} {sight.version}", fields=fields)

    return [
        replace(
            h,
            post=shown(h.post, h.offset) if h.post else None,
            embedded=tuple(shown(s, h.offset) for s in h.embedded),
        )
        for h in log(*happenings)
    ]


@QUICK
@given(
    st.lists(
        st.one_of(creates(VERSIONED), updates(VERSIONED), DELETES, AUTHOR_DELETES), max_size=10
    )
    .map(told_apart)
    .flatmap(lambda records: st.tuples(st.just(records), st.permutations(records))),
    CUTS,
)
def test_the_order_of_arrival_makes_no_difference_to_posts_and_tombstones(orders, cuts):
    def outcome(records):
        store = world(records, cuts)
        columns = ("text", "version", "likes", "consumed")
        return store.tombstones, {k: [p[c] for c in columns] for k, p in store.posts.items()}

    as_logged, shuffled = orders

    assert outcome(as_logged) == outcome(shuffled)


@QUICK
@given(ANYTHING, STEPS)
def test_every_record_is_in_exactly_one_class(happenings, step):
    store = world(log(*happenings, step=step))

    assert sum(store.total(name) for name in FLOW_CLASSES) == len(happenings)


@QUICK
@given(st.lists(st.one_of(creates(), updates()), max_size=10), CUTS)
def test_the_same_records_again_are_duplicates_and_change_nothing(happenings, cuts):
    first = log(*(replace(h, post=replace(h.post, fields={}), embedded=()) for h in happenings))
    again = [replace(h, at=h.at + 1000, offset=h.offset + 1000) for h in first]
    once = world(first)
    versions = [h.post.version for h in first]
    if len(set(versions)) < len(versions):
        return  # equal versions of different texts are told apart by when they came
    twice = world(first + again, [len(first), *cuts])

    assert twice.posts == once.posts
    assert twice.total("duplicate") == once.total("duplicate") + sum(
        h.cls == "create" for h in first
    )


# -- examples ------------------------------------------------------------------------------
def test_a_create_is_unique_once_and_a_duplicate_afterwards():
    store = world(log(create("1"), create("1"), create("2")), cuts=[2])

    assert store.classes == ["unique", "duplicate", "unique"]


def test_a_post_known_only_as_embedded_is_unique_when_it_is_consumed_itself():
    store = world(
        log(create("2", embedded=[Sight("1", "bob")]), create("1", "bob"), create("1", "bob"))
    )

    assert store.classes == ["unique", "unique", "duplicate"]
    assert store.posts["x", "1"]["consumed"]
    assert store.total("embedded_new") == 1


def test_a_post_known_only_by_an_edit_is_kept_unconsumed_until_its_create_comes():
    records = log(update("1", version=2, text="newer"), create("1", version=1, text="older"))
    before, after = world(records[:1]), world(records, cuts=[1])

    assert not before.posts["x", "1"]["consumed"]
    assert after.posts["x", "1"]["consumed"]
    assert after.posts["x", "1"]["text"] == "newer"
    assert after.classes == ["updates", "unique"]


def test_the_create_that_consumes_a_post_replaces_what_was_embedded_of_its_version():
    lean = Sight("1", "bob", fields={"place": None})
    records = log(create("2", embedded=[lean]), create("1", "bob", place="Rome"))

    assert world(records).posts["x", "1"]["place"] == "Rome"
    assert world(records, cuts=[1]).posts["x", "1"]["place"] == "Rome"


def test_an_embedded_sight_of_the_same_version_and_text_changes_nothing():
    lean = Sight("1", "bob", fields={"place": None})
    records = log(create("1", "bob", place="Rome"), create("2", embedded=[lean]))

    assert world(records, cuts=[1]).posts["x", "1"]["place"] == "Rome"


def test_an_older_edit_that_comes_later_changes_nothing():
    store = world(
        log(create("1", version=3, text="third"), update("1", version=2, text="second")), cuts=[1]
    )

    assert store.posts["x", "1"]["text"] == "third"


def test_a_delete_of_an_unknown_post_refuses_it_for_ever():
    store = world(log(delete("1"), create("1"), create("2", embedded=[Sight("1")])), cuts=[1, 2])

    assert store.classes == ["deletes", "duplicate", "unique"]
    assert ("x", "1") in store.tombstones
    assert set(store.posts) == {("x", "2")}
    assert store.total("embedded_seen") == 1


def test_a_post_deleted_in_its_own_batch_was_unique_and_is_gone():
    store = world(log(create("1"), delete("1")))

    assert store.classes == ["unique", "deletes"]
    assert store.posts == {}


def test_a_deleted_author_is_gone_with_all_posts_and_refused_afterwards():
    records = log(create("1"), create("3", "bob"), event("author_delete"), create("2"), create("1"))
    store = world(records, cuts=[1])

    assert store.classes == ["unique", "unique", "control", "duplicate", "duplicate"]
    assert set(store.posts) == {("x", "3")}
    assert set(store.tombstones) == {("x", "author:ada"), ("x", "1"), ("x", "2")}


def test_a_sync_hides_earlier_posts_until_a_create_of_a_greater_version():
    records = log(
        create("1", version=5), event("sync", version=9), create("1", version=12, text="again")
    )

    assert world(records[:2], cuts=[1]).posts["x", "1"]["hidden"]
    assert not world(records, cuts=[1, 2]).posts["x", "1"]["hidden"]


def test_a_sync_leaves_what_has_its_version_or_a_greater_one():
    records = log(create("1", version=5), create("2", version=6), event("sync", version=5))

    for cuts in ([], [2]):
        assert not any(p["hidden"] for p in world(records, cuts).posts.values())


def test_hiding_an_author_hides_what_is_known_and_showing_brings_it_back():
    records = log(create("1"), create("2"), event("hide"), event("show", "2"), event("show"))

    assert [p["hidden"] for p in world(records[:3], cuts=[2]).posts.values()] == [True, True]
    assert [p["hidden"] for p in world(records[:4], cuts=[2]).posts.values()] == [True, False]
    assert [p["hidden"] for p in world(records, cuts=[2, 4]).posts.values()] == [False, False]


def test_an_edit_of_a_hidden_post_leaves_it_hidden():
    records = log(create("1"), event("hide", "1"), update("1"))

    assert world(records, cuts=[2]).posts["x", "1"]["hidden"]
    assert world(records).posts["x", "1"]["hidden"]


def test_a_geo_scrub_takes_places_of_earlier_posts_even_if_they_come_later():
    records = log(
        create("1", place="Rome", country="IT"),
        create("5", place="Rome"),
        event("geo_scrub", version=3),
        create("2", place="Oslo", latitude=1.0),
    )
    store = world(records, cuts=[2, 3])

    assert [store.posts["x", i]["place"] for i in ("1", "2", "5")] == [None, None, "Rome"]
    assert store.posts["x", "1"]["country"] is None
    assert store.posts["x", "2"]["latitude"] is None


def test_the_same_like_twice_raises_once_and_its_removal_takes_it_back():
    records = log(
        create("1"), like("k", "1"), like("k", "1"), like("m", "1", kind="repost"), unlike("k")
    )
    store = world(records, cuts=[2, 3])

    assert store.classes == ["unique", *["interactions"] * 4]
    assert store.posts["x", "1"]["likes"] == 0
    assert store.posts["x", "1"]["reposts"] == 1
    assert set(store.interactions) == {("x", "m")}


@pytest.mark.parametrize("act", [like("k", "9"), like("k", "1", kind="follow"), unlike("k")])
def test_what_is_done_to_nobody_known_is_only_counted(act):
    store = world(log(create("1"), act))

    assert store.classes == ["unique", "interactions"]
    assert store.interactions == {}
    assert store.observations == {}


def test_a_like_of_a_deleted_post_is_only_counted():
    records = log(create("1"), delete("1"), like("k", "1"))

    for cuts in ([], [1], [2]):
        store = world(records, cuts)
        assert store.interactions == {}
        assert store.classes[-1] == "interactions"


def test_the_newest_counters_win_and_an_equal_sight_says_nothing():
    records = log(create("1", likes=5), create("1", likes=7), create("1", likes=7), step=60)
    store = world(records, cuts=[1])
    (first, second) = sorted(store.observations.values(), key=lambda row: row["minute"])

    assert store.posts["x", "1"]["likes"] == 7
    assert [first["likes"], second["likes"]] == [5, 7]
    assert store.posts["x", "1"]["counters_at"] == second["seen_at"]


def test_the_first_sight_of_an_embedded_post_only_sets_its_base():
    records = log(
        create("2", embedded=[Sight("1", fields={"likes": 100})]),
        create("3", embedded=[Sight("1", fields={"likes": 130})]),
        step=90,
    )
    rows = sorted(world(records).observations.values(), key=lambda row: row["minute"])

    assert [(row["likes"], row["base"]) for row in rows] == [(100, True), (130, False)]


def test_an_older_observation_makes_the_minute_after_it_dirty_too():
    first, second, late = log(
        create("1", likes=5), create("1", likes=9), create("1", likes=7), step=120
    )
    store = world([first, second])
    store.dirty.clear()
    work(store, [replace(late, at=60)])

    assert {minute.minute for minute, _ in store.dirty} == {1, 2}


def test_an_edit_that_moves_a_post_makes_both_minutes_dirty():
    store = world(log(create("1")))
    store.dirty.clear()
    moved = update("1", event_time=NOON + timedelta(minutes=7))
    work(store, [replace(moved, at=5, offset=5)])

    assert {minute.minute for minute, _ in store.dirty} == {0, 7}


def test_a_copy_has_the_text_of_an_earlier_post_and_a_repost_is_none():
    records = log(
        create("1", text="Good morning"),
        create("2", text="good  MORNING!"),
        create("3", text="good morning", kind="repost"),
        create("4", text="other"),
    )
    for cuts in ([], [1, 2, 3]):
        store = world(records, cuts)
        assert [store.posts["x", i]["copy"] for i in "1234"] == [False, True, False, False]
        assert store.total("copies") == 1
        assert store.total("reposts") == 1


def test_late_is_over_ten_minutes_and_never_in_an_archive():
    records = log(create("1"), create("2"), create("3", headers='{"archive": true}'), step=601)
    store = world(records)

    assert [store.posts["x", i]["late"] for i in "123"] == [False, True, False]
    assert store.total("late") == 1


def test_profiles_are_merged_field_by_field():
    nothing = dict.fromkeys(("handle", "name", "bio", "location", "followers", "verified"))
    records = log(
        event("author_update", profile=nothing | {"handle": "ada.example", "followers": 1}),
        event("author_update", profile=nothing | {"name": "Ada", "followers": 2}),
    )
    for cuts in ([], [1]):
        author = world(records, cuts).authors["x", "ada"]
        assert (author["handle"], author["name"], author["followers"]) == ("ada.example", "Ada", 2)


def test_quarantined_records_keep_their_bytes_and_the_reason():
    store = world(log(create("1"), replace(event("show", "7"), event=None, cls="quarantined")))

    (row,) = store.quarantine
    assert (row["offset"], row["raw"], row["reason"]) == (1, b"{}", "broken")


def test_what_is_wanted_names_every_key_that_matters():
    records = [
        create("1", "ada", place="Rome"), delete("2"), like("k", "3"), event("hide", None, "bob"),
    ]  # fmt: skip
    wanted = flow.prepare_decoded(*frames(log(*records))).wanted

    assert set(wanted.keys["id"]) == {"1", "2", "3", "author:ada", "author:bob", "scrub:ada"}
    assert wanted.authors.rows() == [("x", "bob")]
    assert wanted.interactions.rows() == [("x", "k")]
    assert wanted.keys.schema == pl.Schema({"source": pl.String, "id": pl.String})
