import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.errors import RuleSyntaxError
from earshot.rules import parse
from earshot.rules.grammar import ALIASES, MAX_DEPTH, OPERATORS
from earshot.rules.nodes import And, Field, Near, Not, Or, Phrase, Prefix, Range, Sample, Word
from earshot.rules.parse import _EXAMPLES

A, B, C = Word("a"), Word("b"), Word("c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        (" a\tb\n", And((A, B))),
        ("a AND b", And((A, B))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("((a))", A),
        ("a (b c)", And((A, B, C))),
        ("a OR (b OR c)", Or((A, B, C))),
        ("-a NOT b", And((Not(A), Not(B)))),
        ("-(a b)", Not(And((A, B)))),
        ("NOT NOT -a", Not(Not(Not(A)))),
        ("a-b or", And((Word("a-b"), Word("or")))),
        ('"a b"', Phrase("a b")),
        (r'"say \"a\""', Phrase('say "a"')),
        ('"a b"~3', Near("a b", 3)),
        ('"a~2"', Phrase("a~2")),
        ('a"b"c', And((A, Phrase("b"), C))),
        ("demo*", Prefix("demo")),
        ("#a @b $c", And((Word("#a"), Word("@b"), Word("$c")))),
        ("FROM:@Bob", Field("from", "Bob")),
        ("-from:bob", Not(Field("from", "bob"))),
        ('place:"New York"', Field("place", "New York")),
        ("lang:pt-BR country:br", And((Field("lang", "pt"), Field("country", "BR")))),
        ("domain:https://www.Example.com/", Field("domain", "example.com")),
        ("url:Example.com/A?b=c", Field("url", "example.com/a?b=c")),
        ("is:retweet has:VIDEO", And((Field("is", "repost"), Field("has", "video")))),
        ("subreddit:Cats", Field("channel", "cats")),
        ("likes:10", Range("likes", 10, 10)),
        ("likes:10..", Range("likes", 10, None)),
        ("likes:..10", Range("likes", None, 10)),
        ("score:-5..5", Range("score", -5, 5)),
        ("followers_count:>=10", Range("followers", 10, None)),
        ("views:>10 views:<20", And((Range("views", 11, None), Range("views", None, 19)))),
        ("sample:10 sample:5%", And((Sample(10), Sample(5)))),
        ("min_confidence:0.8", Field("min_confidence", "0.8")),
        ("10:30", Word("10:30")),
        ("日本語*", Prefix("日本語")),
    ],
)
def test_expressions_are_read(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("", "", "the rule is empty", "write what to listen for"),
        ("  ", "  ", "the rule is empty", "write what to listen for"),
        ("a OR", "OR", "nothing stands behind this OR", "quotes"),
        ("a OR OR b", "OR", "nothing stands behind this OR", "quotes"),
        ("OR a", "OR", "nothing stands before this OR", "quotes"),
        ("a (OR b)", "OR", "nothing stands before this OR", "quotes"),
        ("a AND", "AND", "nothing stands behind this AND", "quotes"),
        ("a NOT", "NOT", "nothing stands behind this NOT", "quotes"),
        ("a ()", "()", "this group is empty", "remove it"),
        ("a ( )", "( )", "this group is empty", "remove it"),
        ("a (b c", "(b c", "this group is not closed", "add a )"),
        ("a) b", ")", "no '(' that this ')' closes", "remove"),
        ('a "b c', '"b c', "this quote is not closed", 'add a "'),
        ('a ""', '""', "no word between these quotes", "write"),
        ("a - b", "-", "nothing stands directly behind this -", "no space"),
        ("a -", "-", "nothing stands directly behind this -", "no space"),
        ("a & b", "&", "'&' holds no word", "remove it"),
        ("www.a.com", "www.a.com", "holds no word", 'url:"www.a.com"'),
        ("de*mo", "de*mo", "only stand at the end", "demo*"),
        ("*", "*", "only stand at the end", "demo*"),
        ("e-mai*", "e-mai*", "is several words (e, mai)", "one word"),
        ('"a b"~', "~", "distance behind ~", "1 to 100"),
        ('"a b"~0', "~0", "distance behind ~", "1 to 100"),
        ('"a b"~x', "~x", "distance behind ~", "1 to 100"),
        ('"a a"~2', '"a a"~2', "at least two different words", "flat white"),
        ("fom:bob", "fom:", "no operator 'fom:'", "did you mean 'from:'"),
        ("https://a.com/b", "https:", "no operator 'https:'", 'url:"https://a.com/b"'),
        ("zzzz:top", "zzzz:", "no operator 'zzzz:'", 'quotes: "zzzz:top"'),
        ("a from:", "from:", "'from:' has no value", "from:alice"),
        ('a from:""', "from:", "'from:' has no value", "from:alice"),
        ("has:linsk", "linsk", "does not know 'linsk'", "has:links"),
        ("is:zzz", "zzz", "does not know 'zzz'", "one of: post, reply"),
        ("sentiment:bad", "bad", "does not know 'bad'", "one of: negative"),
        ("likes:many", "many", "'many' is no range", "likes:10..20"),
        ("likes:..", "..", "this range has no bound", "likes:10..20"),
        ("likes:5..2", "5..2", "no number lies in 5..2", "likes:2..5"),
        ("sample:0", "0", "is no percentage", "1 to 100"),
        ("sample:101", "101", "is no percentage", "1 to 100"),
        ("lang:1", "1", "is no language", "lang:en"),
        ("country:USA", "USA", "is no country", "country:US"),
        ("min_confidence:2", "2", "is no confidence", "0 to 1"),
        ("bio:&", "&", "holds no word", "bio:journalist"),
        ("from:@", "@", "has no value", "from:alice"),
    ],
)
def test_errors_point_at_the_place_and_say_what_to_do(text, place, message, hint):
    with pytest.raises(RuleSyntaxError, match=re.escape(message)) as e:
        parse(text)

    assert text[e.value.at : e.value.at + e.value.length] == place
    assert hint in e.value.hint


def test_what_is_too_long_or_too_deep_is_refused():
    with pytest.raises(RuleSyntaxError, match="5000 characters"):
        parse("a" * 5000)
    parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)
    with pytest.raises(RuleSyntaxError, match="levels"):
        parse("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1))
    with pytest.raises(RuleSyntaxError, match="levels"):
        parse("-" * 1000 + "a")
    with pytest.raises(RuleSyntaxError, match="at most 31"):
        parse("a" * 32 + "*")


PIECES = [
    "a", "b*", '"', '"a b"', "~2", "(", ")", "-", " ", " OR ", " AND ", " NOT ", "from:", "likes:",
    "1..",
    "has:", "links", "\\", "é", "日", "#", "&", ":", "*", "sample:9",
]  # fmt: skip


def refusal(text):
    try:
        parse(text)
    except RuleSyntaxError as e:
        return e
    return None


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text):
    error = refusal(text)
    if error is not None:
        assert 0 <= error.at < error.at + error.length <= max(len(text), 1)
        assert str(error)
        assert error.hint


def test_every_operator_has_an_example_that_is_read():
    assert _EXAMPLES.keys() == OPERATORS
    for example in _EXAMPLES.values():
        parse(example)
    assert set(ALIASES.values()) <= OPERATORS
