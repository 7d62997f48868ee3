"""Sights: each time that a batch shows a post, with what was known of the post before.

A sight is a row of `Decoded.posts`: a post that is created, edited, or embedded in another one.
Who is alive at the time, and who was first, is decided here; everything behind only asks.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from earshot.formats import Decoded
from earshot.model.changes import State
from earshot.model.hashing import Array
from earshot.pipeline.hashes import I64, U64, number
from earshot.pipeline.keys import NO_KEY, Numbers

Flags = NDArray[np.bool_]

ALWAYS: Final = -1
"""The record of what was so before the batch began."""
NEVER: Final = 1 << 62
"""The record of what does not happen in the batch."""
UNKNOWN: Final = -1
"""The row of what the state does not know."""
LATE_US: Final = 600_000_000
"""A post that comes in so long after it was written is late."""


@dataclass(frozen=True, slots=True)
class Known:
    """The living posts of the state; tombstones are no knowledge."""

    posts: pl.DataFrame
    """STATE rows."""
    key: I64
    """The number of each …"""
    author: I64
    """… and of its author."""
    row: I64
    """By number: the row of a post in `posts`, or UNKNOWN."""
    stored: Flags
    """Of each: its content is there; else it is only remembered."""
    consumed: Flags
    hidden: Flags


def known(state: State, keys: Numbers) -> Known:
    """Look up what is known by the numbers of keys."""
    living = ~state.posts["tombstone"].to_numpy()
    posts = state.posts if living.all() else state.posts.filter(living)
    key = keys.known[living]
    row = np.full(keys.names.height, UNKNOWN, np.int64)
    row[key] = np.arange(len(key))
    return Known(
        posts=posts,
        key=key,
        author=keys.known_authors[living],
        row=row,
        stored=posts["event_time"].is_not_null().to_numpy(),
        consumed=posts["consumed"].to_numpy(),
        hidden=posts["hidden"].to_numpy(),
    )


@dataclass(frozen=True, slots=True)
class Sights:
    """All sights of a batch in the order of the log, in arrays."""

    row: I64
    """Within `Decoded.posts`."""
    record: I64
    create: Flags
    embedded: Flags
    """The role; what is neither is an update."""
    key: I64
    """Number of the post, see `Numbers` …"""
    author: I64
    """… and of its author."""
    version: I64
    received_at: I64
    """In microseconds."""
    offset: I64
    text_hash: U64
    dead: I64
    """The record that deletes the post, ALWAYS (it was deleted before), or NEVER."""
    had: I64
    """The row in `Known.posts`, or UNKNOWN."""
    alive: Flags
    """Neither the post nor its author was deleted before this sight."""
    first: Flags
    """The first sight of a post that was not known before."""
    unique: Flags
    """The create that consumes the post for the first time."""
    often: Flags
    """The post was known, or is seen alive several times."""

    @property
    def stays(self) -> Flags:
        """The post lives, also when the batch ends."""
        lives: Flags = self.dead == NEVER
        return lives


def sights(decoded: Decoded, keys: Numbers, before: Known, dead: I64) -> Sights:
    """Look at every post of the batch in the order of the log.

    Args:
        decoded: As for `dedupe`.
        keys: The numbers of its keys.
        before: What was known.
        dead: By number, see `events.deaths`.
    """
    posts = decoded.posts
    record = posts["record"].to_numpy().astype(np.int64)
    row = np.argsort(record, kind="stable")
    record, key, author = record[row], keys.posts[row], keys.authors[row]
    died = death_of(dead, key, author)
    alive, had = record <= died, before.row[key]
    create = equal(posts["role"], "create")[row]
    consumed = np.zeros(len(row), np.bool_)
    again = np.flatnonzero(had != UNKNOWN)
    consumed[again] = before.consumed[had[again]]
    many = np.bincount(key[alive], minlength=len(dead))
    return Sights(
        row=row,
        record=record,
        create=create,
        embedded=equal(posts["role"], "embedded")[row],
        key=key,
        author=author,
        version=posts["version"].to_numpy()[row],
        received_at=posts["received_at"].to_physical().to_numpy()[row],
        offset=posts["offset"].to_numpy()[row],
        text_hash=posts["text_hash"].to_numpy()[row],
        dead=died,
        had=had,
        alive=alive,
        first=_first(key, alive, len(dead)) & (had == UNKNOWN),
        unique=_first(key, alive & create & ~consumed, len(dead)),
        often=alive & ((had != UNKNOWN) | (many[key] > 1)),
    )


def equal(column: pl.Series, value: str) -> Flags:
    """Where a column says this."""
    found: Flags = (column == value).to_numpy()
    return found if found.dtype == np.bool_ else found == True  # noqa: E712 - None among them


def death_of(dead: I64, key: I64, author: I64) -> I64:
    """The record that deletes each post, or its author."""
    found: I64 = np.minimum(dead[key], np.where(author == NO_KEY, NEVER, dead[author]))
    return found


@njit(cache=True, nogil=True)
def _first(key: Array, asked: Array, many: int) -> Array:
    """Where each key is for the first time among those asked for."""
    out, seen = np.zeros(len(key), np.bool_), np.zeros(many, np.bool_)
    for i in range(len(key)):
        out[i] = asked[i] and not seen[key[i]]
        seen[key[i]] |= asked[i]
    return out


@dataclass(frozen=True, slots=True)
class Marks:
    """What is decided when a post is consumed for the first time, of each sight."""

    copy: Flags
    """Its text is that of a unique post before it."""
    late: Flags
    new_text: Flags
    """Its text is there for the first time."""


def marks(seen: Sights, decoded: Decoded, records: pl.DataFrame, texts: pl.Series) -> Marks:
    """Find copies and what is late.

    Args:
        seen: Sights.
        decoded: What they are of.
        records: RECORD rows of the batch.
        texts: Hashes of texts that unique posts had before.
    """
    posts = decoded.posts
    own = seen.unique & ~equal(posts["kind"], "repost")[seen.row] & (seen.text_hash != 0)
    said = np.flatnonzero(own)
    hashes = seen.text_hash[said]
    once = np.zeros(len(own), np.bool_)
    once[said[number(hashes)[1]]] = True
    once[said] &= ~pl.Series(hashes).is_in(texts.implode()).to_numpy()
    event_time = posts["event_time"].to_physical().to_numpy()[seen.row]
    late = seen.unique & (seen.received_at - event_time > LATE_US)
    if late.any():
        late &= ~archived(records["headers"])[seen.record]
    return Marks(copy=own & ~once, late=late, new_text=once)


def archived(headers: pl.Series) -> Flags:
    """Which records come from an archive, where nothing is late."""
    if not (headers != "").any():
        return np.zeros(len(headers), np.bool_)
    found = headers.unique().alias("headers").to_frame()
    found = found.with_columns(
        archive=pl.col("headers").str.json_path_match("$.archive").eq_missing("true")
    )
    told: NDArray[Any] = (
        headers.alias("headers")
        .to_frame()
        .join(found, on="headers", how="left", maintain_order="left", nulls_equal=True)
        .get_column("archive")
        .to_numpy()
    )
    return told
