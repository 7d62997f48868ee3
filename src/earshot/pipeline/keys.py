"""What a decoded batch asks the store for, and how keys are written to be compared."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import KEY, State, Wanted
from earshot.model.hashing import key_hash
from earshot.pipeline.hashes import I64, number

AUTHOR: Final = "author:"
"""A tombstone with this before an author's id refuses all posts of that author."""
SCRUB: Final = "scrub:"
"""A tombstone with this before an author's id takes the place off posts up to its version."""
COUNTED: Final = {"like": "likes", "repost": "reposts", "quote": "quotes"}
"""Kinds of interactions with a post, and the counter that they raise."""
OF_POSTS: Final = ("delete", "hide", "show", "geo_scrub")
OF_AUTHORS: Final = ("hide", "show", "sync", "author_delete", "geo_scrub")
_UNIT: Final = "\x1f"
NO_KEY: Final = -1


def key(id_: str | pl.Expr = "id") -> pl.Expr:
    """The key (`source`, id) as one text; null where the id is."""
    return pl.concat_str(pl.col("source"), id_, separator=_UNIT)


def scrub_key(column: str = "author_id") -> pl.Expr:
    """The key of the tombstone that takes places off an author's posts."""
    return key(pl.lit(SCRUB) + pl.col(column))


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


@dataclass(frozen=True, slots=True)
class Numbers:
    """Every key that a batch and the state speak of, as a number from 0 on; NO_KEY: there is none.

    An author has the key of their tombstone.
    """

    names: pl.DataFrame
    """KEY, by number."""
    posts: I64
    """Of each of `Decoded.posts` …"""
    authors: I64
    """… and of its author."""
    events: I64
    """Of each event …"""
    event_authors: I64
    """… and of its author."""
    known: I64
    """Of each of `State.posts` …"""
    known_authors: I64
    """… and of its author."""
    objects: I64
    """Of the object of each interaction, then of each of `State.interactions`."""


def numbers(decoded: Decoded, events: pl.DataFrame, state: State) -> Numbers:
    """Number the keys of these posts, events, interactions and what is known."""
    columns = [*KEY, "author_id"]
    parts = [decoded.posts[columns], events[columns], state.posts[columns]]
    told = pl.concat(parts)
    acts = pl.concat([f[["source", "object"]] for f in (decoded.interactions, state.interactions)])
    authors = told.select(AUTHOR + pl.col("author_id")).to_series()
    names = pl.DataFrame(
        {
            "source": pl.concat([told["source"], told["source"], acts["source"]]),
            "id": pl.concat([told["id"], authors, acts["object"]]),
        }
    )
    found, first = numbered(names["source"], names["id"])
    sizes = [part.height for part in parts]
    posts, said, known, *of_authors = np.split(found, np.cumsum([*sizes, *sizes]))
    return Numbers(names[first], posts, of_authors[0], said, of_authors[1], known, *of_authors[2:])


def numbered(source: pl.Series, id: pl.Series) -> tuple[I64, I64]:  # noqa: A002 - the field
    """Number equal keys (source, id) alike, from 0 on; NO_KEY where the id is null.

    Returns:
        The number of each key, and for each number a place where it is.
    """
    found, first = number(key_hash(source, id))
    codes = found.astype(np.int64)
    again = np.flatnonzero(first[codes] != np.arange(len(codes)))
    before = first[codes[again]]
    for part in (source, id):  # two keys may have one hash: somebody may even see to it
        if (part[again] != part[before]).any():
            codes, first = _exactly(source, id)
            break
    if id.null_count():
        codes[id.is_null().to_numpy()] = NO_KEY
    return codes, first


def _exactly(source: pl.Series, id: pl.Series) -> tuple[I64, I64]:  # noqa: A002 - the field
    """As `numbered`, by the texts themselves: slower."""
    keys = source + _UNIT + id.fill_null("")
    _, first, codes = np.unique(
        keys.rank("dense").to_numpy(), return_index=True, return_inverse=True
    )
    return codes.astype(np.int64), first
