"""One batch of changes into the tables; the caller holds the transaction.

All look-ups come before all writes: reading the full-text index between writes to it would make it
write each time (a delete by key then costs ten times as much).
"""

from dataclasses import dataclass

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY, Changes
from earshot.model.schema import COUNTERS, QUARANTINE, TIME
from earshot.store._find import Filters, author_numbers, look_up, stored, tombs
from earshot.store._keys import SLOTS, I64, U64, hashes, ordered, spots
from earshot.store._names import name_stored, named, put_authors, scrub, spots_to_name
from earshot.store._rows import AT_SPOTS, encoded, insert, numbers
from earshot.store._schema import CONSUMED, HIDDEN


@dataclass(slots=True)
class Applied:
    """What a batch did, as the filters and the change feed need to know it."""

    posts: pl.DataFrame
    """STORED rows written, with `spot` and `replaced` (Boolean: the key was stored before)."""
    removed: pl.DataFrame
    """KEY: no longer to be shown."""
    changed: pl.DataFrame
    """KEY: to be shown otherwise than before."""
    ords: list[I64]
    """Numbers of keys that are known from now on."""
    interactions: I64
    authors: I64
    texts: U64


def apply(db: apsw.Connection, filters: Filters, changes: Changes, at: int) -> Applied:
    """Write all of `changes` but the change feed.

    Args:
        db: Inside a transaction.
        filters: Of this database, as they were before; the caller adds to them after the commit.
        changes: What to write.
        at: Now, in µs.
    """
    put_authors(db, changes.authors)
    asked = [changes.posts, changes.tombstones, changes.flags, changes.scrubbed]
    asked.append(changes.observations)
    keys = pl.concat([f.select(KEY.names()) for f in asked]).unique()
    known = stored(db, keys, filters.keys)
    posts = named(db, filters, _without_deleted(db, filters, changes), changes.authors)
    nameless = spots_to_name(db, changes.authors)

    gone = known.join(changes.tombstones, on=KEY.names(), how="semi")
    remove(db, gone["spot"].to_numpy(), belongings=True)
    posts = _put_posts(db, posts, known)
    _put_hits(db, posts, changes.hits)
    known = pl.concat([known.join(posts, on=KEY.names(), how="anti"), posts.select(known.columns)])
    known = known.join(gone, on="spot", how="anti")
    _flag(db, changes.flags, known)
    scrubbed = scrub(db, changes.scrubbed, known)
    _observe(db, changes.observations, known)
    renamed = name_stored(db, nameless)
    texts = _put_texts(db, posts)
    interactions = _put_interactions(db, filters, changes.interactions, at)
    remembered = _put_keys(db, changes, at)
    _put_ledgers(db, changes)

    hidden = changes.flags.filter(pl.col("hidden")).select(KEY.names())
    shown = changes.flags.filter(~pl.col("hidden")).select(KEY.names())
    edited = posts.filter("replaced").select(KEY.names())
    return Applied(
        posts=posts,
        removed=pl.concat([changes.tombstones.select(KEY.names()), hidden]),
        changed=pl.concat([edited, shown, scrubbed, renamed]).unique(maintain_order=True),
        ords=[ordered(posts["id"]), ordered(changes.tombstones["id"]), remembered],
        interactions=interactions,
        authors=author_numbers(changes.authors),
        texts=texts,
    )


# -- posts ---------------------------------------------------------------------------------
def _without_deleted(db: apsw.Connection, filters: Filters, changes: Changes) -> pl.DataFrame:
    """The posts of a batch but those deleted in it or before."""
    posts, keys = changes.posts, KEY.names()
    deleted = [tombs(db, posts.select(keys), filters.keys), changes.tombstones.select(keys)]
    if any(d.height for d in deleted):
        posts = posts.join(pl.concat(deleted), on=keys, how="anti", maintain_order="left")
    return posts


def _put_posts(db: apsw.Connection, posts: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Insert or replace posts with their full-text rows; adds `spot` and `replaced`."""
    keys = hashes(posts)
    if len(np.unique(keys)) < len(keys):
        posts = posts.unique(KEY.names(), keep="last")
        keys = hashes(posts)
    spot = spots(posts["event_time"], keys)
    order = np.argsort(spot, kind="stable")
    posts = posts[order].with_columns(spot=pl.Series(spot[order]))
    before = known.join(posts, on=KEY.names(), how="semi")
    remove(db, before["spot"].to_numpy(), belongings=False)
    table = encoded(posts).insert_column(0, posts["spot"])
    table = table.insert_column(1, pl.Series("ord", ordered(posts["id"])))
    posts = posts.with_columns(spot=_insert_apart(db, table))
    insert(
        db,
        "INSERT",
        "words",
        posts.select(pl.col("spot").alias("rowid"), pl.col("index").alias("words"), "tags"),
    )
    unseen = posts.filter("hidden").select("spot")
    insert(db, "INSERT OR IGNORE", "hidden", unseen)
    if before.height == 0:
        return posts.with_columns(replaced=pl.lit(value=False))
    posts = posts.join(
        before.rename({"spot": "before"}), on=KEY.names(), how="left", maintain_order="left"
    )
    moved = posts.filter(pl.col("before") != pl.col("spot")).select("spot", "before")
    db.executemany("UPDATE OR REPLACE observations SET spot = ? WHERE spot = ?", moved.rows())
    return posts.with_columns(replaced=pl.col("before").is_not_null()).drop("before")


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
    db.executemany("DELETE FROM words WHERE rowid = ?", ((s,) for s in np.sort(gone).tolist()))
    tables = ["posts", "hits", "hidden"] + (["observations"] if belongings else [])
    for table in tables:
        db.execute(f"DELETE FROM {table} WHERE {AT_SPOTS}", (numbers(gone),))  # noqa: S608 - our own


def _put_hits(db: apsw.Connection, posts: pl.DataFrame, hits: pl.DataFrame) -> None:
    if hits.height:
        at = hits.join(posts.select(*KEY.names(), "spot"), on=KEY.names())
        table = at.sort("spot", "rule").select("spot", "rule", version="rule_version")
        insert(db, "INSERT OR REPLACE", "hits", table)


def _flag(db: apsw.Connection, flags: pl.DataFrame, known: pl.DataFrame) -> None:
    at = flags.join(known, on=KEY.names())
    hide = at.filter(pl.col("hidden"))["spot"].to_numpy()
    show = at.filter(~pl.col("hidden"))["spot"].to_numpy()
    db.execute(f"UPDATE posts SET flags = flags | {HIDDEN} WHERE {AT_SPOTS}", (numbers(hide),))  # noqa: S608
    db.execute(f"UPDATE posts SET flags = flags & ~{HIDDEN} WHERE {AT_SPOTS}", (numbers(show),))  # noqa: S608
    db.execute("INSERT OR IGNORE INTO hidden SELECT value FROM carray(?)", (numbers(hide),))
    db.execute(f"DELETE FROM hidden WHERE {AT_SPOTS}", (numbers(show),))  # noqa: S608


# -- what belongs to posts -----------------------------------------------------------------
_NEWER = "excluded.seen_at >= seen_at"
_MERGED = ", ".join(
    f"{c} = CASE WHEN {_NEWER} THEN coalesce(excluded.{c}, {c}) ELSE coalesce({c}, excluded.{c}) END"
    for c in COUNTERS
)


def _observe(db: apsw.Connection, observations: pl.DataFrame, known: pl.DataFrame) -> None:
    """Keep observations of stored posts; the newest gives the post its counters.

    A first sight (`base`) stays one when its minute sees more: what it showed must not score.
    """
    if observations.height == 0:
        return
    at = observations.join(known, on=KEY.names()).with_columns(pl.col(TIME).to_physical())
    at = at.sort("spot", "seen_at").with_columns(pl.col("base").cast(pl.Int64))
    columns = ("spot", "minute", "seen_at", "base", *COUNTERS)
    db.executemany(
        f"""INSERT INTO observations VALUES ({", ".join("?" * len(columns))})
        ON CONFLICT DO UPDATE SET base = max(base, excluded.base), {_MERGED},
            seen_at = max(seen_at, excluded.seen_at)""",  # noqa: S608 - names of our own
        at.select(columns).rows(),
    )
    newest = ", ".join(f"{c} = coalesce(?, {c})" for c in COUNTERS)
    db.executemany(
        f"""UPDATE posts SET {newest}, counters_at = ?
        WHERE spot = ? AND coalesce(counters_at <= ?, 1)""",  # noqa: S608 - names of our own
        at.select(*COUNTERS, "seen_at", "spot", before="seen_at").rows(),
    )


def _put_texts(db: apsw.Connection, posts: pl.DataFrame) -> U64:
    """Remember the texts of consumed posts; returns their hashes."""
    seen = posts.filter("consumed", pl.col("text_hash") != 0)
    if seen.height == 0:
        return np.empty(0, np.uint64)
    texts: U64 = np.unique(seen["text_hash"].to_numpy())
    received = seen["received_at"].to_physical().max()
    db.execute("INSERT INTO texts VALUES (NULL, ?, ?)", (received, texts.tobytes()))
    return texts


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


def _put_keys(db: apsw.Connection, changes: Changes, at: int) -> I64:
    """Tombstones, and keys that were consumed but not kept; returns the numbers of the latter."""
    gone = changes.tombstones.with_columns(
        ord=pl.Series(ordered(changes.tombstones["id"])),
        received_at=pl.col("received_at").to_physical(),
    )
    db.executemany(
        """INSERT INTO tombstones VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET version = max(version, excluded.version)""",
        gone.select("ord", "source", "id", "version", "received_at").rows(),
    )
    remembered = getattr(changes, "remembered", changes.tombstones[:0])
    ords = ordered(remembered["id"])
    table = remembered.select(KEY.names()).with_columns(
        ord=pl.Series(ords), at=pl.lit(at, pl.Int64)
    )
    insert(db, "INSERT", "remembered", table)
    return ords


def _put_ledgers(db: apsw.Connection, changes: Changes) -> None:
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
    bad = changes.quarantine.select(QUARANTINE.names()).with_columns(pl.col(TIME).to_physical())
    insert(db, "INSERT OR REPLACE", "quarantine", bad)
    dirty = changes.dirty.select(pl.col("minute").to_physical(), "source")
    db.executemany(
        """INSERT OR IGNORE INTO dirty SELECT ?1, ?2
        WHERE NOT EXISTS (SELECT 1 FROM frozen WHERE minute = ?1 AND source = ?2)""",
        dirty.rows(),
    )
