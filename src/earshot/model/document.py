"""The document of a post: the one text whose tokens rules, search and facets see."""

from typing import Final

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from earshot.model.hashing import Array, buffers


def document(posts: pl.DataFrame) -> pl.Series:
    """Title, line break, text, and behind it the listed hashtags that the text does not show.

    Args:
        posts: `title`, `text`, `hashtags` of POST.
    """
    whole = posts.select(
        pl.concat_str("title", "text", separator="\n", ignore_nulls=True).alias("document")
    ).to_series()
    doubtful = np.flatnonzero(_unseen(posts["hashtags"], whole)).astype(np.uint32)
    if not len(doubtful):
        return whole
    rows = pl.DataFrame({"post": doubtful})
    further = _further(rows, posts["hashtags"].gather(doubtful), whole.gather(doubtful))
    shown = pl.DataFrame(whole).with_row_index("post")
    return shown.join(further, on="post", how="left", maintain_order="left").select(
        pl.concat_str("document", "further", separator="\n", ignore_nulls=True).alias("document")
    )["document"]


_SURE: Final = r"^[\w--Σ]+$"
"""A text that is one run of word characters; Σ in lower case depends on what is behind it."""


def _unseen(hashtags: pl.Series, documents: pl.Series) -> NDArray[np.bool_]:
    """Which posts list a hashtag that is not plainly shown: only these need a closer look."""
    ends = np.zeros(len(hashtags) + 1, np.int64)
    np.cumsum(hashtags.list.len().fill_null(0).to_numpy(), out=ends[1:])
    listed = hashtags.explode(empty_as_null=False, keep_nulls=False)
    sure = listed.str.contains(_SURE).fill_null(value=False).to_numpy()
    found: NDArray[np.bool_] = unseen(ends, sure, *buffers(listed), *buffers(documents))
    return found


@njit(inline="always")
def _low(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(cache=True, nogil=True)
def _shows(data: Array, start: int, stop: int, tag: Array) -> bool:
    """Whether `data[start:stop]` has `#` and the tag and then no word character.

    ASCII compares without regard to case. Where anything but ASCII is behind, the answer is no.
    """
    many = len(tag)
    for x in range(start, stop - many):
        if data[x] != 35:  # '#'
            continue
        z = 0
        while z < many and _low(data[x + 1 + z]) == _low(tag[z]):
            z += 1
        if z == many:
            c = _low(data[x + 1 + many]) if x + 1 + many < stop else 32
            if not (97 <= c <= 122 or 48 <= c <= 57 or c == 95 or c >= 128):
                return True
    return False


@njit(cache=True, nogil=True)
def unseen(  # noqa: PLR0913, PLR0917 - two columns of texts
    ends: Array, sure: Array, places: Array, tags: Array, offsets: Array, data: Array
) -> Array:
    """Which posts list a tag of which it is not certain that the document shows it.

    Args:
        ends: Listed tags of each post …
        sure: … whether bytes tell of each: see `_SURE` …
        places: … their offsets …
        tags: … and bytes.
        offsets: Of the documents …
        data: … and their bytes.
    """
    out = np.zeros(len(ends) - 1, np.bool_)
    for p in range(len(ends) - 1):
        for t in range(ends[p], ends[p + 1]):
            tag = tags[places[t] : places[t + 1]]
            if not sure[t] or not _shows(data, offsets[p], offsets[p + 1], tag):
                out[p] = True
                break
    return out


def _further(rows: pl.DataFrame, hashtags: pl.Series, documents: pl.Series) -> pl.DataFrame:
    """`post`, `further`: hashtags that are listed only, each with `#`, in one text."""
    listed = rows.with_columns(tag=hashtags, document=documents)
    shown = pl.col("document").str.to_lowercase().str.extract_all(r"[#\uFF03]\w+")
    written = (
        listed.select("post", folded=shown)
        .explode("folded")
        .select("post", pl.col("folded").str.slice(1))
    )
    return (
        listed.select("post", "tag")
        .explode("tag")
        .with_columns(folded=pl.col("tag").str.to_lowercase())
        .join(written, on=["post", "folded"], how="anti", maintain_order="left")
        .unique(["post", "folded"], keep="first", maintain_order=True)
        .group_by("post", maintain_order=True)
        .agg(further=("#" + pl.col("tag")).str.join(" "))
    )
