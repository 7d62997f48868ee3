"""Ids as the networks make them, a column at a time."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from earshot.sources._world import noise
from earshot.sources._world.noise import I64, U64

_BASE32: Final = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
_TID: Final = np.frombuffer(b"234567abcdefghijklmnopqrstuvwxyz", np.uint8)
_BASE36: Final = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", np.uint8)
_X_EPOCH_MS: Final = 1_288_834_974_657


def _texts(letters: npt.NDArray[np.uint8]) -> pl.Series:
    """Rows of letters as strings, without a Python object each."""
    rows, width = letters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    flat = np.ascontiguousarray(letters)
    array = pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(flat))
    return pl.Series(pl.from_arrow(array))


def _digits(
    value: U64, alphabet: npt.NDArray[np.uint8], bits: int, count: int
) -> npt.NDArray[np.uint8]:
    """The last `count` digits of `bits` bits each, the greatest first."""
    shifts = np.arange(count - 1, -1, -1, dtype=np.uint64) * np.uint64(bits)
    mask = np.uint64((1 << bits) - 1)
    letters: npt.NDArray[np.uint8] = alphabet[((value[:, None] >> shifts) & mask).astype(np.intp)]
    return letters


def base32(of: U64, salt: int, length: int) -> pl.Series:
    """`length` letters that look drawn, always the same for the same value."""
    words = -(-length // 12)
    parts = [_digits(noise.mix(of, salt + n), _BASE32, 5, 12) for n in range(words)]
    return _texts(np.concatenate(parts, axis=1)[:, :length])


def cid(of: U64) -> pl.Series:
    """The content id of a record: CIDv1, base32 of a SHA-256 that is none."""
    return "bafyrei" + base32(of, 40, 52)


def tid(at: I64, key: U64) -> pl.Series:
    """Bluesky's record key: microseconds and ten bits, in an order-keeping base 32."""
    value = (at.astype(np.uint64) << np.uint64(10)) | (key & np.uint64(1023))
    return _texts(_digits(value, _TID, 5, 13))


def snowflake(at: I64, seq: I64) -> pl.Series:
    """X's id: milliseconds since its epoch and a number within them."""
    return pl.Series((at // 1000 - _X_EPOCH_MS) << 22 | (seq & 0x3FFFFF)).cast(pl.String)


def status(at: I64, seq: I64) -> pl.Series:
    """Mastodon's id: milliseconds since 1970 and a number within them."""
    return pl.Series((at // 1000) << 16 | (seq & 0xFFFF)).cast(pl.String)


def thing(at: I64, seq: I64) -> pl.Series:
    """Reddit's id: a running number in base 36."""
    value = (at // 1000 - 1_500_000_000_000) * 16 + (seq & 15)
    digits = []
    for _ in range(9):
        value, rest = np.divmod(value, 36)
        digits.append(_BASE36[rest])
    return _texts(np.stack(digits[::-1], axis=1)).str.strip_chars_start("0")
