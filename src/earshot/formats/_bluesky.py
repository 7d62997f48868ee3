"""Records of app.bsky.feed.post in columns of POST."""

from typing import Final

import polars as pl

from earshot.formats._frames import either, flat, inside, items, nested, places
from earshot.formats._json import Fields, picked
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


_URI: Final = pl.concat_str(pl.lit("at://"), "did", pl.lit("/app.bsky.feed.post/"), "rkey")
_QUOTE: Final = pl.when(pl.col("quoted").str.contains("/app.bsky.feed.post/", literal=True)).then(
    "quoted"
)
_THREAD: Final = pl.coalesce("root", "parent", _URI)
_PLAIN: Final = [
    pl.when(pl.col("class") == "create")
    .then(pl.lit("create"))
    .otherwise(pl.lit("update"))
    .alias("role"),
    _URI.alias("id"),
    pl.when(pl.col("parent").is_not_null())
    .then(pl.lit("reply"))
    .when(_QUOTE.is_not_null())
    .then(pl.lit("quote"))
    .otherwise(pl.lit("post"))
    .alias("kind"),
    pl.when(pl.col("class") == "updates").then("at").alias("edited_at"),
    language(pl.col("lang")).alias("lang"),
    pl.col("parent").str.extract(_AUTHORITY).alias("reply_to_author"),
    _QUOTE.alias("quote_of"),
    _THREAD.alias("root"),
    pl.concat_str(pl.lit("https://bsky.app/profile/"), "did", pl.lit("/post/"), "rkey").alias(
        "permalink"
    ),
    pl.repeat("public", pl.len()).alias("visibility"),
]
"""What takes no list: of `did rkey class at lang parent root quoted`."""


def posts(commits: pl.DataFrame, post: pl.Series) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`.

    Args:
        commits: `row`, `class` (create | updates), `did`, `rkey`, `rev`, `at` (when the event was
            seen).
        post: RECORD of each.
    """
    if not commits.height:
        return commits
    found = post.struct.unnest()
    embed = found["embed"].struct.unnest()
    quoted = either(inside(embed["record"], "uri"), inside(embed["record"], "record", "uri"))
    parent = inside(found["reply"], "parent", "uri")
    told = commits.select("did", "rkey", "class", "at").hstack(
        [
            found["langs"].list.first().alias("lang"),
            parent.alias("parent"),
            inside(found["reply"], "root", "uri").alias("root"),
            quoted.alias("quoted"),
        ]
    )
    plain = told.select(_PLAIN)
    return plain.hstack(
        [
            commits["row"],
            found["text"],
            commits["did"].alias("author_id"),
            iso(found["createdAt"]).alias("created_at"),
            rev(commits["rev"]).alias("version"),
            parent.alias("reply_to"),
            plain["root"].alias("conversation"),
            _warned(found["labels"]),
            *_lists(found, embed, commits["did"]),
        ]
    )


_NOT_WARNED: Final = pl.Series("sensitive", [False])
_WARNS: Final = (
    pl.col("values")
    .list.eval(pl.element().struct["val"].is_in(_SENSITIVE))
    .list.any()
    .fill_null(value=False)
    .alias("sensitive")
)


def _warned(labels: pl.Series) -> pl.Series:
    """Whether the author put a warning on it."""
    if labels.null_count() == len(labels):
        return _NOT_WARNED.new_from_index(0, len(labels))
    return labels.struct.unnest().select(_WARNS).to_series()


def _lists(found: pl.DataFrame, embed: pl.DataFrame, did: pl.Series) -> list[pl.Series]:
    """hashtags, mentions, links, media."""
    size = found.height
    features = _features(found["facets"])
    tags = _both(_some(features, "tag"), found["tags"])
    people = _some(features, "did")
    inner = embed["media"].struct.unnest()
    held = {n: either(embed[n], inner[n]) for n in ("external", "images", "video", "alt")}
    return [
        nested(tags["at"], tags["tag"].alias("hashtags"), size),
        nested(people["at"], people["did"].alias("mentions"), size),
        _links(_some(features, "uri"), inside(held["external"], "uri")),
        _media(pl.DataFrame([did, *(held[n].alias(n) for n in ("images", "video", "alt"))])),
    ]


def _features(facets: pl.Series) -> pl.DataFrame:
    """`at` (position) and `tag`, `did`, `uri` of every feature of every facet."""
    outer = flat(facets)
    inner = flat(outer["features"])
    return inner.replace_column(0, outer["at"].gather(inner["at"]))


def _some(features: pl.DataFrame, name: str) -> pl.DataFrame:
    """`at` and the features of that name."""
    some, missing = features["at", name], features[name].null_count()
    if missing == features.height:
        return some.clear()
    return picked(some, some[name].is_not_null()) if missing else some


def _both(inside: pl.DataFrame, column: pl.Series) -> pl.DataFrame:
    """Tags inside the text, then those beside it, none twice."""
    if column.null_count() == len(column):
        return inside
    beside = pl.DataFrame([places(column), items(column).alias("tag")]).drop_nulls()
    return _each_once(inside, beside)


def _each_once(*parts: pl.DataFrame) -> pl.DataFrame:
    """All of these by `at`, none twice."""
    both = pl.concat(parts).unique(maintain_order=True)
    return both.sort("at", maintain_order=True)


def _links(inside: pl.DataFrame, cards: pl.Series) -> pl.Series:
    """Links of the text, then the card's, none twice."""
    whole = inside
    if cards.null_count() < len(cards):
        card = cards.alias("uri").to_frame().with_row_index("at").drop_nulls()
        whole = _each_once(inside, card)
    elif inside.height:
        whole = _each_once(inside)
    return nested(whole["at"], links(whole["uri"]), len(cards))


def _medium(kind: str, path: str, end: str) -> list[pl.Expr]:
    """`at` and MEDIA of a `blob`: its kind by its type, since GIFs are images or videos by file."""
    host = "https://cdn.bsky.app" if kind == "image" else "https://video.bsky.app"
    blob = pl.col("blob").struct
    medium = pl.struct(
        kind=pl.when(blob["mimeType"] == "image/gif").then(pl.lit("gif")).otherwise(pl.lit(kind)),
        url=pl.concat_str(
            pl.lit(f"{host}/{path}/"), "did", pl.lit("/"), blob["ref"].struct["$link"], pl.lit(end)
        ),
        alt=pl.when(pl.col("alt") != "").then("alt"),
    )
    return [pl.col("at"), medium.cast(MEDIA).alias("media")]


_IMAGE: Final = _medium("image", "img/feed_fullsize/plain", "@jpeg")
_VIDEO: Final = _medium("video", "watch", "/playlist.m3u8")


def _media(held: pl.DataFrame) -> pl.Series:
    """Images and videos, with their addresses on Bluesky's own network.

    Args:
        held: `did`, and `images`, `video`, `alt` of what is embedded.
    """
    told = flat(held["images"])
    dids = held["did"].gather(told["at"])
    shown = [pl.DataFrame([told["at"], dids, told["image"].alias("blob"), told["alt"]])]
    parts = [one.select(_IMAGE) for one in shown if one.height]
    if held["video"].null_count() < held.height:
        some = held.with_row_index("at").filter(pl.col("video").is_not_null())
        parts.append(some.select("at", "did", "alt", blob="video").select(_VIDEO))
    if not parts:
        return _NO_MEDIA.new_from_index(0, held.height)
    both = pl.concat(parts).sort("at", maintain_order=True)
    return nested(both["at"], both["media"], held.height)


_NO_MEDIA: Final = pl.Series("media", [[]], pl.List(MEDIA))
