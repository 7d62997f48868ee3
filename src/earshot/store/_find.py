"""What the store knows of keys: filters in memory first, one look-up for what passes them."""
# ruff: noqa: S608 - SQL is put together from names of our own only

from collections.abc import Iterable, Iterator
from typing import Any, Final

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY, REMEMBERED, State, Wanted
from earshot.model.schema import INTERACTION, STATE, TOMBSTONE
from earshot.model.tags import AUTHOR, tag
from earshot.store._keys import I64, LAYER, Known, MaybeKnown, hashes, ordered
from earshot.store._rows import AT_SPOTS, frame, numbers
from earshot.store._schema import FLAGS

SPOT: Final = pl.Schema([*KEY.items(), ("spot", pl.Int64())])
DELETED_AUTHOR: Final = "author:"
"""A tombstone with this before an author's id says that the author was deleted."""
NOT_POSTS: Final = "^(author|scrub):"
"""Tombstones that are notes about authors, see `model.changes.State`."""
REMEMBERED_S: Final = 24 * 3600
"""How long keys that were consumed but not kept are known."""
REFILL: Final = 4
"""A filter that holds so many times more than is stored is made anew."""

_STATE = tuple(c for c in STATE if c not in {*KEY, *FLAGS, "tombstone"})
_COLUMNS = ("source", "id", "flags", *_STATE)
_READ = ", ".join(f'"{c}"' for c in _COLUMNS)


class Filters:
    """What the one writer keeps in memory, made again from the file when it opens."""

    def __init__(self, db: apsw.Connection) -> None:
        self.keys, self.interactions, self.authors = MaybeKnown(), MaybeKnown(), MaybeKnown()
        self.texts = Known()
        self.fill_keys(db)
        self._fill(self.authors, _author_numbers(db))
        self._fill(self.interactions, db.execute("SELECT ord FROM interactions"))
        self.fill_texts(db)

    def fill_keys(self, db: apsw.Connection) -> None:
        """Make the filter of posts, tombstones and remembered keys anew."""
        self.keys = MaybeKnown()
        for table in ("posts", "tombstones", "remembered"):
            self._fill(self.keys, db.execute(f"SELECT ord FROM {table}"))

    def refresh(self, db: apsw.Connection) -> None:
        """Forget what retention removed; the filter of keys only when most of it is that."""
        self.fill_texts(db)
        ((held,),) = rows(
            db, "SELECT (SELECT count(*) FROM posts) + (SELECT count(*) FROM tombstones)"
        )
        if self.keys.added > REFILL * (held + LAYER):
            self.fill_keys(db)

    def fill_texts(self, db: apsw.Connection) -> None:
        """Make the set of text hashes anew."""
        self.texts = Known()
        for (blob,) in rows(db, "SELECT hashes FROM texts"):
            self.texts.add(np.frombuffer(blob, np.uint64))

    @staticmethod
    def _fill(known: MaybeKnown, found: Iterable[Any]) -> None:
        while chunk := [n for (n,) in _take(found, 100_000)]:
            known.add(np.array(chunk, np.int64))


def _author_numbers(db: apsw.Connection) -> Iterator[tuple[int]]:
    found = db.execute("SELECT source, id FROM authors")
    while chunk := _take(found, 100_000):
        yield from ((int(n),) for n in author_numbers(pl.DataFrame(chunk, KEY, orient="row")))


def author_numbers(keys: pl.DataFrame) -> I64:
    """The numbers under which the filter of authors knows these KEYs."""
    return hashes(keys).view(np.int64)


def _take(found: Iterable[Any], n: int) -> list[Any]:
    return [row for _, row in zip(range(n), found, strict=False)]


def look_up(
    db: apsw.Connection, table: str, columns: str, ids: pl.Series, known: MaybeKnown | None
) -> list[tuple[Any, ...]]:
    """Rows of `table` under the numbers of these ids: all that have one of the ids, and others.

    Args:
        db: Where to look.
        table: It has an index of `ord`.
        columns: What to read, as SQL.
        ids: The ids that are looked for.
        known: Tells which are new for sure; None: look for all.
    """
    asked = ordered(ids)
    if known is not None:
        asked = asked[known.may(asked)]
    if len(asked) == 0:
        return []
    statement = f"SELECT {columns} FROM {table} WHERE ord IN (SELECT value FROM carray(?))"
    return rows(db, statement, (numbers(np.unique(asked)),))


def stored(db: apsw.Connection, keys: pl.DataFrame, known: MaybeKnown | None) -> pl.DataFrame:
    """SPOT rows of those KEYs that are stored posts."""
    found = frame(look_up(db, "posts", "source, id, spot", keys["id"], known), SPOT)
    return found.join(keys, on=KEY.names(), how="semi") if found.height else found


def tombs(db: apsw.Connection, keys: pl.DataFrame, known: MaybeKnown | None) -> pl.DataFrame:
    """TOMBSTONE rows of those KEYs that were deleted."""
    columns = ", ".join(TOMBSTONE)
    found = frame(look_up(db, "tombstones", columns, keys["id"], known), TOMBSTONE)
    return found.join(keys, on=KEY.names(), how="semi") if found.height else found


def of_author(
    db: apsw.Connection, source: str, author: str, *, also: str = ""
) -> list[tuple[Any, ...]]:
    """`spot, id, author_handle, author_name` of an author's stored posts, hidden ones too.

    Args:
        db: Where to look.
        source: The author's network.
        author: Their id.
        also: A further expression of the index that the posts have to meet; "": any.
    """
    # Not the tag of the source as well: its list is so long that the rows are sooner looked at.
    match = (
        f"tags : ({tag(AUTHOR, author)} AND {also})" if also else f"tags : {tag(AUTHOR, author)}"
    )
    return rows(
        db,
        """SELECT p.spot, p.id, p.author_handle, p.author_name
        FROM fts w JOIN posts p ON p.spot = w.rowid
        WHERE fts MATCH ? AND p.source = ? AND p.author_id = ?""",
        (match, source, author),
    )


def state(db: apsw.Connection, wanted: Wanted, filters: Filters | None) -> State:
    """See `Store.state`; but for the texts."""
    known = filters.keys if filters else None
    interactions = _interactions(db, wanted.interactions, filters)
    keys = _all_keys(wanted, interactions)
    of_keys = _states(look_up(db, "posts", _READ, keys["id"], known))
    gone = tombs(db, keys, known).with_columns(tombstone=pl.lit(value=True))
    columns = ", ".join(f'"{c}"' for c in REMEMBERED)
    kept = frame(look_up(db, "remembered", columns, keys["id"], known), REMEMBERED)
    kept = kept.with_columns(tombstone=pl.lit(value=False), hidden=pl.lit(value=False))
    found = pl.concat([gone, of_keys, kept], how="diagonal")
    if found.height:
        found = found.join(keys, on=KEY.names(), how="semi", maintain_order="left")
    every = pl.concat([pl.DataFrame(schema=STATE), found, _of_authors(db, wanted)], how="diagonal")
    posts = every.unique(KEY.names(), keep="first", maintain_order=True).select(STATE.names())
    return State(posts, interactions, pl.Series("texts", [], pl.UInt64))


def _of_authors(db: apsw.Connection, wanted: Wanted) -> pl.DataFrame:
    """STATE rows of all posts of the wanted authors."""
    authors = wanted.authors.select(KEY.names()).unique().rows()
    spots = [spot for author in authors for spot, *_ in of_author(db, *author)]
    statement = f"SELECT {_READ} FROM posts WHERE {AT_SPOTS}"
    return _states(rows(db, statement, (numbers(np.array(spots, np.int64)),)) if spots else [])


def _all_keys(wanted: Wanted, interactions: pl.DataFrame) -> pl.DataFrame:
    """The wanted keys, the tombstones of the wanted authors, the objects of what was undone."""
    authors = wanted.authors.select("source", id=DELETED_AUTHOR + pl.col("id"))
    objects = interactions.select("source", id="object").drop_nulls()
    keys = wanted.keys.select(KEY.names())
    return pl.concat([keys, authors, objects]) if authors.height + objects.height else keys


def _states(found: list[tuple[Any, ...]]) -> pl.DataFrame:
    """STATE rows (all but `tombstone`, which is False) of what SQL gave."""
    read = [("flags", pl.Int64()) if c == "flags" else (c, STATE[c]) for c in _COLUMNS]
    bits = [(c, 1 << bit) for bit, c in enumerate(FLAGS) if c in STATE]
    return (
        frame(found, pl.Schema(read))
        .with_columns(pl.lit(value=False).alias("tombstone"))
        .with_columns((pl.col("flags") // bit % 2 == 1).alias(c) for c, bit in bits)
        .drop("flags")
    )


def _interactions(
    db: apsw.Connection, wanted: pl.DataFrame, filters: Filters | None
) -> pl.DataFrame:
    known = filters.interactions if filters else None
    columns = "source, key, kind, actor, object, 0, at"
    found = frame(look_up(db, "interactions", columns, wanted["id"], known), INTERACTION)
    keys = wanted.select("source", key="id")
    return found.join(keys, on=["source", "key"], how="semi") if found.height else found
