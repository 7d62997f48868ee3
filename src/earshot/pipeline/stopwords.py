"""Words that say nothing: the stop words of 58 languages, each for posts of its language.

A word is dropped by the lists of the post's own language and of English; in a post of unknown
language by those of the commonest languages. So the German `war` goes and the English one stays.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
import stopwordsiso

from earshot.pipeline.hashes import U64, fold, hash_strings

COMMON: Final = ("en", "ja", "es", "pt", "id", "ar", "tr", "fr", "de", "ko", "it", "nl", "ru")
"""Languages whose lists act where a post's language is not known."""
EVERYWHERE: Final = ("rt", "via", "amp", "http", "https")
"""What networks put into texts; the English list acts on every post."""
HIRAGANA: Final = "".join(chr(c) for c in range(0x3041, 0x3097)) + "ー"
"""Pairs of these are endings and particles: Japanese says what it is about in other scripts."""


@dataclass(frozen=True, slots=True)
class StopWords:
    """Hashes of words, and the set of languages in which each says nothing."""

    words: U64
    """Hashes of folded words, ascending."""
    languages: U64
    """For each word a bit set: bit i is the i-th of `codes`."""
    codes: tuple[str, ...]

    def of(self, hashes: U64) -> U64:
        """The bit set of each of these words; 0: says something everywhere."""
        at = np.minimum(np.searchsorted(self.words, hashes), len(self.words) - 1)
        found: U64 = np.where(self.words[at] == hashes, self.languages[at], np.uint64(0))
        return found

    def acting(self, languages: pl.Series) -> U64:
        """The bit set of the lists that act on a post of each of these languages."""
        bits = {code: 1 << place for place, code in enumerate(self.codes)}
        english = bits["en"]
        unknown = sum(bits[code] for code in COMMON)
        act = {code: bit | english for code, bit in bits.items()}
        return languages.replace_strict(act, default=unknown, return_dtype=pl.UInt64).to_numpy()


@lru_cache(maxsize=1)
def stop_words() -> StopWords:
    """The lists, as shipped with stopwords-iso."""
    codes = tuple(sorted(stopwordsiso.langs()))
    words = [(place, w) for place, code in enumerate(codes) for w in stopwordsiso.stopwords(code)]
    words += [(codes.index("en"), word) for word in EVERYWHERE]
    words += [(codes.index("ja"), a + b) for a in HIRAGANA for b in HIRAGANA]
    folded = fold(pl.Series([word for _, word in words], dtype=pl.String))
    bits = np.uint64(1) << np.array([place for place, _ in words], np.uint64)
    known, places = np.unique(hash_strings(folded), return_inverse=True)
    languages = np.zeros(len(known), np.uint64)
    np.bitwise_or.at(languages, places, bits)
    return StopWords(known, languages, codes)
