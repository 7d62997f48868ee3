"""What events do: who dies, who is hidden, whose place goes, how authors look now."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import FLAG, KEY, State
from earshot.model.schema import AUTHOR as AUTHOR_SCHEMA
from earshot.model.schema import STATE, TOMBSTONE, empty
from earshot.pipeline.keys import AUTHOR, SCRUB, author_key, has_place, key, scrub_key
from earshot.pipeline.sights import ALWAYS

DEATH: Final = pl.Schema({"key": pl.String, "dead": pl.Int64})
HIDING: Final = ("hide", "show", "sync")


def placed(decoded: Decoded, records: pl.DataFrame) -> pl.DataFrame:
    """EVENT rows in the order of the log with `key`, `author_key`, `received_at`."""
    events = decoded.events.sort("record", maintain_order=True)
    return events.with_columns(
        records["received_at"].gather(events["record"]), key=key(), author_key=author_key()
    )


def deaths(events: pl.DataFrame, state: State) -> pl.DataFrame:
    """`key` of each deleted post and author, `dead`: the first record that says so, or ALWAYS."""
    before = state.posts.filter("tombstone").select(key=key(), dead=pl.lit(ALWAYS, pl.Int64))
    record = pl.col("record").cast(pl.Int64)
    posts = events.filter(pl.col("kind") == "delete").select("key", dead=record)
    authors = events.filter(pl.col("kind") == "author_delete").select("author_key", dead=record)
    every = pl.concat([before, posts, authors.rename({"author_key": "key"})])
    return every.drop_nulls("key").unique("key", keep="first", maintain_order=True)


def dying(state: State, dead: pl.DataFrame) -> pl.DataFrame:
    """STATE rows of living posts that this batch deletes, with `key`."""
    if state.posts.is_empty() or dead.is_empty():
        return empty(STATE, ("key", pl.String()))
    living = state.posts.filter(~pl.col("tombstone"))
    if living.is_empty():
        return empty(STATE, ("key", pl.String()))
    living = living.with_columns(key=key(), author_key=author_key())
    by_key = living.join(dead, on="key", how="semi")
    by_author = living.join(dead, left_on="author_key", right_on="key", how="semi")
    return pl.concat([by_key, by_author]).unique("key", maintain_order=True).drop("author_key")


def tombstones(
    events: pl.DataFrame, rows: pl.DataFrame, dying_posts: pl.DataFrame, state: State
) -> pl.DataFrame:
    """TOMBSTONE rows to write: of what dies here, and of what turned up after its author died.

    The version of a tombstone is the greatest that was seen of the key, so that it does not
    depend on the order of arrival.
    """
    if events.is_empty() and rows["dead"].null_count() == rows.height:
        return empty(TOMBSTONE)
    said = events.filter(pl.col("kind") == "delete").select(TOMBSTONE.names())
    of_authors = events.filter(pl.col("kind") == "author_delete").select(
        "source", "version", "received_at", id=AUTHOR + pl.col("author_id")
    )
    scrubs = events.filter((pl.col("kind") == "geo_scrub") & pl.col("id").is_null()).select(
        "source", "version", "received_at", id=SCRUB + pl.col("author_id")
    )
    seen = rows.filter(pl.col("dead").is_not_null())
    parts = [said, of_authors, scrubs, seen, dying_posts]
    every = pl.concat([p.select(TOMBSTONE.names()) for p in parts]).drop_nulls("id")
    newest = (
        every.with_columns(pl.col("version").fill_null(0))
        .sort("version", "received_at", descending=[True, False], maintain_order=True)
        .unique(KEY.names(), keep="first", maintain_order=True)
    )
    had = state.posts.filter("tombstone").select("source", "id", had=pl.col("version").fill_null(0))
    return (
        newest.join(had, on=KEY.names(), how="left", maintain_order="left")
        .filter(pl.col("had").is_null() | (pl.col("version") > pl.col("had")))
        .select(TOMBSTONE.names())
    )


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
    if events.is_empty() and state.posts.is_empty():
        return Scrubs(empty(_UPTO), empty(_KEYS))
    said = events.filter(pl.col("kind") == "geo_scrub")
    wide = said.filter(pl.col("id").is_null()).select(scrub_key=scrub_key(), upto="version")
    before = state.posts.filter(pl.col("tombstone") & pl.col("id").str.starts_with(SCRUB)).select(
        scrub_key=key(), upto="version"
    )
    if said.is_empty() and before.is_empty():
        return Scrubs(empty(_UPTO), empty(_KEYS))
    upto = pl.concat([wide, before]).group_by("scrub_key").agg(pl.col("upto").max())
    return Scrubs(upto, said.select("key").drop_nulls())


def is_scrubbed(posts: pl.DataFrame, found: Scrubs) -> pl.Series:
    """Which posts (`source`, `id`, `author_id`, `key`) must have no place."""
    number = pl.col("id").cast(pl.Int64, strict=False)
    return (
        posts.select(*KEY.names(), "author_id", "key")
        .with_columns(scrub_key=scrub_key())
        .join(found.upto, on="scrub_key", how="left", maintain_order="left")
        .select(
            (number <= pl.col("upto")).fill_null(value=False)
            | pl.col("key").is_in(found.single["key"].implode())
        )
        .to_series()
    )


def without_place(posts: pl.DataFrame, found: Scrubs) -> pl.DataFrame:
    """Take the place off posts of authors who want it gone."""
    if found.upto.is_empty() and found.single.is_empty():
        return posts
    gone = pl.lit(is_scrubbed(posts, found)) & has_place()
    fields = ("place", "country", "latitude", "longitude", "place_from")
    without = [pl.when(~gone).then(pl.col(c)).alias(c) for c in fields]
    return posts.with_columns(*without, altered=pl.col("altered") | gone)


def authors(events: pl.DataFrame, dead: pl.DataFrame) -> pl.DataFrame:
    """AUTHOR: what was said of each living author; of each field the newest that was said."""
    if events.is_empty():
        return empty(AUTHOR_SCHEMA)
    said = events.filter(
        (pl.col("kind") == "author_update") & pl.col("author_id").is_not_null()
    ).join(dead, left_on="author_key", right_on="key", how="anti", maintain_order="left")
    fields = [c for c in AUTHOR_SCHEMA if c not in ("source", "id", "seen_at")]
    return (
        said.select("source", "profile", id="author_id", seen_at="received_at")
        .unnest("profile")
        .sort("seen_at", maintain_order=True)
        .group_by("source", "id", maintain_order=True)
        .agg(pl.col(*fields).drop_nulls().last(), pl.col("seen_at").last())
        .select(AUTHOR_SCHEMA.names())
    )


def hiding(events: pl.DataFrame, rows: pl.DataFrame, state: State) -> pl.DataFrame:
    """`key`, `hidden`: how each post that something was said about ends up.

    A post is hidden or shown by what was said last after it became known: of itself, of its author
    (hide, show), of its author's repository (sync: what has a smaller version goes), or by a
    create of a greater version than all before, which shows it again.
    """
    had = state.posts.filter(~pl.col("tombstone"))
    said = events.filter(pl.col("kind").is_in(HIDING))
    if said.is_empty() and not had["hidden"].any():
        return empty(pl.Schema({"key": pl.String, "hidden": pl.Boolean}))
    told = pl.concat([said["key"], said["author_key"]]).drop_nulls().implode()
    concerned = key().is_in(told) | author_key().is_in(told)
    had = had.filter(concerned | pl.col("hidden"))
    hid = had.filter("hidden").select(key()).to_series().implode()
    seen = _history(rows.filter(concerned | pl.col("key").is_in(hid)), had)
    before = had.select(key=key(), record=pl.lit(ALWAYS, pl.Int64), hidden="hidden")
    entries = [before, _of_posts(said, seen), _of_authors(said, seen), _of_creates(seen)]
    return (
        pl.concat(entries)
        .sort("record", maintain_order=True)
        .unique("key", keep="last", maintain_order=True)
        .select("key", "hidden")
    )


_ENTRY: Final = ("key", "record", "hidden")


def _history(rows: pl.DataFrame, had: pl.DataFrame) -> pl.DataFrame:
    """All sights in the order of the log, those before the batch first.

    `most` is the greatest version of the post up to and with each.
    """
    before = had.select(
        pl.lit(ALWAYS, pl.Int64).alias("record"),
        pl.col("version").fill_null(0),
        key=key(),
        author_key=author_key(),
        role=pl.lit("known"),
    )
    now = rows.filter("alive").select(pl.col("record").cast(pl.Int64), *before.columns[1:])
    return pl.concat([before, now]).with_columns(most=pl.col("version").cum_max().over("key"))


def _of_posts(said: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    start = seen.unique("key", keep="first").select("key", since="record")
    return (
        said.filter(pl.col("id").is_not_null() & (pl.col("kind") != "sync"))
        .select(pl.col("record").cast(pl.Int64), "key", hidden=pl.col("kind") == "hide")
        .join(start, on="key", maintain_order="left")
        .filter(pl.col("since") <= pl.col("record"))
        .select(_ENTRY)
    )


def _of_authors(said: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """What was said of an author is said of each post known by then."""
    wide = said.filter(pl.col("id").is_null() | (pl.col("kind") == "sync")).select(
        "author_key", "kind", at=pl.col("record").cast(pl.Int64), upto="version"
    )
    latest = (
        seen.join(wide, on="author_key", maintain_order="left")
        .filter(pl.col("record") <= pl.col("at"))
        .unique(["key", "at"], keep="last", maintain_order=True)
    )
    earlier = (pl.col("most") < pl.col("upto")).fill_null(value=True)
    return latest.filter((pl.col("kind") != "sync") | earlier).select(
        "key", record="at", hidden=pl.col("kind") != "show"
    )


def _of_creates(seen: pl.DataFrame) -> pl.DataFrame:
    before = pl.col("most").shift().over("key")
    return seen.filter((pl.col("role") == "create") & (pl.col("version") > before)).select(
        "key", "record", hidden=pl.lit(value=False)
    )


def flags(hidden: pl.DataFrame, state: State, rewritten: pl.DataFrame) -> pl.DataFrame:
    """FLAG with `key`: stored posts that are hidden or shown now, but for rows that are rewritten.

    Args:
        hidden: What `hiding` gave.
        state: What was known before.
        rewritten: `key` of posts whose rows are written again, or deleted.
    """
    if hidden.is_empty():
        return empty(FLAG, ("key", pl.String()))
    had = state.posts.filter(~pl.col("tombstone") & pl.col("event_time").is_not_null())
    return (
        had.select(*KEY.names(), key=key(), had=pl.col("hidden"))
        .join(hidden, on="key", maintain_order="left")
        .filter(pl.col("hidden") != pl.col("had"))
        .join(rewritten, on="key", how="anti", maintain_order="left")
        .select(*FLAG.names(), "key")
    )
