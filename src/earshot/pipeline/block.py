"""Windows in columns: for each value its posts, score and the set of its authors, made to merge.

`Blocks` holds any number of windows over one vocabulary of (facet, value) and one list of authors.
Merging is exact in posts and score, exact in authors up to `sketch.EXACT` a value and the same as
if counted at once beyond: the order of merging never shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from earshot.model.hashing import Array
from earshot.pipeline.hashes import I64, U8, U32, U64, number, ranked
from earshot.pipeline.sketch import EXACT, REGISTERS, add, unite

COUNTS: Final = ("posts", "copies", "score", "copies_score")
"""Columns of `Blocks.counts`: of all posts, and of the copies among them; scores in thousandths."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """G windows, R rows in all, P (row, author) pairs, V values, A authors, S sketched rows."""

    row_end: I64
    """G + 1: rows of window g are `row_end[g]` to `row_end[g + 1]`, in order of `value`."""
    value: U32
    """R: number of the value in the vocabulary; each at most once in a window."""
    counts: I64
    """R x 4: `COUNTS`; never all zero."""
    pair_end: I64
    """R + 1: pairs of row r are `pair_end[r]` to `pair_end[r + 1]`; none where it is sketched."""
    pair: U32
    """P: 2 x place in `authors`, + 1 where the author has a post that is no copy; ascending."""
    sketch: NDArray[np.int32]
    """R: place in `registers`; -1: the authors are exact."""
    registers: U8
    """S x 2 x `REGISTERS`: sketch of all authors, and of those with a post that is no copy."""
    facet: U8
    """V: code of the facet, never falling."""
    key: U64
    """V: `value_keys` of the value."""
    text_end: I64
    """V + 1: value v is `text[text_end[v]:text_end[v + 1]]` in UTF-8."""
    text: U8
    authors: U64
    """A: `author_keys`, ascending."""

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self.row_end) - 1


def none(windows: int = 0) -> Blocks:
    """As many windows, all of them empty."""
    return Blocks(
        row_end=np.zeros(windows + 1, np.int64),
        value=np.zeros(0, np.uint32),
        counts=np.zeros((0, len(COUNTS)), np.int64),
        pair_end=np.zeros(1, np.int64),
        pair=np.zeros(0, np.uint32),
        sketch=np.zeros(0, np.int32),
        registers=np.zeros((0, 2, REGISTERS), np.uint8),
        facet=np.zeros(0, np.uint8),
        key=np.zeros(0, np.uint64),
        text_end=np.zeros(1, np.int64),
        text=np.zeros(0, np.uint8),
        authors=np.zeros(0, np.uint64),
    )


def merge(blocks: Blocks, into: Array | None = None, windows: int = 1) -> Blocks:
    """Merge windows: window g becomes part of window `into[g]` of the result.

    Args:
        blocks: The windows.
        into: One target for each window, -1: leave it out; None: all into one.
        windows: How many windows the result has.
    """
    target = np.zeros(blocks.windows, np.int64) if into is None else into.astype(np.int64)
    places = np.repeat(target, np.diff(blocks.row_end))
    order = _order(places, blocks.value, windows, len(blocks.facet))
    parts = _merge(
        order, places, blocks.value, blocks.counts, blocks.pair_end, blocks.pair, blocks.sketch,
        blocks.registers, blocks.authors, windows,
    )  # fmt: skip
    return _with_rows(blocks, parts)


def sketched(blocks: Blocks) -> Blocks:
    """Sketch the rows with more authors than `EXACT`; none is sketched before."""
    if len(blocks.pair_end) < 2 or int(np.diff(blocks.pair_end).max()) <= EXACT:
        return blocks
    parts = _sketch(blocks.pair_end, blocks.pair, blocks.authors)
    pair_end, pair, sketch, registers = parts
    return replace(blocks, pair_end=pair_end, pair=pair, sketch=sketch, registers=registers)


def join(parts: Sequence[Blocks], *, ordered: bool = True) -> Blocks:
    """Put the windows of several `Blocks` behind each other, over one vocabulary.

    Args:
        parts: The windows.
        ordered: Put their rows in order; else that is left to `merge`.
    """
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return none()
    many: dict[str, Array] = {}
    for name in ("row_end", "pair_end", "text_end"):
        many[name] = chain([getattr(part, name) for part in parts])
    for name in ("counts", "registers", "facet", "key", "text"):
        many[name] = np.concatenate([getattr(part, name) for part in parts])
    many["value"] = shifted([p.value for p in parts], [len(p.facet) for p in parts])
    many["pair"] = shifted([p.pair for p in parts], [2 * len(p.authors) for p in parts])
    many["sketch"] = shifted([p.sketch for p in parts], [len(p.registers) for p in parts])
    many["authors"] = np.concatenate([p.authors for p in parts])
    return tidy(Blocks(**many), ordered=ordered)


def tidy(blocks: Blocks, *, ordered: bool = True) -> Blocks:
    """Make vocabulary and authors what `Blocks` says: each once, in order, and only the used."""
    value, facet, key, text_end, text = tidy_vocabulary(
        blocks.value, blocks.facet, blocks.key, blocks.text_end, blocks.text
    )
    authors, pair = _tidy_authors(blocks.authors, blocks.pair)
    if not ordered:
        return replace(
            blocks, value=value, pair=pair, facet=facet, key=key, text_end=text_end, text=text,
            authors=authors,
        )  # fmt: skip
    order = _order(np.repeat(np.arange(blocks.windows), np.diff(blocks.row_end)), value,
                   blocks.windows, len(facet))  # fmt: skip
    pair_end, pair = take_pairs(order, blocks.pair_end, pair)
    return Blocks(
        blocks.row_end, value[order], blocks.counts[order], pair_end, pair, blocks.sketch[order],
        blocks.registers, facet, key, text_end, text, authors,
    )  # fmt: skip


def pick(blocks: Blocks, keep: NDArray[np.bool_]) -> Blocks:
    """Keep these rows only; vocabulary, authors and the number of windows stay."""
    order = np.flatnonzero(keep)
    pair_end, pair = take_pairs(order, blocks.pair_end, blocks.pair)
    row_end = np.concatenate([[0], np.cumsum(keep)])[blocks.row_end].astype(np.int64)
    return _with_rows(
        blocks,
        (row_end, blocks.value[order], blocks.counts[order], pair_end, pair,
         blocks.sketch[order], blocks.registers),
    )  # fmt: skip


def _with_rows(blocks: Blocks, parts: tuple[Array, ...]) -> Blocks:
    """Other rows over the same vocabulary and authors."""
    names = ("row_end", "value", "counts", "pair_end", "pair", "sketch", "registers")
    return replace(blocks, **dict(zip(names, parts, strict=True)))


def chain(ends: list[I64]) -> I64:
    """Ends of spans that lie behind each other."""
    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(end) for end in ends)])
    return np.cumsum(sizes)


def shifted(numbers: list[Array], sizes: list[int]) -> Array:
    """Numbers into tables that lie behind each other; what is below 0 stays."""
    out, base = [], 0
    for part, size in zip(numbers, sizes, strict=True):
        out.append(np.where(part >= 0, part + part.dtype.type(base), part))
        base += size
    return np.concatenate(out)


def tidy_vocabulary(
    value: U32, facet: U8, key: U64, text_end: I64, text: U8
) -> tuple[U32, U8, U64, I64, U8]:
    """Numbers into a vocabulary that has each value once, only the used, in order of facet."""
    used = np.zeros(len(facet), np.bool_)
    used[value] = True
    kept = np.flatnonzero(used)
    numbers, first = number(key[kept])
    by_facet = np.argsort(facet[kept[first]], kind="stable")
    rank = np.empty(len(first), np.uint32)
    rank[by_facet] = np.arange(len(first), dtype=np.uint32)
    renamed = np.zeros(len(facet), np.uint32)
    renamed[kept] = rank[numbers]
    chosen = kept[first][by_facet]
    text_end, text = _take_spans(chosen, text_end, text)
    return renamed[value], facet[chosen], key[chosen], text_end, text


def _tidy_authors(authors: U64, pair: U32) -> tuple[U64, U32]:
    used = np.zeros(len(authors), np.bool_)
    used[pair >> np.uint32(1)] = True
    kept = np.flatnonzero(used)
    known, places = ranked(authors[kept])
    renamed = np.zeros(len(authors), np.uint32)
    renamed[kept] = places << np.uint32(1)
    return known, renamed[pair >> np.uint32(1)] | (pair & np.uint32(1))


@njit(cache=True, nogil=True)
def _take_spans(chosen: I64, ends: I64, data: U8) -> tuple[I64, U8]:
    out_end = np.zeros(len(chosen) + 1, np.int64)
    for i in range(len(chosen)):
        out_end[i + 1] = out_end[i] + ends[chosen[i] + 1] - ends[chosen[i]]
    out = np.empty(out_end[-1], np.uint8)
    for i in range(len(chosen)):
        start = ends[chosen[i]]
        for k in range(out_end[i + 1] - out_end[i]):
            out[out_end[i] + k] = data[start + k]
    return out_end, out


@njit(cache=True, nogil=True)
def take_pairs(rows: I64, ends: I64, pair: U32) -> tuple[I64, U32]:
    """Pairs of these rows, in their order, each row's ascending."""
    out_end = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        out_end[i + 1] = out_end[i] + ends[rows[i] + 1] - ends[rows[i]]
    out = np.empty(out_end[-1], np.uint32)
    for i in range(len(rows)):
        start, sorted_ = ends[rows[i]], True
        for k in range(out_end[i + 1] - out_end[i]):
            out[out_end[i] + k] = pair[start + k]
            sorted_ = sorted_ and (k == 0 or pair[start + k - 1] <= pair[start + k])
        if not sorted_:
            out[out_end[i] : out_end[i + 1]].sort()
    return out_end, out


@njit(cache=True, nogil=True)
def _order(places: I64, value: U32, windows: int, values: int) -> I64:
    """Rows in order of (place, value), stable, in linear time; those with place < 0 left out."""
    n = 0
    at = np.zeros(values + 1, np.int64)
    for r in range(len(places)):
        if places[r] >= 0:
            at[value[r] + 1] += 1
            n += 1
    for v in range(values):
        at[v + 1] += at[v]
    by_value = np.empty(n, np.int64)
    for r in range(len(places)):
        if places[r] >= 0:
            by_value[at[value[r]]] = r
            at[value[r]] += 1
    at = np.zeros(windows + 1, np.int64)
    for row in by_value:
        at[places[row] + 1] += 1
    for w in range(windows):
        at[w + 1] += at[w]
    out = np.empty(n, np.int64)
    for row in by_value:
        out[at[places[row]]] = row
        at[places[row]] += 1
    return out


@njit(cache=True, nogil=True)
def is_any(counts: I64, row: int) -> bool:
    """Whether a row counts anything (asked for each row: no temporary arrays)."""
    some = False
    for c in range(4):
        some = some or counts[row, c] != 0
    return some


@njit(cache=True, nogil=True)
def _run_end(order: I64, i: int, places: I64, value: U32) -> int:
    j = i + 1
    while (
        j < len(order)
        and places[order[j]] == places[order[i]]
        and value[order[j]] == value[order[i]]
    ):
        j += 1
    return j


@njit(cache=True, nogil=True)
def _sizes(order: I64, places: I64, value: U32, pair_end: I64, sketch: Array) -> tuple[int, int]:
    """Bounds of what merging needs: sketches in all, pairs of one row."""
    sketches, most, i = 0, 0, 0
    while i < len(order):
        j = _run_end(order, i, places, value)
        pairs, sketched = 0, False
        for k in range(i, j):
            pairs += pair_end[order[k] + 1] - pair_end[order[k]]
            sketched = sketched or sketch[order[k]] >= 0
        sketches += sketched or pairs > EXACT
        most = max(most, pairs)
        i = j
    return sketches, most


@njit(cache=True, nogil=True)
def distinct(pairs: U32) -> int:
    """Sort pairs and leave each author once in front, with the mark where any had it."""
    pairs.sort()
    n = 0
    for p in pairs:
        if n and pairs[n - 1] >> np.uint32(1) == p >> np.uint32(1):
            pairs[n - 1] |= p
        else:
            pairs[n] = p
            n += 1
    return n


@njit(cache=True, nogil=True)
def note_authors(registers: U8, pairs: U32, authors: U64) -> None:
    """Take pairs into the two sketches of a row."""
    for p in pairs:
        add(registers[0], authors[p >> np.uint32(1)])
        if p & np.uint32(1):
            add(registers[1], authors[p >> np.uint32(1)])


@njit(cache=True, nogil=True)
def _sketch(pair_end: I64, pair: U32, authors: U64) -> tuple[I64, U32, Array, U8]:
    """Pairs without those of long rows, and sketches of these."""
    rows = len(pair_end) - 1
    long, left = 0, 0
    for r in range(rows):
        n = pair_end[r + 1] - pair_end[r]
        long += n > EXACT
        left += n if n <= EXACT else 0
    out_end, out = np.zeros(rows + 1, np.int64), np.empty(left, np.uint32)
    sketch = np.full(rows, -1, np.int32)
    registers, made = np.zeros((long, 2, REGISTERS), np.uint8), 0
    for r in range(rows):
        here = pair[pair_end[r] : pair_end[r + 1]]
        out_end[r + 1] = out_end[r]
        if len(here) > EXACT:
            note_authors(registers[made], here, authors)
            sketch[r] = made
            made += 1
        else:
            out_end[r + 1] += len(here)
            for k in range(len(here)):
                out[out_end[r] + k] = here[k]
    return out_end, out, sketch, registers


@njit(cache=True, nogil=True)
def _merge(  # noqa: PLR0913, PLR0917 - the columns of Blocks
    order: I64, places: I64, value: U32, counts: I64, pair_end: I64, pair: U32, sketch: Array,
    registers: U8, authors: U64, windows: int,
) -> tuple[Array, ...]:  # fmt: skip
    sketches, most = _sizes(order, places, value, pair_end, sketch)
    n = len(order)
    row_end = np.zeros(windows + 1, np.int64)
    out_value, out_counts = np.empty(n, np.uint32), np.zeros((n, 4), np.int64)
    out_end, out_pair = np.zeros(n + 1, np.int64), np.empty(len(pair), np.uint32)
    out_sketch = np.full(n, -1, np.int32)
    out_registers = np.zeros((sketches, 2, REGISTERS), np.uint8)
    buffer = np.empty(most, np.uint32)
    i, row, made = 0, 0, 0
    while i < n:
        j, m, sketched = _run_end(order, i, places, value), 0, False
        for k in range(i, j):
            r = order[k]
            for c in range(4):
                out_counts[row, c] += counts[r, c]
            sketched = sketched or sketch[r] >= 0
            for q in range(pair_end[r], pair_end[r + 1]):
                buffer[m] = pair[q]
                m += 1
        if j > i + 1:
            m = distinct(buffer[:m])
        w = out_end[row]
        if sketched or m > EXACT:
            out_sketch[row] = made
            for k in range(i, j):
                if sketch[order[k]] >= 0:
                    unite(out_registers[made, 0], registers[sketch[order[k]], 0])
                    unite(out_registers[made, 1], registers[sketch[order[k]], 1])
            note_authors(out_registers[made], buffer[:m], authors)
            made += 1
        else:
            out_pair[w : w + m] = buffer[:m]
            w += m
        if is_any(out_counts, row):
            out_value[row] = value[order[i]]
            out_end[row + 1] = w
            row_end[places[order[i]] + 1] += 1
            row += 1
        i = j
    for w in range(windows):
        row_end[w + 1] += row_end[w]
    return (
        row_end, out_value[:row].copy(), out_counts[:row].copy(), out_end[: row + 1].copy(),
        out_pair[: out_end[row]].copy(), out_sketch[:row].copy(), out_registers[:made].copy(),
    )  # fmt: skip
