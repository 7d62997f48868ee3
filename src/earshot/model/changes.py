"""What goes between the pipeline and the store: known state in, changes out."""

from dataclasses import dataclass, field

import polars as pl

from earshot.model.schema import (
    AUTHOR,
    COUNT,
    HIT,
    INTERACTION,
    OBSERVATION,
    QUARANTINE,
    REMEMBERED_FIELDS,
    STATE,
    STORED,
    TIME,
    TOMBSTONE,
    empty,
)

KEY = pl.Schema({"source": pl.String, "id": pl.String})
FLAG = pl.Schema([*KEY.items(), ("hidden", pl.Boolean())])
DIRTY = pl.Schema([("minute", TIME), ("source", pl.String())])
DIRTY_AT = pl.Schema([*DIRTY.items(), ("offset", pl.Int64())])
PROMOTED = pl.Schema([*KEY.items(), ("copy", pl.Boolean()), ("late", pl.Boolean())])
FAMILY = pl.Schema(
    [
        *KEY.items(),
        ("first_source", pl.String()),  # the family's first post; null: it is stored no more
        ("first_id", pl.String()),
        ("size", pl.Int64()),  # posts of the family: two at least
    ]
)
UNSETTLED = pl.Schema({"day": pl.Date, "changed": pl.Int64})
REMEMBERED = pl.Schema({c: STATE[c] for c in STATE if c in REMEMBERED_FIELDS})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a decoded batch has to ask the store before it can be deduplicated."""

    keys: pl.DataFrame
    """KEY: posts that are created, edited, deleted, hidden, or the object of an interaction; and
    "author:…" of their authors, "scrub:…" of authors of posts with a place (see `State`)."""
    authors: pl.DataFrame
    """KEY with `id` = author: all their stored posts are wanted (author-wide events)."""
    interactions: pl.DataFrame
    """KEY with `id` = interaction key. The posts that found ones have as object are wanted, too."""


@dataclass(frozen=True, slots=True)
class State:
    """What the store knows of what was `Wanted`; rows only for what is known."""

    posts: pl.DataFrame
    """STATE. Tombstones of authors are rows, too: `id` = "author:" + author id, whose posts are
    refused; "scrub:" + author id, whose posts up to post id `version` have lost their place.
    What is only remembered by its key has a null `event_time`, the rest of REMEMBERED filled."""
    interactions: pl.DataFrame
    """INTERACTION: those kept under the wanted keys."""
    texts: pl.Series
    """UInt64: text hashes, of those asked for by `Store.known_texts`, that were seen before."""

    @classmethod
    def nothing(cls) -> "State":
        """The state of an empty store."""
        return cls(empty(STATE), empty(INTERACTION), pl.Series("texts", [], pl.UInt64))


@dataclass(frozen=True, slots=True)
class Changes:
    """All that one batch changes; the store applies it whole, in one transaction, or not at all.

    Every frame holds final values (upserts, absolute), but `counts`, which are added. Applying
    the same changes to the store they were computed against, twice, is prevented by the offset
    that is committed with them.
    """

    posts: pl.DataFrame
    """STORED + `index` (String, tokens for the full-text index) + `tags` (String, pseudo-tokens)
    + `bands` (Binary, see `pipeline.near.bands`): whole rows to insert or replace by key."""
    hits: pl.DataFrame
    """HIT: all hits of the rows in `posts`; they replace what these had."""
    tombstones: pl.DataFrame
    """TOMBSTONE: posts to remove, and keys to refuse for ever. "author:…" takes the author's
    profile with it; the greater `version` of a key wins."""
    flags: pl.DataFrame
    """FLAG: stored posts to hide or show."""
    scrubbed: pl.DataFrame
    """KEY: stored posts whose place is to be removed."""
    authors: pl.DataFrame
    """AUTHOR: profiles to merge; a null leaves what is there. Fills handle and name of stored
    posts of that author where these are null."""
    observations: pl.DataFrame
    """OBSERVATION: to upsert by key, the newer `seen_at` wins; `base` stays true once it was. The
    newest of all becomes the counters of the post. A null counter leaves what is there."""
    interactions: pl.DataFrame
    """INTERACTION: rows to keep, or with `removed` to forget."""
    counts: pl.DataFrame
    """COUNT: to add."""
    quarantine: pl.DataFrame
    """QUARANTINE rows to keep."""
    dirty: pl.DataFrame
    """DIRTY: (minute of event or observation, source) whose windows are to be made again."""
    promoted: pl.DataFrame = field(default_factory=lambda: empty(PROMOTED))
    """PROMOTED: stored rows whose `consumed` becomes true, with `copy` and `late`; the rest stays:
    their create came after an edit of it that is newer."""
    replaced: pl.DataFrame = field(default_factory=lambda: empty(KEY))
    """KEY: those of `posts` that stand in for a row stored before."""
    remembered: pl.DataFrame = field(default_factory=lambda: empty(REMEMBERED))
    """REMEMBERED: keys of posts that are not kept (keep = matched), to upsert for 24 hours."""
    texts: pl.Series = field(default_factory=lambda: pl.Series("texts", [], pl.UInt64))
    """UInt64: text hashes of the unique posts of the batch, which `Store.known_texts` finds from
    now on; the only ones it finds."""

    @classmethod
    def none(cls) -> "Changes":
        """No change at all."""
        return cls(
            posts=empty(
                STORED,
                ("index", pl.String()),
                ("tags", pl.String()),
                ("bands", pl.Binary()),
            ),
            hits=empty(HIT),
            tombstones=empty(TOMBSTONE),
            flags=empty(FLAG),
            scrubbed=empty(KEY),
            authors=empty(AUTHOR),
            observations=empty(OBSERVATION),
            interactions=empty(INTERACTION),
            counts=empty(COUNT),
            quarantine=empty(QUARANTINE),
            dirty=empty(DIRTY),
        )
