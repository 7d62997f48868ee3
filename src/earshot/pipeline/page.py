"""Windows of many rules as one blob: one vocabulary, one list of authors, compressed once.

What hits few posts has small windows, and many rules have them; by themselves they would repeat
each other's words. A page holds the windows of one minute and source whose rules leave the same
remainder, and is read back whole, one rule of it, or one facet.

Layout (little endian): version, codec as in `codec`, then the body: `_SIZES` (u32 each), widths of
the columns (u8 each: 0, 1, 2, 4 or 8 bytes a number), the columns, registers, text. Columns: rules,
rows of a window; facet codes and lengths of the texts; value, the four counts (scores in zigzag
form) and pairs of a row; row of a sketch; pairs; authors.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import zstandard
from numba import njit

from earshot.errors import FormatError
from earshot.model.hashing import HASH_VERSION, Array, hash_strings, strings
from earshot.pipeline.block import Blocks, none, tidy
from earshot.pipeline.codec import AGAIN, LEVEL, PLAIN, WORTH, ZSTD, Scalar, body_of
from earshot.pipeline.hashes import FACET_CODES, I64, U8, U32, U64, value_keys
from earshot.pipeline.sketch import REGISTERS

VERSION: Final = 16 * HASH_VERSION + 2
PAGES: Final = 64
"""Rules that leave the same remainder share a page: few enough to write, enough to read one."""
_SIZES: Final = 7
"""Windows, values, rows, sketches, pairs, authors, bytes of text."""
_OF: Final = np.array([0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 4, 5], np.int64)
"""Which of the sizes each column has."""
_HEAD: Final = 4 * _SIZES + len(_OF)
_WIDTHS: Final = len(_OF)
RULE, MANY, FACET, LENGTH, VALUE, COUNTS, PAIRS = 0, 1, 2, 3, 4, 5, 9
SKETCHED, PAIR, AUTHOR = 10, 11, 12
"""Places of the columns; the four counts lie from `COUNTS` on."""


def page_of(rule: int) -> int:
    """Under which number the page of a rule lies; below 0, as no rule is."""
    return -1 - rule % PAGES


def encode_pages(blocks: Blocks, rules: I64, order: I64, page_end: I64) -> list[bytes]:
    """One blob for each page.

    Args:
        blocks: Windows.
        rules: Of each window.
        order: Windows of the pages, page by page.
        page_end: P + 1: page p has the windows `order[page_end[p]:page_end[p + 1]]`.
    """
    press = zstandard.ZstdCompressor(level=LEVEL).compress
    plain, zstd = bytes([VERSION, PLAIN]), bytes([VERSION, ZSTD])
    marks = np.full(len(blocks.facet), -1, np.int32), np.full(len(blocks.authors), -1, np.int32)
    out = []
    for first, last in zip(page_end[:-1].tolist(), page_end[1:].tolist(), strict=True):
        body = _write(
            order[first:last], rules, blocks.row_end, blocks.value, blocks.counts, blocks.pair_end,
            blocks.pair, blocks.sketch, blocks.registers, blocks.facet, blocks.text_end,
            blocks.text, blocks.authors, *marks,
        ).data  # fmt: skip
        out.append(plain + body if len(body) < WORTH else zstd + press(body))
    return out


def decode_pages(
    blobs: Sequence[bytes], *, rule: int | None = None, facet: str | None = None
) -> tuple[Blocks, I64, I64]:
    """The windows of these pages, the rule of each, and how many windows each page has.

    Args:
        blobs: Pages.
        rule: Only the windows of this one.
        facet: Only the rows of this one.

    Raises:
        FormatError: A page is of another version, or damaged.
    """
    if not blobs:
        return none(), np.zeros(0, np.int64), np.zeros(0, np.int64)
    expand = zstandard.ZstdDecompressor().decompress
    bodies = [body_of(blob, VERSION, expand) for blob in blobs]
    ends = np.zeros(len(bodies) + 1, np.int64)
    np.cumsum([len(body) for body in bodies], out=ends[1:])
    data = np.frombuffer(b"".join(bodies), np.uint8)
    if (bad := _damaged(data, ends)) >= 0:
        msg = f"a page of {len(blobs[bad])} bytes is damaged: it is longer or shorter"
        raise FormatError(msg, hint=AGAIN)
    code = -1 if facet is None else FACET_CODES[facet]
    parts = _read(data, ends, -1 if rule is None else rule, code)
    many, rules, row_end, value, counts, pair_end, pair, sketch, registers = parts[:9]
    facets, text_end, text, authors = parts[9:]
    keys = value_keys(hash_strings(strings(text_end, text)), facets)
    found = Blocks(
        row_end, value, counts, pair_end, pair, sketch, registers, facets, keys, text_end, text,
        authors,
    )  # fmt: skip
    return tidy(found), rules, many


@njit(cache=True, nogil=True)
def _put(out: U8, at: int, numbers: Array, width: int) -> int:
    if width == 0:
        return at
    if width == 1:
        for k in range(len(numbers)):
            out[at + k] = np.uint8(numbers[k])
        return at + len(numbers)
    for k in range(len(numbers)):
        number = np.uint64(numbers[k])
        for _ in range(width):
            out[at] = np.uint8(number & np.uint64(255))
            number >>= np.uint64(8)
            at += 1
    return at


@njit(cache=True, nogil=True)
def _width(numbers: Array) -> int:
    most = np.uint64(0)
    for number in numbers:
        most |= np.uint64(number)
    if most < np.uint64(1 << 16):
        return 2 if most > np.uint64(255) else int(most > np.uint64(0))
    return 4 if most < np.uint64(1 << 32) else 8


@njit(cache=True, nogil=True)
def _used(numbers: U32, shift: int, mark: Array) -> U32:
    """Those of these numbers, shifted, that there are; `mark` gets their places."""
    found, n = np.empty(len(numbers), np.uint32), 0
    for number in numbers:
        m = number >> np.uint32(shift)
        if mark[m] < 0:
            mark[m] = n
            found[n] = m
            n += 1
    return found[:n].copy()


@njit(cache=True, nogil=True)
def _gathered(  # noqa: PLR0913, PLR0917 - columns of Blocks
    windows: I64, row_end: I64, value: U32, pair_end: I64, pair: U32, sketch: Array
) -> tuple[I64, I64, I64, U32, U32]:
    """Of these windows: rows of each, and the rows, sketched ones, values and pairs of all."""
    many = np.empty(len(windows), np.int64)
    pairs = 0
    for i, w in enumerate(windows):
        many[i] = row_end[w + 1] - row_end[w]
        pairs += pair_end[row_end[w + 1]] - pair_end[row_end[w]]
    n = many.sum()
    rows, values = np.empty(n, np.int64), np.empty(n, np.uint32)
    sketched, out = np.empty(n, np.int64), np.empty(pairs, np.uint32)
    r, s, p = 0, 0, 0
    for w in windows:
        for row in range(row_end[w], row_end[w + 1]):
            rows[r], values[r] = row, value[row]
            if sketch[row] >= 0:
                sketched[s] = r
                s += 1
            for q in range(pair_end[row], pair_end[row + 1]):
                out[p] = pair[q]
                p += 1
            r += 1
    return many, rows, sketched[:s].copy(), values, out


@njit(cache=True, nogil=True)
def _places(numbers: U32, shift: int, mark: Array) -> U64:
    """Where `mark` has these numbers, shifted; the bits below stay."""
    out = np.empty(len(numbers), np.uint64)
    for k in range(len(numbers)):
        bits = np.uint64(numbers[k] & np.uint32((1 << shift) - 1))
        out[k] = np.uint64(mark[numbers[k] >> np.uint32(shift)]) << np.uint64(shift) | bits
    return out


@njit(cache=True, nogil=True)
def _counted(rows: I64, counts: I64, column: int) -> U64:
    out = np.empty(len(rows), np.uint64)
    for k in range(len(rows)):
        n = counts[rows[k], column]
        out[k] = np.uint64(n if column < 2 else (n << 1) ^ (n >> 63))
    return out


@njit(cache=True, nogil=True)
def _lengths(chosen: Array, ends: I64) -> U64:
    out = np.empty(len(chosen), np.uint64)
    for k in range(len(chosen)):
        out[k] = np.uint64(ends[chosen[k] + 1] - ends[chosen[k]])
    return out


@njit(cache=True, nogil=True)
def _write(  # noqa: PLR0913, PLR0917 - the columns of Blocks
    windows: I64, rules: I64, row_end: I64, value: U32, counts: I64, pair_end: I64, pair: U32,
    sketch: Array, registers: U8, facet: U8, text_end: I64, text: U8, authors: U64,
    values_at: Array, authors_at: Array,
) -> U8:  # fmt: skip
    """The body of one page; the last two are all -1 before and after."""
    many, rows, sketched, row_values, pairs = _gathered(
        windows, row_end, value, pair_end, pair, sketch
    )
    values, people = _used(row_values, 0, values_at), _used(pairs, 1, authors_at)
    lengths = _lengths(values, text_end)
    columns = [
        rules[windows].astype(np.uint64), many.astype(np.uint64),
        facet[values].astype(np.uint64), lengths,
        _places(row_values, 0, values_at), _counted(rows, counts, 0), _counted(rows, counts, 1),
        _counted(rows, counts, 2), _counted(rows, counts, 3), _lengths(rows, pair_end),
        sketched.astype(np.uint64), _places(pairs, 1, authors_at), authors[people],
    ]  # fmt: skip
    size = np.array(
        [len(windows), len(values), len(rows), len(sketched), len(pairs), len(people),
         np.int64(lengths.sum())], np.int64,
    )  # fmt: skip
    widths = np.array([_width(column) for column in columns], np.int64)
    total = _HEAD + 2 * REGISTERS * size[3] + size[6] + (widths * size[_OF]).sum()
    out = np.empty(total, np.uint8)
    at = _put(out, _put(out, 0, size, 4), widths, 1)
    for c, column in enumerate(columns):
        at = _put(out, at, column, widths[c])
    for k in sketched:
        for half in range(2):
            out[at : at + REGISTERS] = registers[sketch[rows[k]], half]
            at += REGISTERS
    for v in values:
        for k in range(text_end[v], text_end[v + 1]):
            out[at] = text[k]
            at += 1
        values_at[v] = -1
    for a in people:
        authors_at[a] = -1
    return out


@njit(cache=True, nogil=True)
def _get(data: U8, at: int, width: int) -> Scalar:
    number = np.uint64(0)
    for k in range(width):
        number |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return np.int64(number)


@njit(cache=True, nogil=True)
def _unzigzag(number: np.uint64) -> int:
    return int(np.int64(number >> np.uint64(1)) ^ -np.int64(number & np.uint64(1)))


@njit(cache=True, nogil=True)
def _layout(data: U8, head: int) -> tuple[I64, I64, I64]:
    """Sizes, widths of the columns, and where they, registers and text begin, and the end."""
    size, width = np.empty(_SIZES, np.int64), np.empty(_WIDTHS, np.int64)
    at = np.empty(_WIDTHS + 3, np.int64)
    for s in range(_SIZES):
        size[s] = _get(data, head + 4 * s, 4)
    at[0] = head + _HEAD
    for c in range(_WIDTHS):
        width[c] = data[head + 4 * _SIZES + c]
        at[c + 1] = at[c] + width[c] * size[_OF[c]]
    at[_WIDTHS + 1] = at[_WIDTHS] + size[3] * 2 * REGISTERS
    at[_WIDTHS + 2] = at[_WIDTHS + 1] + size[6]
    return size, width, at


@njit(cache=True, nogil=True)
def _damaged(data: U8, ends: I64) -> int:
    """The first page that is not as long as it says; -1: there is none."""
    for p in range(len(ends) - 1):
        if ends[p + 1] - ends[p] < _HEAD or _layout(data, ends[p])[2][-1] != ends[p + 1]:
            return p
    return -1


@njit(cache=True, nogil=True)
def _wanted(data: U8, ends: I64, rule: int) -> tuple[I64, I64]:
    """Windows of each page that are read; bounds of windows, rows, pairs, authors and the rest."""
    many, most = np.zeros(len(ends) - 1, np.int64), np.zeros(_SIZES, np.int64)
    for p in range(len(ends) - 1):
        size, width, at = _layout(data, ends[p])
        row = 0
        for w in range(size[0]):
            n = _get(data, at[MANY] + w * width[MANY], width[MANY])
            if rule < 0 or _get(data, at[RULE] + w * width[RULE], width[RULE]) == rule:
                many[p] += 1
                most[2] += n
                for k in range(row, row + n):
                    most[4] += _get(data, at[PAIRS] + k * width[PAIRS], width[PAIRS])
            row += n
        if many[p]:
            most[0] += many[p]
            most[1] += size[1]
            most[3] += size[3]
            most[5] += size[5]
            most[6] += size[6]
    return many, most


@njit(cache=True, nogil=True)
def _starts(data: U8, values: int, width: I64, at: I64) -> I64:
    """Where the text of each value begins, and the end of the last."""
    first = np.empty(values + 1, np.int64)
    first[0] = at[_WIDTHS + 1]
    for v in range(values):
        first[v + 1] = first[v] + _get(data, at[LENGTH] + v * width[LENGTH], width[LENGTH])
    return first


@njit(cache=True, nogil=True)
def _get_counts(out: I64, data: U8, row: int, width: I64, at: I64) -> None:
    for c in range(4):
        wide = width[COUNTS + c]
        got = _get(data, at[COUNTS + c] + row * wide, wide)
        out[c] = got if c < 2 else _unzigzag(np.uint64(got))


@njit(cache=True, nogil=True)
def _read(  # noqa: PLR0915 - one pass over all columns
    data: U8, ends: I64, rule: int, facet: int
) -> tuple[Array, ...]:
    many, most = _wanted(data, ends, rule)
    rules, row_end = np.empty(most[0], np.int64), np.zeros(most[0] + 1, np.int64)
    value, counts = np.empty(most[2], np.uint32), np.empty((most[2], 4), np.int64)
    pair_end, pair = np.zeros(most[2] + 1, np.int64), np.empty(most[4], np.uint32)
    sketch = np.full(most[2], -1, np.int32)
    registers = np.empty((most[3], 2, REGISTERS), np.uint8)
    facets, text_end = np.empty(most[1], np.uint8), np.zeros(most[1] + 1, np.int64)
    text, authors = np.empty(most[6], np.uint8), np.empty(most[5], np.uint64)
    window, row, made, base, used = 0, 0, 0, 0, 0
    for p in range(len(ends) - 1):
        if not many[p]:
            continue
        size, width, at = _layout(data, ends[p])
        number, first = np.full(size[1], -1, np.int64), _starts(data, size[1], width, at)
        k, s, q = 0, 0, at[PAIR]
        for w in range(size[0]):
            of = _get(data, at[RULE] + w * width[RULE], width[RULE])
            last = k + _get(data, at[MANY] + w * width[MANY], width[MANY])
            while k < last:
                v = _get(data, at[VALUE] + k * width[VALUE], width[VALUE])
                n = _get(data, at[PAIRS] + k * width[PAIRS], width[PAIRS])
                place = at[SKETCHED] + s * width[SKETCHED]
                sketched = s < size[3] and _get(data, place, width[SKETCHED]) == k
                code = _get(data, at[FACET] + v * width[FACET], width[FACET])
                if (rule < 0 or of == rule) and (facet < 0 or code == facet):
                    if number[v] < 0:
                        number[v] = used
                        facets[used] = code
                        end = text_end[used] + first[v + 1] - first[v]
                        text[text_end[used] : end] = data[first[v] : first[v + 1]]
                        used += 1
                        text_end[used] = end
                    value[row] = number[v]
                    _get_counts(counts[row], data, k, width, at)
                    begin = pair_end[row]
                    for x in range(n):
                        there = _get(data, q + x * width[PAIR], width[PAIR])
                        pair[begin + x] = np.uint32(there + 2 * base)
                    if sketched:
                        place = at[_WIDTHS] + s * 2 * REGISTERS
                        registers[made, 0] = data[place : place + REGISTERS]
                        registers[made, 1] = data[place + REGISTERS : place + 2 * REGISTERS]
                        sketch[row] = made
                        made += 1
                    row += 1
                    pair_end[row] = begin + n
                q += n * width[PAIR]
                s += sketched
                k += 1
            if rule < 0 or of == rule:
                rules[window] = of
                window += 1
                row_end[window] = row
        for a in range(size[5]):
            authors[base + a] = np.uint64(_get(data, at[AUTHOR] + a * width[AUTHOR], width[AUTHOR]))
        base += size[5]
    return (
        many, rules, row_end, value[:row], counts[:row], pair_end[: row + 1],
        pair[: pair_end[row]], sketch[:row], registers[:made], facets[:used],
        text_end[: used + 1], text[: text_end[used]], authors[:base],
    )  # fmt: skip
