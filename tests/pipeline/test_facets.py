"""What a post is counted under."""

import polars as pl
import pytest

from earshot.model.document import document
from earshot.model.hashing import strings
from earshot.model.schema import FACETS
from earshot.model.tokens import tokenize
from earshot.pipeline.facets import NEEDED, facets


def values(**post):
    posts = pl.DataFrame([{"source": "x", **post}], schema=NEEDED, orient="row")
    found = facets(posts, tokenize(document(posts), index=True))
    names = strings(found.text_end, found.text).to_list()
    return [(FACETS[found.facet[v]], names[v]) for v in found.value.tolist()]


def words(text, **post):
    return sorted(v for f, v in values(text=text, **post) if f == "word")


def test_a_value_counts_once_per_post():
    found = values(text="Tram tram TRAM #Tram #tram", hashtags=["Tram", "tram"], lang="en")
    assert sorted(found) == sorted(set(found))
    assert ("hashtag", "tram") in found
    assert ("word", "tram") in found


def test_values_are_shown_folded_so_that_spellings_meet():
    assert ("hashtag", "köln") in values(hashtags=["KÖLN"])
    assert ("hashtag", "köln") in values(hashtags=["ko\u0308ln"])
    assert ("mention", "ada") in values(mentions=["@Ada"])
    assert words("STRASSE ﬁsh", lang="xx") == ["fish", "strasse"]


def test_stop_words_go_by_the_language_of_the_post():
    assert words("war is over", lang="en") == ["war"]
    assert words("das war schön", lang="de") == ["schön"]
    assert words("the tram and the bus", lang=None) == ["bus", "tram"]


def test_numbers_and_single_letters_are_no_words():
    assert words("q 2024 3_000 m 4th", lang="xx") == ["4th"]


def test_emoji_and_pairs_of_unspaced_characters_are_words():
    assert words("花火 🎆", lang="xx") == ["花火", "🎆"]


def test_words_of_over_64_characters_are_none():
    assert words("x" * 64 + " " + "y" * 65, lang="xx") == ["x" * 64]


@pytest.mark.parametrize(
    ("post", "value"),
    [
        ({"lang": "de"}, ("language", "de")),
        ({"lang": "de", "lang_detected": "en"}, ("language", "de")),
        ({"lang_detected": "en"}, ("language", "en")),
        ({"country": "DE"}, ("country", "DE")),
        ({"author_id": "did:plc:A"}, ("author", "did:plc:A")),
        ({"channel": "r/tram"}, ("channel", "r/tram")),
        ({"links": [{"domain": "Example.com"}, {"domain": None}]}, ("domain", "example.com")),
    ],
)
def test_each_facet_has_its_field(post, value):
    assert sorted(values(**post)) == sorted([value, ("total", "")])


def test_a_post_without_anything_counts_in_total_alone():
    assert values() == [("total", "")]
