"""The kernel behind `tokens`: fold, compose, scan; its specification is the docstring there.

Everything happens in scratch arrays that are as long as the longest text allows; outputs grow by
doubling. Rules about long functions and lists of parameters do not fit kernels: what they share
is arrays, and a call costs as much as what it would do. One file, though long: one pass.
"""
# ruff: noqa: PLR0912, PLR0913, PLR0915, PLR0917, FBT001

from typing import Final

import numpy as np
from numba import njit

from earshot.model.hashing import SEED, Array, Arrays, Scalar, finish, step
from earshot.model.unicode_tables import (
    APOSTROPHE,
    AT,
    CASH,
    DROP,
    HASH,
    LETTER,
    LIMIT,
    MANY,
    MAYBE,
    REGIONAL,
    UNSPACED,
)
from earshot.model.unicode_tables import (
    EMOJI as EMOJI_CLASS,
)

WORD, HASHTAG, MENTION, CASHTAG, EMOJI, BIGRAM, TAGWORD, TAIL = range(8)
MAX_BYTES: Final = 65_536
_WIDEST: Final = 18  # folded characters that one character may give (U+FDFA)
_SPLIT: Final = 4  # characters of the longest canonical decomposition


@njit(inline="always")
def _is_word(kind: int) -> bool:
    return kind != 0 and kind < UNSPACED


@njit(inline="always")
def _is_name(c: int) -> bool:
    """Of [a-z0-9_]."""
    return 97 <= c <= 122 or 48 <= c <= 57 or c == 95


@njit(inline="always")
def _code_point(data: Array, i: int) -> Scalar:
    """The character at byte `i` of valid UTF-8, and how many bytes it has."""
    b = np.int64(data[i])
    if b < 0x80:
        return b, 1
    if b < 0xE0:
        return (b & 0x1F) << 6 | (np.int64(data[i + 1]) & 63), 2
    c = np.int64(data[i + 1]) & 63
    if b < 0xF0:
        return (b & 0x0F) << 12 | c << 6 | (np.int64(data[i + 2]) & 63), 3
    c = (b & 0x07) << 18 | c << 12 | (np.int64(data[i + 2]) & 63) << 6
    return c | (np.int64(data[i + 3]) & 63), 4


@njit(cache=True, nogil=True)
def _fold(
    data: Array, first: int, last: int, folds: Arrays, cps: Array, kinds: Array, spans: Array
) -> Scalar:  # fmt: skip
    """Fold a text into `cps`; returns how many, and whether these may not be in NFC yet."""
    fold, pool, kind, mark = folds
    m: Scalar = 0
    i: Scalar = first
    before: Scalar = 0
    loose: Scalar = False
    many: Scalar = 1
    while i < last:
        b = data[i]
        if b < 0x80:
            cps[m], kinds[m] = np.int32(fold[b]), kind[b]
            spans[m, 0], spans[m, 1] = i - first, i - first + 1
            m, i, before = m + 1, i + 1, 0
            continue
        c, size = _code_point(data, i)
        begin = i
        i += size
        if c == 0x200D and i + 2 < last and data[i] == 0xE2 and data[i + 1] == 0x99:
            i += 3 if data[i + 2] in (0x80, 0x82) else 0
        if c >= LIMIT:
            if not 0xE0000 <= c < 0xE1000:
                cps[m], kinds[m], spans[m, 0], spans[m, 1] = 0xFFFD, 0, begin - first, i - first
                m, before = m + 1, 0
            continue
        f = np.int64(fold[c])
        if f == DROP:
            continue
        place: Scalar = 0
        many = 1
        if f & MANY:
            place = f & 0x7FFFFFFF
            many = np.int64(pool[place])
        for k in range(many):
            c = np.int64(pool[place + 1 + k]) if f & MANY else f
            t = kind[c]
            if c >= 0x300:
                ccc = np.int64(mark[c])
                loose = loose or (t & MAYBE) != 0 or (ccc != 0 and ccc < before)
                before = ccc
            else:
                before = 0
            cps[m], kinds[m] = c, t & 0x7F
            spans[m, 0], spans[m, 1] = begin - first, begin - first + size
            m += 1
    return m, loose


@njit(cache=True, nogil=True)
def _compose(  # Unicode 15.0 §3.11: decompose, order marks, compose; origins go along
    m: Scalar, folds: Arrays, splits: Arrays, cps: Array, kinds: Array, spans: Array, more: Array,
    more_spans: Array,
) -> Scalar:  # fmt: skip
    """Put `cps[:m]` into NFC in place; returns how many there are now."""
    _, pool, kind, mark = folds
    split_from, split_into, pair, composed = splits
    n = 0
    for i in range(m):
        c = np.int64(cps[i])
        if 0xAC00 <= c < 0xD7A4:
            s = c - 0xAC00
            parts = (0x1100 + s // 588, 0x1161 + s % 588 // 28, 0x11A7 + s % 28)
            for k in range(3 if s % 28 else 2):
                more[n], more_spans[n, 0], more_spans[n, 1] = parts[k], spans[i, 0], spans[i, 1]
                n += 1
            continue
        at = np.searchsorted(split_from, np.uint32(c)) if c >= 0xC0 else len(split_from)
        if at < len(split_from) and split_from[at] == c:
            place = np.int64(split_into[at])
            for k in range(np.int64(pool[place])):
                more[n] = pool[place + 1 + k]
                more_spans[n, 0], more_spans[n, 1] = spans[i, 0], spans[i, 1]
                n += 1
        else:
            more[n], more_spans[n, 0], more_spans[n, 1] = c, spans[i, 0], spans[i, 1]
            n += 1
    for i in range(1, n):  # stable insertion sort of each run of marks
        j = i
        ccc = mark[more[i]]
        while j > 0 and ccc != 0 and mark[more[j - 1]] > ccc:
            more[j - 1], more[j] = more[j], more[j - 1]
            for e in range(2):
                more_spans[j - 1, e], more_spans[j, e] = more_spans[j, e], more_spans[j - 1, e]
            j -= 1
    w, starter = 0, -1
    last: Scalar = 0
    for i in range(n):
        c = np.int64(more[i])
        ccc = np.int64(mark[c])
        made = np.int64(0)
        if starter >= 0 and (last < ccc or (last == 0 and starter == w - 1)):
            made = _joined(np.int64(cps[starter]), c, pair, composed)
        if made:
            cps[starter] = made
            spans[starter, 0] = min(spans[starter, 0], more_spans[i, 0])
            spans[starter, 1] = max(spans[starter, 1], more_spans[i, 1])
            continue
        cps[w], spans[w, 0], spans[w, 1] = c, more_spans[i, 0], more_spans[i, 1]
        if ccc == 0:
            starter = w
        last = ccc
        w += 1
    for i in range(w):
        kinds[i] = kind[cps[i]] & 0x7F
    return w


@njit(inline="always")
def _joined(a: Scalar, b: Scalar, pair: Array, composed: Array) -> Scalar:
    """What two characters compose to; 0: they do not."""
    if 0x1100 <= a < 0x1113 and 0x1161 <= b < 0x1176:
        return np.int64(0xAC00 + ((a - 0x1100) * 21 + b - 0x1161) * 28)
    if 0xAC00 <= a < 0xD7A4 and (a - 0xAC00) % 28 == 0 and 0x11A7 < b < 0x11C3:
        return np.int64(a + b - 0x11A7)
    key = np.uint64(a) << np.uint64(32) | np.uint64(b)
    at = np.searchsorted(pair, key)
    if at < len(pair) and pair[at] == key:
        return np.int64(composed[at])
    return np.int64(0)


@njit(cache=True, nogil=True)
def _address_end(cps: Array, m: int, i: int, j: int) -> int:
    """Where the URL ends that begins with the word `cps[i:j]`; 0: it is none."""
    found = False
    if cps[j] == 58 and 4 <= j - i <= 5 and j + 2 < m:
        found = cps[i] == 104 and cps[i + 1] == 116 and cps[i + 2] == 116 and cps[i + 3] == 112
        found = found and (j - i == 4 or cps[i + 4] == 115)
        found = found and cps[j + 1] == 47 and cps[j + 2] == 47
    elif cps[j] == 46 or cps[j] == 45:
        k, label, dots, letters = i, i, 0, True
        while k < m and (_is_name(cps[k]) or cps[k] == 45 or (cps[k] == 46 and k > label)):
            if cps[k] == 46:
                label, dots, letters = k + 1, dots + 1, True
            elif not 97 <= cps[k] <= 122:
                letters = False
            k += 1
        www = j - i == 3 and cps[i] == 119 and cps[i + 1] == 119 and cps[i + 2] == 119
        found = dots > 0 and www and j + 1 < m and _is_name(cps[j + 1])
        path = k < m and cps[k] == 47 and letters and k - label >= 2
        found = found or (dots > 0 and path)
    if not found:
        return 0
    k = j
    while k < m and 32 < cps[k] < 127 and cps[k] != 60 and cps[k] != 62 and cps[k] != 34:
        k += 1
    return k


@njit(cache=True, nogil=True)
def _mention_end(cps: Array, m: int, i: int) -> int:
    """Where the name behind the `@` at `i` ends; `i + 1`: there is none."""
    j, hosts = i + 1, 0
    while j < m:
        if _is_name(cps[j]):
            j += 1
            continue
        inner = j > i + 1 and j + 1 < m and _is_name(cps[j + 1])
        if inner and (cps[j] == 46 or cps[j] == 45):
            j += 2
        elif inner and cps[j] == 64 and hosts == 0:
            hosts = 1
            j += 2
        else:
            break
    return j


@njit(cache=True, nogil=True)
def _tag_end(kinds: Array, m: int, i: int) -> int:
    """Where the hashtag whose `#` is at `i` ends; 0: it is none."""
    j, lettered = i + 1, False
    while j < m and (_is_word(kinds[j]) or kinds[j] == UNSPACED):
        lettered = lettered or kinds[j] == LETTER or kinds[j] == UNSPACED
        j += 1
    return j if lettered else 0


@njit(cache=True, nogil=True)
def _word_end(kinds: Array, i: int, limit: int) -> tuple[int, bool]:
    """Where the word at `i` ends, and whether a letter or digit is in it."""
    j, strong = i, False
    while j < limit:
        if _is_word(kinds[j]):
            strong = strong or kinds[j] <= LETTER + 1
            j += 1
        elif kinds[j] == APOSTROPHE and j + 1 < limit and _is_word(kinds[j + 1]):
            j += 1
        else:
            break
    return j, strong


@njit(cache=True, nogil=True)
def _scan(cps: Array, kinds: Array, m: int, found: Array) -> Scalar:
    """Find the tokens of folded text: rows (first, end, kind, position); returns how many."""
    n, i, place, tag, glued = 0, 0, 0, 0, False
    while i < m:
        kind = kinds[i]
        in_tag = i < tag
        end = 0
        if _is_word(kind):
            j, strong = _word_end(kinds, i, tag if in_tag else m)
            if not in_tag and j < m and (cps[j] == 58 or cps[j] == 46 or cps[j] == 45):
                end = _address_end(cps, m, i, j)
                if end:
                    i, glued = end, False
                    continue
            if strong:
                found[n, 0], found[n, 1], found[n, 3] = i, j, place
                found[n, 2] = TAGWORD if in_tag else WORD
                n, place = n + 1, place + 1
            i, glued = j, not in_tag
            continue
        if kind == UNSPACED:
            j = i + 1
            while j < m and kinds[j] == UNSPACED:
                j += 1
            for k in range(max(1, j - i - 1)):
                found[n, 0], found[n, 1], found[n, 3] = i + k, min(i + k + 2, j), place
                found[n, 2] = TAGWORD if in_tag else BIGRAM
                n, place = n + 1, place + 1
            if j - i > 1:
                found[n, 0], found[n, 1], found[n, 2], found[n, 3] = j - 1, j, TAIL, place - 1
                n += 1
            i, glued = j, False
            continue
        if kind in (EMOJI_CLASS, REGIONAL):
            pair = kind == REGIONAL and i + 1 < m and kinds[i + 1] == REGIONAL
            end = i + 2 if pair else i + 1
            found[n, 2] = EMOJI
        elif kind == HASH and not glued:
            tag = _tag_end(kinds, m, i)
            if tag:
                found[n, 0], found[n, 1], found[n, 2], found[n, 3] = i, tag, HASHTAG, place
                n += 1
        elif kind == AT and not glued:
            end = _mention_end(cps, m, i)
            end = 0 if end == i + 1 else end
            found[n, 2] = MENTION
        elif kind == CASH and not glued and i + 1 < m and 97 <= cps[i + 1] <= 122:
            end = i + 2
            while end < m and _is_name(cps[end]):
                end += 1
            found[n, 2] = CASHTAG
        if end:
            found[n, 0], found[n, 1], found[n, 3] = i, end, place
            n, place = n + 1, place + 1
            glued = kind in (AT, CASH)
            i = end
        else:
            i, glued = i + 1, False
    return n


@njit(inline="always")
def _write(out: Array, w: int, c: int) -> int:
    """Append a character as UTF-8."""
    if c < 0x80:
        out[w] = c
        return w + 1
    if c < 0x800:
        out[w], out[w + 1] = 0xC0 | c >> 6, 0x80 | c & 63
        return w + 2
    if c < 0x10000:
        out[w], out[w + 1], out[w + 2] = 0xE0 | c >> 12, 0x80 | c >> 6 & 63, 0x80 | c & 63
        return w + 3
    out[w], out[w + 1] = 0xF0 | c >> 18, 0x80 | c >> 12 & 63
    out[w + 2], out[w + 3] = 0x80 | c >> 6 & 63, 0x80 | c & 63
    return w + 4


@njit(inline="always")
def _emit(cps: Array, i: int, j: int, mention: bool, out: Array, w: int) -> Scalar:
    """Write the characters `i` to `j` at `w`; returns where they end, and their hash."""
    h = SEED
    for y in range(i, j):
        c = cps[y]
        if c < 0x80:
            c = 45 if mention and c == 46 else c
            out[w] = c
            h = step(h, c)
            w += 1
        else:
            b = w
            w = _write(out, w, c)
            while b < w:
                h = step(h, out[b])
                b += 1
    return w, finish(h)


@njit(cache=True, nogil=True)
def _some(
    p: int, t: int, w: int, offsets: Array, data: Array, folds: Arrays, splits: Arrays,
    scratch: Arrays, found: Array, columns: Arrays, ends: Array, texts: Array, out: Array,
    cuts: Array, index: bool,
) -> Scalar:  # fmt: skip
    """Tokens of the posts from `p` on; returns the post that did not fit, tokens, bytes.

    Arrays that are exchanged in a loop are counted at every turn, so growing is for the caller.
    """
    hashes, posts, starts, lengths, places, types = columns
    cps, kinds, spans, more, more_spans = scratch
    while p < len(offsets) - 1:
        first, last = offsets[p], offsets[p + 1]
        if last - first > MAX_BYTES:
            last = first + MAX_BYTES
            while data[last] & 0xC0 == 0x80:
                last -= 1
        m, loose = _fold(data, first, last, folds, cps, kinds, spans)
        if loose:
            m = _compose(m, folds, splits, cps, kinds, spans, more, more_spans)
        k = _scan(cps, kinds, m, found)
        w = w if index else 0
        if t + k > len(hashes) or w + 8 * m + 8 * k > len(out):
            return p, t, w
        w0, whole = w, SEED
        for x in range(k):
            i, j, what = found[x, 0], found[x, 1], found[x, 2]
            if w > w0:
                out[w] = 32
                w += 1
            w, h = _emit(cps, i, j, what == MENTION, out, w)
            if what < TAGWORD and what != MENTION:
                whole = step(whole, h)
            low, high = spans[i, 0], spans[j - 1, 1]
            if loose:  # marks may have changed places
                for y in range(i, j):
                    low, high = min(low, spans[y, 0]), max(high, spans[y, 1])
            hashes[t], posts[t], starts[t], lengths[t] = h, p, low, high - low
            places[t], types[t] = found[x, 3], what
            t += 1
        ends[p + 1], cuts[p + 1] = t, w
        texts[p] = finish(whole) if whole != SEED else np.uint64(0)
        p += 1
    return p, t, w


@njit(inline="always")
def _grown(a: Array, used: int, size: int) -> Array:
    """A copy of that size."""
    b = np.empty(size, a.dtype)
    b[:used] = a[:used]
    return b


@njit(cache=True, nogil=True)
def scan_posts(offsets: Array, data: Array, folds: Arrays, splits: Arrays, index: bool) -> Scalar:
    """Tokens of every row, in the order of the fields of `Tokens`, then index bytes and offsets.

    Args:
        offsets: Of the texts …
        data: … in these bytes.
        folds: The first four of `unicode_tables.Tables`.
        splits: The others.
        index: Whether to keep the bytes.
    """
    n, longest = len(offsets) - 1, 0
    for p in range(n):
        longest = max(longest, min(offsets[p + 1] - offsets[p], MAX_BYTES))
    room = longest * (_WIDEST // 3) + 8
    scratch = (
        np.empty(room, np.int32),
        np.empty(room, np.uint8),
        np.empty((room, 2), np.int32),
        np.empty(room * _SPLIT, np.int32),
        np.empty((room * _SPLIT, 2), np.int32),
    )
    found = np.empty((2 * room, 4), np.int32)
    size = (offsets[n] - offsets[0]) // 5 + 64
    columns = (
        np.empty(size, np.uint64),
        np.empty(size, np.uint32),
        np.empty(size, np.uint32),
        np.empty(size, np.uint32),
        np.empty(size, np.uint32),
        np.empty(size, np.uint8),
    )
    ends, texts = np.zeros(n + 1, np.int64), np.zeros(n, np.uint64)
    out, cuts = np.empty(size * 6 if index else 64, np.uint8), np.zeros(n + 1, np.int64)
    p, t, w = 0, 0, 0
    while True:
        p, t, w = _some(p, t, w, offsets, data, folds, splits, scratch, found, columns, ends,
                        texts, out, cuts, index)  # fmt: skip
        h, post, start, length, place, kind = columns
        if p == n:
            return (
                h[:t].copy(), post[:t].copy(), start[:t].copy(), length[:t].copy(),
                place[:t].copy(), kind[:t].copy(), ends, texts, out[:w].copy(), cuts,
            )  # fmt: skip
        size = 2 * (t + 2 * room)
        columns = (
            _grown(h, t, size), _grown(post, t, size), _grown(start, t, size),
            _grown(length, t, size), _grown(place, t, size), _grown(kind, t, size),
        )  # fmt: skip
        out = _grown(out, w, 2 * (w + 24 * room))
