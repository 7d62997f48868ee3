"""Facets of posts: what each post is counted under, as numbers into one vocabulary.

Values are shown folded (`#München` and `#münchen` are `münchen`), so that every way of counting
and merging gives the same text. Per post a value counts once. The facets:

* `hashtag`, `mention`: as listed for the post, without sigil; `domain`: of its links.
* `word`: words, emoji and, of unspaced scripts, pairs of characters; without stop words
  (`pipeline.stopwords`), mere numbers, single letters and words of over 64 characters.
* `language`: as the network says it, else as detected; `country`; `channel`.
* `author`: the author's id, which never changes; who it is, is looked up when it is shown.
* `total`: the one value "".
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numba import njit

from earshot.model.hashing import Array, buffers, strings
from earshot.model.schema import STORED
from earshot.model.tokens import BIGRAM, EMOJI, WORD, Tokens
from earshot.pipeline.hashes import (
    FACET_CODES,
    I64,
    U8,
    U32,
    U64,
    fold,
    hash_strings,
    number,
    value_keys,
)
from earshot.pipeline.stopwords import stop_words

LONGEST: Final = 64
"""Characters of the longest word that counts as one."""
LONGEST_VALUE: Final = 1024
"""Bytes of the longest value of any other facet; longer ones are no values."""

NEEDED: Final = pl.Schema(
    {
        name: STORED[name]
        for name in (
            "source", "author_id", "title", "text", "lang", "lang_detected", "country", "channel",
            "hashtags", "mentions", "links",
        )
    }
)  # fmt: skip
"""Columns of a post that facets are made of."""


@dataclass(frozen=True, slots=True)
class Facets:
    """What n posts are counted under; V values."""

    pair_end: I64
    """n + 1: values of post p are `value[pair_end[p]:pair_end[p + 1]]`, each once."""
    value: U32
    """Numbers into the vocabulary."""
    facet: U8
    """V: code of the facet, never falling."""
    key: U64
    """V: `value_keys` of the value."""
    text_end: I64
    """V + 1."""
    text: U8
    """Value v is `text[text_end[v]:text_end[v + 1]]`."""


def facets(posts: pl.DataFrame, tokens: Tokens) -> Facets:
    """Find the values of every facet of these posts.

    Args:
        posts: Rows with the columns `NEEDED`; all of them count.
        tokens: Of `model.document.document(posts)`, with the index form.
    """
    listed = _listed(posts)
    codes = listed["facet"].to_numpy()
    keys = value_keys(hash_strings(listed["value"]), codes)
    numbers, first = number(keys)
    words, word_of = _words(tokens)
    word_facet = np.full(len(words.hash), FACET_CODES["word"], np.uint8)
    facet = np.concatenate([word_facet, codes[first]])
    rank, by_facet = _by_facet(facet)
    pair_end, value = _pairs(
        listed["post"].to_numpy(), rank[numbers + np.uint32(len(words.hash))],
        tokens.ends, word_of, rank, words.silent, _acting(posts), len(facet),
    )  # fmt: skip
    text = pl.concat([words.text, listed["value"].gather(first)]).gather(by_facet)
    text_end, data = buffers(text)
    key = np.concatenate([value_keys(words.hash, word_facet), keys[first]])[by_facet]
    return Facets(pair_end, value, facet[by_facet], key, text_end, data)


@dataclass(frozen=True, slots=True)
class _Words:
    """The distinct words of a batch."""

    hash: U64
    text: pl.Series
    silent: U64
    """Languages in which the word says nothing (all bits: in every one)."""


def _listed(posts: pl.DataFrame) -> pl.DataFrame:
    """`post`, `facet` (code), `value`: facets that are no words, in any order."""
    row = posts.select(*NEEDED.names()).with_row_index("post")
    language = pl.coalesce("lang", "lang_detected")
    parts = [
        _named("hashtag", _folded(row["hashtags"], "#")),
        _named("mention", _folded(row["mentions"], "@")),
        _named("domain", _domains(row["links"])),
        _named("language", row.select("post", value=language)),
        _named("country", row.select("post", value="country")),
        _named("author", row.select("post", value="author_id")),
        _named("channel", row.select("post", value="channel")),
    ]
    total = row.select("post", facet=pl.lit(FACET_CODES["total"], pl.UInt8), value=pl.lit(""))
    return pl.concat([*parts, total])


def _named(facet: str, values: pl.DataFrame) -> pl.DataFrame:
    sized = pl.col("value").str.len_bytes().is_between(1, LONGEST_VALUE)
    return values.filter(sized).select(
        "post", facet=pl.lit(FACET_CODES[facet], pl.UInt8), value="value"
    )


def _flat(lists: pl.Series) -> pl.DataFrame:
    """`post`, `value`: the elements of each post's list."""
    flat = pl.DataFrame({"value": lists}).with_row_index("post")
    return flat.filter(pl.col("value").list.len() > 0).explode("value").drop_nulls("value")


def _folded(lists: pl.Series, sigil: str) -> pl.DataFrame:
    flat = _flat(lists)
    return flat.with_columns(value=fold(flat["value"]).str.strip_prefix(sigil))


def _domains(links: pl.Series) -> pl.DataFrame:
    flat = _flat(links)
    return flat.with_columns(value=pl.col("value").struct.field("domain").str.to_lowercase())


def _acting(posts: pl.DataFrame) -> U64:
    return stop_words().acting(posts.select(pl.coalesce("lang", "lang_detected")).to_series())


def _words(tokens: Tokens) -> tuple[_Words, Array]:
    """The distinct words, and for each token the number of its word (-1: it is none)."""
    kind = tokens.kind
    at = np.flatnonzero((kind == WORD) | (kind == EMOJI) | (kind == BIGRAM))
    numbers, first = number(tokens.hash[at])
    word_of = np.full(len(kind), -1, np.int32)
    word_of[at] = numbers
    first = at[first]
    hashes = tokens.hash[first]
    offsets, data = buffers(tokens.index)
    spans = _spans(first, tokens.ends, tokens.post, offsets, data)
    text = _slices(spans, data)
    silent = stop_words().of(hashes)
    silent[_wordless(text, kind[first])] = ~np.uint64(0)
    return _Words(hashes, text, silent), word_of


def _wordless(text: pl.Series, kind: U8) -> Array:
    frame = pl.DataFrame({"text": text, "kind": kind})
    size, is_word = pl.col("text").str.len_chars(), pl.col("kind") == WORD
    number_only = pl.col("text").str.contains(r"^[\p{N}_']+$")
    return frame.select(
        ((size == 1) & is_word) | (size > LONGEST) | (is_word & number_only)
    ).to_series().to_numpy()  # fmt: skip


def _slices(spans: I64, data: U8) -> pl.Series:
    """Texts of byte spans: one join in columns, no objects."""
    return strings(*_packed(spans, data))


def _by_facet(facet: U8) -> tuple[U32, I64]:
    """New numbers in order of facet: of each old one, and the old one of each."""
    order = np.argsort(facet, kind="stable")
    rank = np.empty(len(facet), np.uint32)
    rank[order] = np.arange(len(facet), dtype=np.uint32)
    return rank, order


@njit(cache=True, nogil=True)
def _spans(first: I64, ends: I64, post: U32, offsets: I64, data: U8) -> I64:
    """Where in the index form the tokens `first` (ascending) stand: start and end of each."""
    out = np.empty((len(first), 2), np.int64)
    row, place, at = np.int64(-1), np.int64(0), np.int64(0)
    for i in range(len(first)):
        if post[first[i]] != row:
            row = np.int64(post[first[i]])
            place, at = ends[row], offsets[row]
        while place < first[i]:
            while data[at] != 32:
                at += 1
            at += 1
            place += 1
        out[i, 0] = at
        while at < offsets[row + 1] and data[at] != 32:
            at += 1
        out[i, 1] = at
    return out


@njit(cache=True, nogil=True)
def _packed(spans: I64, data: U8) -> tuple[I64, U8]:
    ends = np.zeros(len(spans) + 1, np.int64)
    for i in range(len(spans)):
        ends[i + 1] = ends[i] + spans[i, 1] - spans[i, 0]
    out = np.empty(ends[-1], np.uint8)
    for i in range(len(spans)):
        for k in range(spans[i, 1] - spans[i, 0]):
            out[ends[i] + k] = data[spans[i, 0] + k]
    return ends, out


@njit(cache=True, nogil=True)
def _pairs(  # noqa: PLR0913, PLR0917 - the two kinds of facets, side by side
    post: U32, listed: U32, ends: I64, word_of: Array, rank: U32, silent: U64, acting: U64,
    values: int,
) -> tuple[I64, U32]:  # fmt: skip
    """Values of each post, each once, in order of post."""
    n = len(ends) - 1
    start = np.zeros(n + 1, np.int64)
    for p in post:
        start[p + 1] += 1
    for p in range(n):
        start[p + 1] += start[p]
    sorted_ = np.empty(len(post), np.uint32)
    at = start[:-1].copy()
    for i in range(len(post)):
        sorted_[at[post[i]]] = listed[i]
        at[post[i]] += 1
    seen = np.full(values, -1, np.int64)
    out = np.empty(len(post) + len(word_of), np.uint32)
    pair_end = np.zeros(n + 1, np.int64)
    m = 0
    for p in range(n):
        for t in range(ends[p], ends[p + 1]):
            word = word_of[t]
            if word >= 0 and not silent[word] & acting[p] and seen[rank[word]] != p:
                seen[rank[word]] = p
                out[m] = rank[word]
                m += 1
        for i in range(start[p], start[p + 1]):
            if seen[sorted_[i]] != p:
                seen[sorted_[i]] = p
                out[m] = sorted_[i]
                m += 1
        pair_end[p + 1] = m
    return pair_end, out[:m].copy()
