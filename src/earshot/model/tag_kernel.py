"""The kernels behind `tags`: write the tags of every post side by side."""

import numpy as np
from numba import njit

from earshot.model.hashing import Array, Scalar


@njit(cache=True, nogil=True)
def _put_plain(out: Array, w: int, data: Array, i: int, j: int) -> int:
    """Write a value in lower case, everything but [a-z0-9] as `_`."""
    for y in range(i, j):
        c = data[y]
        if 65 <= c <= 90:
            c += 32
        out[w] = c if (97 <= c <= 122 or 48 <= c <= 57) else 95
        w += 1
    return w


@njit(cache=True, nogil=True)
def _put_hash(out: Array, w: int, prefix: int, value: Scalar) -> int:
    """Write a prefix and 16 hexadecimal digits, and a space."""
    out[w] = prefix
    for k in range(16):
        digit = np.uint8((value >> np.uint64(60 - 4 * k)) & np.uint64(15))
        out[w + 1 + k] = digit + (48 if digit < 10 else 87)
    out[w + 17] = 32
    return w + 18


@njit(cache=True, nogil=True)
def write_tags(  # noqa: PLR0913, PLR0917 - the columns of a post
    values: tuple[tuple[Array, Array], ...], letters: Array, hashes: Array, prefixes: Array,
    several: Array, several_ends: Array, several_prefix: int, flags: Array, names: Array,
    name_ends: Array,
) -> Scalar:  # fmt: skip
    """Bytes and offsets of the tags of each post.

    Args:
        values: (offsets, bytes) of each plain column; an empty value has no tag.
        letters: The letter before the `_` of each plain column.
        hashes: (columns, posts), 0: no tag.
        prefixes: The letter of each of these columns.
        several: Hashes that a post may have several of …
        several_ends: … by post.
        several_prefix: Their letter.
        flags: Bit n of a post: it has the flag n.
        names: The tags of the flags, each with a space behind it …
        name_ends: … by flag.
    """
    n = len(flags)
    size = n * (len(hashes) * 18 + len(names)) + len(several) * 18 + 8
    for offsets, _ in values:
        size += offsets[n] - offsets[0] + 3 * n
    out, cuts, w = np.empty(size, np.uint8), np.zeros(n + 1, np.int64), 0
    for p in range(n):
        first = w
        for k, (offsets, data) in enumerate(values):
            if offsets[p + 1] > offsets[p]:
                out[w], out[w + 1] = letters[k], 95
                w = _put_plain(out, w + 2, data, offsets[p], offsets[p + 1])
                out[w] = 32
                w += 1
        for f in range(len(name_ends) - 1):
            if (flags[p] >> np.uint64(f)) & np.uint64(1):
                for y in range(name_ends[f], name_ends[f + 1]):
                    out[w] = names[y]
                    w += 1
        for x in range(len(hashes)):
            if hashes[x, p]:
                w = _put_hash(out, w, prefixes[x], hashes[x, p])
        for y in range(several_ends[p], several_ends[p + 1]):
            w = _put_hash(out, w, several_prefix, several[y])
        w -= 1 if w > first else 0
        cuts[p + 1] = w
    return out[:w].copy(), cuts


@njit(cache=True, nogil=True)
def append_rules(offsets: Array, data: Array, ends: Array, rules: Array, prefix: int) -> Scalar:
    """Bytes and offsets of the tags of each post with its rules behind, each once.

    Args:
        offsets: Of the tags that are there …
        data: … and their bytes.
        ends: Rules of each post …
        rules: … in order (0 or greater).
        prefix: The letter before a rule's number.
    """
    n = len(ends) - 1
    out = np.empty(offsets[n] - offsets[0] + 21 * len(rules), np.uint8)
    cuts, w = np.zeros(n + 1, np.int64), 0
    for p in range(n):
        first = w
        for y in range(offsets[p], offsets[p + 1]):
            out[w] = data[y]
            w += 1
        for x in range(ends[p], ends[p + 1]):
            rest = rules[x]
            if x > ends[p] and rest == rules[x - 1]:
                continue
            if w > first:
                out[w] = 32
                w += 1
            out[w] = prefix
            w += 1
            digits, more = 1, rest // 10
            while more:
                digits, more = digits + 1, more // 10
            for y in range(w + digits - 1, w - 1, -1):
                out[y] = 48 + rest % 10
                rest //= 10
            w += digits
        cuts[p + 1] = w
    return out[:w].copy(), cuts
