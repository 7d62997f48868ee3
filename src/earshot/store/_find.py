"""What the store knows of keys: filters in memory first, one look-up for those that may be known."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY, State, Wanted
from earshot.model.schema import COUNTERS, INTERACTION, STATE
from earshot.model.tags import AUTHOR, SOURCE, tag
from earshot.store._keys import I64, Known, MaybeKnown, hashes, ordered
from earshot.store._rows import frame, numbers
from earshot.store._schema import CONSUMED, HIDDEN

SPOT: Final = pl.Schema([*KEY.items(), ("spot", pl.Int64())])
DELETED_AUTHOR: Final = "author:"
"""A tombstone with this before an author's id says that the author was deleted."""
REMEMBERED_S: Final = 24 * 3600
"""How long keys that were consumed but not kept are known."""
REFILL: Final = 4
"""A filter that took so many times more than is stored is made anew."""

_STATE = ", ".join(
    ["version", "received_at", '"offset"', "event_time", "author_id", *COUNTERS, "counters_at"]
)


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
            self._fill(self.keys, db.execute(f"SELECT ord FROM {table}"))  # noqa: S608 - our own

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
    statement = f"SELECT {columns} FROM {table} WHERE ord IN (SELECT value FROM carray(?))"  # noqa: S608 - our own
    return rows(db, statement, (numbers(np.unique(asked)),))


def stored(db: apsw.Connection, keys: pl.DataFrame, known: MaybeKnown | None) -> pl.DataFrame:
    """SPOT rows of those KEYs that are stored posts."""
    found = frame(look_up(db, "posts", "source, id, spot", keys["id"], known), SPOT)
    return found.join(keys, on=KEY.names(), how="semi")


def tombs(db: apsw.Connection, keys: pl.DataFrame, known: MaybeKnown | None) -> pl.DataFrame:
    """Those KEYs that were deleted."""
    found = frame(look_up(db, "tombstones", "source, id", keys["id"], known), KEY)
    return found.join(keys, on=KEY.names(), how="semi")


def spots_of_author(
    db: apsw.Connection, source: str, author: str, *, unnamed: bool = False
) -> list[int]:
    """Where the stored posts of an author lie, hidden ones too; or those without a name only."""
    match = f'tags : "{tag(AUTHOR, author)}" AND tags : "{tag(SOURCE, source)}"'
    found = rows(
        db,
        """SELECT p.spot, p.source, p.author_id, p.author_handle IS NULL OR p.author_name IS NULL
        FROM words w JOIN posts p ON p.spot = w.rowid WHERE words MATCH ?""",
        (match,),
    )
    return [
        spot
        for spot, its_source, its_author, nameless in found
        if (its_source, its_author) == (source, author) and (nameless or not unnamed)
    ]


def state(db: apsw.Connection, wanted: Wanted, filters: Filters | None) -> State:
    """See `Store.state`."""
    keys = _with_author_tombs(wanted)
    known = filters.keys if filters else None
    columns = f"source, id, flags, {_STATE}"
    found = [_states(look_up(db, "posts", columns, keys["id"], known))]
    found = [found[0].join(keys, on=KEY.names(), how="semi")]
    for source, author in wanted.authors.select(KEY.names()).rows():
        spots = np.array(spots_of_author(db, source, author), np.int64)
        condition = f"SELECT {columns} FROM posts WHERE spot IN (SELECT value FROM carray(?))"  # noqa: S608 - our own
        found.append(
            _states(rows(db, condition, (numbers(spots),))) if len(spots) else found[0][:0]
        )
    gone = tombs(db, keys, known).with_columns(tombstone=pl.lit(value=True))
    kept = look_up(db, "remembered", "source, id", keys["id"], known)
    seen = frame(kept, KEY).unique().join(keys, on=KEY.names(), how="semi")
    seen = seen.with_columns(tombstone=pl.lit(value=False), consumed=pl.lit(value=True))
    every = pl.concat([gone, *found, seen], how="diagonal").unique(
        KEY.names(), keep="first", maintain_order=True
    )
    posts = pl.concat([pl.DataFrame(schema=STATE), every], how="diagonal").select(STATE.names())
    texts = pl.Series("texts", [], pl.UInt64)
    return State(posts, _interactions(db, wanted.interactions, filters), texts)


def _with_author_tombs(wanted: Wanted) -> pl.DataFrame:
    authors = wanted.authors.select("source", id=DELETED_AUTHOR + pl.col("id"))
    return pl.concat([wanted.keys.select(KEY.names()), authors]).unique()


def _states(found: list[tuple[Any, ...]]) -> pl.DataFrame:
    """STATE rows (all but `tombstone`, which is False) of what SQL gave."""
    read = pl.Schema(
        [
            (c, pl.Int64() if c == "flags" else STATE[c])
            for c in ("source", "id", "flags", *(n.strip(' "') for n in _STATE.split(",")))
        ]
    )
    return (
        frame(found, read)
        .with_columns(
            tombstone=pl.lit(value=False),
            consumed=pl.col("flags") // CONSUMED % 2 == 1,
            hidden=pl.col("flags") // HIDDEN % 2 == 1,
        )
        .drop("flags")
    )


def _interactions(
    db: apsw.Connection, wanted: pl.DataFrame, filters: Filters | None
) -> pl.DataFrame:
    known = filters.interactions if filters else None
    columns = "source, key, kind, actor, object, 0, at"
    found = frame(look_up(db, "interactions", columns, wanted["id"], known), INTERACTION)
    keys = wanted.select("source", key="id")
    return found.join(keys, on=["source", "key"], how="semi")
