"""Bluesky's revisions: TIDs, 13 base32-sortable characters of a 64-bit number.

Source: https://atproto.com/specs/tid
"""

from typing import Final

import numpy as np
import polars as pl

_ALPHABET: Final = b"234567abcdefghijklmnopqrstuvwxyz"
_LENGTH: Final = 13
_DIGITS: Final = np.zeros(256, np.uint64)
_DIGITS[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(32, dtype=np.uint64)

_VALID: Final = pl.col("tid").str.contains(r"^[2-7ab][2-7a-z]{12}$").fill_null(value=False)
_NONE: Final = pl.Series("rev", [None], pl.Int64)


def rev(tids: pl.Series) -> pl.Series:
    """TIDs as integers (Int64) in the same order; null for what is no TID."""
    if tids.null_count() == len(tids):
        return _NONE.new_from_index(0, len(tids)).alias(tids.name)
    valid = tids.alias("tid").to_frame().select(_VALID).to_series()
    whole = valid.all()
    text = (tids if whole else tids.filter(valid)).str.join("").item() or ""
    digits = _DIGITS[np.frombuffer(text.encode(), np.uint8)].reshape(-1, _LENGTH)
    value = np.zeros(len(digits), np.uint64)
    for place in range(_LENGTH):
        value = (value << np.uint64(5)) | digits[:, place]
    known = pl.Series(value.astype(np.int64))
    if not whole:
        known = _NONE.new_from_index(0, len(tids)).scatter(valid.arg_true(), known)
    return known.alias(tids.name)
