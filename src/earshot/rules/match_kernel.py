"""The kernel behind `match`: which expressions does each post meet?

For every post: its tokens, prefix hits and features are looked up in the table of terms (open
addressing, 0 = free) and stamped; each stamped term names the expressions whose *anchor* it is, and
those are verified by running their postfix programs over stamps, patterns and columns.
Rules about long functions and lists of parameters do not fit kernels.
"""
# ruff: noqa: PLR0912, PLR0913, PLR0915, PLR0917

from typing import Final

import numpy as np
from numba import njit

from earshot.model.hashing import SEED, Array, Scalar, finish, step

TERM, PATTERN, COLUMN, NOT, AND, OR, FALSE = range(7)
PREFIX_MARK: Final = 0x1E
"""Behind the text of a prefix when it is hashed, so that it differs from the word."""


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
def prefix_hits(
    ends: Array, positions: Array, offsets: Array, data: Array, lengths: int, keys: Array,
    values: Array,
) -> Scalar:  # fmt: skip
    """The prefixes of tokens that are terms: (hash, position) of each, and their ends by post.

    Args:
        ends: Tokens of each post.
        positions: Of the tokens.
        offsets: Of the index form of each post; its pieces are the tokens, in order …
        data: … and its bytes.
        lengths: Bit n is set where a prefix of n characters occurs in the rules.
        keys: Table of terms.
        values: The same.
    """
    n, w = len(ends) - 1, 0
    hashes, places = np.empty(256, np.uint64), np.empty(256, np.uint32)
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
                    key = finish(step(h, PREFIX_MARK))
                    if _find(keys, values, key) >= 0:
                        if w == len(hashes):
                            hashes = np.concatenate((hashes, np.empty(w, np.uint64)))
                            places = np.concatenate((places, np.empty(w, np.uint32)))
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
    """Whether there is one of each term within `span` positions: the newest of each, in one pass."""
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
def run(
    hashes: Array, places: Array, ends: Array,  # tokens
    more: Array, more_places: Array, more_ends: Array,  # prefix hits
    single: Array, several: Array, several_ends: Array, columns: Array,  # fields
    keys: Array, values: Array, anchor_ends: Array, anchors: Array, always: Array,  # table
    code_ends: Array, codes: Array, arguments: Array, depth: int,  # programs
    pattern_ends: Array, pattern_terms: Array, spans: Array,  # patterns; span -1: a phrase
) -> Scalar:  # fmt: skip
    """(post, expression) of every match, by post; within a post in no order."""
    n, many = len(ends) - 1, len(code_ends) - 1
    stamp, tried = np.full(len(anchor_ends), -1, np.int32), np.full(many, -1, np.int32)
    hit, stack = np.empty(len(anchor_ends), np.int32), np.empty(depth + 1, np.bool_)
    longest = 1
    for f in range(len(spans)):
        longest = max(longest, pattern_ends[f + 1] - pattern_ends[f])
    seen = np.empty(longest, np.int64)
    out_post, out_rule, w = np.empty(1024, np.uint32), np.empty(1024, np.int32), 0
    for p in range(n):
        a, b, c, d = ends[p], ends[p + 1], more_ends[p], more_ends[p + 1]
        e, f, hits = several_ends[p], several_ends[p + 1], 0
        for j in range((b - a) + (d - c) + (f - e) + len(single)):
            if j < b - a:
                key = hashes[a + j]
            elif j < b - a + d - c:
                key = more[c + j - (b - a)]
            elif j < b - a + d - c + f - e:
                key = several[e + j - (b - a) - (d - c)]
            else:
                key = single[j - (b - a) - (d - c) - (f - e), p]
                if key == 0:
                    continue
            t = _find(keys, values, key)
            if t >= 0 and stamp[t] != p:
                stamp[t] = p
                hit[hits] = t
                hits += 1
        for x in range(hits + 1):
            start, stop = np.int64(0), np.int64(len(always))
            if x < hits:
                start, stop = anchor_ends[hit[x]], anchor_ends[hit[x] + 1]
            for y in range(start, stop):
                r = anchors[y] if x < hits else always[y]
                if tried[r] == p:
                    continue
                tried[r] = p
                top = 0
                for z in range(code_ends[r], code_ends[r + 1]):
                    code, g = codes[z], arguments[z]
                    if code == TERM:
                        stack[top] = stamp[g] == p
                        top += 1
                    elif code == AND:
                        top -= 1
                        stack[top - 1] = stack[top - 1] and stack[top]
                    elif code == OR:
                        top -= 1
                        stack[top - 1] = stack[top - 1] or stack[top]
                    elif code == NOT:
                        stack[top - 1] = not stack[top - 1]
                    elif code == COLUMN:
                        stack[top] = columns[g, p]
                        top += 1
                    elif code == PATTERN:
                        parts = pattern_terms[pattern_ends[g] : pattern_ends[g + 1]]
                        if spans[g] < 0:
                            found = _phrase(hashes, places, a, b, more, more_places, c, d, parts)
                        else:
                            found = _near(hashes, places, a, b, more, more_places, c, d, parts,
                                          spans[g], seen)  # fmt: skip
                        stack[top] = found
                        top += 1
                    else:
                        stack[top] = False
                        top += 1
                if stack[0]:
                    if w == len(out_post):
                        out_post = np.concatenate((out_post, np.empty(w, np.uint32)))
                        out_rule = np.concatenate((out_rule, np.empty(w, np.int32)))
                    out_post[w], out_rule[w] = p, r
                    w += 1
    return out_post[:w].copy(), out_rule[:w].copy()
