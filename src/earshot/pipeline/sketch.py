"""HyperLogLog with 2^14 registers: distinct authors where exact sets would grow too large.

Sketches merge by the greater register, whatever the order; they cannot forget an author, so a
window that loses a post is made again from its posts.

Source: P. Flajolet et al., HyperLogLog, 2007; estimator of O. Ertl, New cardinality estimation
algorithms for HyperLogLog sketches, arXiv:1702.01284, algorithm 6 (no bias correction tables,
monotone in the registers). Standard error 1.04 / sqrt(2^14) = 0.81 %.
"""

import math
from typing import Final

import numpy as np
from numba import njit

from earshot.model.hashing import finish
from earshot.pipeline.hashes import U8, U64

PRECISION: Final = 14
REGISTERS: Final = 1 << PRECISION
EXACT: Final = 1024
"""Up to this many distinct authors a value keeps their hashes; beyond, two sketches."""

_Q: Final = 64 - PRECISION
_ALPHA: Final = 1.0 / (2.0 * math.log(2.0))


@njit(cache=True, nogil=True)
def add(registers: U8, key: np.uint64) -> None:
    """Note one author; `key` is a hash of any quality (it is mixed here)."""
    h = finish(key)
    place = h >> np.uint64(_Q)
    rest = h << np.uint64(PRECISION)
    rank = 1
    while rank <= _Q and not rest >> np.uint64(63):
        rest <<= np.uint64(1)
        rank += 1
    registers[place] = max(registers[place], rank)


@njit(cache=True, nogil=True)
def add_all(registers: U8, keys: U64) -> None:
    """Note many authors."""
    for key in keys:
        add(registers, key)


@njit(cache=True, nogil=True)
def unite(registers: U8, other: U8) -> None:
    """Make `registers` the sketch of both sets."""
    for i in range(len(registers)):
        registers[i] = max(registers[i], other[i])


@njit(cache=True, nogil=True)
def estimate(registers: U8) -> int:
    """How many distinct authors were noted; within 2 % in 95 of 100 cases."""
    counts = np.zeros(_Q + 2, np.int64)
    for register in registers:
        counts[register] += 1
    size = float(REGISTERS)
    z = size * _tau(1.0 - counts[_Q + 1] / size)
    for rank in range(_Q, 0, -1):
        z = 0.5 * (z + counts[rank])
    z += size * _sigma(counts[0] / size)
    return round(_ALPHA * size * size / z)


@njit(cache=True, nogil=True)
def _sigma(x: float) -> float:
    if x == 1.0:
        return np.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


@njit(cache=True, nogil=True)
def _tau(x: float) -> float:
    if x in {0.0, 1.0}:
        return 0.0
    y, z, before = 1.0, 1.0 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
    return z / 3.0
