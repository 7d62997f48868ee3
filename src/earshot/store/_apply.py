"""One batch of changes into the tables; the caller holds the transaction.

All look-ups come before all writes: reading the full-text index between writes to it would make it
write each time (a delete by key then costs ten times as much).
"""
# ruff: noqa: S608 - SQL is put together from names of our own only

from dataclasses import dataclass

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY, REMEMBERED, Changes
from earshot.model.schema import COUNTERS, QUARANTINE, TIME
from earshot.store._families import put_bands
from earshot.store._find import (
    DELETED_AUTHOR,
    NOT_POSTS,
    Filters,
    author_numbers,
    look_up,
    stored,
    tombs,
)
from earshot.store._keys import I64, SLOTS, U64, Spots, hashes, ordered, spots
from earshot.store._minutes import minutes_scored
from earshot.store._names import (
    marked,
    name_stored,
    named,
    nameless_of,
    put_authors,
    reindex,
    scrub,
)
from earshot.store._rows import AT_SPOTS, encoded, insert, merged, numbers
from earshot.store._schema import CONSUMED, COPY, FLAGS, HIDDEN, LATE


@dataclass(slots=True)
class Applied:
    """What a batch did, as the filters and the change feed need to know it."""

    new: pl.Series
    """Spots of posts that were not there before, but hidden ones."""
    hits: pl.DataFrame
    """HIT with `spot`: of the posts that were written."""
    removed: pl.DataFrame
    """KEY: no longer to be shown."""
    changed: pl.DataFrame
    """KEY: to be shown otherwise than before."""
    ords: list[I64]
    """Numbers of keys that are known from now on."""
    interactions: I64
    authors: I64
    texts: U64


def apply(
    db: apsw.Connection, filters: Filters, changes: Changes, *, offset: int, at: int
) -> Applied:
    """Write all of `changes` but the change feed.

    Args:
        db: Inside a transaction.
        filters: Of this database, as they were before; the caller adds to them after the commit.
        changes: What to write.
        offset: The next record the engine will read.
        at: Now, in µs.
    """
    put_authors(db, changes.authors)
    known = _known(db, filters, changes)
    posts = named(db, filters, _without_deleted(db, filters, changes), changes.authors)
    nameless = nameless_of(db, changes.authors)

    touched = [posts, changes.tombstones, changes.flags, changes.scrubbed, changes.promoted]
    scored = minutes_scored(db, pl.concat([known.at(f).select("source", "spot") for f in touched]))
    gone = known.at(changes.tombstones)["spot"].to_numpy()
    remove(db, gone, belongings=True)
    before = known.at(posts)["spot"].to_numpy()
    posts = _put_posts(db, posts, changes.hits, known)
    known = known.without(gone).with_more(posts)
    hits = known.at(changes.hits)
    flagged = known.at(changes.flags)
    _flag(db, flagged)
    put_bands(db, posts, np.concatenate([gone, before]), flagged["spot"].to_numpy())
    scrubbed = scrub(db, known.at(changes.scrubbed)["spot"].to_numpy())
    _observe(db, known.at(changes.observations))
    renamed = name_stored(db, nameless).join(changes.tombstones, on=KEY.names(), how="anti")
    promoted = _promote(db, known.at(changes.promoted))
    _put_tombstones(db, changes.tombstones)
    _put_ledgers(db, changes, pl.concat([changes.dirty, scored]).unique(), offset)

    edited = posts.filter("replaced").select(KEY.names())
    shown = changes.flags.filter(~pl.col("hidden")).select(KEY.names())
    return Applied(
        new=posts.filter(~pl.col("replaced"), ~pl.col("hidden"))["spot"],
        hits=hits,
        removed=_no_more_shown(changes),
        changed=pl.concat([edited, shown, scrubbed, renamed, promoted]),
        ords=[
            ordered(posts["id"]),
            ordered(changes.tombstones["id"]),
            _put_remembered(db, filters, changes.remembered, at),
        ],
        interactions=_put_interactions(db, filters, changes.interactions, at),
        authors=author_numbers(changes.authors),
        texts=_put_texts(db, changes.texts, at),
    )


def _known(db: apsw.Connection, filters: Filters, changes: Changes) -> Spots:
    """Where the stored posts lie that a batch speaks of."""
    asked = [changes.posts, changes.tombstones, changes.flags, changes.scrubbed]
    asked += [changes.observations, changes.promoted]
    keys = pl.concat([f.select(KEY.names()) for f in asked if f.height] or [changes.scrubbed])
    return Spots.of(stored(db, keys, filters.keys))


def _no_more_shown(changes: Changes) -> pl.DataFrame:
    deleted = changes.tombstones.filter(~pl.col("id").str.contains(NOT_POSTS))
    hidden = changes.flags.filter(pl.col("hidden"))
    return pl.concat([deleted.select(KEY.names()), hidden.select(KEY.names())])


# -- posts ---------------------------------------------------------------------------------
def _without_deleted(db: apsw.Connection, filters: Filters, changes: Changes) -> pl.DataFrame:
    """The posts of a batch but those deleted in it or before."""
    posts, keys = changes.posts, KEY.names()
    known = tombs(db, posts, filters.keys)
    deleted = [d.select(keys) for d in (known, changes.tombstones) if d.height]
    if deleted and posts.height:
        posts = posts.join(pl.concat(deleted), on=keys, how="anti", maintain_order="left")
    return posts


def _put_posts(
    db: apsw.Connection, posts: pl.DataFrame, hits: pl.DataFrame, known: Spots
) -> pl.DataFrame:
    """Insert or replace posts with their full-text rows; adds `spot` and `replaced`."""
    keys = hashes(posts)
    if len(np.unique(keys)) < len(keys):
        posts = posts.unique(KEY.names(), keep="last")
        keys = hashes(posts)
    spot = spots(posts["event_time"], keys)
    order = np.argsort(spot, kind="stable")
    posts = posts[order].with_columns(spot=pl.Series(spot[order]))
    before = known.at(posts, name="before").select(*KEY.names(), "before")
    remove(db, before["before"].to_numpy(), belongings=False)
    table = encoded(posts).insert_column(0, posts["spot"])
    table = table.insert_column(1, pl.Series("ord", ordered(posts["id"])))
    table = table.with_columns(_rules_of(keys[order], hits))
    posts = posts.with_columns(spot=_insert_apart(db, table))
    words = pl.DataFrame(
        [posts["spot"].alias("rowid"), posts["index"].alias("words"), marked(posts, posts["tags"])]
    )
    insert(db, "INSERT", "fts", words)
    insert(db, "INSERT OR IGNORE", "hidden", posts.filter("hidden").select("spot"))
    if before.height == 0:
        return posts.with_columns(replaced=pl.lit(value=False))
    posts = posts.join(before, on=KEY.names(), how="left", maintain_order="left")
    moved = posts.filter(pl.col("before") != pl.col("spot")).select("spot", "before")
    db.executemany("UPDATE OR REPLACE observations SET spot = ? WHERE spot = ?", moved.rows())
    return posts.with_columns(replaced=pl.col("before").is_not_null()).drop("before")


def _rules_of(keys: U64, hits: pl.DataFrame) -> pl.DataFrame:
    """`rules` and `rule_versions` of the posts with these hashes, as texts; null: no hits."""
    rows = Spots(keys, np.arange(len(keys))).at(hits, name="row")
    texts = (
        rows.unique(["row", "rule"], keep="last")
        .sort("row", "rule")
        .group_by("row", maintain_order=True)
        .agg(
            rules=pl.col("rule").cast(pl.String).str.join(" "),
            rule_versions=pl.col("rule_version").cast(pl.String).str.join(" "),
        )
    )
    every = pl.DataFrame({"row": np.arange(len(keys))})
    return every.join(texts, on="row", how="left", maintain_order="left").drop("row")


def _insert_apart(db: apsw.Connection, table: pl.DataFrame) -> pl.Series:
    """Insert rows of `posts`; one whose spot is taken goes to the next of its millisecond."""
    done, left = table["spot"], table
    while left.height:
        before = db.total_changes()
        insert(db, "INSERT OR IGNORE", "posts", left)
        if db.total_changes() - before == left.height:
            break
        there = rows(
            db,
            f"SELECT spot, source, id FROM posts WHERE {AT_SPOTS}",
            (numbers(left["spot"].to_numpy()),),
        )
        own = pl.DataFrame(there, ["spot", "source", "id"], orient="row")
        left = left.join(own, on=["spot", "source", "id"], how="anti")
        bumped = pl.col("spot") // SLOTS * SLOTS + (pl.col("spot") + 1) % SLOTS
        left = left.with_columns(bumped)
        moved = left.select("source", "id", moved="spot")
        done = (
            table.select("source", "id", done)
            .join(moved, on=["source", "id"], how="left", maintain_order="left")
            .select(pl.coalesce("moved", "spot").alias("spot"))
            .to_series()
        )
    return done


def remove(db: apsw.Connection, gone: I64, *, belongings: bool) -> None:
    """Remove posts by spot; with what belongs to them, or as if to write them again."""
    if len(gone) == 0:
        return
    db.executemany("DELETE FROM fts WHERE rowid = ?", ((s,) for s in np.sort(gone).tolist()))
    tables = ["posts", "hidden"] + (["observations"] if belongings else [])
    for table in tables:
        db.execute(f"DELETE FROM {table} WHERE {AT_SPOTS}", (numbers(gone),))


def _flag(db: apsw.Connection, flags: pl.DataFrame) -> None:
    hide = flags.filter(pl.col("hidden"))["spot"].to_numpy()
    show = flags.filter(~pl.col("hidden"))["spot"].to_numpy()
    if len(hide):
        db.execute(f"UPDATE posts SET flags = flags | {HIDDEN} WHERE {AT_SPOTS}", (numbers(hide),))
        db.executemany("INSERT OR IGNORE INTO hidden VALUES (?)", ((s,) for s in hide.tolist()))
    if len(show):
        db.execute(f"UPDATE posts SET flags = flags & ~{HIDDEN} WHERE {AT_SPOTS}", (numbers(show),))
        db.execute(f"DELETE FROM hidden WHERE {AT_SPOTS}", (numbers(show),))


# -- what belongs to posts -----------------------------------------------------------------
_MERGED = merged(COUNTERS, newer="excluded.seen_at >= seen_at")


def _observe(db: apsw.Connection, observations: pl.DataFrame) -> None:
    """Keep observations of stored posts; the newest gives the post its counters.

    A first sight (`base`) stays one when its minute sees more: what it showed must not score.
    """
    if observations.height == 0:
        return
    at = observations.with_columns(pl.col(TIME).to_physical()).sort("spot", "seen_at")
    at = at.with_columns(pl.col("base").cast(pl.Int64))
    columns = ("spot", "minute", "seen_at", "base", *COUNTERS)
    db.executemany(
        f"""INSERT INTO observations VALUES ({", ".join("?" * len(columns))})
        ON CONFLICT DO UPDATE SET base = max(base, excluded.base), {_MERGED},
            seen_at = max(seen_at, excluded.seen_at)""",
        at.select(columns).rows(),
    )
    newest = ", ".join(f"{c} = coalesce(?, {c})" for c in COUNTERS)
    db.executemany(
        f"""UPDATE posts SET {newest}, counters_at = ?
        WHERE spot = ? AND coalesce(counters_at <= ?, 1)""",
        at.select(*COUNTERS, "seen_at", "spot", before="seen_at").rows(),
    )


def _promote(db: apsw.Connection, at: pl.DataFrame) -> pl.DataFrame:
    """What was known only as embedded, or by an edit, was consumed itself now."""
    if at.height == 0:
        return at.select(KEY.names())
    bits = [pl.col(c).cast(pl.Int64) * (1 << FLAGS.index(c)) for c in ("copy", "late")]
    db.executemany(
        f"UPDATE posts SET flags = flags & ~{COPY | LATE} | {CONSUMED} | ? WHERE spot = ?",
        at.select(pl.sum_horizontal(bits), "spot").rows(),
    )
    return reindex(db, at["spot"].to_numpy())


def _put_texts(db: apsw.Connection, texts: pl.Series, at: int) -> U64:
    """Remember the hashes of texts; returns them."""
    new: U64 = np.unique(texts.to_numpy())
    if len(new):
        db.execute("INSERT INTO texts VALUES (NULL, ?, ?)", (at, new.tobytes()))
    return new


def _put_interactions(
    db: apsw.Connection, filters: Filters, interactions: pl.DataFrame, at: int
) -> I64:
    if interactions.height == 0:
        return np.empty(0, np.int64)
    there = look_up(db, "interactions", "n, source, key", interactions["key"], filters.interactions)
    asked = set(interactions.select("source", "key").rows())
    db.executemany(
        "DELETE FROM interactions WHERE n = ?", ((n,) for n, *key in there if tuple(key) in asked)
    )
    kept = interactions.unique(["source", "key"], keep="last", maintain_order=True)
    kept = kept.filter(~pl.col("removed"))
    columns = ("source", "key", "kind", "actor", "object", pl.col("at").to_physical())
    table = kept.select(columns).with_columns(
        ord=pl.Series(ordered(kept["key"])), taken=pl.lit(at, pl.Int64)
    )
    insert(db, "INSERT", "interactions", table)
    return table["ord"].to_numpy()


def _put_tombstones(db: apsw.Connection, tombstones: pl.DataFrame) -> None:
    """Refuse keys for ever; the profile of a deleted author goes."""
    if tombstones.height == 0:
        return
    gone = tombstones.with_columns(
        pl.col("received_at").to_physical(), ord=pl.Series(ordered(tombstones["id"]))
    )
    db.executemany(
        """INSERT INTO tombstones VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET version = max(version, excluded.version)""",
        gone.select("ord", "source", "id", "version", "received_at").rows(),
    )
    authors = gone.filter(pl.col("id").str.starts_with(DELETED_AUTHOR))
    deleted = authors.select("source", pl.col("id").str.strip_prefix(DELETED_AUTHOR)).rows()
    for table in ("authors", "names"):
        db.executemany(f"DELETE FROM {table} WHERE source = ? AND id = ?", deleted)


def _put_remembered(
    db: apsw.Connection, filters: Filters, remembered: pl.DataFrame, at: int
) -> I64:
    """Know keys of what is not kept; returns their numbers."""
    ords = ordered(remembered["id"])
    if remembered.height == 0:
        return ords
    there = look_up(db, "remembered", "n, source, id", remembered["id"], filters.keys)
    asked = set(remembered.select(KEY.names()).rows())
    db.executemany(
        "DELETE FROM remembered WHERE n = ?", ((n,) for n, *key in there if tuple(key) in asked)
    )
    table = remembered.select(REMEMBERED.names()).with_columns(
        pl.col(TIME, pl.Boolean).cast(pl.Int64),
        pl.col("text_hash").reinterpret(signed=True),
        ord=pl.Series(ords),
        at=pl.lit(at, pl.Int64),
    )
    insert(db, "INSERT", "remembered", table)
    return ords


def _put_ledgers(db: apsw.Connection, changes: Changes, dirty: pl.DataFrame, offset: int) -> None:
    """Counts are added up; quarantined records and dirty minutes are noted."""
    counts = changes.counts.with_columns(pl.col("minute").to_physical())
    db.executemany(
        """INSERT INTO counts VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET n = n + excluded.n""",
        counts.select("minute", "source", "rule", "name", "n").rows(),
    )
    db.executemany(
        "INSERT INTO totals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        counts.group_by("source", "rule", "name", maintain_order=True).agg(pl.sum("n")).rows(),
    )
    if changes.quarantine.height == 0 == dirty.height:
        return
    bad = changes.quarantine.select(QUARANTINE.names()).with_columns(pl.col(TIME).to_physical())
    insert(db, "INSERT OR REPLACE", "quarantine", bad)
    dirty = dirty.select(pl.col("minute").to_physical(), "source", offset=pl.lit(offset))
    db.executemany(
        """INSERT OR REPLACE INTO dirty SELECT ?1, ?2, ?3
        WHERE NOT EXISTS (SELECT 1 FROM frozen WHERE minute = ?1 AND source = ?2)""",
        dirty.rows(),
    )
