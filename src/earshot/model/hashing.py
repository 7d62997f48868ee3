"""One versioned 64-bit hash for keys, tokens, tags, samples and sketches.

What is written down anywhere (text hashes, tags, samples) depends on it, so it never changes but
with `HASH_VERSION`; hashes of polars or Python may change between their versions.

Over the UTF-8 bytes b of a text, starting from a seed: h = (h ^ b) * 0x9E3779B97F4A7C15,
h ^= h >> 29; at the end the finaliser of SplitMix64; 0 becomes 1, so that 0 can mean "nothing".

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
"""

from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array as a kernel takes it."""
Arrays = Any
"""A tuple of arrays as a kernel takes it."""
Scalar = Any
"""A number as a kernel has it: numba decides on its type."""

HASH_VERSION: Final = 1
SEED: Final = np.uint64(0x1234567890ABCDEF)
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_BETWEEN: Final = 0x1F  # ASCII unit separator, between the parts of a key


@njit(inline="always")
def step(h: np.uint64, byte: int | np.uint64) -> np.uint64:
    """Take one more byte (or word) into a running hash."""
    h = (h ^ np.uint64(byte)) * _STEP
    return h ^ (h >> np.uint64(29))


@njit(inline="always")
def finish(h: np.uint64) -> np.uint64:
    """Close a running hash; never 0."""
    h ^= h >> np.uint64(30)
    h *= _MIX_1
    h ^= h >> np.uint64(27)
    h *= _MIX_2
    h ^= h >> np.uint64(31)
    return h if h != np.uint64(0) else np.uint64(1)


@njit(cache=True, nogil=True)
def _hash_rows(offsets: Array, data: Array, out: Array) -> None:
    for row in range(len(offsets) - 1):
        h = SEED
        for i in range(offsets[row], offsets[row + 1]):
            h = step(h, data[i])
        out[row] = finish(h)


@njit(cache=True, nogil=True)
def _hash_pairs(
    offsets: Array, data: Array, more_offsets: Array, more_data: Array, out: Array
) -> None:
    for row in range(len(offsets) - 1):
        h = SEED
        for i in range(offsets[row], offsets[row + 1]):
            h = step(h, data[i])
        h = step(h, _BETWEEN)
        for i in range(more_offsets[row], more_offsets[row + 1]):
            h = step(h, more_data[i])
        out[row] = finish(h)


def buffers(s: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The (offsets, bytes) of a String or Binary series, read-only; a null is an empty stretch.

    Row `i` is `bytes[offsets[i]:offsets[i + 1]]`; the first offset need not be 0.
    """
    array = s.to_arrow(compat_level=pl.CompatLevel.oldest())
    if len(array) == 0:
        return _readonly(np.zeros(1, np.int64)), _readonly(np.zeros(1, np.uint8))
    _, places, data = array.buffers()
    offsets = np.frombuffer(places, np.int64)[array.offset : array.offset + len(array) + 1]
    if data is None or data.size == 0:
        return offsets, _readonly(np.zeros(1, np.uint8))
    return offsets, np.frombuffer(data, np.uint8)


def strings(offsets: NDArray[np.int64], data: NDArray[np.uint8], *, name: str = "") -> pl.Series:
    """The String series whose row `i` is `data[offsets[i]:offsets[i + 1]]` (valid UTF-8)."""
    array = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )
    return pl.Series(name, array, dtype=pl.String)


def hash_strings(s: pl.Series) -> NDArray[np.uint64]:
    """Hash each text; a null gives 0, every text gives something else."""
    out = np.empty(len(s), np.uint64)
    _hash_rows(*buffers(s), out)
    if s.null_count():
        out[s.is_null().to_numpy()] = 0
    return out


def hash_text(text: str) -> int:
    """The hash that `hash_strings` gives this text."""
    data = np.frombuffer(text.encode() or b"\0", np.uint8)
    out = np.empty(1, np.uint64)
    _hash_rows(_readonly(np.array([0, len(text.encode())], np.int64)), data, out)
    return int(out[0])


def key_hash(source: pl.Series, id: pl.Series) -> NDArray[np.uint64]:  # noqa: A002 - the field
    """Hash each key (source, id): the hash of both texts with U+001F between them."""
    out = np.empty(len(id), np.uint64)
    _hash_pairs(*buffers(source), *buffers(id), out)
    return out


def hexadecimal(hashes: NDArray[np.uint64], *, name: str = "") -> pl.Series:
    """Write each hash as 16 hexadecimal digits, in columns."""
    data = pa.py_buffer(hashes.astype(">u8"))
    offsets = pa.py_buffer(np.arange(len(hashes) + 1, dtype=np.int64) * 8)
    array = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(hashes), [None, offsets, data])
    return pl.Series(name, array, dtype=pl.Binary).bin.encode("hex")


def _readonly(array: NDArray[Any]) -> NDArray[Any]:
    """Arrow's buffers are read-only; so are these, so that numba compiles each kernel once."""
    array.flags.writeable = False
    return array
