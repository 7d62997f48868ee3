import pytest
from hypothesis import given, settings
from tests.rules.strategies import BATCHES, NODES, frame, tokens

from earshot.model.index import All, AnyOf, Near, Plan, Prefix, Tag, Term
from earshot.model.tags import tag, tags
from earshot.rules import matches, parse, plan


def answers(query, words, tagged):
    """What an index would answer for one post: its index form and tags, as lists of words."""
    match query:
        case None:
            return True
        case Term(token):
            return token in words
        case Prefix(start):
            return any(w.startswith(start) for w in words)
        case Tag(t):
            return t.lower() in [x.lower() for x in tagged]
        case All(parts):
            return all(answers(p, words, tagged) for p in parts)
        case AnyOf(parts):
            return any(answers(p, words, tagged) for p in parts)
        case Near(near, span):
            places = [[i for i, w in enumerate(words) if w == t] for t in near]
            return any(
                all(any(low <= i <= low + span for i in p) for p in places)
                for low in range(len(words))
            )


@settings(max_examples=300)
@given(NODES, BATCHES)
def test_a_plan_misses_no_match_and_is_right_where_it_says_so(node, rows):
    posts = frame(rows)
    found, planned = tokens(posts), plan(node)
    tagged = tags(posts)

    for i, hit in enumerate(matches(node, posts, found)):
        answer = answers(planned.query, found.index[i].split(" "), tagged[i].split(" "))
        assert answer >= hit
        if planned.exact:
            assert answer == hit


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("tea", Plan(Term("tea"), exact=True)),
        ("#tea", Plan(Term("#tea"), exact=True)),
        ("日", Plan(Prefix("日"), exact=True)),
        ("te*", Plan(Prefix("te"), exact=True)),
        ("tea milk", Plan(All((Term("tea"), Term("milk"))), exact=True)),
        ("tea -milk", Plan(Term("tea"), exact=False)),
        ("tea OR -milk", Plan(None, exact=False)),
        ("-tea", Plan(None, exact=False)),
        ("lang:en", Plan(Tag("l_en"), exact=True)),
        ("is:reply has:links", Plan(All((Tag("k_reply"), Tag("h_links"))), exact=True)),
        ("likes:10.. tea", Plan(Term("tea"), exact=False)),
        ("domain:A.org", Plan(Tag(tag("d", "a.org")), exact=True)),
        ("url:a.org/b", Plan(Tag("h_links"), exact=False)),
    ],
)
def test_examples_of_plans(rule, expected):
    assert plan(parse(rule)) == expected


def test_a_phrase_is_looked_for_with_room_for_derived_tokens():
    assert plan(parse('"tea milk"')) == Plan(Near(("tea", "milk"), 4), exact=False)
