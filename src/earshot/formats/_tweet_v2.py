"""Tweets of X API v2 in columns of POST, each with the tweets it refers to."""

from typing import Final

import polars as pl

from earshot.formats._frames import either, flat, inside, items, nested, opened, places, texts
from earshot.formats._json import Fields, picked
from earshot.formats._links import links
from earshot.formats._text import country, language, latitude, longitude, nonempty, unescape
from earshot.formats._times import iso
from earshot.model.schema import MEDIA

_S: Final = pl.String
_REFERENCE: Final[Fields] = {"type": pl.String(), "id": pl.String()}
_USER: Final[Fields] = {
    "id": pl.String(),
    "name": pl.String(),
    "username": pl.String(),
    "description": pl.String(),
    "location": pl.String(),
    "verified": pl.Boolean(),
    "public_metrics": pl.Struct({"followers_count": pl.Int64}),
}
_MEDIUM: Final[Fields] = {
    "media_key": pl.String(),
    "type": pl.String(),
    "url": pl.String(),
    "preview_image_url": pl.String(),
    "alt_text": pl.String(),
}
_PLACE: Final[Fields] = {"id": pl.String(), "full_name": pl.String(), "country_code": pl.String()}
_ENTITIES: Final = pl.Struct(
    {
        "hashtags": pl.List(pl.Struct({"tag": _S})),
        "cashtags": pl.List(pl.Struct({"tag": _S})),
        "mentions": pl.List(pl.Struct({"username": _S})),
        "urls": pl.List(
            pl.Struct({"url": _S, "expanded_url": _S, "unwound_url": _S, "media_key": _S})
        ),
    }
)
_TWEET: Final[Fields] = {
    "id": pl.String(),
    "text": pl.String(),
    "note_tweet": pl.Struct({"text": _S, "entities": _ENTITIES}),
    "created_at": pl.String(),
    "author_id": pl.String(),
    "author": pl.Struct(_USER),  # as twarc flattens it
    "in_reply_to_user_id": pl.String(),
    "conversation_id": pl.String(),
    "edit_history_tweet_ids": pl.List(_S),
    "lang": pl.String(),
    "source": pl.String(),
    "possibly_sensitive": pl.Boolean(),
    "public_metrics": pl.Struct(
        {
            "retweet_count": pl.Int64,
            "reply_count": pl.Int64,
            "like_count": pl.Int64,
            "quote_count": pl.Int64,
            "impression_count": pl.Int64,
        }
    ),
    "entities": _ENTITIES,
    "attachments": pl.Struct(
        {"media_keys": pl.List(_S), "media": pl.List(pl.Struct(_MEDIUM))}  # twarc: `media`
    ),
    "geo": pl.Struct(
        {
            "place_id": _S,
            "coordinates": pl.Struct({"coordinates": pl.List(pl.Float64)}),
            "full_name": _S,  # twarc
            "country_code": _S,  # twarc
        }
    ),
}
CORE: Final[Fields] = {**_TWEET, "referenced_tweets": pl.List(pl.Struct(_REFERENCE))}
"""The fields of a tweet that are read."""
FLAT: Final[Fields] = {
    **_TWEET,
    "referenced_tweets": pl.List(pl.Struct({**CORE, "type": pl.String()})),
}
"""The same, of a line that twarc flattened: what it refers to is inside."""
INCLUDES: Final = pl.Struct(
    {
        "users": pl.List(pl.Struct(_USER)),
        "tweets": pl.List(pl.Struct(CORE)),
        "media": pl.List(pl.Struct(_MEDIUM)),
        "places": pl.List(pl.Struct(_PLACE)),
    }
)
"""What comes along with a tweet."""

_KINDS: Final = {"photo": "image", "video": "video", "animated_gif": "gif"}
_ROLE: Final = (
    pl.when(pl.col("class") == "updates")
    .then(pl.lit("update"))
    .otherwise(pl.lit("create"))
    .alias("role")
)
_KEPT: Final = ("row", "role", *CORE)


def posts(found: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`: the tweets themselves, then those they refer to.

    Args:
        found: `row`, `class` (create | updates), CORE, `inside` (FLAT's references, whole) and
            `includes`.
    """
    if not found.height:
        return found
    included = found["includes"].struct.unnest()
    users = _by_row(found, included["users"])
    tweets = _edits(_with_embedded(found, included["tweets"]))
    known = tweets.with_row_index("at")
    whole = opened(
        _with_authors(known, users), "note_tweet", "public_metrics", "attachments", "geo"
    )
    placed = _with_places(
        opened(whole, "entities", "note_tweet.entities", "geo.coordinates"),
        _by_row(found, included["places"]),
    )
    media = _media(placed, _by_row(found, included["media"]))
    times = placed.hstack([iso(placed["created_at"]).alias("created")])
    return times.select("row", "role", *_COLUMNS, *_lists(placed), media)


def _by_row(found: pl.DataFrame, lists: pl.Series) -> pl.DataFrame:
    """`row` and the fields of what was included with it."""
    members = flat(lists)
    return members.replace_column(0, found["row"][members["at"]].alias("row"))


def _with_embedded(found: pl.DataFrame, lists: pl.Series) -> pl.DataFrame:
    """All tweets as equal rows: `row`, `role`, CORE; embedded those within two references."""
    own = found.with_columns(_ROLE)[_KEPT]
    brought = [m for m in (found["inside"], lists) if m.null_count() < len(m)]
    parts = [_by_row(found, members)["row", *CORE] for members in brought]
    if not any(part.height for part in parts):
        return own
    whole = pl.concat(parts)
    known = (
        whole.filter(pl.col("id").is_not_null() & pl.col("text").is_not_null())
        .unique(["row", "id"], keep="first", maintain_order=True)
        .join(own, on=["row", "id"], how="anti", maintain_order="left")
    )
    near = known.join(_references(own), on=["row", "id"], how="semi", maintain_order="left")
    far = known.join(_references(near), on=["row", "id"], how="semi", maintain_order="left")
    both = pl.concat([near, far]).unique(["row", "id"], keep="first", maintain_order=True)
    return pl.concat([own, both.with_columns(role=pl.lit("embedded")).select(_KEPT)])


def _references(tweets: pl.DataFrame) -> pl.DataFrame:
    """`row`, `at` (position), `type`, `id` of what tweets refer to."""
    members = flat(tweets["referenced_tweets"])
    return members.hstack([tweets["row"][members["at"]].alias("row")])


def _edits(tweets: pl.DataFrame) -> pl.DataFrame:
    """Add `key`, `newest`, `version` and, by the keys, `reply_to`, `quote_of`, `repost_of`."""
    ends = tweets.with_columns(_ENDS).with_row_index("at")
    refs = _references(tweets)
    version = _NO_VERSION.new_from_index(0, ends.height)
    if (ends["edits"] > 1).any():
        known = _versions(ends)
        version = version.scatter(known["at"], known["version"])
    ends = ends.hstack([version])
    if not refs.height:
        return ends.with_columns(_NO_TARGETS).drop("at")
    keys = ends["row", "id", "key"].unique(["row", "id"], keep="first")
    refs = refs.join(keys, on=["row", "id"], how="left", maintain_order="left")
    first = refs.unique(["at", "type"], keep="first")
    targets = []
    for kind, name in _TARGETS.items():
        some = picked(first, first["type"] == kind)
        ids = _NO_TEXT.new_from_index(0, ends.height)
        targets.append(ids.scatter(some["at"], either(some["key"], some["id"])).alias(name))
    return ends.hstack(targets).drop("at")


_HISTORY: Final = pl.col("edit_history_tweet_ids")
_ENDS: Final = [
    pl.coalesce(_HISTORY.list.first(), "id").alias("key"),
    pl.coalesce(_HISTORY.list.last(), "id").alias("newest"),
    _HISTORY.list.len().alias("edits"),
]
_TARGETS: Final = {"replied_to": "reply_to", "quoted": "quote_of", "retweeted": "repost_of"}
_NO_TEXT: Final = pl.Series("id", [None], pl.String)
_NO_VERSION: Final = pl.Series("version", [None], pl.Int64)
_NO_TARGETS: Final = [pl.lit(None, pl.String).alias(name) for name in _TARGETS.values()]


def _versions(ends: pl.DataFrame) -> pl.DataFrame:
    """`at` and the place in its history of each tweet that was edited."""
    return (
        ends.filter(pl.col("edits") > 1)
        .select("at", "id", _HISTORY.alias("one"))
        .explode("one")
        .with_columns(version=pl.int_range(pl.len()).over("at"))
        .filter(pl.col("one") == pl.col("id"))
        .unique("at")
        .select("at", pl.col("version").cast(pl.Int64))
    )


def _with_authors(tweets: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """Add `author.…` from the users that came along, and the handle that is answered."""
    flattened = tweets.unnest("author", separator=".")
    people = users.unique(["row", "id"], keep="first")
    joined = flattened.join(
        people.rename({"id": "author_id"}),
        on=["row", "author_id"],
        how="left",
        maintain_order="left",
    )
    followers = either(
        *(inside(joined[n], "followers_count") for n in ("author.public_metrics", _OTHER_METRICS))
    )
    return (
        joined.with_columns(_WHO)
        .drop(_USED)
        .hstack([followers.alias("author.followers"), _answered(tweets, people)])
    )


_OTHER_METRICS: Final = "public_metrics_right"
_USED: Final = [n for n in _USER if n not in {"id", "public_metrics"}]
_WHO: Final = [
    *(pl.coalesce(f"author.{n}", n).alias(f"author.{n}") for n in _USED),
    pl.coalesce("author_id", "author.id").alias("author_id"),
]


def _answered(tweets: pl.DataFrame, people: pl.DataFrame) -> pl.Series:
    """The handle of who is answered, where they came along."""
    name = "in_reply_to_user_id"
    if tweets[name].null_count() == tweets.height:
        return _NO_TEXT.new_from_index(0, tweets.height).alias("reply_to_handle")
    known = people.select("row", pl.col("id").alias(name), reply_to_handle="username")
    asked = tweets.select("row", name)
    found = asked.join(known, on=["row", name], how="left", maintain_order="left")
    return found["reply_to_handle"]


def _with_places(tweets: pl.DataFrame, along: pl.DataFrame) -> pl.DataFrame:
    """Fill `geo.full_name` and `geo.country_code` from the places that came along."""
    if not along.height:
        return tweets
    known = along.unique(["row", "id"], keep="first").rename({"id": "geo.place_id"})
    joined = tweets.join(known, on=["row", "geo.place_id"], how="left", maintain_order="left")
    return joined.with_columns(_PLACED).drop(_PLACE_NAMES)


_PLACE_NAMES: Final = ("full_name", "country_code")
_PLACED: Final = [pl.coalesce(f"geo.{n}", n).alias(f"geo.{n}") for n in _PLACE_NAMES]


def _plain() -> list[pl.Expr]:
    """What takes no list."""
    repost, reply = pl.col("repost_of").is_not_null(), pl.col("reply_to")
    point = pl.col("geo.coordinates.coordinates")
    counters = {
        "likes": "like_count",
        "reposts": "retweet_count",
        "replies": "reply_count",
        "quotes": "quote_count",
        "views": "impression_count",
    }
    kind = (
        pl.when(repost)
        .then(pl.lit("repost"))
        .when(reply.is_not_null())
        .then(pl.lit("reply"))
        .when(pl.col("quote_of").is_not_null())
        .then(pl.lit("quote"))
        .otherwise(pl.lit("post"))
    )
    address = pl.concat_str(
        pl.lit("https://x.com/"),
        pl.col("author.username").fill_null("i"),
        pl.lit("/status/"),
        "newest",
    )
    thread = pl.col("conversation_id")
    own = (thread == pl.col("id")) | (thread == pl.col("newest"))  # X names an edited one by either
    thread = pl.when(own).then("key").otherwise(thread)
    return [
        pl.col("key").alias("id"),
        kind.alias("kind"),
        unescape(pl.coalesce("note_tweet.text", "text")).alias("text"),
        pl.col("created").alias("created_at"),
        pl.when(pl.col("version") > 0).then("created").alias("edited_at"),
        pl.col("version"),
        language(pl.col("lang")).alias("lang"),
        reply,
        pl.col("in_reply_to_user_id").alias("reply_to_author"),
        pl.col("reply_to_handle"),
        pl.when(~repost).then("quote_of").alias("quote_of"),
        pl.col("repost_of"),
        pl.when(~repost).then(thread).alias("root"),
        thread.alias("conversation"),
        address.alias("permalink"),
        nonempty(pl.col("geo.full_name")).alias("place"),
        country(pl.col("geo.country_code")).alias("country"),
        latitude(point.list.get(1, null_on_oob=True)).alias("latitude"),
        longitude(point.list.get(0, null_on_oob=True)).alias("longitude"),
        pl.when(point.is_not_null() | pl.col("geo.full_name").is_not_null())
        .then(pl.lit("post"))
        .alias("place_from"),
        *(
            pl.when(~repost).then(f"public_metrics.{theirs}").alias(name)
            for name, theirs in counters.items()
        ),
        pl.lit("public").alias("visibility"),
        pl.col("possibly_sensitive").alias("sensitive"),
        nonempty(pl.col("source")).alias("client"),
    ]


def _author() -> list[pl.Expr]:
    """Who wrote it, as they were then."""
    return [
        pl.col("author_id"),
        pl.col("author.username").alias("author_handle"),
        pl.col("author.name").alias("author_name"),
        unescape(nonempty(pl.col("author.description"))).alias("author_bio"),
        nonempty(pl.col("author.location")).alias("author_location"),
        pl.col("author.followers").alias("author_followers"),
        pl.col("author.verified").alias("author_verified"),
    ]


_COLUMNS: Final = [*_plain(), *_author()]
"""Made once: to make them takes longer than to ask them of a small batch."""


def _lists(tweets: pl.DataFrame) -> list[pl.Series]:
    """hashtags, cashtags, mentions, links."""
    urls = flat(_entities(tweets, "urls"))
    if urls.height:
        urls = urls.filter(_LINK)
    target = either(urls["unwound_url"], urls["expanded_url"])
    return [
        texts(_entities(tweets, "hashtags"), "tag", "hashtags"),
        texts(_entities(tweets, "cashtags"), "tag", "cashtags"),
        texts(_entities(tweets, "mentions"), "username", "mentions"),
        nested(urls["at"], links(urls["url"], target), tweets.height),
    ]


_LINK: Final = pl.col("url").is_not_null() & pl.col("media_key").is_null()


def _entities(tweets: pl.DataFrame, name: str) -> pl.Series:
    """One of the entities: those of the whole text, where that is longer than a tweet."""
    return either(tweets[f"note_tweet.entities.{name}"], tweets[f"entities.{name}"])


def _media(tweets: pl.DataFrame, media: pl.DataFrame) -> pl.Series:
    """Pictures, videos and GIFs: of twarc's lines, and those that came along."""
    nowhere = tweets["attachments.media"].null_count() == tweets.height
    if nowhere and tweets["attachments.media_keys"].null_count() == tweets.height:
        return _NO_MEDIA.new_from_index(0, tweets.height)
    own = flat(tweets["attachments.media"]).select("at", *_MEDIUM)
    listed = tweets["attachments.media_keys"]
    keys = pl.DataFrame([places(listed), items(listed).alias("media_key")])
    along = (
        keys.with_columns(tweets["row"].gather(keys["at"]))
        .join(
            media.unique(["row", "media_key"], keep="first"),
            on=["row", "media_key"],
            maintain_order="left",
        )
        .select("at", *_MEDIUM)
    )
    whole = (
        pl.concat([own, along])
        .unique(["at", "media_key"], keep="first", maintain_order=True)
        .sort("at", maintain_order=True)
    )
    shown = whole.select(_SHOWN)
    return nested(shown["at"], shown["media"], tweets.height)


_NO_MEDIA: Final = pl.Series("media", [[]], pl.List(MEDIA))
_SHOWN: Final = [
    pl.col("at"),
    pl.struct(
        kind=pl.col("type").replace_strict(_KINDS, default="other"),
        url=pl.coalesce("url", "preview_image_url"),
        alt=nonempty(pl.col("alt_text")),
    )
    .cast(MEDIA)
    .alias("media"),
]
