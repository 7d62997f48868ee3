"""The index finds candidates, the evaluator has the last word: together they are exact."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.engine.query import Scope, export_rows, place_of, rule_test, search, spans
from earshot.errors import RuleSyntaxError, UsageError
from earshot.model.document import document
from earshot.model.index import Span
from earshot.model.tokens import tokenize
from earshot.rules import matches, parse
from earshot.store import open_store
from earshot.testing.control import NOON, SetClock
from earshot.testing.store import batch, posts_of, stored

WORDS = ["red", "blue", "bike", "bikes", "#bike", "@ada", "東京タワー", "don't", "🚲"]


def minute(n):
    return NOON + dt.timedelta(minutes=n)


def rows(n):
    return [
        stored(
            f"{i:04}", " ".join(WORDS[(i * k + i // 3) % len(WORDS)] for k in (1, 2, 5)),
            event_time=minute(i // 4), source="x" if i % 5 == 0 else "mastodon",
            lang=("en", "de", None)[i % 3], author_followers=i, likes=i % 7,
            reply_to="1" if i % 4 == 0 else None,
        )
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('q')}/store.db"
    with open_store(url, writable=True) as writer:
        writer.commit(batch(*rows(900)), offset=1, at=NOON)
        yield writer


EVERY = posts_of(rows(900))


def naive(expression):
    """Keys that the evaluator finds among all posts, newest first."""
    tokens = tokenize(document(EVERY), index=True)
    found = EVERY.filter(matches(parse(expression), EVERY, tokens))
    found = found.sort("event_time", "source", "id", descending=True)
    return found["id"].to_list()


LEAVES = st.sampled_from(
    [*WORDS, '"red bike"', '"bike red"~2', "bik*", "東京", "lang:en", "source:x", "is:reply",
     "followers:300..600", "likes:3..", "sample:40", "京"]
)  # fmt: skip
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} OR {p[1]})"),
        inner.map(lambda p: f"-({p})"),
    ),
    max_leaves=5,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(expression=EXPRESSIONS, limit=st.integers(1, 1000))
def test_search_finds_exactly_what_the_evaluator_finds(store, expression, limit):
    found = search(store, expression, limit=limit, total=True, budget_s=60)
    expected = naive(expression)
    assert found.posts["id"].to_list() == expected[:limit]
    assert (found.total, found.complete) == (len(expected), True)
    assert (found.cursor is None) == (len(expected) <= limit)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("expression", ["", "bike", "-bike", "likes:3.. red", "nothing"])
def test_pages_follow_each_other_without_a_hole(store, expression, newest_first):
    seen, after = [], None
    while True:
        found = search(store, expression, limit=17, after=after, newest_first=newest_first)
        seen += found.posts["id"].to_list()
        if (after := found.cursor) is None:
            break
        assert after == place_of(found.posts, -1)
    expected = naive(expression) if expression else naive("bike OR -bike")
    assert seen == (expected if newest_first else expected[::-1])


class RunningClock(SetClock):
    """Each look at it takes a second."""

    def monotonic(self):
        self.pass_(1)
        return super().monotonic()


def test_a_search_that_runs_out_of_time_says_so_and_can_go_on(store, monkeypatch):
    monkeypatch.setattr("earshot.engine.query.FIRST_PAGE", 50)
    monkeypatch.setattr("earshot.engine.query.WIDEST_PAGE", 50)
    seen, after, cut = [], None, 0
    while True:
        found = search(
            store, "followers:..100", limit=30, after=after, budget_s=2.5, clock=RunningClock()
        )
        seen += found.posts["id"].to_list()
        cut += not found.complete
        if (after := found.cursor) is None:
            break
    assert seen == naive("followers:..100")
    assert cut > 3


def test_a_count_that_runs_out_of_time_is_what_was_counted_so_far(store, monkeypatch):
    monkeypatch.setattr("earshot.engine.query.WIDEST_PAGE", 100)
    found = search(store, "likes:3..", limit=5, total=True, budget_s=2.5, clock=RunningClock())
    assert found.complete is False
    assert 0 < found.total < len(naive("likes:3.."))


def test_an_exact_plan_needs_no_time_at_all(store):
    found = search(store, "bike", limit=5, total=True, budget_s=-1)
    assert (found.total, found.complete) == (len(naive("bike")), True)


def test_a_trial_tells_posts_hits_and_samples(store):
    tried = rule_test(store, "red -blue", samples=3)
    expected = naive("red -blue")
    assert (tried.posts, tried.hits, tried.complete) == (900, len(expected), True)
    assert tried.samples["id"].to_list() == expected[:3]
    assert (tried.span.since, tried.span.until) == (minute(0), minute(224))
    assert tried.rate_per_hour == pytest.approx(len(expected) * 60 / 224, abs=0.001)


def test_a_trial_that_runs_out_of_time_says_how_far_it_came(store, monkeypatch):
    monkeypatch.setattr("earshot.engine.query.WIDEST_PAGE", 100)
    tried = rule_test(store, "likes:3..", budget_s=2.5, clock=RunningClock())
    assert tried.complete is False
    assert minute(100) < tried.span.since < minute(200)
    hours = (tried.span.until - tried.span.since).total_seconds() / 3600
    assert tried.rate_per_hour == pytest.approx(tried.hits / hours, abs=0.001)


@pytest.mark.parametrize("page", [1, 7, 100, 10_000])
def test_an_export_gives_every_match_once_oldest_first(store, page):
    for expression in ("", "bike lang:en", "likes:3..", "nothing"):
        frames = list(export_rows(store, expression, page=page))
        assert all(f.height for f in frames)
        ids = [i for f in frames for i in f["id"].to_list()]
        assert ids == naive(expression or "bike OR -bike")[::-1]


def test_the_scope_narrows_the_expression(store):
    scope = Scope(Span(minute(50), minute(100)), sources=("x",), langs=("en", "de"))
    found = search(store, "bike OR red", limit=1000, scope=scope).posts
    expected = [
        i for i in naive("(bike OR red) source:x (lang:en OR lang:de)") if 200 <= int(i) < 400
    ]
    assert found["id"].to_list() == expected != []


@pytest.mark.parametrize("value", ["a b", 'x" OR y', "", "(", "x" * 50])
def test_a_filter_is_a_name_and_nothing_else(store, value):
    with pytest.raises(UsageError):
        search(store, "", limit=1, scope=Scope(sources=(value,)))


def test_an_expression_that_cannot_be_read_is_told_at_once(store):
    for ask in (
        lambda: search(store, "a (", limit=1, scope=Scope(sources=("x",))),
        lambda: export_rows(store, "a ("),
        lambda: rule_test(store, "a ("),
    ):
        with pytest.raises(RuleSyntaxError) as error:
            ask()
        assert error.value.at == 2


def test_an_expression_cannot_break_out_of_its_scope(store):
    """A filter holds for the whole expression, whatever operators it has."""
    found = search(store, "bike OR red", limit=1000, scope=Scope(sources=("x",))).posts
    assert set(found["source"]) == {"x"}


def test_marks_are_stretches_of_their_own_field():
    posts = posts_of(
        [
            stored("1", "in 東京タワー today", title="Re: 東京タワー"),
            stored("2", "a #Bike, bikes!", hashtags=["Bike", "hidden"]),
            stored("3", "red", title=""),
            stored("4", text=None, title="red red"),
        ]
    )

    def shown(expression, n):
        own = posts[n].row(0, named=True)
        return [
            (m.field, own[m.field][m.offset : m.offset + m.length])
            for m in spans(expression, posts)[n]
        ]

    assert shown("東京タワー", 0) == [("title", "東京タワー"), ("text", "東京タワー")]
    assert shown("bik* OR #hidden", 1) == [("text", "Bike"), ("text", "bikes")]
    assert shown("red", 2) == [("text", "red")]
    assert shown("red", 3) == [("title", "red"), ("title", "red")]
    assert shown("-red", 2) == []


@pytest.mark.parametrize("expression", ["", "red", "red -blue", "-red", "likes:3..", "is:copy"])
@pytest.mark.parametrize("variant", ["once", "clean"])
def test_without_copies_is_what_the_column_says(tmp_path, expression, variant):
    some = [row | {"copy": i % 4 == 0} for i, row in enumerate(rows(300))]
    with open_store(f"sqlite:///{tmp_path}/store.db", writable=True) as store:
        store.commit(batch(*some), offset=1, at=NOON)
        every = search(store, expression, limit=1000).posts
        wanted = every.filter(~pl.col("copy"))["id"].to_list()
        scope = Scope(variant=variant)
        found = search(store, expression, limit=1000, scope=scope, total=True)
        assert (found.posts["id"].to_list(), found.total) == (wanted, len(wanted))
        short = search(store, expression, limit=2, scope=scope, total=True)
        assert (short.posts["id"].to_list(), short.total) == (wanted[:2], len(wanted))
        if expression:
            tried = rule_test(store, expression, variant=variant)
            assert (tried.posts, tried.hits) == (225, len(wanted))
    with pytest.raises(UsageError, match="variant"):
        search(store, expression, limit=1, scope=Scope(variant="twice"))
