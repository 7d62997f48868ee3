"""What a post says, in columns: tokens, listed hashtags and links, language in one spelling."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.formats._links import links
from earshot.model.hashing import buffers, strings
from earshot.model.schema import POST
from earshot.model.tokens import CASHTAG, HASHTAG, MENTION, Tokens

_URL: Final = r"https?://[^\s<>\"]+"
_BEHIND: Final = ".,;:!?)]}'"
"""What ends a sentence rather than an address."""


def annotate(posts: pl.DataFrame, documents: pl.Series, tokens: Tokens) -> pl.DataFrame:
    """Complete what the network lists of a post by what stands in its text.

    Hashtags and cashtags of the text join those listed, compared without regard to case; mentions
    and links of the text count only where the network lists none at all (null), because a listed
    mention names an account, which a text cannot.

    Args:
        posts: POST and further columns.
        documents: See `model.document`.
        tokens: Of these documents.
    """
    columns = [
        _united(posts["hashtags"], _written(documents, tokens, HASHTAG)),
        _united(posts["cashtags"], _written(documents, tokens, CASHTAG)),
        _filled(posts["mentions"], documents, tokens),
        _languages(posts["lang"]),
        _links(posts),
    ]
    return posts.with_columns(columns)


def take(tokens: Tokens, rows: NDArray[np.uint32]) -> Tokens:
    """The tokens of some posts, in the order of `rows`."""
    first, end = tokens.ends[rows], tokens.ends[rows.astype(np.int64) + 1]
    many = end - first
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(many, out=ends[1:])
    at = np.arange(ends[-1]) + np.repeat(first - ends[:-1], many)
    return Tokens(
        hash=tokens.hash[at],
        post=np.repeat(np.arange(len(rows), dtype=np.uint32), many),
        start=tokens.start[at],
        length=tokens.length[at],
        position=tokens.position[at],
        kind=tokens.kind[at],
        ends=ends,
        text_hash=tokens.text_hash[rows],
        index=tokens.index.gather(rows),
    )


def _written(documents: pl.Series, tokens: Tokens, kind: int) -> pl.DataFrame:
    """`post`, `value`: the tokens of a kind as they are written, without sigil."""
    chosen = np.flatnonzero(tokens.kind == kind)
    posts = tokens.post[chosen]
    if len(chosen) == 0:
        return pl.DataFrame(schema={"post": pl.UInt32, "value": pl.String})
    offsets, data = buffers(documents)
    first = offsets[posts] + tokens.start[chosen]
    many = tokens.length[chosen].astype(np.int64)
    ends = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(many, out=ends[1:])
    at = np.arange(ends[-1]) + np.repeat(first - ends[:-1], many)
    written = strings(ends, data[at], name="value")
    return pl.DataFrame({"post": posts, "value": written.str.slice(1)})


def _united(listed: pl.Series, written: pl.DataFrame) -> pl.Series:
    """Lists with what is written but not listed behind; nulls become empty lists."""
    if listed.null_count():
        nothing = pl.lit([], listed.dtype)
        listed = listed.to_frame().select(pl.all().fill_null(nothing)).to_series()
    if written.is_empty():
        return listed
    name = listed.name
    rows = pl.DataFrame({"value": listed}).with_row_index("post")
    touched = rows.join(written.select("post").unique(), on="post", how="semi")
    known = touched.explode("value").drop_nulls()
    united = (
        pl.concat([known, written])
        .with_columns(folded=pl.col("value").str.to_lowercase())
        .unique(["post", "folded"], keep="first", maintain_order=True)
        .group_by("post", maintain_order=True)
        .agg(united="value")
    )
    return (
        rows.join(united, on="post", how="left", maintain_order="left")
        .select(pl.coalesce("united", "value").alias(name))
        .to_series()
    )


def _filled(mentions: pl.Series, documents: pl.Series, tokens: Tokens) -> pl.Series:
    """Mentions of the text where none are listed."""
    if not mentions.null_count():
        return mentions
    silent = mentions.is_null()
    written = _written(documents, tokens, MENTION)
    return _united(mentions, written.filter(silent.gather(written["post"])))


def _languages(langs: pl.Series) -> pl.Series:
    """Primary tags in lower case."""
    seen = langs.unique()
    if not seen.str.contains(r"[^a-z]").any():
        return langs
    return langs.str.to_lowercase().str.replace(r"[-_].*$", "")


def _links(posts: pl.DataFrame) -> pl.Series:
    """Links of the text where the network lists none at all."""
    listed = posts["links"]
    if not listed.null_count():
        return listed
    rows = posts.select("links", "text").with_row_index("post")
    urls = (
        rows.filter(pl.col("links").is_null())
        .select("post", url=pl.col("text").str.extract_all(_URL))
        .explode("url")
        .drop_nulls("url")
        .with_columns(pl.col("url").str.strip_chars_end(_BEHIND))
    )
    made = (
        urls.select("post", made=links(urls["url"]))
        .group_by("post", maintain_order=True)
        .agg("made")
    )
    return (
        rows.join(made, on="post", how="left", maintain_order="left")
        .select(pl.coalesce("links", "made", pl.lit([], POST["links"])).alias("links"))
        .to_series()
    )
