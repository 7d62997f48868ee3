import pytest
from hypothesis import given
from tests.rules.strategies import NODES, TEXTS, frame, tokens

from earshot.rules import matches, parse, spans
from earshot.rules.nodes import Near, Phrase, Prefix, Word, leaves


def shown(rule, text):
    return [text[a : a + n] for a, n in spans(parse(rule), text)]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("tea", "Tea, #tea and teapots", ["Tea", "tea"]),
        ("#tea", "é 👍 #TEA tea", ["#TEA"]),
        ("tea*", "steam teapots", ["teapots"]),
        ('"green tea"', "tea green tea", ["green", "tea"]),
        ('"tea milk"~1', "milk in tea; milk", ["milk", "tea", "milk"]),
        ('"tea milk"~1', "milk in my own tea", []),
        ("日本語", "今日本語だ", ["日本語"]),
        ("日", "今日は", ["日は"]),
        ("tea -milk from:bob", "milk tea", ["tea"]),
        ("-tea", "tea", []),
        ("tea OR (milk -x)", "tea milk", ["tea", "milk"]),
        ("tea", "", []),
    ],
)
def test_the_words_that_matched_are_shown(rule, text, expected):
    assert shown(rule, text) == expected


@given(NODES, TEXTS)
def test_stretches_lie_in_the_text_in_order_and_apart(node, text):
    end = 0
    for start, length in spans(node, text):
        assert start >= end
        assert length > 0
        end = start + length
    assert end <= len(text)


@given(NODES, TEXTS)
def test_a_word_is_shown_just_when_it_matches(node, text):
    posts = frame([{"source": "x", "id": "1", "text": text}])

    for leaf in leaves(node):
        if isinstance(leaf, Word | Phrase | Near | Prefix):
            assert bool(spans(leaf, text)) == bool(matches(leaf, posts, tokens(posts))[0])
