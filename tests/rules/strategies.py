"""Random expressions and posts from one small world, so that they meet often."""

import datetime as dt

import polars as pl
from hypothesis import strategies as st

from earshot.model.schema import POST
from earshot.model.tokens import tokenize
from earshot.rules.grammar import HAS, IS, RANGES
from earshot.rules.nodes import (
    Field,
    Near,
    Not,
    Phrase,
    Prefix,
    Range,
    Sample,
    Word,
    all_of,
    any_of,
)

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WORDS = [
    "tea", "Tea", "#tea", "café", "cafe\u0301", "don't", "straße", "STRASSE", "@bob",
    "@bob.example",
    "$TEA", "☕", "日", "日本", "本語", "#日本", "ไทย", "ไ", "чай", "한국", "shop", "teapot",
    "e-mail", "1",
    "🇪🇸", "👍🏽", "مرحبا", "שלום", "नमस्ते", "ລາວ", "ខ្មែរ", "မြန်မာ", "ひらがな", "カタカナ",
]  # fmt: skip
FILLERS = [
    *WORDS,
    "日本語",
    "本",
    "https://tea.example/tea",
    "tea.example/x",
    ",",
    "#tea#shop",
    "teapots",
    "in",
]
SOURCES, IDS, HANDLES = ["x", "bluesky"], ["1", "2", "3"], ["bob", "Ann.example"]
DOMAINS = ["tea.example", "shop.tea.example", "b.org"]
FIELDS = st.one_of(
    st.tuples(
        st.sampled_from(["from", "to"]), st.sampled_from(["bob", "BOB", "ann.example", "id1"])
    ),
    st.tuples(st.just("domain"), st.sampled_from([*DOMAINS, "example", "ea.example"])),
    st.tuples(st.just("url"), st.sampled_from(["tea", "shop.tea", "/page", "example/p", "zzz"])),
    st.tuples(st.just("lang"), st.sampled_from(["en", "ja", "pt"])),
    st.tuples(st.just("country"), st.sampled_from(["US", "JP"])),
    st.tuples(st.just("source"), st.sampled_from(SOURCES)),
    st.tuples(st.just("conversation"), st.sampled_from(IDS)),
    st.tuples(st.just("channel"), st.sampled_from(["cats", "dogs"])),
    st.tuples(
        st.sampled_from(["bio", "place"]), st.sampled_from(["tea", "tea shop", "日", "本語"])
    ),
    st.tuples(st.just("has"), st.sampled_from(HAS)),
    st.tuples(st.just("is"), st.sampled_from(IS)),
    st.tuples(st.just("sentiment"), st.just("negative")),
    st.tuples(st.just("entity"), st.just('Ada "Countess" Lovelace')),
).map(lambda pair: Field(*pair))
PHRASES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
BOUND = st.integers(-2, 4)
RANGE = st.one_of(
    st.tuples(BOUND, st.none()), st.tuples(st.none(), BOUND),
    st.tuples(BOUND, BOUND).map(lambda p: tuple(sorted(p))),
)  # fmt: skip
LEAVES = st.one_of(
    st.sampled_from(WORDS).map(Word),
    st.sampled_from(WORDS).map(Word),
    PHRASES.map(Phrase),
    st.builds(
        lambda pair, n: Near(" ".join(pair), n),
        st.lists(
            st.sampled_from(["tea", "shop", "日", "日本", "☕", "чай"]),
            min_size=2,
            max_size=3,
            unique=True,
        ),
        st.integers(1, 4),
    ),
    st.sampled_from(
        [
            "t",
            "tea",
            "teap",
            "Стр",
            "ча",
            "#t",
            "@bob",
            "日",
            "日本",
            "日本語",
            "don'",
            "مر",
            "नम",
            "မြ",
        ]
    ).map(Prefix),
    FIELDS,
    st.builds(lambda name, r: Range(name, *r), st.sampled_from(sorted(RANGES)), RANGE),
    st.sampled_from([1, 30, 50, 100]).map(Sample),
)
NODES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=4).map(all_of),
        st.lists(inner, min_size=2, max_size=4).map(any_of),
    ),
    max_leaves=10,
)


def maybe(strategy):
    return st.one_of(st.none(), strategy)


TEXTS = st.tuples(
    st.lists(st.sampled_from(FILLERS), max_size=10), st.sampled_from([" ", " ", "", "\n"])
).map(lambda pair: pair[1].join(pair[0]))
LINKS = st.builds(
    lambda d, page: {"url": f"HTTP://{d}/{page}", "expanded": None, "canonical": None, "domain": d},
    maybe(st.sampled_from([*DOMAINS, "WWW.B.org"])), st.sampled_from(["Page", "tea"]),
)  # fmt: skip
MEDIA = st.builds(
    lambda k, alt: {"kind": k, "url": "u", "alt": alt},
    st.sampled_from(["image", "gif", "video"]), maybe(st.sampled_from(["", "tea"])),
)  # fmt: skip
COUNT = maybe(st.integers(0, 4))
POSTS = st.fixed_dictionaries(
    {"source": st.sampled_from(SOURCES), "id": st.text("0123456789", min_size=1, max_size=3)},
    optional={
        "kind": st.sampled_from(["post", "reply", "quote", "comment", "repost"]),
        "text": TEXTS,
        "author_id": st.sampled_from(["id1", "id2"]),
        "author_handle": st.sampled_from([*HANDLES, "@BOB"]),
        "author_bio": TEXTS,
        "author_followers": COUNT,
        "author_verified": st.booleans(),
        "author_bot": st.booleans(),
        "edited_at": st.just(NOW),
        "lang": maybe(st.sampled_from(["en", "pt-BR", "JA"])),
        "lang_detected": st.sampled_from(["en", "ja"]),
        "reply_to": st.sampled_from(IDS),
        "reply_to_handle": st.sampled_from(HANDLES),
        "reply_to_author": st.sampled_from(["id1", "id2"]),
        "quote_of": st.sampled_from(IDS),
        "repost_of": st.sampled_from(IDS),
        "conversation": st.sampled_from(IDS),
        "channel": st.sampled_from(["Cats", "dogs"]),
        "links": st.lists(LINKS, max_size=3),
        "media": st.lists(MEDIA, max_size=2),
        "hashtags": st.lists(st.just("tea"), max_size=1),
        "mentions": st.lists(st.just("bob"), max_size=1),
        "cashtags": st.lists(st.just("tea"), max_size=1),
        "place": TEXTS,
        "country": st.sampled_from(["US", "JP"]),
        "latitude": st.just(1.5),
        "sensitive": st.booleans(),
        "received_at": st.integers(-3, 3).map(lambda s: NOW + dt.timedelta(seconds=s)),
        **dict.fromkeys(("likes", "reposts", "replies", "quotes", "views", "score"), COUNT),
        "copy": st.booleans(),
    },
)
BATCHES = st.lists(POSTS, min_size=1, max_size=6)


def frame(posts):
    """POST rows and `copy`; what a post does not say is null."""
    schema = {**POST, "copy": pl.Boolean}
    return pl.DataFrame([dict.fromkeys(schema) | p for p in posts], schema=schema)


def tokens(posts):
    return tokenize(posts["text"], index=True)
