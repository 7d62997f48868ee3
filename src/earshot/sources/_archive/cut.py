"""Cut a text into items, block by block: lines, JSON values, server-sent events, CSV rows.

Every cutter is a generator of `Batch`es over blocks of bytes; it can start in the middle, at a
`Place` that an earlier batch ended with, and holds one batch and one unfinished item in memory.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from earshot.errors import FormatError
from earshot.sources._archive.scan import LINE, OPEN, START, STARTED, fresh, scan

LIMIT: Final = 64 << 20
"""Longest item in bytes; what is longer is told as `Batch.too_long`, not held in memory."""
KEPT: Final = 1 << 20
"""Bytes that are kept of an item that is too long."""
ROWS: Final = 4096
"""The most lines of a batch; pages on lines may give more items."""
_SCANNED: Final = 1 << 16
_END_OF_EVENT: Final = re.compile(rb"\r?\n\r?\n")
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two items of a decompressed text."""

    offset: int = 0
    """Bytes before it."""
    line: int = 0
    """Line ends before it."""
    base: int = 0
    """1: inside a top-level JSON array."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that lie behind each other."""

    raws: list[bytes]
    lines: Sequence[int]
    """Line on which each begins, from 1 on."""
    end: Place
    """The place after them."""
    too_long: tuple[tuple[int, bytes], ...] = ()
    """Line and beginning of items over `LIMIT`, which are not among `raws`."""


Blocks = Iterable[bytes]
Cutter = Callable[[Blocks, Place], Iterator[Batch]]


def lines(blocks: Blocks, start: Place) -> Iterator[Batch]:
    """Cut at line ends; blank lines are left out, a last line needs no end."""
    for text, place, too_long in _cut(blocks, start, _after_last_newline):
        if too_long:
            yield _drowned(text, place)
            continue
        at = place
        split = text.split(b"\n")
        if not split[-1]:
            split.pop()
        for first in range(0, len(split), ROWS):
            some = split[first : first + ROWS]
            end = Place(at.offset + sum(map(len, some)) + len(some), at.line + len(some))
            if b"\r" in text:
                some = [raw.removesuffix(b"\r") for raw in some]
            yield _batch(some, range(at.line + 1, end.line + 1), at, end)
            at = end


def events(blocks: Blocks, start: Place) -> Iterator[Batch]:
    """Cut server-sent events at blank lines; each item is one event's block of lines."""
    for text, place, too_long in _cut(blocks, start, _after_last_event):
        if too_long:
            yield _drowned(text, place)
            continue
        yield from _parts(text, place, [m.end() for m in _END_OF_EVENT.finditer(text)])


def rows(blocks: Blocks, start: Place) -> Iterator[Batch]:
    """Cut CSV at the line ends outside quotes; the header is an item like the others."""
    for text, place, too_long in _cut(blocks, start, _after_last_row):
        if too_long:
            yield _drowned(text, place)
            continue
        yield from _parts(text, place, (_row_ends(text) + 1).tolist())


def _parts(text: bytes, at: Place, borders: list[int]) -> Iterator[Batch]:
    """Cut a text at `borders` (and at its end), which may leave items of many lines."""
    borders = [0, *borders, *([len(text)] if not borders or borders[-1] < len(text) else [])]
    parts = [text[a:b] for a, b in pairwise(borders)]
    for first in range(0, len(parts), ROWS):
        some = parts[first : first + ROWS]
        after = list(accumulate((p.count(b"\n") for p in some), initial=at.line))
        end = Place(at.offset + sum(map(len, some)), after[-1])
        yield _batch(some, [n + 1 for n in after[:-1]], at, end)
        at = end


def _batch(raws: list[bytes], numbers: Sequence[int], start: Place, end: Place) -> Batch:
    """A batch without blank items, and without the mark that some editors begin files with."""
    if start.offset == 0:
        raws[0] = raws[0].removeprefix(_BOM)
    if any(not raw or raw.isspace() for raw in raws):
        pairs = [(n, r) for n, r in zip(numbers, raws, strict=True) if r and not r.isspace()]
        return Batch([r for _, r in pairs], [n for n, _ in pairs], end)
    return Batch(raws, numbers, end)


def _drowned(text: bytes, at: Place) -> Batch:
    """Tell of an item over `LIMIT` that begins at a place."""
    return Batch([], [], at, ((at.line + 1, text),))


def _cut(
    blocks: Blocks, start: Place, border: Callable[[bytes], int]
) -> Iterator[tuple[bytes, Place, bool]]:
    """Regroup blocks so that each ends at a border; bounded, whatever the text.

    Args:
        blocks: The text from `start` on.
        start: Where it begins.
        border: Gives the length of the part of a text that ends at its last border, or 0.

    Yields:
        The text, where it begins, and whether it is an item over `LIMIT`, of which only the
        first `KEPT` bytes are given.
    """
    held: list[bytes] = []
    size, offset, line, drowned = 0, start.offset, start.line, False
    for block in blocks:
        if not border(block) and size + len(block) <= LIMIT:
            # An item longer than a block: joining at each block would take quadratic time.
            held.append(block)
            size += len(block)
            continue
        text = b"".join((*held, block))
        cut = border(text)
        if not cut and size + len(block) > LIMIT:
            if not drowned:
                yield text[:KEPT], Place(offset, line), True
            drowned = True
            offset, line = offset + len(text), line + text.count(b"\n")
            held, size = [], 0
            continue
        whole, rest = text[:cut], text[cut:]
        if drowned and whole:
            first = whole.find(b"\n") + 1
            offset, line, whole = offset + first, line + 1, whole[first:]
            drowned = False
        if whole:
            yield whole, Place(offset, line), False
        offset, line = offset + len(whole), line + whole.count(b"\n")
        held, size = ([rest], len(rest)) if rest else ([], 0)
    if held and not drowned:
        yield b"".join(held), Place(offset, line), False


def _after_last_newline(text: bytes) -> int:
    return text.rfind(b"\n") + 1


def _after_last_event(text: bytes) -> int:
    ends = (b"\n\n", b"\n\r\n")
    return max((text.rfind(e) + len(e) for e in ends if e in text), default=0)


def _row_ends(text: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of the line ends outside quotes; `text` begins outside."""
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    quotes = np.flatnonzero(data == ord('"'))
    outside: np.ndarray[tuple[int], np.dtype[np.int64]] = ends[
        np.searchsorted(quotes, ends) % 2 == 0
    ]
    return outside


def _after_last_row(text: bytes) -> int:
    ends = _row_ends(text)
    return int(ends[-1]) + 1 if len(ends) else 0


def values(blocks: Blocks, start: Place) -> Iterator[Batch]:
    """Cut JSON values that follow each other, or are members of top-level arrays, on any lines."""
    state = fresh(start.base, start.line)
    out = np.zeros((_SCANNED + 1, 4), np.int64)
    held: list[bytes] = []
    end, at, dropping = start, start.offset, False
    for piece in _pieces(blocks, blank_bom=start.offset == 0):
        found = out[: scan(np.frombuffer(piece, np.uint8), state, out)].tolist()
        raws = [b"".join((*held, piece[:b])) if a < 0 else piece[a:b] for a, b, _, _ in found]
        if found:
            after = found[-1][1]
            line = int(state[LINE]) - piece.count(b"\n", after)
            end = Place(at + after, line, found[-1][3])
            # The end of a value that was too long is no value.
            yield Batch(raws[dropping:], [n + 1 for _, _, n, _ in found][dropping:], end)
            held, dropping = [], False
        at += len(piece)
        if state[OPEN] and not dropping:
            held.append(piece[max(0, int(state[START])) :])
        if sum(map(len, held)) > LIMIT:
            kept = b"".join(held)[:KEPT]
            yield Batch([], [], end, ((int(state[STARTED]) + 1, kept),))
            held, dropping = [], True
    if rest := b"".join(held).strip():
        yield Batch([rest], [int(state[STARTED]) + 1], Place(at, int(state[LINE])))


def _pieces(blocks: Blocks, *, blank_bom: bool) -> Iterator[bytes]:
    """Blocks of at most `_SCANNED` bytes; a byte order mark at the beginning becomes blanks."""
    for block in blocks:
        text = b"   " + block[3:] if blank_bom and block.startswith(_BOM) else block
        blank_bom = False
        for at in range(0, len(text), _SCANNED):
            yield text[at : at + _SCANNED]


def first_value(text: bytes) -> bytes:
    """The first JSON value of a text (what there is of it), or nothing."""
    return next((b.raws[0] for b in values([text], Place()) if b.raws), b"")


def damaged(blocks: Blocks, told: list[str]) -> Iterator[bytes]:
    """Pass blocks through; damage of the file ends them, and its reason is added to `told`."""
    try:
        yield from blocks
    except FormatError as error:
        told.append(str(error))


def first_row(text: bytes) -> bytes:
    """The first row of a CSV text, with its line end."""
    ends = _row_ends(text)
    return text[: int(ends[0]) + 1] if len(ends) else text
