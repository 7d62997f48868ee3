"""What the tokeniser knows of characters: how each one folds, and which class it is of.

The tables are shipped as data (`unicode_tables.bin`), so that tokens do not change with the
Unicode version of the Python that runs; `build` makes that file anew (a new `TOKEN_VERSION`):

    python -c "import sys; from earshot.model.unicode_tables import build; \
        sys.stdout.buffer.write(build())" > src/earshot/model/unicode_tables.bin
"""

import unicodedata
import zlib
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

LIMIT: Final = 0x32400
"""Code points from here on are dropped (tags and variation selectors) or separators."""

SEPARATOR, LETTER, DIGIT, MARK, UNDERSCORE, UNSPACED, EMOJI, REGIONAL = range(8)
APOSTROPHE, HASH, AT, CASH = range(8, 12)
MAYBE: Final = 0x80
"""Bit of a class: may compose with the character before it (NFC_Quick_Check = Maybe)."""
DROP: Final = 0xFFFFFFFF
"""Fold of a character that counts for nothing."""
MANY: Final = 0x80000000
"""Bit of a fold that stands for several characters: the rest is a place in `pool`."""

_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),  # Burmese extensions
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0x1AFF0, 0x1B16F),  # Kana extensions
    (0x20000, 0x323AF),  # Han
)
_SYMBOLS: Final = (
    (0x2190, 0x21FF),  # arrows
    (0x2300, 0x23FF),  # technical
    (0x25A0, 0x27BF),  # shapes, dingbats
    (0x2900, 0x297F),
    (0x2B00, 0x2BFF),
    (0x3030, 0x303F),
)
_EMOJI: Final = ((0x1F000, 0x1FAFF),)  # whatever their category: later emoji are put here
_REGIONAL: Final = ((0x1F1E6, 0x1F1FF),)
_DROPPED: Final = (
    (0x00AD, 0x00AD),  # Default_Ignorable_Code_Point
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
    (0x20E3, 0x20E3),  # the keycap around a digit
    (0x1F3FB, 0x1F3FF),  # skin tones
)
_SIGNS: Final = {"_": UNDERSCORE, "'": APOSTROPHE, "#": HASH, "@": AT, "$": CASH}


class Tables(NamedTuple):
    """Read-only arrays, in the order in which the kernel takes them."""

    fold: NDArray[np.uint32]
    """By code point: what it folds to; see `DROP` and `MANY`."""
    pool: NDArray[np.uint32]
    """Expansions: at each place a length, then so many code points."""
    kind: NDArray[np.uint8]
    """By folded code point: its class, and the bit `MAYBE`."""
    mark: NDArray[np.uint8]
    """By folded code point: its canonical combining class."""
    split_from: NDArray[np.uint32]
    """Sorted code points that have a canonical decomposition (Hangul syllables left out) …"""
    split_into: NDArray[np.uint32]
    """… and the place of its full form in `pool`."""
    pair: NDArray[np.uint64]
    """Sorted (first << 32 | second) that compose canonically …"""
    composed: NDArray[np.uint32]
    """… and what to."""


@cache
def tables() -> Tables:
    """Read the shipped tables (about 5 ms, once)."""
    data = zlib.decompress(files("earshot.model").joinpath("unicode_tables.bin").read_bytes())
    sizes = np.frombuffer(data, np.uint32, len(Tables._fields))
    kinds = (np.uint32, np.uint32, np.uint8, np.uint8, np.uint32, np.uint32, np.uint64, np.uint32)
    arrays: list[NDArray[Any]] = []
    at = sizes.nbytes
    for size, kind in zip(sizes.tolist(), kinds, strict=True):
        arrays.append(np.frombuffer(data, kind, size, at))
        at += arrays[-1].nbytes
    arrays[0] = arrays[0] + np.arange(LIMIT, dtype=np.uint32)
    arrays[0].flags.writeable = False
    return Tables(*arrays)


def fold_character(character: str) -> str:
    """How one character folds: NFKC, case folding, NFKC, one apostrophe; some vanish."""
    if _within(ord(character), _DROPPED):
        return ""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    folded = folded.replace("\u2019", "'").replace("\u02bc", "'")
    return "".join(c for c in folded if not _within(ord(c), _DROPPED))


def class_of(character: str) -> int:
    """The class of a folded character."""
    point, category = ord(character), unicodedata.category(character)
    kind = SEPARATOR
    if character in _SIGNS:
        kind = _SIGNS[character]
    elif _within(point, _UNSPACED) and (category[0] in "LM" or category == "Nl"):
        kind = UNSPACED
    elif _within(point, _REGIONAL):
        kind = REGIONAL
    elif _within(point, _EMOJI) or (category == "So" and _within(point, _SYMBOLS)):
        kind = EMOJI
    else:
        kind = {"L": LETTER, "N": DIGIT, "M": MARK}.get(category[0], SEPARATOR)
    return kind


def build() -> bytes:
    """Make the content of `unicode_tables.bin` from this Python's Unicode data (seconds)."""
    fold = np.arange(LIMIT, dtype=np.uint32)
    kind, mark = np.zeros(LIMIT, np.uint8), np.zeros(LIMIT, np.uint8)
    pool: list[int] = []
    splits: dict[int, int] = {}
    pairs: dict[int, int] = {}
    for point in range(LIMIT):
        if 0xD800 <= point < 0xE000:
            fold[point] = 0xFFFD
            continue
        character = chr(point)
        fold[point] = _entry(fold_character(character), pool)
        kind[point] = class_of(character)
        mark[point] = unicodedata.combining(character)
        whole = unicodedata.normalize("NFD", character)
        if whole != character and not 0xAC00 <= point < 0xD7A4:
            splits[point] = _pooled(whole, pool)
        parts = [chr(int(x, 16)) for x in _canonical(character)]
        if len(parts) == 2 and unicodedata.normalize("NFC", "".join(parts)) == character:
            pairs[ord(parts[0]) << 32 | ord(parts[1])] = point
    for second in {p & 0xFFFFFFFF for p in pairs} | {
        *range(0x1161, 0x1176),
        *range(0x11A8, 0x11C3),
    }:
        kind[second] |= MAYBE
    arrays = (
        fold - np.arange(LIMIT, dtype=np.uint32),
        np.array(pool, np.uint32),
        kind,
        mark,
        np.array(sorted(splits), np.uint32),
        np.array([splits[p] for p in sorted(splits)], np.uint32),
        np.array(sorted(pairs), np.uint64),
        np.array([pairs[p] for p in sorted(pairs)], np.uint32),
    )
    sizes = np.array([len(a) for a in arrays], np.uint32).tobytes()
    return zlib.compress(sizes + b"".join(a.tobytes() for a in arrays), 9)


def _entry(folded: str, pool: list[int]) -> int:
    if not folded:
        return DROP
    return ord(folded) if len(folded) == 1 else MANY | _pooled(folded, pool)


def _pooled(text: str, pool: list[int]) -> int:
    place = len(pool)
    pool.extend((len(text), *map(ord, text)))
    return place


def _canonical(character: str) -> list[str]:
    """The canonical decomposition by one step, as hexadecimal code points."""
    parts = unicodedata.decomposition(character).split()
    return [] if parts and parts[0].startswith("<") else parts


def _within(point: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= point <= high for low, high in ranges)
