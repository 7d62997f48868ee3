"""Numbers that stand for keys: where a post lies, where its key is indexed, and filters of both.

A post lies at `spot`: its event time in milliseconds, then bits of its key's hash. Places of one
millisecond are next to each other, so that "newest first" and spans of time are ranges of spots.
Its key is found by `ordered`: the part of the id that grows with time, so that an index of it is
written at its end only. Several keys may share that number; whoever asks compares the key itself.
"""

from typing import Any, Final, Self

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from earshot.model.hashing import SEED, buffers, finish, key_hash, step

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

SPOT_BITS: Final = 20
SLOTS: Final = 1 << SPOT_BITS
FARTHEST_MS: Final = (1 << 62) // SLOTS - 1
"""Times beyond (the years 1830 and 2109) share the first and the last millisecond."""


def spots(event_time: pl.Series, keys: U64) -> I64:
    """Where posts lie, but for those that meet another there.

    Args:
        event_time: Datetime in µs, without nulls.
        keys: The hash of each key.
    """
    ms = np.floor_divide(event_time.to_physical().to_numpy(), 1000)
    low = (keys & np.uint64(SLOTS - 1)).astype(np.int64)
    placed: I64 = np.clip(ms, -FARTHEST_MS, FARTHEST_MS) * SLOTS + low
    return placed


def span_of(ms: int) -> tuple[int, int]:
    """The first and the last spot of a millisecond."""
    first = max(-FARTHEST_MS, min(FARTHEST_MS, ms)) * SLOTS
    return first, first + SLOTS - 1


def ordered(ids: pl.Series) -> I64:
    """The numbers (not negative) under which ids are indexed; see the module.

    What is behind the last `/` or `_` counts: decimal digits by their value (not behind `_`), the
    13 characters of an AT protocol TID and up to 12 of base 36 by theirs; all else by a hash.
    """
    out = np.empty(len(ids), np.int64)
    _ordered(*buffers(ids), out)
    return out


def hashes(keys: pl.DataFrame) -> U64:
    """The 64-bit hash of each KEY."""
    return key_hash(keys["source"], keys["id"])


class Spots:
    """Where keys lie, found by their hashes (of 64 bits: no two keys of a batch share one)."""

    def __init__(self, keys: U64, at: I64) -> None:
        """Of keys given twice, the first counts."""
        self._keys, first = np.unique(keys, return_index=True)
        self._at = at[first]

    @classmethod
    def of(cls, keys: pl.DataFrame) -> Self:
        """Those of a frame with `source`, `id` and `spot`."""
        return cls(hashes(keys), keys["spot"].to_numpy())

    def at(self, frame: pl.DataFrame, *, name: str = "spot") -> pl.DataFrame:
        """The rows of a frame whose key lies somewhere, with where."""
        if frame.height == 0 or len(self._keys) == 0:
            return frame.clear().with_columns(pl.Series(name, [], pl.Int64))
        asked = hashes(frame)
        place = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        found = self._keys[place] == asked
        known = frame if found.all() else frame.filter(pl.Series(found))
        return known.with_columns(pl.Series(name, self._at[place[found]]))

    def with_more(self, keys: pl.DataFrame) -> "Spots":
        """These and those of a frame, which hold where both know a key."""
        more = hashes(keys), keys["spot"].to_numpy()
        return Spots(np.concatenate([more[0], self._keys]), np.concatenate([more[1], self._at]))

    def without(self, gone: I64) -> "Spots":
        """These but what lies at `gone`."""
        left = ~np.isin(self._at, gone)
        return Spots(self._keys[left], self._at[left])


@njit(cache=True, nogil=True)
def _ordered(ends: Any, data: Any, out: Any) -> None:  # noqa: ANN401 - arrays of a kernel
    for row in range(len(ends) - 1):
        start, end = ends[row], ends[row + 1]
        first = start
        for i in range(start, end):
            if data[i] == 47 or data[i] == 95:
                first = i + 1
        size = end - first
        value, known = np.int64(0), False
        if first == start or data[first - 1] != 95:
            value, known = _decimal(data, first, end)
        if not known and size == 13:
            value, known = _tid(data, first, end)
        if not known and 0 < size <= 12:
            value, known = _base36(data, first, end)
        if not known:
            h = SEED
            for i in range(start, end):
                h = step(h, data[i])
            value = np.int64(finish(h) >> np.uint64(1))
        out[row] = value


@njit(cache=True, nogil=True)
def _decimal(data: Any, first: int, end: int) -> tuple[Any, bool]:  # noqa: ANN401 - as above
    value = np.uint64(0)
    for i in range(first, end):
        if not 48 <= data[i] <= 57:
            return np.int64(0), False
        value = value * np.uint64(10) + np.uint64(data[i] - 48)
    fits = 0 < end - first <= 19 and value < np.uint64(1 << 63)
    return np.int64(value), bool(fits)


@njit(cache=True, nogil=True)
def _tid(data: Any, first: int, end: int) -> tuple[Any, bool]:  # noqa: ANN401 - as above
    """Source: https://atproto.com/specs/tid (alphabet 234567abcdefghijklmnopqrstuvwxyz)."""
    value = np.int64(0)
    for i in range(first, end):
        c = np.int64(data[i])
        if 97 <= c <= 122:
            digit = c - 91
        elif 50 <= c <= 55:
            digit = c - 50
        else:
            return np.int64(0), False
        value = (value << 5 | digit) & 0x7FFFFFFFFFFFFFFF
    return value, True


@njit(cache=True, nogil=True)
def _base36(data: Any, first: int, end: int) -> tuple[Any, bool]:  # noqa: ANN401 - as above
    value = np.int64(0)
    for i in range(first, end):
        c = np.int64(data[i])
        if 97 <= c <= 122:
            digit = c - 87
        elif 48 <= c <= 57:
            digit = c - 48
        else:
            return np.int64(0), False
        value = value * 36 + digit
    return value, True


LAYER: Final = 1 << 19
"""Numbers that the first layer of a filter takes; each further one takes twice as many."""
BITS: Final = 16
"""Bits of a layer for each number it takes: about one in 1,000 strangers looks known."""
WORDS: Final = 8
"""64-bit words of a block; a number sets all its bits in one block (one line of the cache)."""


class MaybeKnown:
    """A filter in memory: says for sure which numbers are new; a few strangers look known.

    It grows in layers and never forgets; `fresh` of a new one from what is stored when it holds
    much more than that.
    """

    def __init__(self) -> None:
        self._layers: list[U64] = []
        self._room = 0
        self.added = 0

    def add(self, numbers: I64) -> None:
        """Remember these numbers."""
        done = 0
        while done < len(numbers):
            if self._room == 0:
                self._room = LAYER << len(self._layers)
                self._layers.append(np.zeros(self._room * BITS // 64, np.uint64))
            take = min(self._room, len(numbers) - done)
            _set_bits(self._layers[-1], numbers[done : done + take].astype(np.uint64))
            done, self._room, self.added = done + take, self._room - take, self.added + take

    def may(self, numbers: I64) -> Mask:
        """Which of these may have been added; those that were are always among them."""
        out = np.zeros(len(numbers), np.bool_)
        asked = numbers.astype(np.uint64)
        for layer in self._layers:
            _test_bits(layer, asked, out)
        return out


@njit(inline="always")
def _mix(h: np.uint64) -> np.uint64:
    return finish(h * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))


@njit(cache=True, nogil=True)
def _set_bits(layer: Any, numbers: Any) -> None:  # noqa: ANN401 - arrays of a kernel
    blocks = np.uint64(len(layer) // WORDS)
    for n in numbers:
        h = _mix(n)
        at = (h % blocks) * np.uint64(WORDS)
        h = _mix(h)
        for _ in range(6):
            layer[at + (h & np.uint64(7))] |= np.uint64(1) << ((h >> np.uint64(3)) & np.uint64(63))
            h >>= np.uint64(9)


@njit(cache=True, nogil=True)
def _test_bits(layer: Any, numbers: Any, out: Any) -> None:  # noqa: ANN401 - as above
    blocks = np.uint64(len(layer) // WORDS)
    for i in range(len(numbers)):
        if out[i]:
            continue
        h = _mix(numbers[i])
        at = (h % blocks) * np.uint64(WORDS)
        h = _mix(h)
        found = True
        for _ in range(6):
            bit = np.uint64(1) << ((h >> np.uint64(3)) & np.uint64(63))
            found = found and (layer[at + (h & np.uint64(7))] & bit) != np.uint64(0)
            h >>= np.uint64(9)
        out[i] = found


class Known:
    """An exact set of 64-bit numbers in memory, 16 to 32 bytes each; 0 is never in it."""

    def __init__(self) -> None:
        self._table = np.zeros(1 << 12, np.uint64)
        self._used = 0

    def add(self, numbers: U64) -> None:
        """Remember these numbers."""
        while 2 * (self._used + len(numbers)) > len(self._table):
            larger = np.zeros(2 * len(self._table), np.uint64)
            _insert(larger, self._table)
            self._table = larger
        self._used += _insert(self._table, numbers)

    def has(self, numbers: U64) -> Mask:
        """Which of these were added."""
        out = np.zeros(len(numbers), np.bool_)
        _lookup(self._table, numbers, out)
        return out


@njit(cache=True, nogil=True)
def _insert(table: Any, numbers: Any) -> int:  # noqa: ANN401 - arrays of a kernel
    last, new = np.uint64(len(table) - 1), 0
    for n in numbers:
        at = _mix(n) & last
        while n and table[at] and table[at] != n:
            at = (at + np.uint64(1)) & last
        if n and not table[at]:
            table[at] = n
            new += 1
    return new


@njit(cache=True, nogil=True)
def _lookup(table: Any, numbers: Any, out: Any) -> None:  # noqa: ANN401 - as above
    last = np.uint64(len(table) - 1)
    for i in range(len(numbers)):
        n = numbers[i]
        at = _mix(n) & last
        while n and table[at] and table[at] != n:
            at = (at + np.uint64(1)) & last
        out[i] = n != np.uint64(0) and table[at] == n
