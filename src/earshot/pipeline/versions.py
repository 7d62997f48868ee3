"""Which sight gives a post its content: the greatest (version, received_at, position)."""

from typing import Final

import polars as pl

from earshot.model.changes import State
from earshot.model.schema import empty
from earshot.pipeline.keys import key
from earshot.pipeline.sights import ALWAYS

_WON: Final = pl.Schema({"key": pl.String, "row": pl.Int64})
_CONTENT: Final = ("key", "version", "received_at", "offset", "text_hash")
_ORDER: Final = ("key", "version", "received_at", "offset", "row")


def winners(rows: pl.DataFrame, state: State) -> pl.DataFrame:
    """`key`, `row` (Int64; ALWAYS: what is stored stays) of posts seen `often`.

    The greatest (version, received_at, position) wins. Two rules stand beside it:

    * a sight of the same version and text says nothing new and changes nothing (so the same
      archive read again leaves everything as it is);
    * the create that consumes a post replaces content of up to its own version, because what was
      embedded in another post may lack fields.

    Args:
        rows: Sights; only living posts that were known, or are seen several times, matter.
        state: What was known before.
    """
    if not rows["often"].any():
        return empty(_WON)
    many = rows.filter(pl.col("often") & pl.col("dead").is_null())
    at = pl.col("record").cast(pl.Int64)
    now = many.select(*_CONTENT, row=pl.col("row").cast(pl.Int64), record=at)
    consumed = many.filter("unique").select("key", at=at, upto="version")
    replaced = (pl.col("record") < pl.col("at")) & (pl.col("version") <= pl.col("upto"))
    new = pl.any_horizontal(
        pl.col(c).ne_missing(pl.col(c).shift()) for c in ("key", "version", "text_hash")
    )
    return (
        pl.concat([_before(many, state), now])
        .join(consumed, on="key", how="left")
        .filter(~replaced.fill_null(value=False))
        .sort(_ORDER)
        .filter(new)
        .unique("key", keep="last")
        .select("key", "row")
    )


def _before(many: pl.DataFrame, state: State) -> pl.DataFrame:
    """What was known of the content of these posts."""
    always = pl.lit(ALWAYS, pl.Int64)
    return (
        state.posts.filter(~pl.col("tombstone"))
        .with_columns(pl.col("version").fill_null(0), key=key(), row=always, record=always)
        .join(many.select("key"), on="key", how="semi")
        .select(*_CONTENT, "row", "record")
    )
