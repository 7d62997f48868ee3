"""The kernel behind `match`: which expressions does each post meet?

For every post: its tokens, prefix hits and features are looked up in the table of terms (open
addressing, 0 = free) and stamped; each stamped term names the expressions whose *anchor* it is, and
those are verified by running their programs over stamps, patterns and columns. A program keeps one
truth: TERM, PATTERN and COLUMN set it, NOT turns it, AND and OR leave the rest of a group out once
it cannot change the group's truth.
Rules about long functions and lists of parameters do not fit kernels.
"""
# ruff: noqa: PLR0912, PLR0913, PLR0917

from typing import Final

import numpy as np
from numba import njit

from earshot.model.hashing import SEED, Array, Arrays, Scalar, finish, step

TERM, PATTERN, COLUMN, NOT, AND, OR, END = range(7)
CODE_BITS: Final = 3
"""Of a step of a program; the rest is its argument. One array keeps a candidate in one place."""
PREFIX_MARK: Final = 0x1E
"""Behind the text of a prefix when it is hashed, so that it differs from the word."""
SIEVE_BITS: Final = 17
"""A bit map of 16 kB, to ask the large table only for what is nearly always in it."""


@njit(inline="always")
def _find(keys: Array, values: Array, key: Scalar) -> Scalar:
    """The term with this hash; -1: no expression has it."""
    mask = np.uint64(len(keys) - 1)
    i = key & mask
    while keys[i] != np.uint64(0):
        if keys[i] == key:
            return values[i]
        i = (i + np.uint64(1)) & mask
    return np.int32(-1)


@njit(cache=True, nogil=True)
def sieved(offsets: Array, data: Array) -> Array:
    """The sieve of these prefixes: one bit each, by the hash before it is finished."""
    sieve = np.zeros(1 << (SIEVE_BITS - 3), np.uint8)
    for row in range(len(offsets) - 1):
        h = SEED
        for i in range(offsets[row], offsets[row + 1]):
            h = step(h, data[i])
        bit = step(h, PREFIX_MARK) >> np.uint64(64 - SIEVE_BITS)
        sieve[bit >> np.uint64(3)] |= np.uint8(1) << (bit & np.uint64(7))
    return sieve


@njit(cache=True, nogil=True)
def prefix_hits(
    ends: Array, positions: Array, offsets: Array, data: Array, lengths: int, sieve: Array,
    keys: Array, values: Array,
) -> Scalar:  # fmt: skip
    """The prefixes of tokens that are terms: (hash, position) of each, and their ends by post.

    Args:
        ends: Tokens of each post.
        positions: Of the tokens.
        offsets: Of the index form of each post; its pieces are the tokens, in order …
        data: … and its bytes.
        lengths: Bit n is set where a prefix of n characters occurs in the rules.
        sieve: Bits of the prefixes' hashes, see `sieved`.
        keys: Table of terms.
        values: The same.
    """
    n, w = len(ends) - 1, 0
    room = offsets[n] - offsets[0]  # one for each character at most; what is not used costs nothing
    hashes, places = np.empty(room, np.uint64), np.empty(room, np.uint32)
    last = np.zeros(n + 1, np.int64)
    for p in range(n):
        i, t = offsets[p], ends[p]
        while t < ends[p + 1]:
            h, m = SEED, 0
            while i < offsets[p + 1] and data[i] != 32:
                h = step(h, data[i])
                i += 1
                while i < offsets[p + 1] and data[i] & 0xC0 == 0x80:
                    h = step(h, data[i])
                    i += 1
                m += 1
                if m < 63 and (lengths >> m) & 1:
                    marked = step(h, PREFIX_MARK)
                    bit = marked >> np.uint64(64 - SIEVE_BITS)
                    if not (sieve[bit >> np.uint64(3)] >> (bit & np.uint64(7))) & np.uint64(1):
                        continue
                    key = finish(marked)
                    if _find(keys, values, key) >= 0:
                        hashes[w], places[w] = key, positions[t]
                        w += 1
            i += 1
            t += 1
        last[p + 1] = w
    return hashes[:w].copy(), places[:w].copy(), last


@njit(cache=True, nogil=True)
def _phrase(
    hashes: Array, places: Array, a: int, b: int, more: Array, more_places: Array, c: int, d: int,
    terms: Array,
) -> bool:  # fmt: skip
    """Whether the terms stand one directly behind the other; only the last may be a prefix."""
    for i in range(a, b):
        if hashes[i] != terms[0]:
            continue
        j, good = i, True
        for k in range(1, len(terms)):
            place = places[i] + np.uint32(k)
            while j < b and places[j] < place:
                j += 1
            y, good = j, False
            while y < b and places[y] == place and not good:
                good = hashes[y] == terms[k]
                y += 1
            if not good and k == len(terms) - 1:
                for z in range(c, d):
                    if more[z] == terms[k] and more_places[z] == place:
                        good = True
                        break
            if not good:
                break
        if good:
            return True
    return False


@njit(cache=True, nogil=True)
def _near(
    hashes: Array, places: Array, a: int, b: int, more: Array, more_places: Array, c: int, d: int,
    terms: Array, span: int, seen: Array,
) -> bool:  # fmt: skip
    """Whether one of each term lies within `span` positions: the newest of each, in one pass."""
    many = len(terms)
    seen[:many] = -1
    while a < b or c < d:
        if c >= d or (a < b and places[a] <= more_places[c]):
            h, place = hashes[a], np.int64(places[a])
            a += 1
        else:
            h, place = more[c], np.int64(more_places[c])
            c += 1
        hit = False
        for k in range(many):
            if terms[k] == h:
                seen[k], hit = place, True
        if hit:
            low = seen[0]
            for k in range(1, many):
                low = min(low, seen[k])
            if low >= 0 and place - low <= span:
                return True
    return False


@njit(cache=True, nogil=True)
def _verify(
    p: int, start: int, tokens: Arrays, stamp: Array, columns: Array, programs: Array,
    patterns: Arrays, seen: Array,
) -> Scalar:  # fmt: skip
    """Whether post `p`, whose terms are stamped, meets the expression: runs its program."""
    hashes, places, a, b, more, more_places, c, d = tokens
    pattern_ends, pattern_terms, spans = patterns
    truth, z = False, start
    while True:
        code, g = programs[z] & 7, programs[z] >> CODE_BITS
        z += 1
        if code == TERM:
            truth = stamp[g] == p
        elif code == AND:
            z += 0 if truth else g
        elif code == OR:
            z += g if truth else 0
        elif code == NOT:
            truth = not truth
        elif code == END:
            return truth
        elif code == COLUMN:
            truth = columns[g, p]
        else:
            parts = pattern_terms[pattern_ends[g] : pattern_ends[g + 1]]
            if spans[g] < 0:
                truth = _phrase(hashes, places, a, b, more, more_places, c, d, parts)
            else:
                truth = _near(hashes, places, a, b, more, more_places, c, d, parts, spans[g], seen)


@njit(cache=True, nogil=True)
def _some(
    first: int, w: int, tokens: Arrays, prefixes: Arrays, single: Array, several: Array,
    several_ends: Array, columns: Array, table: Arrays, programs: Array, patterns: Arrays,
    scratch: Arrays, out_post: Array, out_rule: Array,
) -> Scalar:  # fmt: skip
    """Match posts from `first` on; returns the post at which the output was full, and its size.

    Arrays that are exchanged in a loop are counted at every turn, so growing is for the caller.
    """
    hashes, places, ends = tokens
    more, more_places, more_ends = prefixes
    keys, values, anchor_ends, anchors, always = table
    stamp, met, hit, seen = scratch
    for p in range(first, len(ends) - 1):
        a, b, c, d = ends[p], ends[p + 1], more_ends[p], more_ends[p + 1]
        words = hashes, places, a, b, more, more_places, c, d
        e, hits, begin = several_ends[p], 0, w
        more_at, several_at = b - a, b - a + d - c
        single_at = several_at + several_ends[p + 1] - e
        for j in range(single_at + len(single)):
            if j < more_at:
                key = hashes[a + j]
            elif j < several_at:
                key = more[c + j - more_at]
            elif j < single_at:
                key = several[e + j - several_at]
            else:
                key = single[j - single_at, p]
                if key == 0:
                    continue
            t = _find(keys, values, key)
            if t >= 0 and stamp[t] != p:
                stamp[t] = p
                hit[hits] = t
                hits += 1
        for x in range(hits + 1):
            first_call, last_call = np.int64(0), np.int64(len(always))
            if x < hits:
                first_call, last_call = anchor_ends[hit[x]], anchor_ends[hit[x] + 1]
            for y in range(first_call, last_call):
                start = anchors[y] if x < hits else always[y]
                if _verify(p, start + 1, words, stamp, columns, programs, patterns, seen):
                    r = programs[start]
                    if met[r] == p:
                        continue
                    met[r] = p
                    if w == len(out_post):
                        return p, begin
                    out_post[w], out_rule[w] = p, r
                    w += 1
    return len(ends) - 1, w


@njit(cache=True, nogil=True)
def run(
    tokens: Arrays, prefixes: Arrays, single: Array, several: Array, several_ends: Array,
    columns: Array, table: Arrays, programs: Array, many: int, patterns: Arrays,
) -> Scalar:  # fmt: skip
    """(post, expression) of every match, by post; within a post in no order.

    Args:
        tokens: Hashes, positions, ends by post.
        prefixes: The same of `prefix_hits`.
        single: Features (features, posts), 0: none.
        several: Features that a post may have several of …
        several_ends: … by post.
        columns: Truths (predicates, posts).
        table: Keys and values of the terms; programs by term, with ends; those to try always.
        programs: See `compile.Expressions`.
        many: Number of expressions.
        patterns: Ends, hashes, spans; a span of -1 is a phrase.
    """
    n, terms = len(tokens[2]) - 1, len(table[2])
    longest = 1
    for f in range(len(patterns[2])):
        longest = max(longest, patterns[0][f + 1] - patterns[0][f])
    scratch = (
        np.full(terms, -1, np.int32),
        np.full(many, -1, np.int32),
        np.empty(terms, np.int32),
        np.empty(longest, np.int64),
    )
    out_post, out_rule = np.empty(4 * n + 64, np.uint32), np.empty(4 * n + 64, np.int32)
    p, w = 0, 0
    while True:
        p, w = _some(
            p, w, tokens, prefixes, single, several, several_ends, columns, table, programs,
            patterns, scratch, out_post, out_rule,
        )  # fmt: skip
        if p == n:
            return out_post[:w].copy(), out_rule[:w].copy()
        out_post = np.concatenate((out_post, np.empty_like(out_post)))
        out_rule = np.concatenate((out_rule, np.empty_like(out_rule)))
        scratch[0][:] = -1
        scratch[1][:] = -1
