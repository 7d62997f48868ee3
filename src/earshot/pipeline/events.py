"""What events do: who dies, who is hidden, whose place goes, how authors look now."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numba import njit

from earshot.formats import Decoded
from earshot.model.changes import State
from earshot.model.hashing import Array
from earshot.model.schema import AUTHOR as AUTHOR_SCHEMA
from earshot.model.schema import TOMBSTONE, empty
from earshot.pipeline.hashes import I64, begins
from earshot.pipeline.keys import (
    AUTHOR,
    NO_KEY,
    SCRUB,
    Numbers,
    has_place,
    key,
    numbered,
    scrub_key,
)
from earshot.pipeline.sights import ALWAYS, NEVER, Flags, Known, Sights, death_of, equal

HIDING: Final = ("hide", "show", "sync")
_UNKNOWN: Final = -(1 << 63)
"""The version of a post that is not known yet."""
UNSAID: Final = -1
"""Of posts of which nothing says whether they are hidden."""


def placed(decoded: Decoded, records: pl.DataFrame) -> pl.DataFrame:
    """EVENT rows in the order of the log with `received_at`."""
    events = decoded.events
    if not events["record"].is_sorted():
        events = events.sort("record", maintain_order=True)
    return events.with_columns(records["received_at"][events["record"]])


def deaths(events: pl.DataFrame, keys: Numbers, state: State) -> I64:
    """By number of posts and authors: the first record that deletes it, ALWAYS, or NEVER."""
    dead = np.full(keys.names.height, NEVER)
    for kind, whom in (("delete", keys.events), ("author_delete", keys.event_authors)):
        said = equal(events["kind"], kind) & (whom != NO_KEY)
        np.minimum.at(dead, whom[said], events["record"].to_numpy()[said])
    dead[keys.known[state.posts["tombstone"].to_numpy()]] = ALWAYS
    return dead


def dying(before: Known, dead: I64) -> I64:
    """Rows of `Known.posts` that this batch deletes."""
    return np.flatnonzero(death_of(dead, before.key, before.author) != NEVER)


def tombstones(
    events: pl.DataFrame, refused: pl.DataFrame, gone: pl.DataFrame, state: State
) -> pl.DataFrame:
    """TOMBSTONE rows to write: of what dies here, and of what turned up after its author died.

    The version of a tombstone is the greatest that was seen of the key, so that it does not
    depend on the order of arrival.

    Args:
        events: What `placed` gave.
        refused: TOMBSTONE, of sights of posts that are dead when the batch ends.
        gone: STATE rows that die here.
        state: What was known before.
    """
    told = events["kind"].is_in(["delete", "author_delete", "geo_scrub"]).any()
    if not told and refused.is_empty() and gone.is_empty():
        return empty(TOMBSTONE)
    kind, no_id = pl.col("kind"), pl.col("id").is_null()
    said = events.filter(
        kind.is_in(["delete", "author_delete"]) | ((kind == "geo_scrub") & no_id)
    ).with_columns(
        id=pl.when(kind == "delete")
        .then("id")
        .otherwise(
            pl.when(kind == "geo_scrub").then(pl.lit(SCRUB)).otherwise(pl.lit(AUTHOR))
            + pl.col("author_id")
        )
    )
    parts = [said, refused, gone]
    every = pl.concat([p[TOMBSTONE.names()] for p in parts]).drop_nulls("id")
    had = state.posts[TOMBSTONE.names()][np.flatnonzero(state.posts["tombstone"].to_numpy())]
    every = pl.concat([had, every])
    key, _ = numbered(every["source"], every["id"])
    version = every["version"].fill_null(0).to_numpy()
    order = np.lexsort((every["received_at"].to_physical().to_numpy(), -version, key))
    greatest = np.full(len(key), _UNKNOWN)
    greatest[key[: had.height]] = version[: had.height]
    first = order[begins(key[order])]
    news = np.sort(first[version[first] > greatest[key[first]]])
    return every[news].with_columns(version=version[news])


_UPTO: Final = pl.Schema({"scrub_key": pl.String, "upto": pl.Int64})
_KEYS: Final = pl.Schema({"key": pl.String})


@dataclass(frozen=True, slots=True)
class Scrubs:
    """Whose posts lose their place."""

    upto: pl.DataFrame
    """`scrub_key`, `upto`: posts of this author up to this id."""
    single: pl.DataFrame
    """`key`: these posts."""


def scrubs(events: pl.DataFrame, state: State) -> Scrubs:
    """Find the scrubs of this batch and those known from before."""
    told = state.posts["id"].str.starts_with(SCRUB)
    if not (told.any() or events["kind"].eq("geo_scrub").any()):
        return Scrubs(empty(_UPTO), empty(_KEYS))
    said = events.filter(pl.col("kind") == "geo_scrub")
    wide = said.filter(pl.col("id").is_null()).select(scrub_key=scrub_key(), upto="version")
    before = state.posts.filter(pl.col("tombstone") & told)
    before = before.select(scrub_key=key(), upto="version")
    upto = pl.concat([wide, before]).group_by("scrub_key").agg(pl.col("upto").max())
    return Scrubs(upto, said.select(key=key()).drop_nulls())


def is_scrubbed(posts: pl.DataFrame, found: Scrubs) -> pl.Series:
    """Which posts (`source`, `id`, `author_id`) must have no place."""
    number = pl.col("id").cast(pl.Int64, strict=False)
    return (
        posts.select("id", key=key(), scrub_key=scrub_key())
        .join(found.upto, on="scrub_key", how="left", maintain_order="left")
        .select(
            (number <= pl.col("upto")).fill_null(value=False)
            | pl.col("key").is_in(found.single["key"].implode())
        )
        .to_series()
    )


def losing_place(events: pl.DataFrame, before: Known, found: Scrubs, gone: Flags) -> I64:
    """Rows of `Known.posts`: those stored that lose their place in this batch."""
    if not events["kind"].eq("geo_scrub").any():
        return np.zeros(0, np.int64)
    scrubbed = is_scrubbed(before.posts, found).to_numpy()
    return np.flatnonzero(before.stored & scrubbed & ~gone[before.key])


def without_place(posts: pl.DataFrame, found: Scrubs) -> pl.DataFrame:
    """Take the place off posts of authors who want it gone."""
    if found.upto.is_empty() and found.single.is_empty():
        return posts
    gone = pl.lit(is_scrubbed(posts, found)) & has_place()
    fields = ("place", "country", "latitude", "longitude", "place_from")
    without = [pl.when(~gone).then(pl.col(c)).alias(c) for c in fields]
    return posts.with_columns(*without, altered=pl.col("altered") | gone)


def authors(events: pl.DataFrame, keys: Numbers, dead: I64) -> pl.DataFrame:
    """AUTHOR: what was said of each living author; of each field the newest that was said."""
    lives = (keys.event_authors != NO_KEY) & (dead[keys.event_authors] == NEVER)
    told = equal(events["kind"], "author_update") & lives
    if not told.any():
        return empty(AUTHOR_SCHEMA)
    fields = [c for c in AUTHOR_SCHEMA if c not in ("source", "id", "seen_at")]
    return (
        events.filter(told)
        .select("source", "profile", id="author_id", seen_at="received_at")
        .unnest("profile")
        .sort("seen_at", maintain_order=True)
        .group_by("source", "id", maintain_order=True)
        .agg(pl.col(*fields).drop_nulls().last(), pl.col("seen_at").last())
        .select(AUTHOR_SCHEMA.names())
    )


def hiding(events: pl.DataFrame, keys: Numbers, seen: Sights, before: Known) -> I64:
    """By number of a post: whether it ends up hidden (1) or not (0), or UNSAID.

    A post is hidden or shown by what was said last after it became known: of itself, of its author
    (hide, show), of its author's repository (sync: what has a smaller version goes), or by a
    create of a greater version than all before, which shows it again.
    """
    hidden = np.full(len(before.row), UNSAID)
    hidden[before.key] = before.hidden
    said = np.any([equal(events["kind"], kind) for kind in HIDING], axis=0)
    if not (said.any() or (hidden == 1).any()):
        return hidden
    alive, told = seen.alive, events.filter(said)
    of_author = (told["id"].is_null() | (told["kind"] == "sync")).to_numpy()
    _hide(
        before.key,
        before.author,
        before.posts["version"].fill_null(0).to_numpy(),
        seen.record[alive],
        seen.key[alive],
        seen.author[alive],
        seen.version[alive],
        seen.create[alive],
        told["record"].to_numpy(),
        np.where(of_author, NO_KEY, keys.events[said]),
        np.where(of_author, keys.event_authors[said], NO_KEY),
        (told["kind"] != "show").to_numpy(),
        pl.select(pl.when(told["kind"] == "sync").then(told["version"]).fill_null(NEVER))
        .to_series()
        .to_numpy(),
        hidden,
    )
    return hidden


@njit(cache=True, nogil=True)
def _hide(  # noqa: PLR0913, PLR0917 - three tables in columns
    had_key: Array, had_author: Array, had_version: Array,
    record: Array, key: Array, author: Array, version: Array, create: Array,
    at: Array, post: Array, person: Array, hides: Array, upto: Array,
    hidden: Array,
) -> None:  # fmt: skip
    """Work off sights and events in the order of the log.

    Args:
        had_key: What was known: the post …
        had_author: … its author …
        had_version: … and version.
        record: Living sights: the record …
        key: … the post …
        author: … its author …
        version: … its version …
        create: … and whether it was created.
        at: Events: the record …
        post: … the post that is meant (or NO_KEY) …
        person: … or the author …
        hides: … whether it hides …
        upto: … and only posts of a smaller version.
        hidden: By number of a post; changed.
    """
    most = np.full(len(hidden), _UNKNOWN, np.int64)  # the greatest version so far
    latest = np.full(len(hidden), -1, np.int64)  # by author: a post of theirs …
    other = np.full(len(hidden), -1, np.int64)  # … and by post: the next one
    owned = np.zeros(len(hidden), np.bool_)
    seen, events, had = len(key), len(at), len(had_key)
    i = -had  # what was known comes first
    for e in range(events + 1):
        while i < seen and (i < 0 or e == events or record[i] <= at[e]):
            k = had_key[i + had] if i < 0 else key[i]
            a = had_author[i + had] if i < 0 else author[i]
            v = had_version[i + had] if i < 0 else version[i]
            if i >= 0 and create[i] and _UNKNOWN < most[k] < v:
                hidden[k] = 0
            most[k] = max(most[k], v)
            if a >= 0 and not owned[k]:
                owned[k], other[k], latest[a] = True, latest[a], k
            i += 1
        if e == events:
            break
        k = post[e]
        if k >= 0 and most[k] != _UNKNOWN:
            hidden[k] = hides[e]
        k = latest[person[e]] if person[e] >= 0 else -1
        while k >= 0:
            if most[k] < upto[e]:
                hidden[k] = hides[e]
            k = other[k]


def flags(hidden: I64, before: Known, rewritten: Flags) -> I64:
    """Rows of `Known.posts`: those stored that are hidden or shown now.

    Args:
        hidden: What `hiding` gave.
        before: What was known.
        rewritten: By number: the rows that are written again, or deleted, which are left out.
    """
    changed = before.stored & (hidden[before.key] != before.hidden)
    return np.flatnonzero(changed & ~rewritten[before.key])
