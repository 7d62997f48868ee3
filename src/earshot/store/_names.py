"""Profiles, the names of posts that came without any, and rows whose words must be made again.

A post that comes without its author's handle or name gets those of the profile, where there is
one. Where there is none yet, its row stays without, for good, and its tags get a mark: what becomes
known first of its author is one row of `names`, with which such posts are read from then on, and
by which a handle finds them. So a new profile rewrites no post, however much its author wrote.
"""
# ruff: noqa: S608 - SQL is put together from names of our own only

from dataclasses import dataclass
from typing import Any, Final

import apsw
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY
from earshot.model.document import document
from earshot.model.index import All, AnyOf, Query, Tag
from earshot.model.schema import AUTHOR as PROFILE
from earshot.model.schema import STORED, TIME
from earshot.model.tags import AUTHOR, HANDLE, SOURCE, fold_handle, tag, tags, with_rules
from earshot.model.tokens import tokenize
from earshot.store._find import Filters, author_numbers, of_author
from earshot.store._keys import I64
from earshot.store._rows import AT_SPOTS, frame, insert, merged, numbers, read_spots

NO_HANDLE: Final = "f0"
"""The mark of posts that are indexed without a handle."""
NO_NAME: Final = "n0"
"""The mark of those that are indexed with a handle, but without a name."""
NAMED = pl.Schema([*KEY.items(), ("handle", pl.String()), ("name", pl.String())])
_FIELDS = [c for c in PROFILE if c not in {*KEY, "seen_at"}]
_MERGED = merged(_FIELDS, newer="coalesce(excluded.seen_at >= seen_at, 1)")
_LATEST = "max(coalesce(seen_at, excluded.seen_at), coalesce(excluded.seen_at, seen_at))"


def put_authors(db: apsw.Connection, authors: pl.DataFrame) -> None:
    """Merge profiles: the newest known value of each field wins."""
    if authors.height == 0:
        return
    table = authors.select(PROFILE.names()).with_columns(
        pl.col(TIME).to_physical(), pl.col("verified").cast(pl.Int64)
    )
    db.executemany(
        f"""INSERT INTO authors VALUES ({", ".join("?" * len(PROFILE))})
        ON CONFLICT DO UPDATE SET {_MERGED}, seen_at = {_LATEST}""",
        table.rows(),
    )


def author(db: apsw.Connection, source: str, author_id: str) -> pl.DataFrame:
    """AUTHOR: one row or none."""
    columns = ", ".join(PROFILE)
    statement = f"SELECT {columns} FROM authors WHERE source = ? AND id = ?"
    return frame(rows(db, statement, (source, author_id)), PROFILE)


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


@dataclass(frozen=True, slots=True)
class Nameless:
    """Stored posts that are to be read with a name from now on."""

    names: list[tuple[Any, ...]]
    """Rows of `names`."""
    posts: pl.DataFrame
    """KEY."""
    unmarked: I64
    """Spots of those of them that `from:` would not find."""


def nameless_of(db: apsw.Connection, authors: pl.DataFrame) -> Nameless:
    """The stored posts without a handle or a name whose author has it now, for the first time."""
    new, keys, unmarked = [], [], []
    own = [k for (k,) in rows(db, "SELECT key FROM own WHERE key GLOB 'nameless:*'")]
    sources = [k.removeprefix("nameless:") for k in own] if authors.height else []
    all_marked = not rows(db, "SELECT 1 FROM own WHERE key = 'unmarked'")
    asked = authors.filter(pl.col("source").is_in(sources)).select(KEY.names()).unique()
    for source, author_id, handle, name in _names(db, asked).rows():
        there = rows(
            db, "SELECT handle, name FROM names WHERE id = ? AND source = ?", (author_id, source)
        )
        old_handle, old_name = there[0] if there else (None, None)
        first_handle = handle is not None and old_handle is None
        first_name = name is not None and old_name is None
        if not (first_handle or first_name):
            continue
        found = [
            (spot, post, its_handle)
            for spot, post, its_handle, its_name in of_author(db, source, author_id)
            if (first_handle and its_handle is None) or (first_name and its_name is None)
        ]
        if not found:
            continue
        new.append((author_id, source, handle, name, handle and _handle_tag(handle)))
        keys += [(source, post) for _, post, _ in found]
        if not all_marked:
            with_mark = {spot for spot, *_ in of_author(db, source, author_id, also=NO_HANDLE)}
            unmarked += [s for s, _, its in found if its is None and s not in with_mark]
    return Nameless(new, frame(keys, KEY), np.array(unmarked, np.int64))


def name_stored(db: apsw.Connection, nameless: Nameless) -> pl.DataFrame:
    """Let posts be read with the names that `nameless_of` found; returns their KEYs."""
    db.executemany(
        """INSERT INTO names VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
            name = coalesce(name, excluded.name), tag = coalesce(tag, excluded.tag),
            handle = coalesce(handle, excluded.handle)""",
        nameless.names,
    )
    if len(nameless.unmarked):
        reindex(db, nameless.unmarked)
    return nameless.posts


def marked(posts: pl.DataFrame, tagged: pl.Series) -> pl.Series:
    """Tags of posts, with a mark at those whose author's handle or name is to become known."""
    mark = (
        pl.when(pl.col("author_id").is_null())
        .then(pl.lit(""))
        .when(pl.col("author_handle").is_null())
        .then(pl.lit(f" {NO_HANDLE}"))
        .when(pl.col("author_name").is_null())
        .then(pl.lit(f" {NO_NAME}"))
        .otherwise(pl.lit(""))
    )
    return posts.select(tags=tagged + mark).to_series()


def with_names(db: apsw.Connection, query: Query) -> Query:
    """The query whose tags of handles find the posts, too, that got the handle afterwards."""
    match query:
        case Tag(handle) if handle.startswith(HANDLE):
            found = rows(db, "SELECT id, source FROM names WHERE tag = ?", (handle,))
            others = (
                All((Tag(tag(AUTHOR, who)), Tag(tag(SOURCE, source)), Tag(NO_HANDLE)))
                for who, source in found
            )
            return AnyOf((query, *others))
        case All(parts):
            return All(tuple(with_names(db, p) for p in parts))
        case AnyOf(parts):
            return AnyOf(tuple(with_names(db, p) for p in parts))
        case _:
            return query


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
        tags=marked(
            posts,
            with_rules(tags(posts.select(STORED.names())), hits["post"], hits["rule"]),
        ),
    )
    db.executemany("DELETE FROM fts WHERE rowid = ?", ((s,) for s in posts["spot"].to_list()))
    insert(db, "INSERT", "fts", table.rename({"spot": "rowid"}))
    return posts.select(KEY.names())
