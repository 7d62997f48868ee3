"""What is listed of a post and what stands in its text become one."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.model.document import document
from earshot.model.schema import POST
from earshot.model.tokens import tokenize
from earshot.pipeline.annotate import annotate, take

LISTS = ("hashtags", "mentions", "cashtags", "links", "media")


def annotated(*posts):
    """Annotate posts, each given by its fields; returns them as objects."""
    rows = [dict.fromkeys(POST) | {"text": "", **fields} for fields in posts]
    frame = pl.DataFrame(rows, POST, orient="row")
    documents = document(frame)
    return annotate(frame, documents, tokenize(documents, index=True)).to_dicts()


def test_hashtags_of_the_text_join_those_listed_once_whatever_their_case():
    first, second, third = annotated(
        {"text": "#Sun and #MOON, #sun", "hashtags": ["moon"]},
        {"text": "nothing", "hashtags": ["Tag"]},
        {"text": "#Größe $EUR"},
    )

    assert first["hashtags"] == ["moon", "Sun"]
    assert second["hashtags"] == ["Tag"]
    assert third["hashtags"] == ["Größe"]
    assert third["cashtags"] == ["EUR"]


def test_mentions_of_the_text_count_only_where_none_are_listed_at_all():
    listed, none, silent = annotated(
        {"text": "hi @bob.example", "mentions": ["did:plc:bob"]},
        {"text": "hi @bob", "mentions": []},
        {"text": "hi @Bob", "mentions": None},
    )

    assert [p["mentions"] for p in (listed, none, silent)] == [["did:plc:bob"], [], ["Bob"]]


def test_links_of_the_text_count_only_where_none_are_listed_at_all():
    silent, none, plain = annotated(
        {"text": "see https://www.Example.com/a?utm_source=x#part."},
        {"text": "https://example.com", "links": []},
        {"text": "no link"},
    )

    assert [link["domain"] for link in silent["links"]] == ["example.com"]
    assert none["links"] == plain["links"] == []


@pytest.mark.parametrize(
    ("said", "meant"), [("en", "en"), ("pt-BR", "pt"), ("ZH_Hant", "zh"), (None, None)]
)
def test_languages_are_primary_tags_in_lower_case(said, meant):
    assert annotated({"lang": said}, {"lang": "de"})[0]["lang"] == meant


@given(
    st.lists(st.text("ab #@$é", max_size=12), min_size=1, max_size=6).flatmap(
        lambda texts: st.tuples(
            st.just(texts), st.lists(st.integers(0, len(texts) - 1), max_size=6)
        )
    )
)
def test_tokens_of_some_posts_are_those_of_their_texts_alone(drawn):
    texts, rows = drawn
    some = take(tokenize(pl.Series(texts), index=True), np.array(rows, np.uint32))
    alone = tokenize(pl.Series([texts[r] for r in rows], dtype=pl.String), index=True)

    for name in ("hash", "post", "start", "length", "position", "kind", "ends", "text_hash"):
        assert getattr(some, name).tolist() == getattr(alone, name).tolist(), name
    assert some.index.to_list() == alone.index.to_list()
