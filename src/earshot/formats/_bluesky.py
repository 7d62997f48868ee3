"""Records of app.bsky.feed.post in columns of POST."""

from typing import Final

import polars as pl

from earshot.formats._frames import flat, nested
from earshot.formats._json import Fields
from earshot.formats._links import links
from earshot.formats._text import language
from earshot.formats._tid import rev
from earshot.formats._times import iso
from earshot.model.schema import MEDIA

_S: Final = pl.String
_BLOB: Final = pl.Struct({"ref": pl.Struct({"$link": _S}), "mimeType": _S})
_EXTERNAL: Final = pl.Struct({"uri": _S, "title": _S})
_IMAGES: Final = pl.List(pl.Struct({"alt": _S, "image": _BLOB}))
_REF: Final = pl.Struct({"uri": _S})

RECORD: Final[Fields] = {
    "text": pl.String(),
    "createdAt": pl.String(),
    "langs": pl.List(_S),
    "tags": pl.List(_S),
    "facets": pl.List(
        pl.Struct({"features": pl.List(pl.Struct({"tag": _S, "did": _S, "uri": _S}))})
    ),
    "reply": pl.Struct({"root": _REF, "parent": _REF}),
    "embed": pl.Struct(
        {
            "external": _EXTERNAL,
            "images": _IMAGES,
            "video": _BLOB,
            "alt": _S,
            "record": pl.Struct({"uri": _S, "record": _REF}),  # the latter: recordWithMedia
            "media": pl.Struct(
                {"external": _EXTERNAL, "images": _IMAGES, "video": _BLOB, "alt": _S}
            ),
        }
    ),
    "labels": pl.Struct({"values": pl.List(pl.Struct({"val": _S}))}),
}
"""The fields of a post that are read."""

_SENSITIVE: Final = ["porn", "sexual", "nudity", "graphic-media", "gore", "nsfl", "!warn"]
_AUTHORITY: Final = r"^at://(did:[^/]+)/"


def posts(commits: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`.

    Args:
        commits: `row`, `class` (create | updates), `did`, `rkey`, `rev`, `at` (when the event was
            seen) and `post`: RECORD.
    """
    if not commits.height:
        return commits
    found = commits.hstack(commits["post"].struct.unnest())
    embed, reply = pl.col("embed").struct, pl.col("reply").struct
    uri = pl.concat_str(pl.lit("at://"), "did", pl.lit("/app.bsky.feed.post/"), "rkey")
    parent, root = reply["parent"].struct["uri"], reply["root"].struct["uri"]
    quoted = pl.coalesce(
        embed["record"].struct["uri"], embed["record"].struct["record"].struct["uri"]
    )
    quote = pl.when(quoted.str.contains("/app.bsky.feed.post/", literal=True)).then(quoted)
    features = _features(found)
    return found.select(
        "row",
        "text",
        *_lists(found, features),
        role=pl.when(pl.col("class") == "create")
        .then(pl.lit("create"))
        .otherwise(pl.lit("update")),
        id=uri,
        kind=pl.when(parent.is_not_null())
        .then(pl.lit("reply"))
        .when(quote.is_not_null())
        .then(pl.lit("quote"))
        .otherwise(pl.lit("post")),
        created_at=iso(found["createdAt"]),
        edited_at=pl.when(pl.col("class") == "updates").then("at"),
        version=rev(found["rev"]),
        author_id="did",
        lang=language(pl.col("langs").list.first()),
        reply_to=parent,
        reply_to_author=parent.str.extract(_AUTHORITY),
        quote_of=quote,
        root=pl.coalesce(root, parent, uri),
        conversation=pl.coalesce(root, parent, uri),
        permalink=pl.concat_str(
            pl.lit("https://bsky.app/profile/"), "did", pl.lit("/post/"), "rkey"
        ),
        visibility=pl.lit("public"),
        sensitive=_warned(),
    )


def _warned() -> pl.Expr:
    """Whether the author put a warning on it."""
    values = (
        pl.col("labels").struct["values"].list.eval(pl.element().struct["val"].is_in(_SENSITIVE))
    )
    return values.list.any().fill_null(value=False)


def _features(found: pl.DataFrame) -> pl.DataFrame:
    """`at` (position) and `tag`, `did`, `uri` of every feature of every facet."""
    facets = flat(found["facets"])
    inner = facets.filter(pl.col("features").list.len() > 0)
    return inner.explode("features").unnest("features")


def _lists(found: pl.DataFrame, features: pl.DataFrame) -> list[pl.Series]:
    """hashtags, mentions, links, media."""
    size = found.height
    tags = _both(features, found, "tag", "tags")
    people = features.filter(pl.col("did").is_not_null())
    return [
        nested(tags["at"], tags["tag"].alias("hashtags"), size),
        nested(people["at"], people["did"].alias("mentions"), size),
        _links(found, features),
        _media(found),
    ]


def _both(features: pl.DataFrame, found: pl.DataFrame, name: str, column: str) -> pl.DataFrame:
    """Tags inside the text, then those beside it, none twice."""
    inside = features.filter(pl.col(name).is_not_null()).select("at", name)
    if found[column].null_count() == found.height:
        return inside
    beside = (
        found.select(pl.col(column).alias(name))
        .with_row_index("at")
        .filter(pl.col(name).list.len() > 0)
        .explode(name)
        .drop_nulls()
    )
    both = pl.concat([inside, beside]).unique(maintain_order=True)
    return both.sort("at", maintain_order=True)


def _links(found: pl.DataFrame, features: pl.DataFrame) -> pl.Series:
    """Links of the text, then the card's, none twice."""
    inside = features.filter(pl.col("uri").is_not_null()).select("at", url="uri")
    embed = pl.col("embed").struct
    card = found.select(
        url=pl.coalesce(
            embed["external"].struct["uri"], embed["media"].struct["external"].struct["uri"]
        )
    ).with_row_index("at")
    both = pl.concat([inside, card.drop_nulls()]).unique(maintain_order=True)
    whole = both.sort("at", maintain_order=True)
    return nested(whole["at"], links(whole["url"]), found.height)


def _media(found: pl.DataFrame) -> pl.Series:
    """Images and videos, with their addresses on Bluesky's own network."""
    embed = pl.col("embed").struct
    inner = embed["media"].struct
    parts = found.select(
        "did",
        images=pl.coalesce(embed["images"], inner["images"]),
        video=pl.coalesce(embed["video"], inner["video"]),
        alt=pl.coalesce(embed["alt"], inner["alt"]),
    ).with_row_index("at")
    images = (
        parts.filter(pl.col("images").list.len() > 0)
        .explode("images")
        .select(
            "at", "did", image=pl.col("images").struct["image"], alt=pl.col("images").struct["alt"]
        )
        .select("at", media=_medium("image", "img/feed_fullsize/plain", "@jpeg", "image"))
    )
    videos = parts.filter(pl.col("video").is_not_null()).select(
        "at", media=_medium("video", "watch", "/playlist.m3u8", "video")
    )
    both = pl.concat([images, videos]).sort("at", maintain_order=True)
    return nested(both["at"], both["media"], found.height)


def _medium(kind: str, path: str, end: str, blob: str) -> pl.Expr:
    """MEDIA of a blob: its kind by its type, since GIFs are images or videos by file."""
    host = "https://cdn.bsky.app" if kind == "image" else "https://video.bsky.app"
    gif = pl.col(blob).struct["mimeType"] == "image/gif"
    return pl.struct(
        kind=pl.when(gif).then(pl.lit("gif")).otherwise(pl.lit(kind)),
        url=pl.concat_str(
            pl.lit(f"{host}/{path}/"),
            "did",
            pl.lit("/"),
            pl.col(blob).struct["ref"].struct["$link"],
            pl.lit(end),
        ),
        alt=pl.when(pl.col("alt") != "").then("alt"),
    ).cast(MEDIA)
