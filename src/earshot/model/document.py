"""The document of a post: the one text whose tokens rules, search and facets see."""

import polars as pl


def document(posts: pl.DataFrame) -> pl.Series:
    """Title, line break, text, and behind it the listed hashtags that the text does not show.

    Args:
        posts: `title`, `text`, `hashtags` of POST.
    """
    whole = posts.select(
        pl.concat_str("title", "text", separator="\n", ignore_nulls=True).alias("document")
    ).to_series()
    further = _further(posts["hashtags"], whole)
    if further.is_empty():
        return whole
    rows = pl.DataFrame(whole).with_row_index("post")
    return rows.join(further, on="post", how="left", maintain_order="left").select(
        pl.concat_str("document", "further", separator="\n", ignore_nulls=True).alias("document")
    )["document"]


def _further(hashtags: pl.Series, documents: pl.Series) -> pl.DataFrame:
    """`post`, `further`: hashtags that are listed only, each with `#`, in one text."""
    listed = (
        pl.DataFrame({"tag": hashtags, "document": documents})
        .with_row_index("post")
        .filter(pl.col("tag").list.len() > 0)
    )
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
