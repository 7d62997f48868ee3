import datetime as dt
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rules import naive
from tests.rules.strategies import BATCHES, NODES, NOW, WORDS, frame, tokens

from earshot.errors import RuleSyntaxError, UsageError
from earshot.model.rule import RuleVersion
from earshot.model.tokens import tokenize
from earshot.rules import compile_rules, format_rule, match, matches, parse
from earshot.rules.compile import compile_expressions
from earshot.rules.match import evaluate
from earshot.rules.nodes import Field, Not, Phrase, Word, all_of, any_of


def version(rule, text, *, number=1, since=-100, until=None):
    start, end = (None if s is None else NOW + dt.timedelta(seconds=s) for s in (since, until))
    return RuleVersion(rule, number, 1, f"rule {rule}", text, start, end)


def hits(versions, rows):
    posts = frame(rows)
    return match(compile_rules(versions), posts, tokens(posts)).rows()


def texts(*values):
    return [{"source": "x", "id": str(i), "text": t} for i, t in enumerate(values)]


def found(rule, *values):
    posts = frame(texts(*values))
    return matches(parse(rule), posts, tokens(posts)).tolist()


@settings(max_examples=300)
@given(st.lists(NODES, min_size=1, max_size=5), BATCHES)
def test_columns_and_plain_python_agree(nodes, rows):
    posts = frame(rows)
    post, expression = evaluate(compile_expressions(nodes), posts, tokens(posts))
    expected = {
        (p, e)
        for p, row in enumerate(posts.to_dicts())
        for e, node in enumerate(nodes)
        if naive.matches(node, row, row["text"] or "")
    }

    assert sorted(zip(post.tolist(), expression.tolist(), strict=True)) == sorted(expected)


SHAPES = (
    lambda a, b, c: all_of([Word(a), any_of([Word(b), Word(c)])]),
    lambda a, b, c: any_of([Word(a), all_of([Word(b), Not(Word(c))])]),
    lambda a, b, c: all_of([Phrase(f"{a} {b}"), Not(Word(c))]),
    lambda a, b, c: all_of([any_of([Word(a), Phrase(f"{b} {c}")]), Not(Phrase(f"{c} {a}"))]),
    lambda a, b, c: all_of(
        [Not(all_of([Word(a), Word(b)])), any_of([Word(c), Field("lang", "en")])]
    ),
    lambda a, b, c: any_of([Not(Word(a)), all_of([Word(b), Not(any_of([Word(a), Word(c)]))])]),
)


@pytest.mark.slow
def test_25_000_rules_and_plain_python_agree():
    several = itertools.islice(itertools.product(WORDS, repeat=3), 25_000)
    nodes = [SHAPES[i % len(SHAPES)](*words) for i, words in enumerate(several)]
    rows = [
        {"source": "x", "id": str(i), "text": " ".join(WORDS[i::5]), "lang": "en" if i else None}
        for i in range(5)
    ]
    posts = frame(rows)
    post, expression = evaluate(compile_expressions(nodes), posts, tokens(posts))
    found = np.zeros((len(nodes), len(rows)), np.bool_)
    found[expression, post] = True
    expected = [naive.evaluated(nodes, row, row["text"]) for row in posts.to_dicts()]

    assert (np.array(expected) == found.T).all()
    assert len(post) == found.sum()


@settings(max_examples=50)
@given(st.lists(NODES, min_size=1, max_size=4), BATCHES)
def test_a_rule_matches_the_same_alone_and_among_others(nodes, rows):
    posts = frame(rows)
    rules = [version(i, format_rule(n)) for i, n in enumerate(nodes, 1)]
    together = match(compile_rules(rules), posts.with_columns(received_at=NOW), tokens(posts))

    for i, node in enumerate(nodes, 1):
        alone = matches(node, posts, tokens(posts)).nonzero()[0].tolist()
        assert together.filter(rule=i)["post"].to_list() == alone


@settings(max_examples=50)
@given(NODES, BATCHES)
def test_a_post_matches_the_same_in_any_batch(node, rows):
    posts = frame(rows)
    whole = matches(node, posts, tokens(posts)).tolist()

    assert whole == [
        bool(matches(node, posts[i : i + 1], tokens(posts[i : i + 1]))[0])
        for i in range(posts.height)
    ]


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        ("tea", "Green TEA!", "teapot"),
        ("tea", "I love #Tea", "steam"),
        ("#tea", "I love #Tea", "I love tea"),
        ("@bob", "hi @Bob", "hi bob"),
        ("$tea", "buy $TEA", "buy tea"),
        ('"green tea"', "a green tea", "tea green"),
        ('"green tea"', "green #tea", "green black tea"),
        ('"tea green"~1', "green black tea", "green, black or red tea"),
        ("e-mail", "an E-Mail", "an email"),
        ("tea*", "teapots", "a steam"),
        ("日本", "日本語", "本日"),
        ("日", "今日は", "本"),
        ("日本語*", "日本語だ", "日本"),
        ("café", "cafe\u0301", "cafe"),
        ("straße", "STRASSE", "strase"),
        ("👍", "👍🏽", "👎"),
        ("(tea OR coffee) -milk", "tea", "tea with milk"),
        ("-(tea OR coffee)", "milk", "coffee"),
        ("-(tea milk)", "tea", "milk tea"),
        ("NOT tea AND milk", "milk", "milk tea"),
        ("tea OR milk sugar", "tea", "milk"),
        ("--tea", "tea", "milk"),
    ],
)
def test_examples_of_the_language(rule, hit, miss):
    assert found(rule, hit, miss) == [True, False]


def test_a_version_acts_from_its_second_until_the_next():
    rows = [
        {"source": "x", "id": str(s), "text": "tea", "received_at": NOW + dt.timedelta(seconds=s)}
        for s in (-1, 0, 4, 5)
    ]
    versions = [
        version(7, "tea", number=1, since=0, until=5),
        version(7, "tea", number=2, since=5),
        version(8, "coffee", since=0),
        version(9, "tea OR coffee", since=0, until=0),
    ]

    assert hits(versions, rows) == [(1, 7, 1), (2, 7, 1), (3, 7, 2)]


def test_hits_come_in_the_order_of_posts_rules_and_versions():
    rows = [r | {"received_at": NOW} for r in texts("tea", "milk tea")]
    versions = [version(i, t) for i, t in ((3, "tea"), (1, "milk"), (2, "-coffee"))]

    assert hits(versions, rows) == [(0, 2, 1), (0, 3, 1), (1, 1, 1), (1, 2, 1), (1, 3, 1)]


def test_no_rules_and_no_posts_are_no_hits():
    assert hits([], texts("tea")) == []
    assert hits([version(1, "tea* OR -x"), version(2, "bio:tea domain:a.b url:x")], []) == []


def test_a_rule_that_cannot_be_read_is_not_passed_over():
    with pytest.raises(RuleSyntaxError):
        compile_rules([version(1, "(tea")])


def test_a_prefix_needs_the_index_form():
    posts = frame(texts("tea"))

    with pytest.raises(UsageError, match="index form"):
        matches(parse("te*"), posts, tokenize(posts["text"], index=False))


def test_late_predicates_wait_for_enrichment():
    compiled = compile_rules([version(1, "tea sentiment:negative"), version(2, "tea")])

    assert compiled.late == {(1, 1)}
    assert found(
        "sentiment:negative OR entity:tea OR emotion:joy OR min_confidence:0.5", "tea"
    ) == [False]


def test_a_sample_is_about_so_many_percent_and_grows_with_it():
    posts = frame([{"source": "x", "id": str(i)} for i in range(4000)])
    ten, thirty, all_ = (matches(parse(f"sample:{n}"), posts, tokens(posts)) for n in (10, 30, 100))

    assert 320 < ten.sum() < 480
    assert not (ten & ~thirty).any()
    assert all_.all()


def test_ten_thousand_rules_give_what_each_gives_alone():
    words = [f"w{i}" for i in range(1000)]
    rules = [version(i + 1, f"{words[i % 1000]} OR {words[i * 7 % 1000]}") for i in range(10_000)]
    rows = [
        r | {"received_at": NOW} for r in texts(*(" ".join(words[i : i + 9]) for i in range(99)))
    ]
    got = hits(rules, rows)
    expected = [
        (p, i + 1, 1)
        for p in range(99)
        for i in range(10_000)
        if p <= i % 1000 < p + 9 or p <= i * 7 % 1000 < p + 9
    ]

    assert got == expected


def test_a_long_text_is_matched_to_the_limit():
    assert found('"tea milk" "tea sugar"~2 te*', "x " * 30_000 + "tea milk sugar") == [True]


def test_hits_are_a_frame_of_their_schema_when_there_are_none():
    posts = frame(texts("tea"))

    assert match(compile_rules([]), posts, tokens(posts)).schema == pl.Schema(
        {"post": pl.UInt32, "rule": pl.Int64, "rule_version": pl.Int64}
    )
