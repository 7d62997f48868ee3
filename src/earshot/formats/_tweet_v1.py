"""Tweets of X API v1.1 in columns of POST, each with the originals it embeds."""

from functools import cache
from typing import Final

import polars as pl

from earshot.formats._frames import either, flat, nested, opened, texts
from earshot.formats._json import Fields, picked
from earshot.formats._links import links
from earshot.formats._text import anchor, country, language, latitude, longitude, nonempty, unescape
from earshot.formats._times import millis, tweet_time
from earshot.model.schema import MEDIA

_S: Final = pl.String
_MEDIA_OF_V1: Final = pl.List(pl.Struct({"type": _S, "media_url_https": _S, "ext_alt_text": _S}))
_ENTITIES: Final = pl.Struct(
    {
        "hashtags": pl.List(pl.Struct({"text": _S})),
        "symbols": pl.List(pl.Struct({"text": _S})),
        "user_mentions": pl.List(pl.Struct({"screen_name": _S})),
        "urls": pl.List(pl.Struct({"url": _S, "expanded_url": _S})),
        "media": _MEDIA_OF_V1,
    }
)
_EXTENDED: Final = pl.Struct({"media": _MEDIA_OF_V1})
_POINT: Final = pl.Struct({"coordinates": pl.List(pl.Float64)})

TWEET: Final[Fields] = {
    "id": pl.String(),
    "id_str": pl.String(),
    "created_at": pl.String(),
    "timestamp_ms": pl.String(),
    "text": pl.String(),
    "full_text": pl.String(),
    "source": pl.String(),
    "lang": pl.String(),
    "in_reply_to_status_id_str": pl.String(),
    "in_reply_to_user_id_str": pl.String(),
    "in_reply_to_screen_name": pl.String(),
    "quoted_status_id_str": pl.String(),
    "user": pl.Struct(
        {
            "id_str": _S,
            "screen_name": _S,
            "name": _S,
            "description": _S,
            "location": _S,
            "followers_count": pl.Int64,
            "verified": pl.Boolean,
        }
    ),
    "coordinates": _POINT,
    "place": pl.Struct({"full_name": _S, "country_code": _S}),
    "entities": _ENTITIES,
    "extended_entities": _EXTENDED,
    "extended_tweet": pl.Struct(
        {"full_text": _S, "entities": _ENTITIES, "extended_entities": _EXTENDED}
    ),
    "possibly_sensitive": pl.Boolean(),
    "retweet_count": pl.Int64(),
    "favorite_count": pl.Int64(),
    "reply_count": pl.Int64(),
    "quote_count": pl.Int64(),
}
"""The fields of a tweet that are read."""

_QUOTED: Final = pl.Struct(TWEET)
EMBEDDED: Final[Fields] = {
    "quoted_status": _QUOTED,
    "retweeted_status": pl.Struct({**TWEET, "quoted_status": _QUOTED}),
}
"""The originals in a tweet."""

_KINDS: Final = {"photo": "image", "video": "video", "animated_gif": "gif"}


def posts(tweets: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`: the tweets themselves, then the originals in them.

    Args:
        tweets: `row`, TWEET and EMBEDDED.
    """
    if not tweets.height:
        return tweets
    whole = opened(_with_embedded(tweets), "user", "place", "coordinates", "extended_tweet")
    deeper = opened(
        whole,
        "entities",
        "extended_entities",
        "extended_tweet.entities",
        "extended_tweet.extended_entities",
    )
    full = deeper.with_columns(_WHOLE)
    return full.select("row", "role", "id", "text", *_COLUMNS, *_lists(full))


_WHOLE: Final = [
    unescape(pl.coalesce("extended_tweet.full_text", "full_text", "text")).alias("text"),
    pl.coalesce(
        "extended_tweet.extended_entities.media",
        "extended_entities.media",
        "extended_tweet.entities.media",
        "entities.media",
    ).alias("media"),
    pl.coalesce("id_str", "id").alias("id"),
]
"""What stands in one of several places, by how long a tweet is."""


def _with_embedded(tweets: pl.DataFrame) -> pl.DataFrame:
    """All tweets as equal rows: `row`, `role`, `repost_of`, `quote_of`, TWEET.

    A post that is embedded twice (a repost's quote, which X writes inside the original and beside
    it) is one row.
    """
    reposts = _inside(tweets, "retweeted_status")
    quoted = [_inside(part, "quoted_status") for part in (tweets, reposts)]
    parts = [_row(tweets, "create", _id_inside(tweets, "retweeted_status"))]
    if reposts.height:
        parts.append(_row(reposts, "embedded"))
    if any(part.height for part in quoted):
        whole = pl.concat([part["row", *TWEET] for part in quoted if part.height])
        once = whole.unique(["row", "id_str", "id"], keep="first", maintain_order=True)
        parts.append(_row(once, "embedded"))
    return pl.concat([_with_text(part) for part in parts])


def _with_text(tweets: pl.DataFrame) -> pl.DataFrame:
    """Those with a text: nearly always all, and then nothing is copied."""
    if not tweets["text"].null_count():
        return tweets
    sound = tweets.select(pl.coalesce("text", "full_text").is_not_null()).to_series()
    return picked(tweets, sound)


_ID: Final = pl.coalesce("id_str", "id")


def _inside(tweets: pl.DataFrame, column: str) -> pl.DataFrame:
    """`row` and the fields of the originals that a column holds."""
    some = tweets["row", column]
    if some[column].null_count() == some.height:
        some = some.clear()
    elif some[column].null_count():
        some = picked(some, some[column].is_not_null())
    inner = some[column].struct.unnest().insert_column(0, some["row"])
    return picked(inner, inner.select(_ID.is_not_null()).to_series())


def _id_inside(tweets: pl.DataFrame, column: str) -> pl.Series:
    """The id of the original that a column holds, else null."""
    if tweets[column].null_count() == tweets.height:
        return _NO_TEXT.new_from_index(0, tweets.height)
    held = tweets[column].struct.unnest()
    return either(held["id_str"], held["id"])


def _row(tweets: pl.DataFrame, role: str, repost_of: pl.Series | None = None) -> pl.DataFrame:
    """`row`, TWEET, `role`, `repost_of`, `quote_of`; a repost quotes nothing itself."""
    nothing = _NO_TEXT.new_from_index(0, tweets.height)
    quotes = "quoted_status" in tweets.columns
    inside = _id_inside(tweets, "quoted_status") if quotes else nothing
    known = [tweets["quoted_status_id_str"], nothing if repost_of is None else repost_of, inside]
    names = ("quoted", "repost_of", "inside")
    ids = pl.DataFrame([s.alias(n) for n, s in zip(names, known, strict=True)])
    told = ids.select(_QUOTING).hstack([_one(role).new_from_index(0, tweets.height)])
    return tweets["row", *TWEET].hstack(told)


_QUOTING: Final = [
    pl.col("repost_of"),
    pl.when(pl.col("repost_of").is_null()).then(pl.coalesce("quoted", "inside")).alias("quote_of"),
]


@cache
def _one(role: str) -> pl.Series:
    """A role, as a column of one row."""
    return pl.Series("role", [role])


_NO_TEXT: Final = pl.Series("nothing", [None], pl.String)


def _plain() -> list[pl.Expr]:
    """What takes no list: kind, times, replies, place, counters and the like."""
    reply = pl.col("in_reply_to_status_id_str")
    repost = pl.col("repost_of").is_not_null()
    first = pl.when(reply.is_null() & ~repost).then("id")
    point = pl.col("coordinates.coordinates")
    place = nonempty(pl.col("place.full_name"))
    counters = {
        "likes": "favorite_count",
        "reposts": "retweet_count",
        "replies": "reply_count",
        "quotes": "quote_count",
    }
    return [
        pl.when(repost)
        .then(pl.lit("repost"))
        .when(reply.is_not_null())
        .then(pl.lit("reply"))
        .when(pl.col("quote_of").is_not_null())
        .then(pl.lit("quote"))
        .otherwise(pl.lit("post"))
        .alias("kind"),
        pl.coalesce(millis(pl.col("timestamp_ms")), tweet_time(pl.col("created_at"))).alias(
            "created_at"
        ),
        language(pl.col("lang")).alias("lang"),
        reply.alias("reply_to"),
        pl.col("in_reply_to_user_id_str").alias("reply_to_author"),
        pl.col("in_reply_to_screen_name").alias("reply_to_handle"),
        pl.col("quote_of"),
        pl.col("repost_of"),
        first.alias("root"),
        first.alias("conversation"),
        pl.concat_str(
            pl.lit("https://x.com/"),
            pl.col("user.screen_name").fill_null("i"),
            pl.lit("/status/"),
            "id",
        ).alias("permalink"),
        place.alias("place"),
        country(pl.col("place.country_code")).alias("country"),
        latitude(point.list.get(1, null_on_oob=True)).alias("latitude"),
        longitude(point.list.get(0, null_on_oob=True)).alias("longitude"),
        pl.when(point.is_not_null() | place.is_not_null()).then(pl.lit("post")).alias("place_from"),
        *(pl.when(~repost).then(v1).alias(name) for name, v1 in counters.items()),
        pl.lit("public").alias("visibility"),
        pl.col("possibly_sensitive").alias("sensitive"),
        anchor(pl.col("source")).alias("client"),
    ]


def _author() -> list[pl.Expr]:
    """Who wrote it, as they were then."""
    names = {
        "author_id": "id_str",
        "author_handle": "screen_name",
        "author_name": "name",
        "author_followers": "followers_count",
        "author_verified": "verified",
    }
    return [
        *(pl.col(f"user.{v1}").alias(name) for name, v1 in names.items()),
        unescape(pl.col("user.description")).alias("author_bio"),
        nonempty(pl.col("user.location")).alias("author_location"),
    ]


_COLUMNS: Final = [*_plain(), *_author()]
"""Made once: to make them takes longer than to ask them of a small batch."""


def _lists(tweets: pl.DataFrame) -> list[pl.Series]:
    """hashtags, cashtags, mentions, links, media."""
    size = tweets.height
    urls = flat(_entities(tweets, "urls"))
    if urls["url"].null_count():
        urls = urls.filter(urls["url"].is_not_null())
    return [
        texts(_entities(tweets, "hashtags"), "text", "hashtags"),
        texts(_entities(tweets, "symbols"), "text", "cashtags"),
        texts(_entities(tweets, "user_mentions"), "screen_name", "mentions"),
        nested(urls["at"], links(urls["url"], urls["expanded_url"]), size),
        _media(tweets),
    ]


def _entities(tweets: pl.DataFrame, name: str) -> pl.Series:
    """One of the entities: those of the whole text, where the text beside them is cut off."""
    return either(tweets[f"extended_tweet.entities.{name}"], tweets[f"entities.{name}"])


def _media(tweets: pl.DataFrame) -> pl.Series:
    """Pictures, videos and GIFs, with what they show in words."""
    media = flat(tweets["media"]).select(_MEDIUM)
    return nested(media["at"], media["media"], tweets.height)


_MEDIUM: Final = [
    pl.col("at"),
    pl.struct(
        kind=pl.col("type").replace_strict(_KINDS, default="other"),
        url="media_url_https",
        alt=nonempty(pl.col("ext_alt_text")),
    )
    .cast(MEDIA)
    .alias("media"),
]
