"""The token specification: one meaning of "word" for rules, facets, search and copies.

**Fold.** Every character is folded by itself: NFKC, Unicode case folding, NFKC; then the whole
text is put into NFC. So `STRASSE` is `straße`, `ﬁn` is `fin`, `é` is `e` + U+0301, whichever way
they were typed; accents are kept (`é` is not `e`). The apostrophes U+2019 and U+02BC become `'`.
Characters that show nothing count for nothing, inside words too: Default_Ignorable_Code_Point
(joiners, variation selectors, direction marks, soft hyphens, ...), skin tones, keycaps, and the
gender signs U+2640 and U+2642 right behind a joiner. What follows is said of the folded text.

**Classes.** Letters, digits, marks (general categories L, N, M) and `_` are word characters,
except letters and marks of the *unspaced* scripts: Han, Hiragana, Katakana, Thai, Lao, Khmer and
Burmese. *Emoji* are U+1F000 to U+1FAFF and the symbols (So) of the arrow, technical, shape,
dingbat and similar blocks. Everything else separates. The character tables are those of
Unicode 14, shipped with the package.

**Tokens**, from left to right, the first that fits:

* `WORD`: word characters, single apostrophes inside; with at least one letter or digit.
* `BIGRAM`: a run of n unspaced characters gives its n - 1 pairs; a run of one gives itself.
* `EMOJI`: one emoji character; regional indicators go in pairs (a flag). A joined sequence gives
  each of its parts: a search for the shrug finds every shrug.
* `HASHTAG`: `#` and the word and unspaced characters behind it, one of which is neither digit nor
  mark nor `_`.
* `MENTION`: `@` and [a-z0-9_], goes on over single `.` and `-` inside, and over one `@`
  (`@user@host.example`). In the token `.` is written `-`.
* `CASHTAG`: `$`, one of [a-z], then [a-z0-9_].

A sigil (`#`, `@`, `$`) directly behind a word or mention is a separator: `a#b`, `me@example.com`.
A hashtag may stand directly behind another one.

**URLs are no words**: `http://` or `https://` with what follows; a name with a dot that begins
with `www.`, or is directly followed by `/` and ends in two letters or more (`example.com/page`,
as Bluesky shortens links). An URL ends before white space, `<`, `>`, `"` or the first non-ASCII
character.

**Derived tokens** repeat what the token before them says, so that it is found in other ways; they
share its position, and are in no facet and not in `text_hash`:

* `TAGWORD`: the bare words (and bigrams) of a hashtag.
* `TAIL`: the last character of an unspaced run of two or more: every character of a run begins a
  token, so that a search for one character is a search for a prefix.

**Position** counts the tokens of a post from 0, derived ones and the hashtag of its first
`TAGWORD` not apart: `"new #york city"` has new 0, #york 1, york 1, city 2.

**Text hash**: over the hashes of the tokens in order, without mentions, URLs and derived tokens.

**Limit**: the first 65,536 bytes of a text are read; what is behind counts for nothing.

**Index form**: tokens in order, derived ones too, joined by one space. They consist of ASCII
lower-case letters, digits, `#`, `@`, `_`, `$`, `'`, `-` and non-ASCII characters. Between two
tokens of the text there lie at most twice as many in the index as in `position`.

A token's hash is `hashing.hash_text` of its index form.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.model.hashing import buffers, strings
from earshot.model.token_kernel import (
    BIGRAM,
    CASHTAG,
    EMOJI,
    HASHTAG,
    MENTION,
    TAGWORD,
    TAIL,
    WORD,
    scan_posts,
)
from earshot.model.unicode_tables import LIMIT, UNSPACED, tables

__all__ = ["BIGRAM", "CASHTAG", "EMOJI", "HASHTAG", "MENTION", "TAGWORD", "TAIL", "WORD"]
__all__ += ["TOKEN_VERSION", "Tokens", "is_unspaced", "terms", "terms_of", "tokenize"]

TOKEN_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of n posts, t in all, post by post and in order of position."""

    hash: NDArray[np.uint64]
    """t: `hash_text` of the token."""
    post: NDArray[np.uint32]
    """t: row of the post."""
    start: NDArray[np.uint32]
    """t: first byte in the original text."""
    length: NDArray[np.uint32]
    """t: bytes in the original text."""
    position: NDArray[np.uint32]
    """t: place within the post, see the specification."""
    kind: NDArray[np.uint8]
    """t: WORD, HASHTAG, MENTION, CASHTAG, EMOJI, BIGRAM, TAGWORD or TAIL."""
    ends: NDArray[np.int64]
    """n + 1: tokens of post p are `ends[p]` to `ends[p + 1]`."""
    text_hash: NDArray[np.uint64]
    """n: hash of the normalised text; 0: nothing in it."""
    index: pl.Series
    """n: what the full-text index stores (String); nulls when it was not asked for."""

    @property
    def indexed(self) -> bool:
        """Whether `index` was made."""
        return self.index.null_count() == 0


def tokenize(texts: pl.Series, *, index: bool) -> Tokens:
    """Cut texts into tokens by the specification above; a null is an empty text.

    Args:
        texts: String, n rows.
        index: Make the index form too.
    """
    offsets, data = buffers(texts)
    found = scan_posts(offsets, data, tables()[:4], tables()[4:], index)
    if index:
        form = strings(found[9], found[8], name="index")
    else:
        form = pl.repeat(None, len(texts), dtype=pl.String, eager=True)
    names = ("hash", "post", "start", "length", "position", "kind", "ends", "text_hash")
    return Tokens(**dict(zip(names, found, strict=False)), index=form)


def terms_of(texts: Sequence[str]) -> list[list[str]]:
    """The tokens of each text in index form, without derived ones, in order of position."""
    found = tokenize(pl.Series(list(texts), dtype=pl.String), index=True)
    kept, ends, result = (found.kind < TAGWORD).tolist(), found.ends.tolist(), []
    for row, form in enumerate(found.index.to_list()):
        flags = kept[ends[row] : ends[row + 1]]
        result.append([t for t, own in zip(form.split(), flags, strict=True) if own])
    return result


_SIMPLE: Final = re.compile(r" *(?:{0}(?: +{0})* *)?".format("[#@$]?[A-Za-z][A-Za-z0-9_]*"))


@lru_cache(maxsize=65536)
def _terms(text: str) -> tuple[str, ...]:
    if _SIMPLE.fullmatch(text):  # what most terms are is not worth a call of the kernel
        return tuple(text.lower().split())
    return tuple(terms_of([text])[0])


def terms(text: str) -> list[str]:
    """The tokens of a query term: several are a phrase, none means nothing can be found."""
    return list(_terms(text))


def is_unspaced(token: str) -> bool:
    """Whether a token is of an unspaced script (one or two characters of a run)."""
    point = ord(token[0])
    return point < LIMIT and int(tables().kind[point]) & 0x7F == UNSPACED
