"""The one text whose tokens rules, search and facets see."""

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.model.document import document

COLUMNS = {"title": pl.String, "text": pl.String, "hashtags": pl.List(pl.String)}


@pytest.mark.parametrize(
    ("title", "text", "hashtags", "whole"),
    [
        (None, "text", [], "text"),
        ("Title", "text", None, "Title\ntext"),
        (None, "a #Tag", ["tag"], "a #Tag"),
        (None, "a #tagged", ["Tag", "tag"], "a #tagged\n#Tag"),
        ("#one", "two", ["one", "Two", "three"], "#one\ntwo\n#Two #three"),
        (None, None, ["lone"], "\n#lone"),
    ],
)
def test_a_document_is_title_text_and_the_hashtags_they_do_not_show(title, text, hashtags, whole):
    posts = pl.DataFrame([(title, text, hashtags), (None, "x", [])], COLUMNS, orient="row")

    assert document(posts).to_list() == [whole, "x"]


PIECES = (
    "#",
    "#Tag",
    "#tag",
    "tag",
    "#Größe",
    "größe",
    "#ΣΑΣ",
    "#日本",
    "。",
    " ",
    ".",
    "_",
    "👍",
    "s",
)
LISTED = st.lists(
    st.sampled_from(
        ("tag", "TAG", "", "GRÖSSE", "größe", "σας", "ΣΑΣ", "日本", "tag s", "tag👍", None)
    ),
    max_size=3,
)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), LISTED)
def test_a_listed_hashtag_is_added_once_unless_the_text_shows_it(text, listed):
    shown = {tag[1:] for tag in re.findall(r"[#\uff03]\w+", text.lower())}
    folded = [tag if tag is None else tag.lower() for tag in listed]
    missing = [
        tag
        for i, tag in enumerate(listed)
        if folded[i] not in shown and folded[i] not in folded[:i] and tag is not None
    ]
    posts = pl.DataFrame([(None, text, listed)], COLUMNS, orient="row")
    whole = document(posts)[0]

    assert whole.split("\n")[0] == text
    assert "".join(whole.split("\n")[1:]) == " ".join(f"#{tag}" for tag in missing)
