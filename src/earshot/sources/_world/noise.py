"""Chance that can be asked again: every draw is a hash of what it is drawn for.

No generator holds a state, so that any post of any step can be made again without the others.

Source: splitmix64 (Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators).
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

_GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_MASK: Final = (1 << 64) - 1


def mix(of: npt.NDArray[Any], salt: int) -> U64:
    """A hash of each value, another one for each salt."""
    with np.errstate(over="ignore"):
        x = of.astype(np.uint64) + np.uint64((salt * _GOLDEN + _GOLDEN) & _MASK)
        x = (x ^ (x >> np.uint64(30))) * _FIRST
        x = (x ^ (x >> np.uint64(27))) * _SECOND
        mixed: U64 = x ^ (x >> np.uint64(31))
    return mixed


def unit(of: npt.NDArray[Any], salt: int) -> F64:
    """A number in [0, 1) for each value."""
    drawn: F64 = (mix(of, salt) >> np.uint64(11)).astype(np.float64) / (1 << 53)
    return drawn


def below(of: npt.NDArray[Any], salt: int, limit: int | I64) -> I64:
    """A whole number in [0, limit) for each value; `limit` may be one for each."""
    drawn: I64 = (unit(of, salt) * limit).astype(np.int64)
    return drawn


def chance(of: npt.NDArray[Any], salt: int, probability: float | F64) -> Bool:
    """Whether it happens, for each value."""
    happens: Bool = unit(of, salt) < probability
    return happens


def one(value: int, salt: int) -> int:
    """A hash of one number."""
    return int(mix(np.array([value & _MASK], np.uint64), salt)[0])


def choose(of: npt.NDArray[Any], salt: int, weights: F64) -> I64:
    """A place in `weights` for each value, as often as it weighs."""
    total = np.cumsum(weights)
    at = np.searchsorted(total, unit(of, salt) * total[-1], side="right")
    chosen: I64 = np.minimum(at, len(weights) - 1).astype(np.int64)
    return chosen
