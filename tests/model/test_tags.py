import re

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from earshot.model import tags as t
from earshot.model.schema import POST


def posts(*rows):
    return pl.DataFrame([dict.fromkeys(POST) | r for r in rows], schema=POST)


def test_a_post_has_the_tags_that_the_constructors_name():
    post = {
        "source": "bluesky", "id": "1", "kind": "post", "lang": "pt-BR", "country": "BR",
        "author_id": "did:plc:1", "author_handle": "@Alice.Example", "channel": "r/Cats",
        "reply_to": "9", "reply_to_handle": "Bob", "reply_to_author": "did:plc:2",
        "conversation": "9", "author_bot": True,
        "links": [{"domain": "news.example.co.uk"}, {"domain": "a.org"}],
        "media": [{"kind": "image", "alt": "a cat"}], "hashtags": ["x"],
    }  # fmt: skip
    found = set(t.tags(posts(post))[0].split())

    assert found == {
        t.tag(t.SOURCE, "bluesky"), t.tag(t.LANG, "pt"), t.tag(t.COUNTRY, "BR"),
        t.tag(t.KIND, "post"), t.tag(t.KIND, "reply"), t.tag(t.AUTHOR, "did:plc:1"),
        t.tag(t.HANDLE, t.fold_handle("@alice.example")), t.tag(t.CHANNEL, "r/cats"),
        t.tag(t.TO_HANDLE, "bob"), t.tag(t.TO_AUTHOR, "did:plc:2"), t.tag(t.CONVERSATION, "9"),
        t.tag(t.IS, "bot"), t.tag(t.DOMAIN, "news.example.co.uk"), t.tag(t.DOMAIN, "example.co.uk"),
        t.tag(t.DOMAIN, "co.uk"), t.tag(t.DOMAIN, "uk"),
        t.tag(t.DOMAIN, "org"), t.tag(t.DOMAIN, "a.org"), t.tag(t.HAS, "links"),
        t.tag(t.HAS, "media"), t.tag(t.HAS, "images"), t.tag(t.HAS, "alt"),
        t.tag(t.HAS, "hashtags"), t.tag(t.HAS, "geo"),
    }  # fmt: skip


def test_a_post_of_which_nothing_is_known_has_its_source_only():
    assert t.tags(posts({"source": "csv", "id": "1"})).to_list() == ["s_csv"]


def test_flags_of_stored_posts_are_tags_too():
    frame = posts({"source": "x", "id": "1"}).with_columns(copy=True, late=False)

    assert t.tags(frame).to_list() == ["s_x i_copy"]


def test_no_posts_have_no_tags():
    assert t.tags(posts()).to_list() == []


def test_rules_are_added_once_each_in_order():
    tagged = pl.Series(["s_x", "s_x l_en", "s_x"])

    assert t.with_rules(tagged, pl.Series([2, 0, 0, 0]), pl.Series([7, 12, 3, 3])).to_list() == [
        "s_x r3 r12",
        "s_x l_en",
        "s_x r7",
    ]
    nothing = pl.Series([], dtype=pl.Int64)
    assert t.with_rules(tagged, nothing, nothing).to_list() == tagged.to_list()


@given(st.text(max_size=12), st.sampled_from(sorted(t.HASHED | {t.SOURCE, t.LANG, t.COUNTRY})))
def test_a_tag_is_one_ascii_word(value, prefix):
    assert re.fullmatch("[A-Za-z0-9_]+", t.tag(prefix, value))


@given(st.lists(st.sampled_from(["a.b.c", "b.c", "x.y", "A.b.C", "localhost"]), max_size=4))
def test_a_domain_comes_with_its_parents(domains):
    frame = posts({"source": "x", "id": "1", "links": [{"domain": d} for d in domains]})
    expected = set()
    for domain in domains:
        parts = domain.lower().split(".")
        expected |= {".".join(parts[i:]) for i in range(len(parts))}

    assert set(t.domains(frame)["domain"]) == expected
