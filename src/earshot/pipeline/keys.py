"""What a decoded batch asks the store for, and how keys are written to be compared."""

from typing import Final

import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import KEY, Wanted

AUTHOR: Final = "author:"
"""A tombstone with this before an author's id refuses all posts of that author."""
SCRUB: Final = "scrub:"
"""A tombstone with this before an author's id takes the place off posts up to its version."""
COUNTED: Final = {"like": "likes", "repost": "reposts", "quote": "quotes"}
"""Kinds of interactions with a post, and the counter that they raise."""
OF_POSTS: Final = ("delete", "hide", "show", "geo_scrub")
OF_AUTHORS: Final = ("hide", "show", "sync", "author_delete", "geo_scrub")
_UNIT: Final = "\x1f"


def key(id_: str | pl.Expr = "id") -> pl.Expr:
    """The key (`source`, id) as one text; null where the id is."""
    return pl.concat_str(pl.col("source"), id_, separator=_UNIT)


def author_key(column: str = "author_id") -> pl.Expr:
    """The key of an author's tombstone; null where the author is unknown."""
    return key(pl.lit(AUTHOR) + pl.col(column))


def scrub_key(column: str = "author_id") -> pl.Expr:
    """The key of the tombstone that takes places off an author's posts."""
    return key(pl.lit(SCRUB) + pl.col(column))


def id_of(keys: str = "key") -> pl.Expr:
    """The id within a key."""
    return pl.col(keys).str.split_exact(_UNIT, 1).struct.field("field_1")


def source_of(keys: str = "key") -> pl.Expr:
    """The source within a key."""
    return pl.col(keys).str.split_exact(_UNIT, 1).struct.field("field_0")


def has_place() -> pl.Expr:
    """Whether a post says where it was written."""
    return pl.any_horizontal(pl.col("place", "country", "latitude").is_not_null())


def wanted(decoded: Decoded) -> Wanted:
    """Say what has to be known before the batch can be deduplicated."""
    posts, events, acts = decoded.posts, decoded.events, decoded.interactions
    by_author = (pl.col("kind") == "author_delete") | (pl.col("kind") == "sync")
    wide = events.filter(
        pl.col("kind").is_in(OF_AUTHORS)
        & (pl.col("id").is_null() | by_author)
        & pl.col("author_id").is_not_null()
    ).select("source", id="author_id")
    authors = pl.concat([posts.select("source", "author_id"), events.select("source", "author_id")])
    scrubbed = posts.filter(has_place())
    keys = [
        posts.select(KEY.names()),
        events.filter(pl.col("kind").is_in(OF_POSTS)).select(KEY.names()),
        acts.filter(pl.col("kind").is_in(list(COUNTED))).select("source", id="object"),
        authors.unique().select("source", id=AUTHOR + pl.col("author_id")),
        scrubbed.select("source", id=SCRUB + pl.col("author_id")),
    ]
    return Wanted(
        keys=pl.concat(keys).drop_nulls().unique(maintain_order=True),
        authors=wide.unique(maintain_order=True),
        interactions=acts.select("source", id="key").unique(maintain_order=True),
    )
