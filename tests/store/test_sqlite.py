"""What is special about the store in a SQLite file: equal spots, crashes, readers, any sequence."""

import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from earshot.disk import migrate, open_sqlite
from earshot.errors import ConfigError, ConflictError, EarshotError
from earshot.model.changes import DIRTY, FLAG, KEY, PROMOTED, Wanted
from earshot.model.index import Span, Tag, Term
from earshot.model.schema import AUTHOR, COUNT, OBSERVATION, STORED, TOMBSTONE
from earshot.model.tags import tag
from earshot.store import _find as find
from earshot.store import open_store
from earshot.store._feed import KEEP_BYTES, Feed
from earshot.store._keys import SLOTS, hashes
from earshot.store._rows import DERIVED
from earshot.store._schema import PRAGMAS, STEPS
from earshot.store.sqlite import connect
from earshot.testing.builders import NOON, batch, posts_of, rows_of, stored
from earshot.testing.store import ALWAYS, found, keys, known, put, tombstones
from earshot.testing.store_kit import author

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


def colliding(n):
    """Ids whose posts of the same millisecond want the same spot."""
    ids = pl.DataFrame({"source": "mastodon", "id": [str(i) for i in range(400_000)]})
    low = pl.Series(hashes(ids) & np.uint64(SLOTS - 1))
    groups = ids.with_columns(low=low).group_by("low").agg("id")
    return groups.filter(pl.col("id").list.len() >= n)["id"][0].to_list()[:n]


class TestEqualSpots:
    def test_posts_that_want_one_spot_all_find_one(self, url):
        a, b, c = colliding(3)
        with open_store(url, writable=True) as store:
            put(store, batch(stored(a, "one"), stored(b, "two")))
            put(store, batch(stored(c, "three"), hits=[("mastodon", c, 4, 1)]))
            assert [found(store, Term(w)) for w in ("one", "two", "three")] == [[a], [b], [c]]
            assert found(store, rules=[4]) == [c]
            put(store, batch(stored(b, "other")))
            put(store, batch(tombstones=tombstones(a)))
            put(store, batch(stored(c, "third")))
            assert [found(store, Term(w)) for w in ("one", "two", "other", "third")] == [
                [],
                [],
                [b],
                [c],
            ]
            assert (store.count(None, ALWAYS), store.count(Term("third"), ALWAYS)) == (2, 1)

    def test_the_last_spot_of_a_millisecond_is_followed_by_its_first(self, url):
        with open_store(url, writable=True) as store:
            rows = [stored(i, event_time=NOON + dt.timedelta(milliseconds=1)) for i in colliding(2)]
            put(store, batch(*rows))
            span = Span(NOON + dt.timedelta(milliseconds=1), NOON + dt.timedelta(milliseconds=2))
            assert store.count(Term("hello"), span) == 2


class Model(RuleBasedStateMachine):
    """The store equals a dictionary after any sequence of changes, reopened or not."""

    IDS = st.sampled_from(["1", "2", "3", "4", "at://did:x/p/3jzfcijpj2z2a", "t3_ab"])
    TIMES = st.sampled_from([0, 1, 999, 1000, 60_000_000, -1])

    def __init__(self):
        super().__init__()
        self.posts, self.hits, self.gone, self.counts = {}, {}, set(), Counter()
        self.offset = 0

    @initialize()
    def start(self):
        self.url = f"sqlite:///{tempfile.mkdtemp(dir=self.root)}/store.db"
        self.store = open_store(self.url, writable=True)

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()

    def commit(self, changes):
        self.offset += 1
        self.store.commit(changes, offset=self.offset, at=NOON)

    @rule(
        rows=st.dictionaries(
            IDS, st.tuples(st.sampled_from(["red", "red blue", "日本 x"]), TIMES, st.booleans())
        ),
        hits=st.dictionaries(IDS, st.sets(st.integers(1, 3), max_size=2)),
        deleted=st.sets(IDS, max_size=1),
    )
    def write(self, rows, hits, deleted):
        posts = {
            i: stored(i, text, event_time=NOON + dt.timedelta(microseconds=t), hidden=hidden)
            for i, (text, t, hidden) in rows.items()
        }
        hit = [("mastodon", i, r, 1) for i in posts for r in hits.get(i, ())]
        counts = rows_of(COUNT, (NOON, "mastodon", 0, "unique", len(posts)))
        self.commit(
            batch(*posts.values(), hits=hit, tombstones=tombstones(*deleted), counts=counts)
        )
        self.gone |= deleted
        self.posts |= {i: p for i, p in posts.items() if i not in self.gone}
        self.hits |= {i: sorted(hits.get(i, ())) for i in posts}
        self.posts = {i: p for i, p in self.posts.items() if i not in self.gone}
        self.counts["unique"] += len(posts)

    @rule(ids=st.dictionaries(IDS, st.booleans()))
    def flag(self, ids):
        self.commit(batch(flags=rows_of(FLAG, *(("mastodon", i, h) for i, h in ids.items()))))
        for i in ids.keys() & self.posts.keys():
            self.posts[i] = self.posts[i] | {"hidden": ids[i]}

    @rule(post=IDS, minute=st.integers(0, 3), likes=st.integers(0, 9))
    def observe(self, post, minute, likes):
        at = NOON + minute * MINUTE
        row = ("mastodon", post, at, at, False, likes, None, None, None, None, None)
        self.commit(batch(observations=rows_of(OBSERVATION, row)))
        if post in self.posts and (self.posts[post]["counters_at"] or at) <= at:
            self.posts[post] = self.posts[post] | {"likes": likes, "counters_at": at}

    @rule()
    def reopen(self):
        self.store.close()
        self.store = open_store(self.url, writable=True)

    @invariant()
    def equal(self):
        if not hasattr(self, "store"):
            return
        every = self.store.get(keys("1", "2", "3", "4", "at://did:x/p/3jzfcijpj2z2a", "t3_ab"))
        rows = {r["id"]: r for r in every.to_dicts()}
        assert rows == {i: p | {"rules": self.hits[i]} for i, p in self.posts.items()}
        shown = [p for p in self.posts.values() if not p["hidden"]]
        order = sorted(shown, key=lambda p: (p["event_time"], p["source"], p["id"]), reverse=True)
        assert found(self.store) == [p["id"] for p in order]
        red = [p["id"] for p in order if "red" in p["text"]]
        assert found(self.store, Term("red")) == red
        assert self.store.count(Term("red"), ALWAYS) == len(red)
        two = [p["id"] for p in order if 2 in self.hits[p["id"]]]
        assert found(self.store, rules=[2]) == two
        state = self.store.state(Wanted(keys(*self.gone, *self.posts), keys(), keys())).posts
        assert dict(state.select("id", "tombstone").rows()) == dict.fromkeys(
            self.posts, False
        ) | dict.fromkeys(self.gone, True)
        assert self.store.offset() == self.offset
        assert dict(self.store.counts().select("name", "n").rows()) == self.counts


def test_the_store_equals_a_dictionary_after_any_changes(tmp_path):
    class Here(Model):
        root = tmp_path

    case = Here.TestCase
    case.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
    case().runTest()


WRITER = """
import sys
from earshot.model.tags import tag
from earshot.store import _find as find
from earshot.store import open_store
from earshot.model.schema import COUNT
from earshot.testing.builders import NOON, batch, rows_of, stored
n = 0
with open_store(sys.argv[1], writable=True) as store:
    while True:
        n += 1
        rows = [stored(f"{n}-{k}", hidden=k == 0) for k in range(60)]
        hits = [("mastodon", f"{n}-{k}", 1, 1) for k in range(60)]
        counts = rows_of(COUNT, (NOON, "mastodon", 0, "unique", 60))
        store.commit(batch(*rows, hits=hits, counts=counts), offset=n, at=NOON)
        print(n, flush=True)
"""


@pytest.mark.parametrize("batches", [3, 17])
def test_kill_9_loses_nothing_and_doubles_nothing(url, batches):
    writer = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(writer, stdout=subprocess.PIPE, env=os.environ) as process:
        lines = [process.stdout.readline() for _ in range(batches)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    with connect(url, writable=True) as store:
        offset = store.offset()
        assert offset >= int(lines[-1])
        assert store.counts()["n"].to_list() == [60 * offset]
        assert store.count(Term("hello"), ALWAYS) == store.count(None, ALWAYS) == 59 * offset
        assert store.count(None, ALWAYS, rules=[1]) == 59 * offset
        assert store.feed()[2] == offset
        assert store._db.pragma("integrity_check") == "ok"
        store._db.execute("INSERT INTO fts (fts) VALUES ('integrity-check')")
        put(store, batch(stored("next")), offset=offset + 1)
        assert store.count(None, ALWAYS) == 59 * offset + 1


def test_readers_see_whole_batches_while_they_are_written(url):
    with open_store(url, writable=True) as store, open_store(url) as reader:

        def look(_):
            page = reader.select(Term("hello"), ALWAYS, limit=1000)
            sizes = Counter(i.partition("-")[0] for i in page["id"])
            return set(sizes.values()) <= {20}

        with ThreadPoolExecutor(3) as pool:
            looks = pool.map(look, range(40))
            for n in range(25):
                put(store, batch(*(stored(f"{n}-{k}") for k in range(20))), offset=n)
            assert all(looks)


def test_a_reader_makes_the_store_that_is_not_there_yet(url):
    with open_store(url) as reader:
        assert found(reader) == []
        with open_store(url, writable=True) as store:
            put(store, batch(stored("1")))
        assert found(reader) == ["1"]


def test_the_lock_names_the_process_that_writes(url):
    with open_store(url, writable=True), pytest.raises(ConflictError) as caught:
        open_store(url, writable=True)
    assert str(os.getpid()) in str(caught.value)
    assert "store.db" in str(caught.value)
    assert caught.value.hint


URI = "at://did:plc:a/app.bsky.feed.post/3l"
ALIKE = [
    stored(
        URI,
        source="bluesky",
        author_handle=None,
        author_id="did:plc:a",
        created_at=NOON,
        root=URI,
        conversation=URI,
        permalink="https://bsky.app/profile/did:plc:a/post/3l",
    ),
    stored("7", source="x", author_handle="ada", permalink="https://x.com/ada/status/7"),
    stored("8", source="x", author_handle=None, permalink="https://x.com/i/status/8"),
    stored("9", source="x", author_handle="Ada", permalink="https://x.com/ada/status/9"),
    stored("10", root="9", conversation="9", permalink=None, created_at=NOON + MINUTE),
    stored("11", root="11", conversation="12", permalink="https://x.com/ada/status/11"),
    stored("12", root=None, conversation="12", created_at=None),
]


def alike(store):
    every = posts_of(ALIKE).select(KEY.names())
    return store.get(every).select(STORED.names()).sort("id")


class TestColumnsThatSayWhatOthersDo:
    def test_they_come_back_exactly(self, url):
        with connect(url, writable=True) as store:
            put(store, batch(*ALIKE))
            assert alike(store).equals(posts_of(ALIKE).sort("id"))
            kept = store._db.execute(
                f"SELECT {','.join(DERIVED)} FROM posts ORDER BY id"
            ).fetchall()
            assert [None] * 4 in [list(row) for row in kept]

    def test_one_that_is_read_alone_is_whole(self, url):
        with open_store(url, writable=True) as store:
            put(store, batch(*ALIKE))
            whole = alike(store)
            sources = whole["source"].unique().to_list()
            minutes = rows_of(DIRTY, *((NOON, source) for source in sources))
            for column in DERIVED:
                page = pl.concat(store.by_minutes(minutes, columns=(column, "id"))).sort("id")
                assert page[column].equals(whole[column], null_equal=True)

    def test_what_changes_a_post_leaves_them_as_they_were(self, url):
        with open_store(url, writable=True) as store:
            put(store, batch(*ALIKE))
            named = dict.fromkeys(AUTHOR) | {"handle": "grace", "name": "Grace", "seen_at": NOON}
            authors = [named | {"source": p["source"], "id": p["author_id"]} for p in ALIKE]
            every = [(p["source"], p["id"]) for p in ALIKE]
            promoted = rows_of(PROMOTED, *((*key, True, True) for key in every))
            put(store, batch(authors=rows_of(AUTHOR, *(tuple(a.values()) for a in authors))))
            put(store, batch(promoted=promoted, flags=rows_of(FLAG, *((*k, True) for k in every))))
            after = alike(store)
            assert after.select(*DERIVED).equals(posts_of(ALIKE).sort("id").select(*DERIVED))
            assert after["author_handle"].null_count() == 0
            assert after.select("copy", "late", "hidden", "consumed").rows() == [(True,) * 4] * 7


def test_a_file_of_the_first_version_is_brought_up_to_date(url, tmp_path):
    db = open_sqlite(tmp_path / "store.db", PRAGMAS)
    migrate(db, tmp_path, STEPS[:1])
    lists = (
        '{"h":["a"],"m":null,"c":[],"l":[{"url":"u","expanded":null,"canonical":"","domain":"d"}'
    )
    lists += '],"d":[]}'
    noon = int(NOON.timestamp() * 1_000_000)
    db.execute(
        """INSERT INTO posts (spot, ord, source, id, event_time, root, flags, lists)
        VALUES (?, 1, 'x', '1', ?, '1', 1, ?)""",
        (noon // 1000 * SLOTS, noon, lists),
    )
    hits = [(noon // 1000 * SLOTS, rule, 1) for rule in (10, 9)]
    db.executemany("INSERT INTO hits VALUES (?, ?, ?)", hits)
    db.execute("INSERT INTO dirty VALUES (?, 'x')", (noon,))
    db.close()
    with open_store(url, writable=True) as store:
        one = store.get(keys("1", source="x")).row(0, named=True)
        link = {"url": "u", "expanded": None, "canonical": "", "domain": "d"}
        wanted = {"root": "1", "hashtags": ["a"], "mentions": None, "cashtags": [], "media": []}
        assert {c: one[c] for c in wanted} == wanted
        assert (one["links"], one["rules"], one["created_at"]) == ([link], [9, 10], None)
        assert store.dirty().rows() == [(NOON, "x", 0)]


def test_a_newer_file_is_refused(url):
    with connect(url, writable=True) as store:
        store._db.pragma("user_version", 99)
    with pytest.raises(ConfigError, match="newer version"):
        open_store(url, writable=True)
    with pytest.raises(ConfigError, match="newer version"):
        open_store(url)


def test_a_file_without_room_is_a_reason_to_try_again_later(url):
    with connect(url, writable=True) as store:
        put(store, batch(stored("1")), offset=1)
        store._db.pragma("max_page_count", store._db.pragma("page_count"))
        large = batch(*(stored(f"large {n}", text=f"{n} " * 2000) for n in range(50)))
        with pytest.raises(EarshotError, match=r"store\.db: the disk is full"):
            put(store, large, offset=2)
        store._db.pragma("max_page_count", 1 << 30)
        assert (store.offset(), found(store)) == (1, ["1"])
        put(store, large, offset=2)
        assert store.count(None, ALWAYS) == 51


def test_new_keys_ask_the_file_nothing(url):
    with connect(url, writable=True) as store:
        put(store, batch(*(stored(f"{n}") for n in range(500))))
        statements = []
        reader = store._idle.get() if not store._idle.empty() else None
        if reader is None:
            assert known(store, asked_of(["0"]))
            reader = store._idle.get()
        reader.exec_trace = lambda _, sql, __: statements.append(sql) or True
        store._idle.put(reader)
        assert store.state(asked_of([f"new {n}" for n in range(500)])).posts.height == 0
        assert [s for s in statements if s.startswith("SELECT")] == []


def asked_of(ids):
    nothing = pl.DataFrame(schema=KEY)
    return Wanted(keys(*ids), nothing, nothing)


def test_the_feed_never_holds_more_than_its_bytes(url):
    with connect(url, writable=True) as store:
        feed = Feed.of(store._db)
        for n in range(6):
            feed.put(store._db, n, "system", [], "x" * (KEEP_BYTES // 4))
        feed.trim(store._db, 5)
        held = store._db.execute("SELECT sum(length(payload)), min(seq) FROM changes").get
        assert held == (KEEP_BYTES // 4 * 4, feed.oldest)
        assert Feed.of(store._db) == replace(feed)


def test_space_is_given_back_when_posts_go(url):
    with connect(url, writable=True) as store:
        rows = [stored(f"{n}", text=f"word{n} " * 40) for n in range(8000)]
        put(store, batch(*rows))
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        before = store.size()
        gone = rows_of(TOMBSTONE, *(("mastodon", f"{n}", 0, NOON) for n in range(4)))
        put(store, batch(tombstones=gone))
        store.retire(before=NOON + MINUTE, max_bytes=1 << 40, at=NOON)
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert store.size() < before / 2


def test_texts_are_forgotten_with_the_posts_of_their_time(url):
    with connect(url, writable=True) as store:
        for day in (0, 5):
            texts = pl.Series("texts", [day + 1], pl.UInt64)
            put(store, batch(texts=texts), at=NOON + day * 1440 * MINUTE)
        store.retire(before=NOON + MINUTE, max_bytes=1 << 40, at=NOON)
        both = pl.Series([1, 6], dtype=pl.UInt64)
        assert store.known_texts(both).to_list() == [6]
    with connect(url, writable=True) as store:
        assert store.known_texts(both).to_list() == [6]


def test_the_filter_of_keys_is_made_anew_when_it_holds_mostly_what_is_gone(url, monkeypatch):
    monkeypatch.setattr(find, "LAYER", 10)
    with connect(url, writable=True) as store:
        for n in range(50):
            put(store, batch(stored(f"{n}")))
        assert store._filters.keys.added == 50
        store.retire(before=NOON + MINUTE, max_bytes=1 << 40, at=NOON)
        assert store._filters.keys.added == 0
        put(store, batch(stored("1")))
        assert set(known(store, asked_of(["1", "2"]))) == {"1"}


def test_posts_of_an_older_file_get_their_names(url, tmp_path):
    """They lack the mark by which those that are written now are found."""
    db = open_sqlite(tmp_path / "store.db", PRAGMAS)
    migrate(db, tmp_path, STEPS[:4])
    noon = int(NOON.timestamp() * 1_000_000)
    spot = noon // 1000 * SLOTS
    db.execute(
        """INSERT INTO posts (spot, ord, source, id, event_time, author_id, text, flags)
        VALUES (?, 1, 'mastodon', '1', ?, '7', 'hello', 1)""",
        (spot, noon),
    )
    tags = f"s_mastodon {tag('a', '7')}"
    db.execute("INSERT INTO fts (rowid, words, tags) VALUES (?, 'hello', ?)", (spot, tags))
    db.execute("INSERT INTO own VALUES ('nameless:mastodon', 1)")
    db.close()
    with open_store(url, writable=True) as store:
        new = stored("2", author_id="7", author_handle=None, author_name=None)
        put(store, batch(new))
        put(store, batch(authors=rows_of(AUTHOR, author("7", "ada"))), offset=2)
        assert set(found(store, Tag(tag("f", "ada")))) == {"1", "2"}
        assert store.get(keys("1", "2"))["author_handle"].to_list() == ["ada", "ada"]
        assert found(store, Term("hello")) == found(store, None)
