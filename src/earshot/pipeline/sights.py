"""Sights: one row for each time that a batch shows a post, with what was known of the post before.

A sight is a row of `Decoded.posts`: a post that is created, edited, or embedded in another one.
Who is alive at the time, and who was first, is decided here; everything behind only asks.
"""

from typing import Final

import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import State
from earshot.model.schema import COUNTERS
from earshot.pipeline.keys import author_key, key

CARRIED: Final = ("record", "role", "source", "id", "author_id", "kind", "text_hash", *COUNTERS)
ALWAYS: Final = -1
"""The record of what was so before the batch began."""
LATE: Final = pl.duration(minutes=10)


def sights(decoded: Decoded, state: State, deaths: pl.DataFrame) -> pl.DataFrame:
    """Look at every post of the batch in the order of the log.

    Args:
        decoded: As for `dedupe`.
        state: What was known before.
        deaths: `key`, `dead` of posts and authors, see `events.deaths`.

    Returns:
        CARRIED, `key`, `author_key`, `version`, `received_at`, `offset`, `event_time`; `row` within
        `decoded.posts`; `dead` (the record that deletes the post, ALWAYS: deleted before, or
        null); `known`, `stored`, `had_consumed`: before the batch; and

        * `alive`: neither the post nor its author was deleted before this sight;
        * `first`: the first sight of a post that was not known before;
        * `unique`: the create that consumes the post for the first time;
        * `often`: the post was known, or is seen alive several times.
    """
    taken = decoded.posts["record"]
    rows = decoded.posts.select(
        *CARRIED,
        "event_time",
        "version",
        "received_at",
        "offset",
        key=key(),
        author_key=author_key(),
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    if not taken.is_sorted():
        rows = rows.sort("record", maintain_order=True)
    return _judged(with_deaths(_with_state(rows, state), deaths))


def _with_state(rows: pl.DataFrame, state: State) -> pl.DataFrame:
    """Add `known`, `stored`, `had_consumed`; tombstones are no knowledge."""
    had = state.posts.filter(~pl.col("tombstone")).select(
        key=key(),
        known=pl.lit(value=True),
        stored=pl.col("event_time").is_not_null(),
        had_consumed="consumed",
    )
    names = had.columns[1:]
    if had.is_empty():
        return rows.with_columns(pl.lit(value=False).alias(c) for c in names)
    found = rows.join(had, on="key", how="left", maintain_order="left")
    return found.with_columns(pl.col(names).fill_null(value=False))


def with_deaths(rows: pl.DataFrame, deaths: pl.DataFrame) -> pl.DataFrame:
    """Add `dead`: the first record that deletes the post or its author, to `key`, `author_key`."""
    if deaths.is_empty():
        return rows.with_columns(dead=pl.lit(None, pl.Int64))
    of_author = deaths.rename({"key": "author_key", "dead": "author_dead"})
    return (
        rows.join(deaths, on="key", how="left", maintain_order="left")
        .join(of_author, on="author_key", how="left", maintain_order="left")
        .with_columns(dead=pl.min_horizontal("dead", "author_dead"))
        .drop("author_dead")
    )


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `alive`, `first`, `unique`, `often`."""
    alive = pl.col("dead").is_null() | (pl.col("record") <= pl.col("dead"))
    creates = pl.col("alive") & (pl.col("role") == "create") & ~pl.col("had_consumed")
    living = pl.when("alive").then("key")
    return rows.with_columns(alive=alive).with_columns(
        first=pl.col("alive") & ~pl.col("known") & living.is_first_distinct(),
        unique=creates & pl.when(creates).then("key").is_first_distinct(),
        often=pl.col("alive") & (pl.col("known") | living.is_duplicated()),
    )


def with_marks(rows: pl.DataFrame, records: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
    """Add what is decided when a post is consumed for the first time: `copy` and `late`.

    Args:
        rows: Sights in the order of the log.
        records: RECORD rows of the batch.
        texts: Hashes of texts that unique posts had before.
    """
    live = ~archived(records["headers"]).gather(rows["record"])
    late = (pl.col("received_at") - pl.col("event_time") > LATE) & pl.lit(live)
    own = pl.col("unique") & (pl.col("kind") != "repost") & (pl.col("text_hash") != 0)
    once = pl.when(own).then("text_hash").is_first_distinct() & ~pl.col("text_hash").is_in(
        texts.implode()
    )
    return rows.with_columns(
        copy=own & ~once,
        late=pl.col("unique") & late.fill_null(value=False),
        new_text=own & once,
    )


def archived(headers: pl.Series) -> pl.Series:
    """Which records come from an archive, where nothing is late."""
    said = headers.is_not_null() & (headers != "")
    if not said.any():
        return pl.repeat(value=False, n=len(headers), eager=True)
    found = headers.filter(said).unique().alias("headers").to_frame()
    found = found.with_columns(
        archive=pl.col("headers").str.json_path_match("$.archive").eq_missing("true")
    )
    return (
        headers.alias("headers")
        .to_frame()
        .join(found, on="headers", how="left", maintain_order="left")
        .get_column("archive")
        .fill_null(value=False)
    )
