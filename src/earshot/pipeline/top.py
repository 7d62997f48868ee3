"""What a page shows of windows: their rows, and the values that lead, with their ranks."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numba import njit

from earshot.model.hashing import Array, strings
from earshot.model.schema import FACETS, VARIANTS, WINDOW
from earshot.pipeline.block import Blocks, join, merge, pick
from earshot.pipeline.hashes import FACET_CODES, I64, U8, U32
from earshot.pipeline.sketch import EXACT, estimate
from earshot.pipeline.window import Windows

TOP: Final = pl.Schema(
    {
        "rank": pl.Int64,  # from 1 on, no two alike
        "value": pl.String,
        "posts": pl.Int64,
        "authors": pl.Int64,  # distinct
        "score": pl.Int64,  # thousandths
    }
)
ORDER: Final = ("posts", "authors", "value")
"""Posts, then authors, both falling; then the value's bytes, rising."""


def rows(windows: Windows, *, width: int, variant: str = "all") -> pl.DataFrame:
    """Every row of these windows in the schema WINDOW, window by window in ORDER.

    Args:
        windows: Of one width.
        width: Seconds, for the column of that name.
        variant: all | once | clean; as long as nothing is marked as spam or abuse, `clean` is
            the same as `once`.
    """
    blocks = windows.blocks
    place = np.repeat(np.arange(blocks.windows, dtype=np.uint32), np.diff(blocks.row_end))
    counted = _counted(blocks, variant).with_columns(window=pl.Series(place))
    nothing = pl.lit(0, pl.Int64)
    return (
        counted.join(windows.keys.with_row_index("window"), on="window", how="left")
        .sort("window", "facet", *ORDER, descending=[False, False, True, True, False])
        .with_columns(
            width=pl.lit(width, pl.Int64), variant=pl.lit(variant),
            negative=nothing, neutral=nothing, positive=nothing, analysed=nothing,
        )
        .with_columns(
            pl.col("facet").replace_strict(dict(enumerate(FACETS)), return_dtype=pl.String)
        )
        .select(WINDOW.names())
        .match_to_schema(WINDOW, integer_cast="upcast")
    )  # fmt: skip


def top(
    blocks: Blocks | Sequence[Blocks], facet: str, *, limit: int = 10, variant: str = "all"
) -> pl.DataFrame:
    """The leading values of a facet over all these windows together, in the schema TOP.

    Only values that can enter the list have their authors merged: those with at least as many
    posts as the last of the list. Values without a post are on no list, whatever their score.
    """
    whole = blocks if isinstance(blocks, Blocks) else join(blocks)
    posts = whole.counts[:, 0] - (whole.counts[:, 1] if variant != "all" else 0)
    of_facet = whole.facet[whole.value] == FACET_CODES[facet]
    sums = np.bincount(
        whole.value[of_facet], weights=posts[of_facet], minlength=len(whole.facet)
    ).astype(np.int64)
    last = int(np.partition(sums, -limit)[-limit]) if len(sums) > limit > 0 else 1
    leading = merge(pick(whole, of_facet & (sums >= max(1, last))[whole.value]))
    counted = _counted(leading, variant).filter(pl.col("posts") > 0)
    ranked = counted.sort(*ORDER, descending=[True, True, False]).head(limit)
    return (
        ranked.with_row_index("rank", offset=1)
        .select(TOP.names())
        .match_to_schema(TOP, integer_cast="upcast")
    )


def totals(blocks: Blocks, variant: str = "all") -> pl.DataFrame:
    """`posts`, `authors`, `score` of each window: its facet `total`."""
    place = np.repeat(np.arange(blocks.windows), np.diff(blocks.row_end))
    total = blocks.facet[blocks.value] == FACET_CODES["total"]
    found, rows_of = pick(blocks, total), place[total]
    own = _own(found, variant)
    sums = np.zeros((3, blocks.windows), np.int64)
    sums[0, rows_of] = own[:, 0]
    sums[1, rows_of] = np.minimum(_distinct(found, variant), own[:, 0])
    sums[2, rows_of] = own[:, 2]
    return pl.DataFrame(dict(zip(("posts", "authors", "score"), sums, strict=True)))


def with_previous(now: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """TOP rows with `previous_rank` and `change` (places gained; negative: lost).

    Args:
        now: TOP.
        before: TOP of the window before, longer than `now`; who is not in it is new (nulls).
    """
    earlier = before.select("value", previous_rank="rank")
    return now.join(earlier, on="value", how="left", maintain_order="left").with_columns(
        change=pl.col("previous_rank") - pl.col("rank")
    )


def _counted(blocks: Blocks, variant: str) -> pl.DataFrame:
    """`facet` (code), `value`, `posts`, `authors`, `score` of each row, in their order.

    Rows that the variant leaves nothing of are there with zeros.
    """
    own = _own(blocks, variant)
    authors = _distinct(blocks, variant)
    text = strings(blocks.text_end, blocks.text).gather(blocks.value)
    return pl.DataFrame(
        {
            "facet": blocks.facet[blocks.value],
            "value": text,
            "posts": own[:, 0],
            "authors": np.minimum(authors, own[:, 0]),
            "score": own[:, 2],
        }
    )


def _own(blocks: Blocks, variant: str) -> I64:
    """`Blocks.counts` of the posts that the variant counts: the first and third column hold."""
    assert variant in VARIANTS, variant  # noqa: S101 - callers check what people typed
    return blocks.counts if variant == "all" else blocks.counts - blocks.counts[:, [1, 1, 3, 3]]


def _distinct(blocks: Blocks, variant: str) -> I64:
    """Distinct authors of each row; of a sketch an estimate, which may be more than its posts."""
    found: I64 = _authors(
        blocks.pair_end, blocks.pair, blocks.sketch, blocks.registers, int(variant != "all")
    )
    return found


@njit(cache=True, nogil=True)
def _authors(pair_end: I64, pair: U32, sketch: Array, registers: U8, once: int) -> I64:
    """Distinct authors of each row, all or those with a post that is no copy."""
    out = np.empty(len(sketch), np.int64)
    for r in range(len(sketch)):
        if sketch[r] >= 0:
            out[r] = estimate(registers[sketch[r], once])
            if not once:
                out[r] = max(out[r], EXACT + 1)
        elif once:
            out[r] = 0
            for i in range(pair_end[r], pair_end[r + 1]):
                out[r] += pair[i] & np.uint32(1)
        else:
            out[r] = pair_end[r + 1] - pair_end[r]
    return out
