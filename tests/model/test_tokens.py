import gzip
import itertools
import json
import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.naive_tokens import tokens as naive

from earshot.model import tokens as spec
from earshot.model.hashing import hash_text
from earshot.model.tokens import TAGWORD, is_unspaced, terms, terms_of, tokenize

NAMES = ["WORD", "HASHTAG", "MENTION", "CASHTAG", "EMOJI", "BIGRAM", "TAGWORD", "TAIL"]
PIECES = [
    # ruff: noqa: RUF001 - that characters look alike is what is tested
    "a", "b", "Z", "ß", "É", "e\u0301", "ﬁ", "ﷺ", "İ", "'", "’", "_", "-", ".", "/", ":", "#", "@",
    "$", " ", "\n", "日", "本", "カ", "ｶﾞ", "は\u3099", "ไ", "ท", "ม", "ျ", "한",
    "\u1112\u1161\u11ab",
    "😀", "👍🏽", "👨\u200d👩", "🤷\u200d♀️", "🇪🇸", "🇫", "1", "9", "½", "™", "€", "\u0323", "\u0301",
    "\u200b", "\u00ad", "http://", "https://", "www.", "x.com/", "a.b", "क्षि", "عَرَبِي", "1️⃣",
    "\U000e0041",
    "\U00040000", "<", '"', "「",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
ANY = st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs", "Cn"]), max_size=30)


def rows(text):
    found = tokenize(pl.Series([text]), index=True)
    forms = found.index[0].split(" ") if found.index[0] else []
    return [
        (form, NAMES[kind], position)
        for form, kind, position in zip(
            forms, found.kind.tolist(), found.position.tolist(), strict=True
        )
    ]


def words(text):
    return [form for form, _, _ in rows(text)]


@settings(max_examples=400)
@given(st.one_of(TEXTS, ANY))
def test_the_kernel_keeps_the_specification(text):
    assert rows(text) == naive(text)


@given(st.lists(TEXTS, max_size=6))
def test_a_text_has_the_same_tokens_whatever_its_neighbours(texts):
    together = tokenize(pl.Series(texts, dtype=pl.String), index=True)

    assert together.index.to_list() == [
        tokenize(pl.Series([t]), index=True).index[0] for t in texts
    ]
    assert together.text_hash.tolist() == [
        int(tokenize(pl.Series([t]), index=False).text_hash[0]) for t in texts
    ]


@given(st.one_of(TEXTS, ANY))
def test_a_token_hashes_as_its_index_form(text):
    found = tokenize(pl.Series([text]), index=True)

    assert [hash_text(t) for t in found.index[0].split(" ") if t] == found.hash.tolist()


@given(st.one_of(TEXTS, ANY))
def test_tokens_lie_in_the_text_in_order(text):
    found, data = tokenize(pl.Series([text]), index=False), text.encode()

    for start, length in zip(found.start.tolist(), found.length.tolist(), strict=True):
        assert data[start : start + length].decode()
    assert found.position.tolist() == sorted(found.position.tolist())


@given(st.one_of(TEXTS, ANY))
def test_index_forms_survive_an_ascii_tokenizer(text):
    for token in words(text):
        assert all(c in "#@_$'-" or c.isalnum() if c < "\x80" else c != " " for c in token)
        assert token == token.lower() or not token.isascii()


@given(st.text(st.sampled_from("aéışñüçẹ́ệกขだが日 "), max_size=20))
def test_composed_and_decomposed_texts_are_the_same(text):
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@given(st.one_of(TEXTS, ANY))
def test_between_two_tokens_lie_at_most_twice_as_many_in_the_index(text):
    places = tokenize(pl.Series([text]), index=False).position.tolist()

    for i, a in enumerate(places):
        for j in range(i + 1, len(places)):
            assert j - i <= 2 * (places[j] - a) + 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STRASSE straße ﬁn", ["strasse", "strasse", "fin"]),
        ("Café cafe\u0301 cafe", ["café", "café", "cafe"]),
        ("don’t 'quoted' rock'n'roll", ["don't", "quoted", "rock'n'roll"]),
        ("#York #2024 #ab#cd", ["#york", "york", "2024", "#ab", "ab", "#cd", "cd"]),
        ("@alice.bsky.social. @a@b.c me@x.org", ["@alice-bsky-social", "@a@b-c", "me", "x", "org"]),
        ("$AAPL $5 a$b", ["$aapl", "5", "a", "b"]),
        ("see https://x.com/a?b#c nytimes.com/20… www.a.b U.S./UK", ["see", "u", "s", "uk"]),
        ("日本語 ไทย 日", ["日本", "本語", "語", "ไท", "ทย", "ย", "日"]),
        ("#日本語tag", ["#日本語tag", "日本", "本語", "語", "tag"]),
        ("👨\u200d👩\u200d👧 👍🏽 🤷\u200d♀️ 🇪🇸🇫🇷", ["👨", "👩", "👧", "👍", "🤷", "🇪🇸", "🇫🇷"]),
        ("soft\u00adhyphen _ __", ["softhyphen"]),
        ("", []),
    ],
)
def test_examples_of_the_specification(text, expected):
    assert words(text) == expected


def test_the_bare_word_of_a_tag_shares_its_position():
    assert rows("new #york city") == [
        ("new", "WORD", 0),
        ("#york", "HASHTAG", 1),
        ("york", "TAGWORD", 1),
        ("city", "WORD", 2),
    ]


def test_copies_have_the_same_text_hash_whoever_is_addressed():
    texts = ["Buy NOW! #deal https://a.b/1", "@you buy now #DEAL", "buy now deal", "@you", None]
    hashes = tokenize(pl.Series(texts), index=False).text_hash.tolist()

    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[3:] == [0, 0]


@pytest.mark.parametrize(
    "text", ["word " * 2_000_000, "ﷺ" * 100_000, "é" * 100_000, "#日" * 50_000]
)
def test_a_huge_text_is_read_to_the_limit_and_no_further(text):
    found = tokenize(pl.Series(["a", text, "b"]), index=True)
    cut = text.encode()[:65_536].decode(errors="ignore")

    assert found.index.to_list() == ["a", tokenize(pl.Series([cut]), index=True).index[0], "b"]


def test_the_index_form_is_made_only_when_asked_for():
    found = tokenize(pl.Series(["a b"]), index=False)

    assert not found.indexed
    assert found.index.to_list() == [None]


def test_a_slice_of_a_frame_has_the_tokens_of_its_rows():
    texts = pl.Series(["zero", "one two", None, "three"])

    assert tokenize(texts[1:], index=True).index.to_list() == ["one two", "", "three"]


@given(st.one_of(TEXTS, st.text("aZ0_#@$ ", max_size=6)))
def test_terms_of_one_text_are_those_of_many(text):
    assert terms(text) == terms_of([text])[0]


def test_terms_leave_out_what_is_derived():
    assert terms("#York") == ["#york"]
    assert terms("日本語") == ["日本", "本語"]
    assert terms_of(["E-mail", "…", "@Bob"]) == [["e", "mail"], [], ["@bob"]]


def test_unspaced_tokens_are_known():
    assert is_unspaced("日本")
    assert is_unspaced("ไ")
    assert not is_unspaced("a")
    assert not is_unspaced("#日")


def test_kinds_are_told_apart():
    assert [getattr(spec, name) for name in NAMES] == list(range(8))
    assert TAGWORD == 6


def test_real_posts_have_the_tokens_of_the_specification(shared_data):
    lines = []
    for path in sorted((shared_data / "x_v1_stream").rglob("*.json*"))[:3]:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            lines += list(itertools.islice(file, 400))
    texts = [t for line in lines for t in re.findall(rb'"text": ?("(?:[^"\\]|\\.)*")', line)]
    texts = [str(json.loads(t)).encode("utf-8", "replace").decode() for t in texts][:1500]
    if not texts:
        pytest.skip("no posts in the payloads of this machine")

    assert [rows(t) for t in texts] == [naive(t) for t in texts]
