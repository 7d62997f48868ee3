"""Reddit's things: comments (t1) and submissions (t3), bare, in `{kind, data}`, or in listings.

What becomes what: t1 and t3 are `create`, with the fullname as id; the version is the time of the
last edit in µs. Comments seen in an inbox are comments, too; messages, `more`, subreddits, users
and all other kinds are control. A post whose author or content is gone (`[deleted]`, `[removed]`)
is a create with an empty text and, where known before, its event `hide` takes back what was seen:
the content may come back, and Reddit says nothing when it does, so it is no delete. The author's
id is the name (older payloads have no other, and names are never given twice); `[deleted]` is
nobody. A crosspost quotes its original, which is embedded. `replies` counts all comments below a
submission; comments have none.

Source: Reddit API, "type prefixes", "listings"; praw's recorded answers.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, first_of, items, judged, nested, of_class, places
from earshot.formats._json import Fields, Reader, Unwrap
from earshot.formats._links import links
from earshot.formats._text import nonempty, unescape
from earshot.formats._times import seconds
from earshot.model.schema import MEDIA

NAME: Final = "reddit"
SOURCE: Final = "reddit"
PAGE_MARKS: Final = (b'"Listing"', b'"children"')

_S: Final = pl.String()
_THING: Final[Fields] = {
    "id": _S,
    "name": _S,
    "author": _S,
    "subreddit": _S,
    "title": _S,
    "selftext": _S,
    "body": _S,
    "link_id": _S,
    "parent_id": _S,
    "context": _S,
    "permalink": _S,
    "url": _S,
    "is_self": pl.Boolean(),
    "over_18": pl.Boolean(),
    "created_utc": _S,
    "edited": _S,
    "score": pl.Int64(),
    "num_comments": pl.Int64(),
    "view_count": pl.Int64(),
    "crosspost_parent": _S,
}
_FIELDS: Final[Fields] = {
    **_THING,
    "kind": _S,
    "crosspost_parent_list": pl.List(pl.Struct(_THING)),
}
_READER: Final = Reader(_FIELDS, Unwrap("id", ("data",), outer=("kind",), begins=b'{"kind"'))
_KINDS: Final = {"t1", "t2", "t3", "t4", "t5", "t6", "more", "Listing"}
_GONE: Final = ["[deleted]", "[removed]", "[deleted by user]", "[ Removed by Reddit ]"]


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    if isinstance(item.get("data"), dict) and _cut.text(item, "kind") in _KINDS:
        return 1.0
    if _cut.text(item, "name")[:3] in {"t1_", "t3_"} and "subreddit" in item:
        return 1.0
    thing = "subreddit" in item and "created_utc" in item and "author" in item
    return 0.9 if thing and ("body" in item or "title" in item) else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: a thing a line; listings are cut, also those of replies inside them."""
    for document in _cut.documents(data):
        cut = b'"Listing"' in document or b'"children"' in document
        yield from (_things(_cut.value(document)) if cut else None) or [document]


def _things(value: Any) -> list[bytes]:  # noqa: ANN401 - whatever JSON holds
    """The things of a listing and of the listings in their `replies`; none: it is no listing."""
    found: list[bytes] = []
    waiting = [value]
    while waiting:
        some = waiting.pop()
        inside = some.get("data") if isinstance(some, dict) else None
        if not isinstance(inside, dict) or not isinstance(inside.get("children"), list):
            continue
        for child in inside["children"]:
            if not isinstance(child, dict) or not isinstance(child.get("data"), dict):
                continue
            waiting.append(child["data"].pop("replies", None))
            found.append(msgspec.json.encode(child))
    return found


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    things = _READER.read(records["raw"])
    if things["kind"].null_count():
        things = things.with_columns(_KIND)
    found = judged(things, _WHY, _CLASSES)
    posts = of_class(found, "create")
    return decoded(
        records,
        SOURCE,
        found,
        posts=_posts(posts),
        events=posts.filter(_IS_GONE).select(_HIDE),
    )


_LIKELY: Final = (
    pl.when(pl.col("body").is_not_null() & pl.col("link_id").is_not_null())
    .then(pl.lit("t1"))
    .when(pl.col("title").is_not_null() & pl.col("subreddit").is_not_null())
    .then(pl.lit("t3"))
)
"""The kind of a bare thing, as some archives keep them, by what it has."""
_KIND: Final = pl.coalesce(pl.col("kind"), pl.col("name").str.extract(r"^(t\d)_"), _LIKELY).alias(
    "kind"
)
_CLASSES: Final = first_of(
    create=pl.col("id").is_not_null()
    & pl.col("author").is_not_null()
    & (
        ((pl.col("kind") == "t1") & pl.col("body").is_not_null())
        | ((pl.col("kind") == "t3") & pl.col("title").is_not_null())
    ),
    control=pl.col("kind").is_not_null(),
)
_WHY: Final = (
    pl.when(pl.col("id").is_null())
    .then(pl.lit("no thing of Reddit: it has no kind and no id"))
    .otherwise(pl.lit("a thing of Reddit of no kind: neither a comment nor a submission"))
)
_CONTENT: Final = pl.coalesce(nonempty(pl.col("body")), nonempty(pl.col("selftext")))
_AUTHOR: Final = pl.when(pl.col("author") != "[deleted]").then("author")
_ID: Final = pl.coalesce(
    pl.when(pl.col("name").str.contains(r"^t[13]_")).then("name"),
    pl.concat_str("kind", pl.lit("_"), "id"),
)

_IS_GONE: Final = _CONTENT.is_in(_GONE)
_HIDE: Final = [
    pl.col("row"),
    pl.lit("hide").alias("kind"),
    _ID.alias("id"),
    _AUTHOR.alias("author_id"),
]


def _posts(things: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`: the things, then the originals of crossposts."""
    if not things.height:
        return things
    own = things.select("row", *_THING, "kind", role=pl.lit("create"))
    if things["crosspost_parent_list"].null_count() == things.height:
        return _columns(own)
    crossed = things.select("row", item="crosspost_parent_list").filter(
        pl.col("item").list.len() > 0
    )
    originals = (
        crossed.with_columns(pl.col("item").list.first())
        .unnest("item")
        .with_columns(kind=pl.lit("t3"))
        .filter(pl.col("id").is_not_null() & pl.col("title").is_not_null())
    )
    embedded = originals.select("row", *_THING, "kind", role=pl.lit("embedded"))
    return _columns(pl.concat([own, embedded]) if embedded.height else own)


_COMMENT: Final = pl.col("kind") == "t1"
_ROOT: Final = (
    pl.when(_COMMENT)
    .then(
        pl.coalesce(
            "link_id",
            pl.concat_str(pl.lit("t3_"), pl.col("context").str.extract(r"/comments/([a-z0-9]+)/")),
            pl.when(pl.col("parent_id").str.starts_with("t3_")).then("parent_id"),
        )
    )
    .otherwise(_ID)
)
_PATH: Final = pl.coalesce(
    "permalink",
    pl.when(_COMMENT)
    .then(
        pl.concat_str(
            pl.lit("/comments/"),
            pl.col("root").str.replace("^t3_", ""),
            pl.lit("/_/"),
            "id",
            pl.lit("/"),
        )
    )
    .otherwise(pl.concat_str(pl.lit("/comments/"), "id", pl.lit("/"))),
)
_FIRST: Final = [
    _ROOT.alias("root"),
    pl.when(pl.col("is_self").fill_null(value=False) | _COMMENT)
    .then(None)
    .otherwise(unescape(pl.col("url")))
    .alias("url"),
]
"""What others are made of: the thread, and what a link submission links to."""
_COLUMNS: Final = {
    "id": _ID,
    "kind": pl.when(_COMMENT).then(pl.lit("comment")).otherwise(pl.lit("submission")),
    "title": unescape(pl.col("title")),
    "text": pl.when(_IS_GONE.fill_null(value=False))
    .then(pl.lit(""))
    .otherwise(unescape(pl.when(_COMMENT).then("body").otherwise("selftext").fill_null(""))),
    "created_at": seconds(pl.col("created_utc")),
    "edited_at": seconds(pl.col("edited")),
    "version": seconds(pl.col("edited")).to_physical(),
    "author_id": _AUTHOR,
    "author_handle": _AUTHOR,
    "reply_to": pl.when(_COMMENT).then("parent_id"),
    "quote_of": pl.col("crosspost_parent"),
    "root": pl.col("root"),
    "conversation": pl.col("root"),
    "channel": pl.col("subreddit"),
    "permalink": pl.when(_PATH.str.starts_with("http"))
    .then(_PATH)
    .otherwise(pl.concat_str(pl.lit("https://www.reddit.com"), _PATH)),
    "replies": pl.col("num_comments"),
    "views": pl.col("view_count"),
    "score": pl.col("score"),
    "visibility": pl.repeat("public", pl.len()),
    "sensitive": pl.col("over_18"),
}
_PLAIN: Final = ["row", "role", *(made.alias(name) for name, made in _COLUMNS.items())]
"""What takes no list. Made once: to make them takes longer than to ask them of a small batch."""


def _columns(things: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST."""
    whole = things.with_columns(_FIRST)
    tags = _NO_TAGS.new_from_index(0, things.height)
    return whole.select(_PLAIN).hstack([_links(whole), _media(whole["url"]), tags])


_NO_TAGS: Final = pl.Series("hashtags", [[]], pl.List(pl.String))
_NO_MEDIA: Final = pl.Series("media", [[]], pl.List(MEDIA))
_ADDRESSES: Final = pl.concat_list(
    pl.col("url"),
    pl.coalesce("body", "selftext")
    .str.extract_all(r"https?://[^\s<>\[\]()\"'`]+[^\s<>\[\]()\"'`.,;:!?]")
    .fill_null([]),
)
_OF_THE_WEB: Final = pl.col("url").str.contains(r"^https?://")


def _links(things: pl.DataFrame) -> pl.Series:
    """What a link submission links to, and the addresses written in a text."""
    lists = things.select(_ADDRESSES).to_series()
    told = pl.DataFrame([places(lists), items(lists).alias("url")])
    urls = told.filter(_OF_THE_WEB).unique(maintain_order=True)
    return nested(urls["at"], links(urls["url"]), things.height)


_OURS: Final = pl.col("url").str.extract(r"^https?://(i|v)\.redd\.it/").alias("ours")
_MEDIUM: Final = [
    pl.col("at"),
    pl.struct(
        kind=pl.when(pl.col("ours") == "v")
        .then(pl.lit("video"))
        .when(pl.col("url").str.ends_with(".gif"))
        .then(pl.lit("gif"))
        .otherwise(pl.lit("image")),
        url="url",
        alt=pl.lit(None, pl.String),
    )
    .cast(MEDIA)
    .alias("media"),
]


def _media(urls: pl.Series) -> pl.Series:
    """Pictures and videos that Reddit itself keeps."""
    if urls.null_count() == len(urls):
        return _NO_MEDIA.new_from_index(0, len(urls))
    told = urls.to_frame("url").with_columns(_OURS).with_row_index("at").drop_nulls()
    media = told.select(_MEDIUM)
    return nested(media["at"], media["media"], len(urls))
