"""Identity: which posts are new, which win, and what everything else in a batch does to them.

The meaning is that of working off the records one after the other in the order of the log
(`tests/pipeline/reference.py` does just that); here it is done for the whole batch in columns, so
that it does not matter where batches are cut.
"""

from dataclasses import dataclass

import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import DIRTY, KEY, PROMOTED, REMEMBERED, State
from earshot.model.schema import COUNTERS, empty
from earshot.pipeline import counters, events, interactions, versions
from earshot.pipeline.keys import key, wanted
from earshot.pipeline.sights import sights, with_marks

__all__ = ["Deduped", "dedupe", "wanted"]


@dataclass(frozen=True, slots=True)
class Deduped:
    """What a batch comes to, before anybody has looked at what the posts say."""

    posts: pl.DataFrame
    """STORED, further columns of `Decoded.posts`, `key`, and

    * `row`: where it is in `Decoded.posts`;
    * `unique`: its record consumes the post for the first time, so it gets marks;
    * `kept`: it is what its post looks like after the batch;
    * `stored`: its post is stored already;
    * `altered`: it has other counters than were decoded, or lost its place.

    Every row is `unique` or `kept` or both."""
    classes: pl.Series
    """`class` of each record, one of FLOW_CLASSES."""
    embedded: pl.DataFrame
    """`record`, `name`: embedded_new or embedded_seen, for each embedded post."""
    texts: pl.Series
    """UInt64: hashes of texts that unique posts had for the first time."""
    tombstones: pl.DataFrame
    """TOMBSTONE."""
    promoted: pl.DataFrame
    """PROMOTED."""
    remembered: pl.DataFrame
    """REMEMBERED: posts that are not stored, and were consumed now."""
    flags: pl.DataFrame
    """FLAG."""
    scrubbed: pl.DataFrame
    """KEY."""
    authors: pl.DataFrame
    """AUTHOR."""
    observations: pl.DataFrame
    """OBSERVATION with `key`."""
    stale: pl.DataFrame
    """DIRTY: minutes whose growth changes because of an older observation."""
    interactions: pl.DataFrame
    """INTERACTION with `object_key`."""
    touched: pl.DataFrame
    """DIRTY: minutes in which stored posts counted that are changed, moved or deleted now."""


def dedupe(decoded: Decoded, records: pl.DataFrame, state: State) -> Deduped:
    """Find what a batch changes: the same wherever batches are cut, every record in one class.

    Args:
        decoded: Its `posts` also have `text_hash` (UInt64), and `version`, `received_at`, `offset`
            of all.
        records: RECORD rows of the batch, in the order of the log.
        state: What the store knows of what is `wanted`.
    """
    said = events.placed(decoded, records)
    dead = events.deaths(said, state)
    rows = with_marks(sights(decoded, state, dead), records, state.texts)
    acts = interactions.acts(decoded, rows, state, dead)
    seen = counters.counted(rows, acts.deltas, records, state)
    hidden = events.hiding(said, rows, state)
    scrubs = events.scrubs(said, state)
    dying = events.dying(state, dead)
    posts, promoted = _contents(rows, state)
    stored = _stored(decoded, posts, state)
    stored = events.without_place(_with_hidden(_with_counters(stored, seen.newest), hidden), scrubs)
    gone = pl.concat([posts.filter("kept").select("key"), dying.select("key")])
    flags = events.flags(hidden, state, gone)
    scrubbed = _scrubbed(said, state, scrubs, gone)
    kept = promoted.filter(pl.col("event_time").is_not_null())
    return Deduped(
        posts=stored,
        classes=_classes(decoded, rows),
        embedded=_embedded(rows),
        texts=rows["text_hash"].filter(rows["new_text"]).alias("texts"),
        tombstones=events.tombstones(said, rows, dying, state),
        promoted=kept.select(PROMOTED.names()),
        remembered=promoted.filter(pl.col("event_time").is_null()).select(REMEMBERED.names()),
        flags=flags.drop("key"),
        scrubbed=scrubbed.select(KEY.names()),
        authors=events.authors(said, dead),
        observations=seen.observations,
        stale=seen.stale,
        interactions=acts.kept,
        touched=_touched(state, gone, flags, scrubbed, promoted),
    )


def _contents(rows: pl.DataFrame, state: State) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The sights to go on with (`kept`, `unique`), and STATE rows, consumed now, that stay."""
    single = pl.col("alive") & pl.col("dead").is_null() & ~pl.col("often")
    won = versions.winners(rows, state)
    kept = single if won.is_empty() else single | pl.col("row").is_in(won["row"].implode())
    posts = rows.with_columns(kept=kept).filter(pl.col("kept") | pl.col("unique"))
    stays = won.filter(pl.col("row") < 0)
    if stays.is_empty():
        return posts, state.posts[:0]
    stays = stays.join(rows.filter("unique").select("key", "copy", "late"), on="key")
    promoted = (
        state.posts.drop("copy", "late")
        .with_columns(key=key(), consumed=pl.lit(value=True))
        .join(stays, on="key", maintain_order="left")
    )
    return posts, promoted


def _stored(decoded: Decoded, posts: pl.DataFrame, state: State) -> pl.DataFrame:
    """`Deduped.posts` of these sights, before counters and events."""
    marks = _marks(posts, state)
    decoded_posts = decoded.posts
    if posts.height < decoded_posts.height or not posts["row"].is_sorted():
        decoded_posts = decoded_posts[posts["row"]]
    return decoded_posts.with_columns(
        *posts[["key", "row", "unique", "kept", "stored"]],
        *marks,
        hidden=pl.lit(value=False),
        altered=pl.lit(value=False),
    )


def _marks(posts: pl.DataFrame, state: State) -> pl.DataFrame:
    """`consumed`, `copy`, `late` of each row: as its post was consumed, now or before."""
    if posts["unique"].all():
        return posts.select("copy", "late", consumed="unique")
    names = ("consumed", "copy", "late")
    now = posts.filter("unique").select("key", "copy", "late", consumed="unique")
    had = state.posts.filter(~pl.col("tombstone") & pl.col("consumed")).select(*names, key=key())
    marks = pl.concat([now.select(had.columns), had]).unique("key", keep="first")
    found = posts.select("key").join(marks, on="key", how="left", maintain_order="left")
    return found.select(pl.col(names).fill_null(value=False))


def _with_counters(stored: pl.DataFrame, newest: pl.DataFrame) -> pl.DataFrame:
    """Give each row the newest counters of its post."""
    said = pl.any_horizontal(pl.col(COUNTERS).is_not_null())
    stored = stored.with_columns(counters_at=pl.when(said).then("received_at"))
    if newest.is_empty():
        return stored
    found = stored[["key"]].join(newest, on="key", how="left", maintain_order="left")
    names = (*COUNTERS, "counters_at")
    told = [pl.coalesce(pl.lit(found[c]), c).alias(c) for c in names if found[c].count()]
    return stored.with_columns(*told, altered=found["counters_at"].is_not_null())


def _with_hidden(stored: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Hide the rows of posts that were hidden, before or now."""
    if hidden.is_empty():
        return stored
    now = hidden.rename({"hidden": "now"})
    return (
        stored.join(now, on="key", how="left", maintain_order="left")
        .with_columns(hidden=pl.col("now").fill_null(value=False))
        .drop("now")
    )


def _classes(decoded: Decoded, rows: pl.DataFrame) -> pl.Series:
    """A create is `unique` or `duplicate`; everything else is what it was decoded as."""
    outcome = decoded.outcome
    unique = pl.col("record").is_in(rows["record"].filter(rows["unique"]).implode())
    create = pl.when(unique).then(pl.lit("unique")).otherwise(pl.lit("duplicate"))
    named = pl.when(pl.col("class") == "create").then(create).otherwise("class")
    return outcome.select(named.alias("class")).to_series()


def _embedded(rows: pl.DataFrame) -> pl.DataFrame:
    new = pl.when("first").then(pl.lit("embedded_new")).otherwise(pl.lit("embedded_seen"))
    return rows.filter(pl.col("role") == "embedded").select("record", name=new)


def _scrubbed(
    said: pl.DataFrame, state: State, scrubs: events.Scrubs, gone: pl.DataFrame
) -> pl.DataFrame:
    """STATE rows with `key` of stored posts that lose their place in this batch."""
    if not said["kind"].eq("geo_scrub").any():
        return state.posts[:0].with_columns(key=key())
    had = state.posts.filter(~pl.col("tombstone") & pl.col("event_time").is_not_null())
    had = had.with_columns(key=key())
    return had.filter(events.is_scrubbed(had, scrubs)).join(gone, on="key", how="anti")


def _touched(
    state: State,
    gone: pl.DataFrame,
    flags: pl.DataFrame,
    scrubbed: pl.DataFrame,
    promoted: pl.DataFrame,
) -> pl.DataFrame:
    """Minutes of stored posts that counted in a window before the batch, or do so from now on."""
    if state.posts.is_empty():
        return empty(DIRTY)
    changed = pl.concat([gone, *(f.select("key") for f in (flags, scrubbed) if f.height)])
    visible = pl.col("consumed") & (~pl.col("hidden") | pl.col("key").is_in(flags["key"].implode()))
    had = state.posts.filter(~pl.col("tombstone") & pl.col("event_time").is_not_null())
    before = had.with_columns(key=key()).filter(
        visible & pl.col("key").is_in(changed["key"].implode())
    )
    now = promoted.filter(pl.col("event_time").is_not_null())
    return pl.concat(
        [f.select("source", minute=pl.col("event_time").dt.truncate("1m")) for f in (before, now)]
    ).unique()
