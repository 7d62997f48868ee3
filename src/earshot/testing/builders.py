"""Builders of posts and changes for tests; shipped, so that plug-ins can use them too."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from earshot.model.changes import Changes
from earshot.model.document import document
from earshot.model.schema import HIT, STORED, empty
from earshot.model.tags import tags, with_rules
from earshot.model.tokens import tokenize
from earshot.pipeline.near import bands

NOON = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def stored(id: str, text: str = "hello", **columns: Any) -> dict[str, Any]:  # noqa: A002, ANN401 - the fields' names and types
    """One STORED row: a consumed public post of noon, with `columns` put in."""
    row: dict[str, Any] = dict.fromkeys(STORED)
    row |= {c: [] for c in ("hashtags", "mentions", "cashtags", "links", "media")}
    row |= {
        "source": "mastodon",
        "id": id,
        "kind": "post",
        "text": text,
        "event_time": NOON,
        "created_at": NOON,
        "received_at": NOON,
        "version": 0,
        "author_id": "1",
        "author_handle": "ada",
        "author_name": "Ada",
        "visibility": "public",
        "offset": 0,
        "consumed": True,
        "hidden": False,
        "copy": False,
        "late": False,
        "text_hash": 0,
    }
    unknown = columns.keys() - row.keys()
    if unknown:
        msg = f"no such columns: {sorted(unknown)}"
        raise KeyError(msg)
    return row | columns


def posts_of(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """STORED rows as a frame."""
    return pl.DataFrame(list(rows), STORED, orient="row")


def batch(
    *rows: Mapping[str, Any],
    hits: Iterable[tuple[str, str, int, int]] = (),
    **frames: Any,  # noqa: ANN401 - frames, and series of texts
) -> Changes:
    """Changes that put these posts, as the pipeline would make them.

    Args:
        rows: What `stored` gives; index, tags and bands are made here.
        hits: (source, id, rule, rule version).
        frames: Other fields of `Changes`.
    """
    posts = posts_of(rows)
    hit = pl.DataFrame(list(hits), HIT, orient="row")
    at = posts.select("source", "id", post=pl.int_range(pl.len(), dtype=pl.UInt32))
    of = hit.join(at, on=["source", "id"])
    tokens = tokenize(document(posts), index=True)
    posts = posts.with_columns(
        index=tokens.index,
        tags=with_rules(tags(posts), of["post"], of["rule"]),
        bands=bands(tokens, (posts["kind"] == "repost").fill_null(value=False)),
    )
    none = Changes.none()
    fields = {name: getattr(none, name) for name in none.__slots__}
    return Changes(**(fields | {"posts": posts, "hits": hit} | frames))


def rows_of(schema: pl.Schema, *rows: tuple[Any, ...]) -> pl.DataFrame:
    """A frame of a few rows in `schema`."""
    return pl.DataFrame(list(rows), schema, orient="row") if rows else empty(schema)
