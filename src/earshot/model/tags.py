"""Pseudo-tokens: filters as words of the index's second column, so that they are as quick.

A tag is a short prefix, then a value: plain where the value is plain, else its hash in hexadecimal
(`hashing`), so that a tag consists of [A-Za-z0-9_] only. Case means nothing: indexes may fold it.

    s_bluesky   source                   l_en     language
    k_reply     kind                     c_us     country
    h_links     has something            i_bot    is something (beside the kinds)
    a<hex>      author, by id            f<hex>   author, by folded handle
    t<hex>      addressee, by handle     u<hex>   addressee, by id
    d<hex>      domain of a link, and its parents
    v<hex>      conversation             g<hex>   channel (group, forum, instance), folded
    r12         rule 12 matched
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.model.hashing import buffers, hash_strings, hash_text, strings
from earshot.model.tag_kernel import append_rules, write_tags

SOURCE, LANG, KIND, COUNTRY, HAS, IS, RULE = "s_", "l_", "k_", "c_", "h_", "i_", "r"
AUTHOR, HANDLE, TO_HANDLE, TO_AUTHOR = "a", "f", "t", "u"
DOMAIN, CONVERSATION, CHANNEL = "d", "v", "g"
HASHED: Final = frozenset({AUTHOR, HANDLE, TO_HANDLE, TO_AUTHOR, DOMAIN, CONVERSATION, CHANNEL})
"""Prefixes whose value is written as a hash."""
HAS_WHAT: Final = (
    "links",
    "media",
    "images",
    "video",
    "hashtags",
    "mentions",
    "cashtags",
    "geo",
    "alt",
)
IS_KIND: Final = (
    "post",
    "reply",
    "repost",
    "quote",
    "comment",
    "submission",
    "event",
    "rsvp",
)
IS_FLAG: Final = ("verified", "bot", "sensitive", "edited", "copy", "late")
_FLAGS: Final = (
    *(KIND + k for k in IS_KIND),
    *(HAS + w for w in HAS_WHAT),
    *(IS + f for f in IS_FLAG),
)
PARENTS: Final = 32
"""Labels of a domain that are taken off one by one at most."""


def plain(value: str) -> str:
    """A value as a tag writes it: lower case, everything but [a-z0-9] as `_`."""
    return re.sub(r"[^a-z0-9]", "_", value.lower())


def tag(prefix: str, value: str) -> str:
    """The tag of a value that is already in its column's form (see `columns`)."""
    if prefix in HASHED:
        return f"{prefix}{hash_text(value):016x}"
    return prefix + plain(value)


def rule_tag(rule: int) -> str:
    """The tag of the posts that a rule matched."""
    return f"{RULE}{rule}"


def fold_handle(handle: str) -> str:
    """A handle as handles are compared: no `@`, ASCII lower case."""
    return handle.removeprefix("@").lower()


def has(what: str) -> pl.Expr:
    """Whether a post has something: one of HAS_WHAT."""
    kinds = pl.col("media").list.eval(pl.element().struct.field("kind"))
    if what == "geo":
        found = pl.col("place").is_not_null() | pl.col("latitude").is_not_null()
        found = found | pl.col("country").is_not_null()
    elif what == "images":
        found = kinds.list.contains("image") | kinds.list.contains("gif")
    elif what == "video":
        found = kinds.list.contains("video")
    elif what == "alt":
        texts = pl.col("media").list.eval(pl.element().struct.field("alt").str.len_bytes() > 0)
        found = texts.list.any()
    else:
        found = pl.col(what).list.len() > 0
    return found.fill_null(value=False)


def flag(name: str, columns: Collection[str]) -> pl.Expr:
    """Whether a post is something: one of IS_FLAG; False where its column is not there yet."""
    if (source := _COLUMN.get(name, name)) not in columns:
        return pl.lit(value=False)
    if name == "edited":
        return pl.col(source).is_not_null()
    return pl.col(source).fill_null(value=False)


def kind(name: str) -> pl.Expr:
    """Whether a post is of a kind; by what it refers to as well as by its own kind.

    A quote that is also a reply is both; `post` is what answers and repeats nothing.
    """
    own = pl.col("kind") == name
    refers = {"reply": "reply_to", "repost": "repost_of", "quote": "quote_of"}
    if name in refers:
        own = own | pl.col(refers[name]).is_not_null()
    return own.fill_null(value=False)


def language() -> pl.Expr:
    """The primary language in lower case, `pt` of `pt-BR`: as the network says, else as found."""
    said = pl.coalesce("lang", "lang_detected")
    return said.str.to_lowercase().str.replace(r"[-_].*$", "")


def domains(posts: pl.DataFrame) -> pl.DataFrame:
    """`post` (UInt32), `domain`: the domains of each post's links and their parents, once each.

    `news.example.org` is also `example.org` and `org`.
    """
    level = (
        posts.select(
            post=pl.int_range(pl.len(), dtype=pl.UInt32),
            domain=pl.col("links").list.eval(pl.element().struct.field("domain")),
        )
        .filter(pl.col("domain").list.len() > 0)
        .explode("domain")
        .filter(pl.col("domain").str.len_bytes() > 0)
        .with_columns(pl.col("domain").str.to_lowercase())
        .unique(maintain_order=True)
    )
    levels = [level]
    for _ in range(PARENTS):
        up = pl.col("domain").str.replace(r"^[^.]*\.", "")
        level = level.filter(pl.col("domain").str.contains(".", literal=True))
        if level.is_empty():
            break
        level = level.with_columns(domain=up)
        levels.append(level)
    return pl.concat(levels).unique(maintain_order=True)


PLAIN: Final[Mapping[str, pl.Expr]] = {
    SOURCE: pl.col("source"),
    LANG: language(),
    COUNTRY: pl.col("country"),
}
FOLDED: Final[Mapping[str, pl.Expr]] = {
    AUTHOR: pl.col("author_id"),
    HANDLE: pl.col("author_handle").str.strip_prefix("@").str.to_lowercase(),
    TO_HANDLE: pl.col("reply_to_handle").str.strip_prefix("@").str.to_lowercase(),
    TO_AUTHOR: pl.col("reply_to_author"),
    CONVERSATION: pl.col("conversation"),
    CHANNEL: pl.col("channel").str.to_lowercase(),
}
"""Prefix -> the value in the form in which it is hashed."""


def tags(posts: pl.DataFrame) -> pl.Series:
    """The tags of each post, joined by spaces, without those of rules.

    Args:
        posts: POST, and `copy` and `late` (Boolean) where these are known.
    """
    posts = posts.rechunk()  # many small chunks make every step slow
    values = posts.select(**PLAIN, **FOLDED)
    links = domains(posts)
    ends = np.zeros(posts.height + 1, np.int64)
    np.cumsum(np.bincount(links["post"].to_numpy(), minlength=posts.height), out=ends[1:])
    names = "".join(f"{name} " for name in _FLAGS).encode()
    data, offsets = write_tags(
        tuple(buffers(values[prefix]) for prefix in PLAIN),
        np.frombuffer("".join(p[0] for p in PLAIN).encode(), np.uint8),
        np.stack([hash_strings(values[prefix]) for prefix in FOLDED]),
        np.frombuffer("".join(FOLDED).encode(), np.uint8),
        hash_strings(links.sort("post", maintain_order=True)["domain"]),
        ends,
        ord(DOMAIN),
        flags(posts),
        np.frombuffer(names, np.uint8),
        np.cumsum([0, *(len(name) + 1 for name in _FLAGS)]),
    )
    return strings(offsets, data, name="tags")


_COLUMN: Final = {"verified": "author_verified", "bot": "author_bot", "edited": "edited_at"}
_OF_FLAGS: Final = frozenset(_COLUMN.get(f, f) for f in IS_FLAG)


@cache
def _truths(columns: frozenset[str]) -> list[pl.Expr]:
    """The truth of each of _FLAGS where posts have these columns of flags."""
    truths = [kind(k) for k in IS_KIND] + [has(w) for w in HAS_WHAT]
    truths += [flag(f, columns) for f in IS_FLAG]
    return [truth.alias(name) for truth, name in zip(truths, _FLAGS, strict=True)]


def flags(posts: pl.DataFrame) -> NDArray[np.uint64]:
    """A bit for each of the kinds, haves and flags of each post."""
    there = frozenset(posts.columns) & _OF_FLAGS
    found = posts.select(_truths(there))
    bits = np.zeros(posts.height, np.uint64)
    for place, name in enumerate(_FLAGS):
        bits |= found[name].to_numpy().astype(np.uint64) << np.uint64(place)
    return bits


def with_rules(tagged: pl.Series, posts: pl.Series, rules: pl.Series) -> pl.Series:
    """Add the tags of rules that matched.

    Args:
        tagged: What `tags` gave.
        posts: Rows of `tagged` (integers), one for each hit.
        rules: The rule of each hit.
    """
    at, of = posts.to_numpy().astype(np.int64), rules.to_numpy().astype(np.int64)
    order = np.lexsort((of, at))
    ends = np.zeros(len(tagged) + 1, np.int64)
    np.cumsum(np.bincount(at, minlength=len(tagged)), out=ends[1:])
    data, offsets = append_rules(*buffers(tagged), ends, of[order], ord(RULE))
    return strings(offsets, data, name="tags")
