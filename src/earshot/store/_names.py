"""Profiles, the names of posts that came without any, and rows whose words must be made again."""
# ruff: noqa: S608 - SQL is put together from names of our own only

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY
from earshot.model.document import document
from earshot.model.schema import AUTHOR, STORED, TIME
from earshot.model.tags import HANDLE, fold_handle, tag, tags, with_rules
from earshot.model.tokens import tokenize
from earshot.store._find import Filters, author_numbers, spots_of_author
from earshot.store._keys import I64
from earshot.store._rows import AT_SPOTS, frame, insert, merged, numbers, read_spots

NAMED = pl.Schema([*KEY.items(), ("handle", pl.String()), ("name", pl.String())])
_FIELDS = [c for c in AUTHOR if c not in {*KEY, "seen_at"}]
_MERGED = merged(_FIELDS, newer="coalesce(excluded.seen_at >= seen_at, 1)")
_LATEST = "max(coalesce(seen_at, excluded.seen_at), coalesce(excluded.seen_at, seen_at))"


def put_authors(db: apsw.Connection, authors: pl.DataFrame) -> None:
    """Merge profiles: the newest known value of each field wins."""
    if authors.height == 0:
        return
    table = authors.select(AUTHOR.names()).with_columns(
        pl.col(TIME).to_physical(), pl.col("verified").cast(pl.Int64)
    )
    db.executemany(
        f"""INSERT INTO authors VALUES ({", ".join("?" * len(AUTHOR))})
        ON CONFLICT DO UPDATE SET {_MERGED}, seen_at = {_LATEST}""",
        table.rows(),
    )


def author(db: apsw.Connection, source: str, author_id: str) -> pl.DataFrame:
    """AUTHOR: one row or none."""
    columns = ", ".join(AUTHOR)
    statement = f"SELECT {columns} FROM authors WHERE source = ? AND id = ?"
    return frame(rows(db, statement, (source, author_id)), AUTHOR)


def names_of(db: apsw.Connection, filters: Filters | None, authors: pl.DataFrame) -> pl.DataFrame:
    """NAMED rows of those of these authors (KEY) whose profile has either."""
    if filters is not None:
        authors = authors.filter(pl.Series(filters.authors.may(author_numbers(authors))))
    return _names(db, authors)


def named(
    db: apsw.Connection, filters: Filters, posts: pl.DataFrame, authors: pl.DataFrame
) -> pl.DataFrame:
    """Posts without handle or name get those of their author's profile, where it is known."""
    missing = posts["author_handle"].is_null() | posts["author_name"].is_null()
    if not missing.any():
        return posts
    asked = posts.select("source", id="author_id").filter(missing, pl.col("id").is_not_null())
    _note_nameless(db, asked["source"].unique().to_list())
    maybe = asked.filter(pl.Series(filters.authors.may(author_numbers(asked)), dtype=pl.Boolean))
    if authors.height:
        maybe = pl.concat([maybe, asked.join(authors, on=KEY.names(), how="semi")])
    names = _names(db, maybe.unique())
    if names.height == 0:
        return posts
    names = names.with_columns(
        tag=names["handle"].map_elements(_handle_tag, return_dtype=pl.String)
    )
    return (
        posts.join(
            names.rename({"id": "author_id"}),
            on=["source", "author_id"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            tags=pl.when(pl.col("author_handle").is_null())
            .then(pl.concat_str("tags", "tag", separator=" ", ignore_nulls=True))
            .otherwise("tags"),
            author_handle=pl.coalesce("author_handle", "handle"),
            author_name=pl.coalesce("author_name", "name"),
        )
        .drop("handle", "name", "tag")
    )


def _handle_tag(handle: str) -> str:
    return tag(HANDLE, fold_handle(handle))


def _note_nameless(db: apsw.Connection, sources: list[str]) -> None:
    """Only the posts of these sources are ever looked through for missing names."""
    db.executemany(
        "INSERT OR IGNORE INTO own VALUES ('nameless:' || ?, 1)", ((s,) for s in sources)
    )


def _names(db: apsw.Connection, keys: pl.DataFrame) -> pl.DataFrame:
    """NAMED rows of those authors whose profile has either."""
    found = []
    for key in keys.select(KEY.names()).rows():
        found += rows(
            db, "SELECT source, id, handle, name FROM authors WHERE source = ? AND id = ?", key
        )
    known = frame(found, NAMED)
    return known.filter(pl.col("handle").is_not_null() | pl.col("name").is_not_null())


def spots_to_name(db: apsw.Connection, authors: pl.DataFrame) -> list[tuple[int, str, str]]:
    """Stored posts without a name whose author has one now: spot, handle, name."""
    if authors.height == 0:
        return []
    sources = [k[9:] for (k,) in rows(db, "SELECT key FROM own WHERE key GLOB 'nameless:*'")]
    asked = authors.filter(pl.col("source").is_in(sources)).select(KEY.names()).unique()
    return [
        (spot, handle, name)
        for source, author_id, handle, name in _names(db, asked).rows()
        for spot in spots_of_author(db, source, author_id, unnamed=True)
    ]


def name_stored(db: apsw.Connection, found: list[tuple[int, str, str]]) -> pl.DataFrame:
    """Fill in the names that `spots_to_name` found; returns the KEYs of the posts."""
    if not found:
        return pl.DataFrame(schema=KEY)
    before = db.total_changes()
    db.executemany(
        """UPDATE posts SET author_handle = coalesce(author_handle, ?),
            author_name = coalesce(author_name, ?)
        WHERE spot = ? AND (author_handle IS NULL AND ?1 IS NOT NULL
            OR author_name IS NULL AND ?2 IS NOT NULL)""",
        ((handle, name, spot) for spot, handle, name in found),
    )
    if db.total_changes() == before:
        return pl.DataFrame(schema=KEY)
    return reindex(db, np.array([spot for spot, *_ in found], np.int64))


def scrub(db: apsw.Connection, at: I64) -> pl.DataFrame:
    """Take the place out of stored posts; returns their KEYs."""
    if len(at) == 0:
        return pl.DataFrame(schema=KEY)
    columns = ("place", "country", "latitude", "longitude", "place_from")
    blank = ", ".join(f"{c} = NULL" for c in columns)
    db.execute(f"UPDATE posts SET {blank} WHERE {AT_SPOTS}", (numbers(at),))
    return reindex(db, at)


def reindex(db: apsw.Connection, at: I64) -> pl.DataFrame:
    """Make the full-text rows of posts anew from what is stored of them; returns their KEYs."""
    posts = read_spots(db, at)
    of_each = posts.select(post=pl.int_range(pl.len(), dtype=pl.UInt32), rule="rules")
    hits = of_each.explode("rule", empty_as_null=False, keep_nulls=False)
    table = posts.select("spot").with_columns(
        words=tokenize(document(posts), index=True).index,
        tags=with_rules(tags(posts.select(STORED.names())), hits["post"], hits["rule"]),
    )
    db.executemany("DELETE FROM fts WHERE rowid = ?", ((s,) for s in posts["spot"].to_list()))
    insert(db, "INSERT", "fts", table.rename({"spot": "rowid"}))
    return posts.select(KEY.names())
