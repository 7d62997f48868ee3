"""Windows as bytes: one compact blob a window, read back whole or one facet of it.

Layout (little endian): version, codec (0 plain, 1 zstd), then the body: rows, authors, pairs,
sketches, bytes of text (u32 each), the widths of eight columns (u8 each: 0, 1, 2, 4 or 8 bytes a
number, 0 where all are 0), facet codes (u8), the columns (lengths of texts, the four counts with
scores in zigzag form, pairs of a row, row of a sketch, the pairs), authors (u64), registers, text.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import zstandard
from numba import njit

from earshot.errors import FormatError
from earshot.model.hashing import HASH_VERSION, Array, hash_strings, strings
from earshot.pipeline.block import Blocks, none, tidy
from earshot.pipeline.hashes import FACET_CODES, I64, U8, U32, U64, value_keys
from earshot.pipeline.sketch import REGISTERS

VERSION: Final = 16 * HASH_VERSION + 1
PLAIN, ZSTD = 0, 1
LEVEL: Final = 1
WORTH: Final = 512
"""Bodies of fewer bytes stay plain: compression would cost more than it saves."""
AGAIN: Final = "make the windows again from their posts"
_HEAD: Final = 28
_COLUMNS: Final = 8
PAIRS, AUTHORS = 7, 8
"""Places of the last column, and of what comes behind the columns."""

Scalar = Any
"""A number as a kernel computes it."""


def encode(blocks: Blocks, windows: I64 | None = None) -> list[bytes]:
    """One blob for each of these windows, None: for all; `b""` for an empty one."""
    chosen = np.arange(blocks.windows) if windows is None else windows
    sizes = np.diff(blocks.row_end)[chosen]
    data, ends = _write(
        chosen, blocks.row_end, blocks.value, blocks.counts, blocks.pair_end, blocks.pair,
        blocks.sketch, blocks.registers, blocks.facet, blocks.text_end, blocks.text, blocks.authors,
    )  # fmt: skip
    press = zstandard.ZstdCompressor(level=LEVEL).compress
    plain, zstd = bytes([VERSION, PLAIN]), bytes([VERSION, ZSTD])
    view, places, out = memoryview(data.data), ends.tolist(), []
    for window, size in enumerate(sizes.tolist()):
        body = view[places[window] : places[window + 1]]
        if not size:
            out.append(b"")
        elif len(body) < WORTH:
            out.append(plain + body)
        else:
            out.append(zstd + press(body))
    return out


def decode(blobs: Sequence[bytes], *, facet: str | None = None) -> Blocks:
    """The windows of these blobs, in their order; only the rows of one facet, where one is given.

    Raises:
        FormatError: A blob is of another version, or damaged.
    """
    if not blobs:
        return none()
    expand = zstandard.ZstdDecompressor().decompress
    bodies = [body_of(blob, VERSION, expand) if blob else b"" for blob in blobs]
    ends = np.zeros(len(bodies) + 1, np.int64)
    np.cumsum([len(body) for body in bodies], out=ends[1:])
    data = np.frombuffer(b"".join(bodies) or b"\0", np.uint8)
    if (bad := _damaged(data, ends)) >= 0:
        msg = f"a window of {len(blobs[bad])} bytes is damaged: it is longer or shorter"
        raise FormatError(msg, hint=AGAIN)
    code = -1 if facet is None else FACET_CODES[facet]
    row_end, kinds, counts, pair_end, pair, sketch, registers, text_end, text, authors = _read(
        data, ends, code
    )
    hashes = hash_strings(strings(text_end, text))
    value = np.arange(len(kinds), dtype=np.uint32)
    keys = value_keys(hashes, kinds)
    return tidy(
        Blocks(row_end, value, counts, pair_end, pair, sketch, registers, kinds, keys,
               text_end, text, authors)
    )  # fmt: skip


def body_of(blob: bytes, version: int, expand: Callable[[bytes], bytes]) -> bytes:
    """What is behind version and codec, decompressed.

    Raises:
        FormatError: It is of another version, or damaged.
    """
    if blob[0] != version:
        msg = f"a window is written in version {blob[0]}, this program reads {version}"
        raise FormatError(msg, hint=AGAIN)
    if blob[1] == PLAIN:
        return blob[2:]
    try:
        return expand(blob[2:])
    except zstandard.ZstdError as e:
        msg = f"a window of {len(blob)} bytes is damaged: {e}"
        raise FormatError(msg, hint=AGAIN) from e


@njit(cache=True, nogil=True)
def _put(out: U8, at: int, number: np.uint64, width: int) -> int:
    for _ in range(width):
        out[at] = np.uint8(number & np.uint64(255))
        number >>= np.uint64(8)
        at += 1
    return at


@njit(cache=True, nogil=True)
def _put_all(out: U8, at: int, numbers: U64, width: int) -> int:
    for number in numbers:
        at = _put(out, at, number, width)
    return at


@njit(cache=True, nogil=True)
def _get(data: U8, at: int, width: int) -> np.uint64:
    number = np.uint64(0)
    for k in range(width):
        number |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return number


@njit(cache=True, nogil=True)
def _width(numbers: U64) -> int:
    most = np.uint64(0)
    for number in numbers:
        most |= number
    if most < np.uint64(1 << 16):
        return 2 if most > np.uint64(255) else int(most > np.uint64(0))
    return 4 if most < np.uint64(1 << 32) else 8


@njit(cache=True, nogil=True)
def _zigzag(number: int) -> np.uint64:
    return np.uint64((number << 1) ^ (number >> 63))


@njit(cache=True, nogil=True)
def _unzigzag(number: np.uint64) -> int:
    return int(np.int64(number >> np.uint64(1)) ^ -np.int64(number & np.uint64(1)))


@njit(cache=True, nogil=True)
def _local_authors(pair: U32, mark: Array) -> U32:
    """Authors of these pairs, ascending; `mark` gets the place of each."""
    found = np.empty(len(pair), np.uint32)
    n = 0
    for p in pair:
        if mark[p >> np.uint32(1)] < 0:
            mark[p >> np.uint32(1)] = 0
            found[n] = p >> np.uint32(1)
            n += 1
    found = found[:n]
    found.sort()
    for k in range(n):
        mark[found[k]] = k
    return found


@njit(cache=True, nogil=True)
def _columns(  # noqa: PLR0913, PLR0917 - the columns of Blocks
    first: int, last: int, value: U32, counts: I64, pair_end: I64, pair: U32, sketch: Array,
    text_end: I64, mark: Array,
) -> tuple[U64, U64, U64]:  # fmt: skip
    """Numbers to write: 6 columns of one a row, then rows of sketches, then pairs."""
    rows = last - first
    table = np.empty((6, rows), np.uint64)
    sketched = np.empty(rows, np.uint64)
    n = 0
    for k in range(rows):
        r = first + k
        table[0, k] = text_end[value[r] + 1] - text_end[value[r]]
        table[1, k], table[2, k] = counts[r, 0], counts[r, 1]
        table[3, k], table[4, k] = _zigzag(counts[r, 2]), _zigzag(counts[r, 3])
        table[5, k] = pair_end[r + 1] - pair_end[r]
        if sketch[r] >= 0:
            sketched[n] = k
            n += 1
    pairs = np.empty(pair_end[last] - pair_end[first], np.uint64)
    for k in range(len(pairs)):
        p = pair[pair_end[first] + k]
        pairs[k] = np.uint64(mark[p >> np.uint32(1)]) << np.uint64(1) | np.uint64(p & np.uint32(1))
    return table, sketched[:n].copy(), pairs


@njit(cache=True, nogil=True)
def _bound(row_end: I64, value: U32, pairs: int, sketches: int, text_end: I64) -> int:
    """More bytes than all windows take."""
    total = (len(row_end) - 1) * (_HEAD + 16) + pairs * 12 + sketches * (2 * REGISTERS + 8)
    for v in value:
        total += 60 + text_end[v + 1] - text_end[v]
    return total


@njit(cache=True, nogil=True)
def _write(  # noqa: PLR0913, PLR0917 - the columns of Blocks
    windows: I64, row_end: I64, value: U32, counts: I64, pair_end: I64, pair: U32, sketch: Array,
    registers: U8, facet: U8, text_end: I64, text: U8, authors: U64,
) -> tuple[U8, I64]:  # fmt: skip
    out = np.empty(_bound(row_end, value, len(pair), len(registers), text_end), np.uint8)
    ends = np.zeros(len(windows) + 1, np.int64)
    mark = np.full(len(authors), -1, np.int32)
    at = 0
    for i, w in enumerate(windows):
        first, last = row_end[w], row_end[w + 1]
        if first < last:
            local = _local_authors(pair[pair_end[first] : pair_end[last]], mark)
            table, sketched, pairs = _columns(
                first, last, value, counts, pair_end, pair, sketch, text_end, mark
            )
            head = at
            for number in (last - first, len(local), len(pairs), len(sketched)):
                at = _put(out, at, np.uint64(number), 4)
            at = _put(out, at, np.uint64(np.sum(table[0])), 4) + _COLUMNS
            for r in range(first, last):
                out[at] = facet[value[r]]
                at += 1
            for c in range(_COLUMNS):
                column = table[c] if c < 6 else (sketched if c == 6 else pairs)
                out[head + 20 + c] = _width(column)
                at = _put_all(out, at, column, out[head + 20 + c])
            for a in local:
                at = _put(out, at, authors[a], 8)
                mark[a] = -1
            for r in range(first, last):
                if sketch[r] >= 0:
                    for half in range(2):
                        out[at : at + REGISTERS] = registers[sketch[r], half]
                        at += REGISTERS
            for r in range(first, last):
                for k in range(text_end[value[r]], text_end[value[r] + 1]):
                    out[at] = text[k]
                    at += 1
        ends[i + 1] = at
    return out[:at], ends


@njit(cache=True, nogil=True)
def _int(data: U8, at: Scalar, width: Scalar) -> Scalar:
    return np.int64(_get(data, at, width))


@njit(cache=True, nogil=True)
def _totals(data: U8, ends: I64) -> I64:
    """Rows, authors, pairs, sketches and bytes of text in all bodies."""
    sums = np.zeros(5, np.int64)
    for w in range(len(ends) - 1):
        if ends[w] < ends[w + 1]:
            for k in range(5):
                sums[k] += _int(data, ends[w] + 4 * k, 4)
    return sums


@njit(cache=True, nogil=True)
def _layout(data: U8, head: Scalar) -> tuple[I64, I64]:
    """Widths of the columns, and where they, authors, registers and text begin."""
    width, at = np.empty(_COLUMNS, np.int64), np.empty(_COLUMNS + 3, np.int64)
    rows, pairs = _int(data, head, 4), _int(data, head + 8, 4)
    sketches = _int(data, head + 12, 4)
    at[0] = head + _HEAD + rows
    for c in range(_COLUMNS):
        width[c] = data[head + 20 + c]
        at[c + 1] = at[c] + width[c] * (rows if c < 6 else (sketches if c == 6 else pairs))
    at[AUTHORS + 1] = at[AUTHORS] + 8 * _int(data, head + 4, 4)
    at[AUTHORS + 2] = at[AUTHORS + 1] + sketches * 2 * REGISTERS
    return width, at


@njit(cache=True, nogil=True)
def _damaged(data: U8, ends: I64) -> int:
    """The first body that is not as long as it says; -1: there is none."""
    for w in range(len(ends) - 1):
        size = ends[w + 1] - ends[w]
        if 0 < size < _HEAD:
            return w
        if size > 0:
            _, at = _layout(data, ends[w])
            if at[AUTHORS + 2] + _int(data, ends[w] + 16, 4) != ends[w + 1]:
                return w
    return -1


@njit(cache=True, nogil=True)
def _read(data: U8, ends: I64, wanted: int) -> tuple[Array, ...]:
    sums = _totals(data, ends)
    row_end = np.zeros(len(ends), np.int64)
    facet, counts = np.empty(sums[0], np.uint8), np.empty((sums[0], 4), np.int64)
    pair_end, pair = np.zeros(sums[0] + 1, np.int64), np.empty(sums[2], np.uint32)
    sketch = np.full(sums[0], -1, np.int32)
    registers = np.empty((sums[3], 2, REGISTERS), np.uint8)
    text_end, text = np.zeros(sums[0] + 1, np.int64), np.empty(sums[4], np.uint8)
    authors = np.empty(sums[1], np.uint64)
    row, base, made = np.int64(0), np.int64(0), np.int64(0)
    for w in range(len(ends) - 1):
        head = ends[w]
        if head == ends[w + 1]:
            row_end[w + 1] = row
            continue
        width, at = _layout(data, head)
        sketches = _int(data, head + 12, 4)
        pairs_at, text_at, s = at[PAIRS], at[AUTHORS + 2], np.int64(0)
        for k in range(_int(data, head, 4)):
            length = _int(data, at[0] + k * width[0], width[0])
            n = _int(data, at[5] + k * width[5], width[5])
            sketched = s < sketches and _int(data, at[6] + s * width[6], width[6]) == k
            code = data[head + _HEAD + k]
            if wanted < 0 or code == wanted:
                facet[row] = code
                for c in range(4):
                    got = _get(data, at[1 + c] + k * width[1 + c], width[1 + c])
                    counts[row, c] = np.int64(got) if c < 2 else _unzigzag(got)
                q = pair_end[row]
                for x in range(n):
                    author = _get(data, pairs_at + x * width[PAIRS], width[PAIRS])
                    pair[q + x] = np.uint32(author) + np.uint32(2 * base)
                pair_end[row + 1] = q + n
                if sketched:
                    place = at[AUTHORS + 1] + s * 2 * REGISTERS
                    registers[made, 0] = data[place : place + REGISTERS]
                    registers[made, 1] = data[place + REGISTERS : place + 2 * REGISTERS]
                    sketch[row] = made
                    made += 1
                text_end[row + 1] = text_end[row] + length
                text[text_end[row] : text_end[row + 1]] = data[text_at : text_at + length]
                row += 1
            pairs_at += n * width[PAIRS]
            s += np.int64(sketched)
            text_at += length
        for k in range(_int(data, head + 4, 4)):
            authors[base] = _get(data, at[AUTHORS] + 8 * k, 8)
            base += 1
        row_end[w + 1] = row
    return (
        row_end, facet[:row], counts[:row], pair_end[: row + 1], pair[: pair_end[row]],
        sketch[:row], registers[:made], text_end[: row + 1], text[: text_end[row]], authors[:base],
    )  # fmt: skip
