"""Near-duplicate families: MinHash bands of a text, and what hangs together by them.

**Shingles**: the pairs of neighbours among a text's tokens, mentions and derived tokens left out
(URLs are no tokens). So word order counts, and whom a text addresses does not. Fewer than `LEAST`
different pairs say too little to call a text a copy of another: such a text has no bands, and
neither have reposts. Exact copies of short texts are found all the same, by their text hash.

**Bands**: `BANDS` x `ROWS` MinHash values; each `ROWS` of them are hashed to 40 bits. Two texts
with the Jaccard similarity s of their shingles share a band with probability
1 - (1 - s^ROWS)^BANDS: 2 % at 0.3, 22 % at 0.5, 50 % at 0.61, 77 % at 0.7, 96 % at 0.8.

Measured on 147,000 tweets: of the links between different posts 92 % have a Jaccard similarity of
their *words* of 0.5 at least, 98 % of 0.3. Of tweets in which one word was put in, taken out or
changed, 89 % share a band with the original; of those with two such edits 69 %. (4 rows: 77 % and
89 % of the links; words instead of pairs: 36 % and 48 %.)

**Family**: what shared bands connect within a day (UTC), directly or by way of others; a band of
over `CROWD` posts is ignored. So a family depends on no order and on no batch.

Source: Broder, "On the resemblance and containment of documents" (SEQUENCES 1997); Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3.
"""

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from earshot.model.hashing import HASH_VERSION, SEED, Array, finish, step
from earshot.model.tokens import MENTION, TAGWORD, TOKEN_VERSION, Tokens

BANDS: Final = 8
ROWS: Final = 5
LEAST: Final = 4
"""Different pairs of tokens that a text must have: five words or so."""
CROWD: Final = 1000
"""Posts of a band beyond which it connects nothing."""
BYTES: Final = 5
"""Of a band: among a million posts of a day, four pairs meet by chance (with four bytes 930)."""
BAND_BYTES: Final = BANDS * BYTES
"""Of a post that has bands."""
NEAR_VERSION: Final = 65536 * TOKEN_VERSION + 256 * HASH_VERSION + 1
"""Bands of another version are not to be compared with these."""

_NONE: Final = np.uint32(0xFFFFFFFF)
_HIGH: Final = np.uint64(32)


def _permutations() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Odd factors and summands of the maps x -> a x + b (mod 2^32), drawn by the versioned hash."""
    drawn = np.empty(2 * BANDS * ROWS, np.uint64)
    _draw(drawn)
    high = (drawn >> _HIGH).astype(np.uint32)
    return high[: BANDS * ROWS] | np.uint32(1), high[BANDS * ROWS :]


def bands(tokens: Tokens, without: pl.Series) -> pl.Series:
    """The bands of each post, as bytes; empty where it has none.

    Args:
        tokens: Of n posts.
        without: Boolean, n: posts that are to have none (reposts).

    Returns:
        Binary, n: `BAND_BYTES` bytes or none, the bands in their order, little endian.
    """
    factors, summands = _permutations()
    data, ends = _bands(
        tokens.hash, tokens.kind, tokens.ends, without.to_numpy(), factors, summands
    )
    array = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(without), [None, pa.py_buffer(ends), pa.py_buffer(data)]
    )
    return pl.Series("bands", array, dtype=pl.Binary)


def components(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The family of each post of a day: the row of its first member.

    Args:
        data: n x `BAND_BYTES`: the bands of the day's posts, which are in order of
            (event_time, key).

    Returns:
        n: the least row of the family; a post that hangs together with no other has its own.
    """
    first = np.arange(len(data), dtype=np.int64)
    for band in range(BANDS):
        join_band(data, band, first)
    return settled(first)


def join_band(data: NDArray[np.uint8], band: int, first: NDArray[np.int64]) -> None:
    """Connect, in `first`, the posts that share one band; see `components`, of which it is a part.

    Args:
        data: As there.
        band: Which, from 0 on.
        first: A forest of rows, each of which points to itself or to a lesser one; changed.
    """
    values = _values(data, band)
    _connect(values, np.argsort(values, kind="stable"), first)


@njit(cache=True, nogil=True)
def settled(first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least row of each row's family, of a forest that `join_band` made."""
    out = np.empty_like(first)
    for row in range(len(first)):
        out[row] = row if first[row] == row else out[first[row]]
    return out


@njit(cache=True)
def _draw(out: Array) -> None:
    for n in range(len(out)):
        out[n] = finish(step(SEED, n))


@njit(cache=True, nogil=True)
def _bands(  # noqa: PLR0913, PLR0917 - arrays of a kernel
    hashes: Array, kinds: Array, ends: Array, without: Array, factors: Array, summands: Array
) -> tuple[Array, Array]:
    data = np.empty((len(ends) - 1) * BAND_BYTES, np.uint8)
    places = np.zeros(len(ends), np.int64)
    least = np.empty(BANDS * ROWS, np.uint32)
    some = np.empty(LEAST, np.uint32)
    at = 0
    for post in range(len(ends) - 1):
        places[post] = at
        if without[post]:
            continue
        least[:] = _NONE
        before, different = np.uint64(0), 0
        for i in range(ends[post], ends[post + 1]):
            if kinds[i] >= TAGWORD or kinds[i] == MENTION:
                continue
            if before:
                pair = np.uint32(finish(step(step(SEED, before), hashes[i])) >> _HIGH)
                for k in range(BANDS * ROWS):
                    least[k] = min(least[k], np.uint32(pair * factors[k] + summands[k]))
                if different < LEAST:
                    some[different] = pair
                    new = True
                    for k in range(different):
                        new = new and some[k] != pair
                    different += new
            before = hashes[i]
        if different < LEAST:
            continue
        for band in range(BANDS):
            h = step(SEED, band)
            for k in range(band * ROWS, band * ROWS + ROWS):
                h = step(h, least[k])
            h = finish(h)
            for _ in range(BYTES):
                data[at] = np.uint8(h & np.uint64(255))
                h >>= np.uint64(8)
                at += 1
    places[-1] = at
    return data[:at], places


@njit(cache=True, nogil=True)
def _values(data: Array, band: int) -> Array:
    out = np.zeros(len(data), np.uint64)
    for row in range(len(data)):
        for i in range(band * BYTES + BYTES - 1, band * BYTES - 1, -1):
            out[row] = out[row] << np.uint64(8) | np.uint64(data[row, i])
    return out


@njit(cache=True, nogil=True)
def _connect(values: Array, order: Array, first: Array) -> None:
    start = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and values[order[end]] == values[order[start]]:
            continue
        if end - start <= CROWD:
            for i in range(start + 1, end):
                _unite(first, order[start], order[i])
        start = end


@njit(inline="always")
def _unite(first: Array, a: int, b: int) -> None:
    a, b = _root(first, a), _root(first, b)
    if a < b:
        first[b] = a
    else:
        first[a] = b


@njit(inline="always")
def _root(first: Array, row: int) -> int:
    """The root of a tree; halves the way to it."""
    while first[row] != row:
        first[row] = first[first[row]]
        row = first[row]
    return row
