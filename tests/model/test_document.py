"""The one text whose tokens rules, search and facets see."""

import polars as pl
import pytest

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
