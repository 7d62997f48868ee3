"""Facet values and authors as 64-bit hashes, and numbering by hash."""

import unicodedata
from typing import Final

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from earshot.model.hashing import finish, hash_strings, key_hash
from earshot.model.schema import FACETS

U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
BOOL = NDArray[np.bool_]

FACET_CODES: Final = {facet: code for code, facet in enumerate(FACETS)}
"""Facet → its number in blocks: the place in `FACETS`, which only ever grows at the end."""


@njit(cache=True, nogil=True)
def value_keys(hashes: U64, facets: U8) -> U64:
    """One key for (facet, value): the value's hash, told apart by facet."""
    out = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        out[i] = finish(hashes[i] ^ (np.uint64(facets[i] + 1) * np.uint64(0xD6E8FEB86659FD93)))
    return out


def author_keys(source: pl.Series, author: pl.Series) -> U64:
    """Hash (source, author id), so that authors of different networks are different people.

    Posts without an author count as of one unknown author of their network. The lowest bit is
    cleared: it carries a mark where hashes are kept.
    """
    hashes = key_hash(source, author.fill_null(""))
    return hashes & ~np.uint64(1)


@njit(cache=True, nogil=True)
def number(keys: U64) -> tuple[U32, I64]:
    """Number equal keys alike, from 0 on in order of first sight.

    Returns:
        The number of each key, and for each number the place where it was first seen.
    """
    n = len(keys)
    size = 16
    while size < 2 * n:
        size *= 2
    last = np.uint64(size - 1)
    slot = np.full(size, -1, np.int32)
    out = np.empty(n, np.uint32)
    first = np.empty(n, np.int64)
    used = 0
    for i in range(n):
        at = (keys[i] ^ (keys[i] >> np.uint64(32))) & last
        while slot[at] >= 0 and keys[first[slot[at]]] != keys[i]:
            at = (at + np.uint64(1)) & last
        if slot[at] < 0:
            slot[at] = used
            first[used] = i
            used += 1
        out[i] = np.uint32(slot[at])
    return out, first[:used].copy()


def ranked(keys: U64) -> tuple[U64, U32]:
    """The different keys, ascending, and the place among them of each: sorts only those."""
    numbers, first = number(keys)
    different = keys[first]
    order = np.argsort(different)
    rank = np.empty(len(order), np.uint32)
    rank[order] = np.arange(len(order), dtype=np.uint32)
    return different[order], rank[numbers]


MINUTE_US: Final = 60_000_000


def minutes(source: pl.Series, at: pl.Series) -> tuple[U32, pl.DataFrame]:
    """Number the (minute, source) of rows: the number of each row, and DIRTY by number."""
    stamps = at.to_physical().to_numpy() // MINUTE_US
    numbers, first = number(_mixed(hash_strings(source), stamps))
    minute = pl.Series(stamps[first] * MINUTE_US).cast(at.dtype)
    return numbers, pl.DataFrame({"minute": minute, "source": source[first]})


@njit(cache=True, nogil=True)
def _mixed(hashes: U64, numbers: I64) -> U64:
    out = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        out[i] = finish(hashes[i] ^ (np.uint64(numbers[i]) * np.uint64(0xD6E8FEB86659FD93)))
    return out


def begins(*values: I64) -> BOOL:
    """Where other values begin than those before."""
    out = np.ones(len(values[0]), np.bool_)
    out[1:] = False
    for part in values:
        out[1:] |= part[1:] != part[:-1]
    return out


def ends(*values: I64) -> BOOL:
    """Where other values follow."""
    return begins(*(part[::-1] for part in values))[::-1]


def fold(values: pl.Series) -> pl.Series:
    """Fold texts as the token specification folds words, so that `#Ärger` and `ärger` meet."""
    lower = values.str.to_lowercase()
    strange = values.str.len_bytes() != values.str.len_chars()
    if not strange.any():
        return lower
    texts = values.filter(strange).to_list()
    folded = pl.Series([_fold(text) for text in texts], dtype=pl.String)
    return lower.scatter(strange.arg_true(), folded)


def _fold(text: str) -> str:
    wide = "".join(unicodedata.normalize("NFKC", c) for c in text).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", wide))


__all__ = ["BOOL", "FACET_CODES", "I64", "U8", "U32", "U64", "author_keys", "begins", "ends"]
__all__ += ["fold", "hash_strings", "minutes", "number", "ranked", "value_keys"]
