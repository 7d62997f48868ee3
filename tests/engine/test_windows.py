"""Windows in the store equal a recount of its posts after anything, restarts included."""

import datetime as dt
from dataclasses import dataclass, fields, replace
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.engine import rollups
from earshot.engine.rollups import windows_of
from earshot.engine.windows import COUNT_COST, PATIENCE, WindowKeeper, series_of, top_of
from earshot.errors import UsageError
from earshot.model.changes import DIRTY, DIRTY_AT, FLAG, KEY, PROMOTED, Changes
from earshot.model.document import document
from earshot.model.schema import COUNTERS, HIT, OBSERVATION, STORED, TIME, TOMBSTONE
from earshot.model.tokens import tokenize
from earshot.pipeline.codec import encode
from earshot.pipeline.score import Weights
from earshot.pipeline.top import rows
from earshot.pipeline.window import KEYS
from earshot.store import open_store
from earshot.testing.windows import recount

T0 = dt.datetime(2026, 3, 1, 11, 50, tzinfo=dt.UTC)
LATER = T0 + dt.timedelta(days=1)
WEIGHTS = Weights()
RULED = {**STORED, "rules": pl.List(pl.Int64)}
SEEN = {
    **RULED,
    "minute": TIME,
    "base": pl.Boolean,
    **{f"{when}_{c}": pl.Int64 for when in ("seen", "before") for c in COUNTERS},
}


def minute_of(moment):
    return moment.replace(second=0, microsecond=0)


@dataclass
class Committed:
    """A batch; before its posts the pipeline had one more that was not stored."""

    changes: Changes

    @property
    def written(self):
        return pl.Series([False] + [True] * self.changes.posts.height)

    @property
    def tokens(self):
        texts = document(self.changes.posts)
        return tokenize(pl.concat([pl.Series(["left out"]), texts]), index=True)


class FakeStore:
    """As much of a store as windows need, in plain Python; pages of two rows."""

    def __init__(self):
        self.posts, self.rules, self.seen = {}, {}, {}
        self.blocks, self.noted, self.marks = {}, {}, {}
        self.at = 0
        self.read_back = 0

    def commit(self, changes):
        hits = {}
        for source, id_, rule, _ in changes.hits.iter_rows():
            hits.setdefault((source, id_), []).append(rule)
        for post in changes.posts.select(STORED.names()).to_dicts():
            key = post["source"], post["id"]
            self.posts[key], self.rules[key] = post, hits.get(key, [])
        for seen in changes.observations.to_dicts():
            self.seen[seen["source"], seen["id"], seen["minute"]] = seen
        for source, id_, hidden in changes.flags.iter_rows():
            self.posts[source, id_]["hidden"] = hidden
        for key in changes.scrubbed.iter_rows():
            self.posts[key]["country"] = None
        for source, id_, copy, _ in changes.promoted.iter_rows():
            self.posts[source, id_] |= {"consumed": True, "copy": copy}
        for key in changes.tombstones.select(KEY.names()).iter_rows():
            self.posts.pop(key)
            self.seen = {k: v for k, v in self.seen.items() if k[:2] != key}
        self.at += 1
        self.marks |= dict.fromkeys(changes.dirty.iter_rows(), self.at)

    def offset(self):
        return self.at

    def bounds(self):
        times = [p["event_time"] for p in self.posts.values()]
        return (min(times), max(times)) if times else None

    def dirty(self):
        marks = [(*minute, at) for minute, at in sorted(self.marks.items())]
        return pl.DataFrame(marks, DIRTY_AT, orient="row")

    def _row(self, key):
        return {**self.posts[key], "rules": self.rules[key]}

    def by_minutes(self, minutes, *, columns=None, keys=None):
        wanted = set(minutes.select(DIRTY.names()).iter_rows())
        some = None if keys is None else set(keys.iter_rows())
        found = [
            self._row(k)
            for k, p in self.posts.items()
            if (minute_of(p["event_time"]), p["source"]) in wanted and (some is None or k in some)
        ]
        self.read_back += len(found)
        for first in range(0, len(found), 2):
            yield pl.DataFrame(found[first : first + 2], RULED, orient="row")

    def observations(self, wanted=None):
        for (source, id_, minute), seen in self.seen.items():
            if wanted is None or (minute, source) in wanted:
                earlier = [k for k in self.seen if k[:2] == (source, id_) and k[2] < minute]
                before = self.seen[max(earlier)] if earlier else {}
                counters = {f"seen_{c}": seen[c] for c in COUNTERS}
                counters |= {f"before_{c}": before.get(c) for c in COUNTERS}
                post = self._row((source, id_))
                yield {**post, "minute": minute, "base": seen["base"], **counters}

    def last_observed(self):
        return max((minute for _, _, minute in self.seen), default=None)

    def observed_in(self, minutes, *, columns=None, keys=None):
        some = None if keys is None else set(keys.iter_rows())
        found = [
            row
            for row in self.observations(set(minutes.select(DIRTY.names()).iter_rows()))
            if some is None or (row["source"], row["id"]) in some
        ]
        for first in range(0, len(found), 2):
            yield pl.DataFrame(found[first : first + 2], SEEN, orient="row")

    def windows(self, *, width, since, until, source, rule):
        return [
            b
            for (w, start, s, r), b in sorted(self.blocks.items())
            if w == width
            and since <= start < until
            and source in (None, s)
            and rule in (None, r)
            and b.data
        ]

    def windows_at(self, width, windows):
        wanted = set(windows.select("start", "source").iter_rows())
        return [b for b in self._at(width, wanted) if b.data]

    def _at(self, width, wanted):
        return [b for (w, *at, _), b in self.blocks.items() if w == width and tuple(at) in wanted]

    def windows_there(self, width, windows):
        wanted = set(windows.select("start", "source").iter_rows())
        found = [(b.start, b.source, b.rule) for b in self._at(width, wanted)]
        return pl.DataFrame(found, KEYS, orient="row")

    def series(self, *, width, since, until, source, rule):
        found = [
            b
            for (w, start, s, r), b in sorted(self.blocks.items())
            if (w, r) == (width, rule) and since <= start < until and source in (None, s)
        ]
        return pl.DataFrame(
            [(b.start, b.source, b.posts, b.authors, b.score) for b in found],
            {"start": TIME, "source": pl.String}
            | dict.fromkeys(("posts", "authors", "score"), pl.Int64),
            orient="row",
        )

    def put_windows(self, blocks, *, clean, at):
        keys = [(b.width, b.start, b.source, b.rule) for b in blocks]
        assert len(keys) == len(set(keys))
        for key, block in zip(keys, blocks, strict=True):
            if block.data != b"":
                self.blocks[key] = block
            else:
                self.blocks.pop(key, None)
        for *minute, at in clean.iter_rows():
            if self.marks.get(tuple(minute), 0) <= at:
                self.marks.pop(tuple(minute), None)

    def note(self, key, value):
        self.noted[key] = value

    def facts(self, prefix=""):
        return {k: v for k, v in self.noted.items() if k.startswith(prefix)}


def post(id_, seconds, **more):
    base = {
        "source": "x",
        "id": id_,
        "kind": "post",
        "text": "tram #Leipzig",
        "hashtags": ["Leipzig"],
        "author_id": "a",
        "event_time": T0 + dt.timedelta(seconds=seconds),
        "consumed": True,
        "hidden": False,
        "copy": False,
    }
    return {**base, **more}


def change(
    *, posts=(), rules=(), deleted=(), flags=(), scrubbed=(), promoted=(), seen=(), dirty=()
):
    """Changes as the flow makes them, with the minutes of the posts among the dirty ones."""
    more = {"index": "", "tags": "", "bands": b""}
    whole = [{**p, **more} for p in posts]
    frame = pl.DataFrame(whole, Changes.none().posts.schema, orient="row")
    minutes = {(minute_of(p["event_time"]), p["source"]) for p in posts}
    minutes |= {(s["minute"], s["source"]) for s in seen} | set(dirty)
    hits = [(p["source"], p["id"], r, 1) for p, rs in zip(posts, rules, strict=False) for r in rs]
    return replace(
        Changes.none(),
        posts=frame,
        hits=pl.DataFrame(hits, HIT, orient="row"),
        tombstones=pl.DataFrame([(*k, 1, LATER) for k in deleted], TOMBSTONE, orient="row"),
        flags=pl.DataFrame(list(flags), FLAG, orient="row"),
        scrubbed=pl.DataFrame(list(scrubbed), KEY, orient="row"),
        promoted=pl.DataFrame([(*p, False) for p in promoted], PROMOTED, orient="row"),
        observations=pl.DataFrame(list(seen), OBSERVATION, orient="row"),
        dirty=pl.DataFrame(sorted(minutes), DIRTY, orient="row"),
    )


def places_of(store, key):
    """Every minute that this post counts or scores in."""
    p = store.posts[key]
    places = {(minute_of(p["event_time"]), p["source"])}
    return places | {(k[2], k[0]) for k in store.seen if k[:2] == key}


def stored(store, width, variant="all"):
    return shown(store.blocks, width, variant)


def shown(blocks, width, variant="all"):
    blocks = [b for k, b in blocks.items() if k[0] == width and b.data]
    if not blocks:
        return {}
    found = rows(windows_of(blocks), width=width, variant=variant).to_dicts()
    return {
        (int(r["start"].timestamp()), r["source"], r["rule"], r["facet"], r["value"]): (
            r["posts"],
            r["authors"],
            r["score"],
        )
        for r in found
        if r["posts"] or r["score"]
    }


def recounted(store, width, **options):
    posts = [store._row(k) for k in store.posts]
    return recount(posts, list(store.observations()), WEIGHTS, width=width, **options)


def check_minutes(store):
    assert stored(store, 60) == recounted(store, 60)
    assert stored(store, 60, "once") == recounted(store, 60, once=True)


def check_rollups(store, *, complete):
    """A roll-up that is there is right; at rest all of them are there."""
    for width in (300, 3600):
        there, true = stored(store, width), recounted(store, width)
        if width == 300:  # of rules they hold what a series asks for
            true = {k: v for k, v in true.items() if k[2] == 0 or k[3] == "total"}
        starts = {(int(k[1].timestamp()), k[2]) for k in store.blocks if k[0] == width}
        if complete:
            assert starts == {place[:2] for place in true}
        assert there == {k: v for k, v in true.items() if k[:2] in starts}


def check_tops(store, facet):
    """The leading values of any width, and of spans that are put together, are those of a sort."""
    until = T0 + dt.timedelta(minutes=30)
    for width in (60, 300, 3600):
        for variant in ("all", "once"):
            true = recounted(store, width, once=variant == "once")
            at = max((place[0] for place in true), default=0) + width
            place = at - width, "x", 0, facet
            values = {k[4]: v for k, v in true.items() if k[:4] == place and v[0]}
            order = sorted(values, key=lambda v: (-values[v][0], -values[v][1], v.encode()))
            found = top_of(
                store, facet, width, dt.datetime.fromtimestamp(at, dt.UTC),
                source="x", variant=variant, limit=2,
            )  # fmt: skip
            assert [r[1:] for r in found.rows()] == [(v, *values[v]) for v in order[:2]]
    total = top_of(store, "total", 7200, until, source="x")
    true = [v for k, v in recounted(store, 86400).items() if k[1:4] == ("x", 0, "total")]
    assert [r[2:] for r in total.rows()] == [v for v in true if v[0]]


FATES = {"delete", "edit", "flag", "promote", "scrub", "seen"}
BATCH = ("posts", "rules", "deleted", "flags", "scrubbed", "promoted", "seen")


class World:
    """Draws what happens to a store, as the flow would commit it."""

    def __init__(self, data):
        self.draw = data.draw
        self.store = FakeStore()
        self.made, self.clock = 0, T0

    def step(self):
        """One batch: new posts, and what befalls old ones; each post once."""
        self.batch = {name: [] for name in BATCH} | {"dirty": set()}
        for _ in range(self.draw(st.integers(0, 4))):
            made = self._create()
            self._put(made)
            if self.draw(st.booleans()):
                self._see(made)
        old = sorted(self.store.posts)
        if old and self.draw(st.integers(0, 9)) == 0:
            self._befall_author(self.store.posts[self.draw(st.sampled_from(old))])
        elif old:
            for key in self.draw(st.lists(st.sampled_from(old), max_size=3, unique=True)):
                self._befall(key, self.draw(st.sampled_from(sorted(FATES))))
        return change(**self.batch)

    def _befall(self, key, fate):
        self.batch["dirty"] |= places_of(self.store, key)
        old = self.store.posts[key]
        match fate:
            case "delete":
                self.batch["deleted"].append(key)
            case "flag":
                self.batch["flags"].append((*key, not old["hidden"]))
            case "scrub":
                self.batch["scrubbed"].append(key)
            case "promote":  # its create came after its edit
                if not old["consumed"]:
                    self.batch["promoted"].append((*key, self.draw(st.booleans())))
            case "seen":
                self._see(old)
            case "edit":
                self._put({**old, **self._edit(old)})
                if self.draw(st.booleans()):
                    self._see(old)

    def _befall_author(self, of):
        """A whole author is deleted, hidden or shown."""
        fate = self.draw(st.sampled_from(["delete", "flag"]))
        for key, old in sorted(self.store.posts.items()):
            if (old["source"], old["author_id"]) == (of["source"], of["author_id"]):
                self._befall(key, fate)

    def _edit(self, old):
        """What an edit may change: also when the post is said to have been, and in which tongue."""
        moved = old["event_time"] + dt.timedelta(seconds=self.draw(st.sampled_from([-400, 50])))
        edits = {
            "text": self.draw(st.sampled_from(["tram", "bus #now", "the tram war"])),
            "lang": self.draw(st.sampled_from([None, "de", "en"])),
            "event_time": moved,
            "copy": not old["copy"],
            "consumed": True,
        }
        return {c: edits[c] for c in self.draw(st.sets(st.sampled_from(sorted(edits))))}

    def _put(self, made):
        self.batch["posts"].append(made)
        self.batch["rules"].append(self.draw(st.sampled_from([[], [3], [3, 4]])))

    def _create(self):
        draw = self.draw
        self.made += 1
        return post(
            f"p{self.made}",
            draw(st.integers(0, 1500)),
            source=draw(st.sampled_from(["x", "reddit"])),
            author_id=draw(st.sampled_from("abc")),
            text=draw(st.sampled_from(["tram stop", "bus", "war"])),
            country=draw(st.sampled_from([None, "DE"])),
            consumed=draw(st.sampled_from([True, True, False])),
            copy=draw(st.booleans()),
        )

    def _see(self, of):
        minute = T0 + dt.timedelta(minutes=self.draw(st.integers(20, 26)))
        counters = {c: self.draw(st.integers(0, 9)) for c in COUNTERS}
        had = self.store.seen.get((of["source"], of["id"], minute))
        base = had["base"] if had else not of["consumed"]
        key = {"source": of["source"], "id": of["id"]}
        self.clock += dt.timedelta(milliseconds=1)
        seen_at = minute + (self.clock - T0)
        seen = {**key, "minute": minute, "seen_at": seen_at, "base": base, **counters}
        self.batch["seen"].append(seen)


def dirtied(store, changes):
    """As the flow tells it: minutes of later observations change when an earlier one does."""
    more = set(changes.dirty.iter_rows())
    for source, id_ in changes.observations.select(KEY.names()).iter_rows():
        more |= {(k[2], k[0]) for k in store.seen if k[:2] == (source, id_)}
    known = [key for key in changes.posts.select(KEY.names()).iter_rows() if key in store.posts]
    return replace(
        changes,
        dirty=pl.DataFrame(sorted(more), DIRTY, orient="row"),
        replaced=pl.DataFrame(known, KEY, orient="row"),
    )


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_windows_equal_a_recount_after_anything_that_happens(data):
    world = World(data)
    store, now = world.store, T0
    keeper = WindowKeeper(store, WEIGHTS)
    waiting = []  # committed, not yet noted: both happen on threads of their own
    for _ in range(data.draw(st.integers(1, 6))):
        changes = dirtied(store, world.step())
        store.commit(changes)
        waiting.append((Committed(changes), store.at))
        what = data.draw(st.sampled_from(["note", "note", "note", "wait", "die"]))
        if what == "die":
            keeper, waiting = WindowKeeper(store, WEIGHTS), []
        while waiting and what == "note":
            flowed, at = waiting.pop(0)
            keeper.note(flowed, offset=at)
        now += dt.timedelta(seconds=data.draw(st.sampled_from([1, 30, 400])))
        if data.draw(st.booleans()):
            how = {name: data.draw(st.booleans()) for name in ("everything", "lagging")}
            keeper.flush(now, limit=data.draw(st.sampled_from([1, 3, 1000])), **how)
            if not store.marks:
                check_minutes(store)
                check_rollups(store, complete=False)
    for flowed, at in waiting:
        keeper.note(flowed, offset=at)
    keeper.flush(now, everything=True)
    assert store.marks == {}
    check_minutes(store)
    check_rollups(store, complete=True)
    check_tops(store, data.draw(st.sampled_from(["word", "author", "country", "language"])))


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_the_embedded_store_ends_with_the_same_windows(data):
    world = World(data)
    with TemporaryDirectory() as home, open_store(f"sqlite:///{home}/s.db", writable=True) as real:
        keeper = WindowKeeper(real, WEIGHTS)
        for offset in range(data.draw(st.integers(1, 5))):
            changes = dirtied(world.store, world.step())
            world.store.commit(changes)
            real.commit(changes, offset=offset + 1, at=T0)
            keeper.note(Committed(changes), offset=offset + 1)
            if data.draw(st.booleans()):
                keeper.flush(T0 + dt.timedelta(seconds=offset), everything=data.draw(st.booleans()))
        keeper.flush(T0, everything=True)
        assert real.dirty().is_empty()
        for width in (60, 300, 3600):
            span = {"since": T0 - dt.timedelta(days=1), "until": LATER}
            blocks = real.windows(width=width, source=None, rule=None, **span)
            kept = {(b.width, b.start, b.source, b.rule): b for b in blocks}
            true = recounted(world.store, width)
            assert shown(kept, width) == {
                k: v for k, v in true.items() if width != 300 or k[2] == 0 or k[3] == "total"
            }


def flow(store, keeper, **parts):
    changes = change(**parts)
    store.commit(changes)
    keeper.note(Committed(changes), offset=store.at)


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def keeper(store):
    return WindowKeeper(store, {f.name: f.default for f in fields(Weights)})


def test_minutes_that_were_seen_whole_are_not_read_back(store, keeper):
    flow(store, keeper, posts=[post("1", 0), post("2", 70)])
    keeper.flush(T0, everything=False)
    flow(store, keeper, posts=[post("3", 75, author_id="b")])
    done = keeper.flush(T0, everything=True)
    assert (done.from_store, done.left, store.read_back) == (0, 0, 0)
    check_minutes(store)


def test_first_sights_score_without_reading_the_posts_back(store, keeper):
    minute = T0 + dt.timedelta(minutes=30)
    seen = [
        {"source": "x", "id": i, "minute": minute, "seen_at": minute, "base": False, "likes": 10}
        for i in ("1", "2")
    ]
    flow(store, keeper, posts=[post("1", 0)], seen=seen[:1])
    flow(store, keeper, posts=[post("2", 5)], seen=seen[1:])
    keeper.flush(T0, everything=True)
    total = series_of(store, 60, minute, minute + dt.timedelta(minutes=1))
    assert total.rows() == [(minute, "x", 0, 0, 6000)]
    check_minutes(store)


def test_a_delete_makes_the_minute_again_from_its_posts(store, keeper):
    flow(store, keeper, posts=[post("1", 0), post("2", 1)])
    flow(store, keeper, deleted=[("x", "1")], dirty=[(T0, "x")])
    assert keeper.flush(T0, everything=True).from_store == 1
    assert top_of(store, "total", 60, T0 + dt.timedelta(minutes=1))["posts"].to_list() == [1]


def test_a_minute_that_became_empty_leaves_no_block(store, keeper):
    flow(store, keeper, posts=[post("1", 0)], rules=[[3]])
    keeper.flush(T0, everything=True)
    assert {k[0] for k in store.blocks} == {60, 300, 3600}
    flow(store, keeper, deleted=[("x", "1")], dirty=[(T0, "x")])
    keeper.flush(T0, everything=True)
    assert store.blocks == {}


def test_a_post_taken_back_is_the_only_one_that_is_read_back(store, keeper):
    flow(store, keeper, posts=[post(str(i), i) for i in range(20)], rules=[[3]])
    keeper.flush(T0, everything=True)
    edited = post("5", 5, text="bus", hashtags=["now"])
    flow(store, keeper, posts=[edited], deleted=[("x", "0")], dirty=[(T0, "x")])
    keeper.flush(T0, everything=True)
    assert store.read_back == 1
    check_minutes(store)


def test_stale_rollups_go_with_the_minute_that_changed(store, keeper):
    flow(store, keeper, posts=[post("1", 0)])
    keeper.flush(T0, everything=True)
    flow(store, keeper, posts=[post("2", 10)])
    keeper.flush(T0 + dt.timedelta(seconds=1), everything=False)
    assert {k[0] for k in store.blocks} == {60}
    assert top_of(store, "hashtag", 3600, LATER.replace(hour=12)).is_empty()
    found = top_of(store, "hashtag", 3600, T0 + dt.timedelta(minutes=10))
    assert found.rows() == [(1, "leipzig", 2, 1, 0)]


def test_rollups_are_made_once_event_time_has_gone_on(store, keeper):
    flow(store, keeper, posts=[post("1", 0), post("2", 1200)])
    keeper.flush(T0, everything=False)
    wide = {k[:2] for k in store.blocks if k[0] != 60}
    assert wide == {(300, T0), (3600, T0.replace(minute=0))}


def test_rollups_owed_by_a_killed_process_are_made_by_the_next(store, keeper):
    flow(store, keeper, posts=[post("1", 0)])
    keeper.flush(T0, everything=False)
    assert {k[0] for k in store.blocks} == {60}
    WindowKeeper(store, WEIGHTS).flush(LATER, everything=False)
    check_rollups(store, complete=False)
    WindowKeeper(store, WEIGHTS).flush(LATER, everything=True)
    check_rollups(store, complete=True)


def test_a_flush_does_no_more_than_its_limit(store, keeper):
    flow(store, keeper, posts=[post(str(i), 60 * i) for i in range(10)])
    done = keeper.flush(T0, everything=False, limit=4)
    assert (done.minutes, done.left) == (4, 6)
    done = keeper.flush(T0, everything=True, limit=4)
    assert (done.minutes, done.left) == (6, 0)
    check_rollups(store, complete=True)


def test_a_minute_that_fills_is_made_anew_at_a_tenth_of_the_cost(store, keeper):
    flow(store, keeper, posts=[post(f"{i}", i % 50) for i in range(100)])
    assert keeper.flush(T0, everything=False).minutes == 1
    flow(store, keeper, posts=[post("new", 1)])
    assert keeper.flush(T0 + 99 * COUNT_COST, everything=False).minutes == 0
    assert keeper.flush(T0 + 100 * COUNT_COST, everything=False).minutes == 1
    check_minutes(store)


def test_while_the_engine_lags_minutes_are_made_once_they_are_full(store, keeper):
    def made(now):
        return keeper.flush(now, everything=False, lagging=True).minutes

    flow(store, keeper, posts=[post("1", 0), post("2", 70)])
    assert made(T0) == 0
    flow(store, keeper, posts=[post("3", 5), post("4", 130)])
    assert made(T0) == 1  # event time is two minutes on
    assert {k[1] for k in store.blocks if k[0] == 60} == {T0}
    assert made(T0 + PATIENCE) == 2  # the others have waited for long
    flow(store, keeper, posts=[post("5", 131)])
    assert made(T0 + PATIENCE + dt.timedelta(seconds=5)) == 0
    check_rollups(store, complete=False)


def test_scores_seen_today_do_not_close_the_minutes_of_an_archive(store, keeper):
    today = T0 + dt.timedelta(days=300)
    seen = {"source": "x", "id": "1", "minute": today, "seen_at": today, "base": False, "likes": 1}
    flow(store, keeper, posts=[post("1", 0)], seen=[seen])
    assert keeper.flush(today, everything=False, lagging=True).minutes == 0
    keeper.flush(today, everything=False)
    assert {k[0] for k in store.blocks} == {60}


def test_a_minute_that_is_dirtied_again_before_it_was_noted_stays_dirty(store, keeper):
    first, then = change(posts=[post("1", 0)]), change(posts=[post("2", 1), post("3", 300)])
    store.commit(first)
    keeper.note(Committed(first), offset=store.at)
    store.commit(then)
    done = keeper.flush(T0, everything=False)
    assert (done.minutes, done.left) == (0, 2)  # a moment later they need no reading
    done = keeper.flush(T0 + PATIENCE, everything=False)
    assert (done.minutes, done.left) == (2, 2)
    keeper.note(Committed(then), offset=store.at)
    assert keeper.flush(T0 + 2 * PATIENCE, everything=False).left == 0
    check_minutes(store)


def test_a_great_hour_is_merged_page_by_page(store, keeper, monkeypatch):
    monkeypatch.setattr(rollups, "MOST_POSTS", 5)
    made = [post(str(i), 400 * i, author_id="ab"[i % 2]) for i in range(9)]
    flow(store, keeper, posts=made, rules=[[3, 4], [67], [3, 9]] * 3)
    keeper.flush(T0, everything=True)
    check_rollups(store, complete=True)
    assert {k[3] for k in store.blocks if k[0] == 3600} == {0, 3, 4, 9, 67}


@pytest.mark.parametrize("most", [5, 1000])
def test_minutes_that_an_older_version_wrote_rule_by_rule_are_read(
    store, keeper, monkeypatch, most
):
    monkeypatch.setattr(rollups, "MOST_POSTS", most)
    made = [post(str(i), 60 * i, author_id="ab"[i % 2]) for i in range(9)]
    flow(store, keeper, posts=made, rules=[[3, 4], [67], [3, 9]] * 3)
    keeper.flush(T0, everything=False)
    paged = [b for k, b in store.blocks.items() if k[0] == 60]
    minutes = windows_of([b for b in paged if b.data])
    apart = dict(zip(minutes.keys.iter_rows(), encode(minutes.blocks), strict=True))
    store.blocks = {
        (60, *key): replace(store.blocks[60, *key], data=data) for key, data in apart.items()
    }
    store.noted.pop(rollups.PAGED)
    until = T0 + dt.timedelta(minutes=9)
    assert top_of(store, "word", 600, until, rule=3).rows() == [(1, "tram", 6, 2, 0)]
    keeper = WindowKeeper(store, WEIGHTS)
    keeper.flush(LATER, everything=True)
    check_rollups(store, complete=True)
    flow(store, keeper, posts=[post("late", 70)], rules=[[9]])
    keeper.flush(LATER, everything=True)
    check_minutes(store)
    check_rollups(store, complete=True)
    assert top_of(store, "word", 600, until, rule=67).rows() == [(1, "tram", 3, 2, 0)]


def test_the_windows_of_a_rule_are_those_of_its_posts_alone(store, keeper):
    """Over any span, whatever shares its page."""
    made = [post(str(i), 60 * i, text=f"tram n{i % 3}x") for i in range(90)]
    flow(store, keeper, posts=made, rules=[[3], [67], [3, 131]] * 30)
    keeper.flush(T0, everything=True)
    at = T0 + dt.timedelta(minutes=80)
    for rule, values in ((3, {"n0x", "n2x"}), (67, {"n1x"}), (131, {"n2x"}), (5, set())):
        for width in (60 * 7, 60 * 70):
            found = top_of(store, "word", width, at, rule=rule)
            inside = [p for p in made if at - dt.timedelta(seconds=width) <= p["event_time"] < at]
            words = [w for p in inside for w in p["text"].split()[1:]]
            true = {w: words.count(w) for w in values}
            if values:
                true["tram"] = sum(true.values())
            assert dict(found.select("value", "posts").iter_rows()) == true
            posts = series_of(store, 300, at - dt.timedelta(seconds=width), at, rule=rule)["posts"]
            assert posts.sum() >= true.get("tram", 0)


def test_a_late_post_does_not_make_a_great_rollup_again_at_once(store, keeper):
    made = [post(f"{i}", i, author_id=f"a{i}") for i in range(50)]
    flow(store, keeper, posts=[*made, post("on", 7200)])
    keeper.flush(T0, everything=False)
    assert (300, T0) in {k[:2] for k in store.blocks}
    flow(store, keeper, posts=[post("late", 70)])
    soon = T0 + dt.timedelta(microseconds=100)
    keeper.flush(soon, everything=False)
    assert (300, T0) not in {k[:2] for k in store.blocks}
    keeper.flush(soon + dt.timedelta(seconds=1), everything=False)
    assert (300, T0) in {k[:2] for k in store.blocks}
    check_rollups(store, complete=False)


def test_a_minute_read_back_rests_before_it_is_read_again(store, keeper):
    flow(store, keeper, posts=[post("1", 0)])
    keeper = WindowKeeper(store, WEIGHTS)  # which has not seen the minute whole
    keeper.flush(T0, everything=False)
    flow(store, keeper, posts=[post("2", 1)])
    assert keeper.flush(T0, everything=False).minutes == 0
    assert keeper.flush(T0 + dt.timedelta(seconds=1), everything=False).minutes == 1
    check_minutes(store)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_span_gives_the_recount_of_its_posts(data):
    store = FakeStore()
    keeper = WindowKeeper(store, WEIGHTS)
    hour = st.integers(-3 * 3600, 3 * 3600)
    made = [
        post(f"{i}", s, author_id=a, source=n, copy=c)
        for i, (s, a, n, c) in enumerate(
            data.draw(
                st.lists(
                    st.tuples(
                        hour, st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.booleans()
                    ),
                    max_size=30,
                )
            )
        )
    ]
    for first in range(0, len(made), 10):
        flow(store, keeper, posts=made[first : first + 10])
        keeper.flush(T0 + dt.timedelta(seconds=first), everything=False)
    minutes = data.draw(st.integers(1, 300))
    at = T0 + dt.timedelta(minutes=data.draw(st.integers(-120, 200)))
    for variant in ("all", "once"):
        inside = [
            p
            for p in made
            if at - dt.timedelta(minutes=minutes) <= p["event_time"] < at
            and not (variant == "once" and p["copy"])
        ]
        found = top_of(store, "total", 60 * minutes, at, variant=variant)
        people = {(p["source"], p["author_id"]) for p in inside}
        assert found.rows() == ([(1, "", len(inside), len(people), 0)] if inside else [])
    step = data.draw(st.sampled_from([60, 300, 3600, 86400]))
    series = series_of(store, step, T0 - dt.timedelta(days=1), LATER)
    true = {
        (dt.datetime.fromtimestamp(k[0], dt.UTC), k[1]): v
        for k, v in recounted(store, step).items()
        if k[2:] == (0, "total", "")
    }
    assert {(r[0], r[1]): r[2:] for r in series.iter_rows()} == true


def test_wrong_questions_name_the_remedy(store):
    for bad in (
        {"facet": "hashtags", "width": 60},
        {"facet": "hashtag", "width": 90},
        {"facet": "hashtag", "width": 60, "variant": "twice"},
    ):
        with pytest.raises(UsageError) as raised:
            top_of(store, at=T0, **bad)
        assert raised.value.hint
    with pytest.raises(UsageError):
        series_of(store, 61, T0, LATER)
