"""X API v2: tweets of pages, streams and twarc's flat lines, compliance lines and events.

`split` cuts a page into `{"data": tweet, "includes": …}`, each with only the users, tweets, media
and places it needs; members of a page that are no tweets become items as they are.

What becomes what: a tweet is `create`; one with an edit behind it (its id is not the first of
`edit_history_tweet_ids`) is `updates`. The first id of the history is the key, the place in it the
version. Tweets that it refers to, and those that these refer to, are embedded where they came
along. Compliance: `delete` of a tweet is `deletes`; drop, undrop, withheld, all that concerns
users, and scrub_geo are events of class control. A line `{"id", "action": "delete", "reason"}`
tells not whose id it is: it is a user's where it is too small for a tweet of its time, or its
time is written as users' are. Users, lists, counts, spaces, errors and answers without data are
control without an event. Counters of a repost mirror the original's and are left out.

Source: X API v2 OpenAPI 2.167 (Tweet, Expansions, TweetComplianceData, UserComplianceData).
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, first_of, flat, judged, nested, of_class, opened
from earshot.formats._json import Fields, Reader, picked
from earshot.formats._times import iso
from earshot.formats._tweet_v2 import CORE, FLAT, INCLUDES, posts
from earshot.formats._v2_page import items

NAME: Final = "x_v2"
SOURCE: Final = "x"

_S: Final = pl.String
_NOTICE: Final = pl.Struct(
    {
        "tweet": pl.Struct({"id": _S, "author_id": _S}),
        "user": pl.Struct({"id": _S}),
        "up_to_tweet_id": pl.String,
        "event_at": _S,
    }
)
_NOTICES: Final = {
    "delete": "delete",
    "withheld": "hide",
    "drop": "hide",
    "undrop": "show",
    "user_delete": "author_delete",
    "user_undelete": "show",
    "user_withheld": "hide",
    "user_suspend": "hide",
    "user_unsuspend": "show",
    "user_protect": "hide",
    "user_unprotect": "show",
    "scrub_geo": "geo_scrub",
    "user_scrub_geo": "geo_scrub",
}
_OTHERS: Final[Fields] = {
    "action": _S(),
    "reason": _S(),
    "redacted_at": _S(),
    "username": _S(),
    "owner_id": _S(),
    "member_count": _S(),
    "tweet_count": _S(),
    "state": _S(),
    "title": _S(),
    "errors": pl.List(pl.Struct({})),
    "meta": pl.Struct({}),
    "user_profile_modification": pl.Struct({}),
}
_NOT_TWEETS: Final = tuple(_OTHERS.keys() - {"action", "reason", "redacted_at"})
_DATA: Final = {
    **CORE,
    **dict.fromkeys(_NOTICES, _NOTICE),
    "user_profile_modification": pl.Struct({}),
}
_FIELDS: Final[Fields] = {**FLAT, **_OTHERS, "data": pl.Struct(_DATA), "includes": INCLUDES}
_READER: Final = Reader(_FIELDS)
_TWEET_READER: Final = Reader({"data": pl.Struct(CORE), "includes": INCLUDES})
_LAST_SMALL: Final = 1 << 36
_SNOWFLAKES: Final = "2010-11-05"
"""Ids of tweets have been larger than `_LAST_SMALL` since that day."""


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    if "data" in item:
        return _page(item)
    if "id" in item and item.get("action") and "created_at" in item and "reason" in item:
        return 0.9
    if {"id", "text"} <= item.keys() and "id_str" not in item:
        known = {"author_id", "public_metrics", "conversation_id", "edit_history_tweet_ids"}
        return 1.0 if known & item.keys() else 0.0
    if {"id", "username", "name"} <= item.keys() and "public_metrics" in item:
        return 0.8
    return 0.0


def _page(item: dict[str, Any]) -> float:
    """How surely an object with `data` is an answer of this API."""
    data = item["data"]
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict) or "kind" in item:
        return 0.0
    if set(first) & set(_NOTICES) and len(first) == 1:
        return 1.0
    known = {"text", "username", "tweet_count", "owner_id", "member_count"} & first.keys()
    around = {"meta", "includes", "matching_rules", "errors", "__twarc"} & item.keys()
    if "id" in first and "text" in first:
        return 1.0
    return 0.9 if known and around else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: a page, a stream's message or a flat tweet a line."""
    for document in _cut.documents(data):
        yield from items(document)


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    raw = records["raw"]
    tweets = _tweets(raw)
    others = _others(raw, tweets["row"])
    outcome, more = tweets[_TOLD], of_class(others, "create", "updates")
    if others.height:
        outcome = pl.concat([outcome, others[_TOLD]]).sort("row")
    if more.height:
        tweets = pl.concat([tweets, more.select(tweets.columns)]).sort("row")
    return decoded(records, SOURCE, outcome, posts=posts(tweets), events=_events(others))


def _tweets(raw: pl.Series) -> pl.DataFrame:
    """Tweets of pages and streams, nearly all there are, read without looking for all else."""
    rows = raw.bin.starts_with(b'{"data"').arg_true().cast(pl.UInt32)
    found = _TWEET_READER.read(raw if len(rows) == len(raw) else raw.gather(rows))
    whole = found["includes",].hstack(found["data"].struct.unnest()).with_columns(_OF_TWEET)
    whole.insert_column(0, rows.alias("row"))
    sound = whole.select(_TWEET).to_series()
    return picked(whole, sound)


def _others(raw: pl.Series, tweets: pl.Series) -> pl.DataFrame:
    """All records that are not among `tweets`, with their classes."""
    if len(tweets) == len(raw):
        return _NO_OTHERS
    known = np.zeros(len(raw), np.bool_)
    known[tweets.to_numpy()] = True
    rows = pl.Series("row", np.flatnonzero(~known).astype(np.uint32))
    found = _READER.read(raw.gather(rows))
    return judged(_one_shape(found.replace_column(0, rows)), _WHY, _CLASSES)


def _one_shape(found: pl.DataFrame) -> pl.DataFrame:
    """Flat tweets and those in `data` alike; `inside`: what a flat one refers to, whole."""
    within = found["data"].is_not_null()
    if within.all():
        wrapped = found["row", "fault", "includes"].hstack(found["data"].struct.unnest())
        absent = (s for s in _BARE if s.name not in wrapped.columns)
        return wrapped.hstack([s.clear(found.height) for s in absent])
    wrapped = found.filter(within).select("row", "fault", "includes", "data").unnest("data")
    return pl.concat([_bare(found.filter(~within)), wrapped], how="diagonal").sort("row")


def _bare(found: pl.DataFrame) -> pl.DataFrame:
    """Flat tweets, whose references are ids and types only; whole, they are `inside`."""
    flat_ones = found.drop("data", "includes").rename({"reason": "because"})
    inside = flat_ones["referenced_tweets"]
    told = flat(inside)
    references = nested(
        told["at"], told.select("type", "id").to_struct("referenced_tweets"), flat_ones.height
    )
    return flat_ones.with_columns(references, inside.alias("inside"))


_BARE: Final = _bare(_READER.read(pl.Series("raw", [], pl.Binary))).get_columns()
"""Columns that flat tweets have, without rows."""


_TWEET: Final = pl.col("id").is_not_null() & pl.col("text").is_not_null()
_HISTORY: Final = pl.col("edit_history_tweet_ids").list.first()
_EDITED: Final = (pl.col("id") != _HISTORY).fill_null(value=False)
_OF_TWEET: Final = [
    pl.when(_EDITED).then(pl.lit("updates")).otherwise(pl.lit("create")).alias("class"),
    pl.lit(None, pl.String).alias("reason"),
    pl.lit(None, FLAT["referenced_tweets"]).alias("inside"),
]
_TOLD: Final = ["row", "class", "reason"]
_LINE: Final = pl.col("action").is_not_null() & pl.col("id").is_not_null()
_OF_A_USER: Final = (
    (pl.col("id").cast(pl.Int64, strict=False) < _LAST_SMALL)
    & (pl.col("created_at") >= _SNOWFLAKES)
) | pl.col("created_at").str.ends_with("+00:00")
_NOTICED: Final = pl.any_horizontal(pl.col(n).is_not_null() for n in _NOTICES)
_CLASSES: Final = first_of(
    create=_TWEET & ~_EDITED,
    updates=_TWEET & _EDITED,
    deletes=(_LINE & (pl.col("action") == "delete") & ~_OF_A_USER.fill_null(value=False))
    | pl.col("delete").struct["tweet"].struct["id"].is_not_null(),
    control=_LINE | _NOTICED | pl.any_horizontal(pl.col(n).is_not_null() for n in _NOT_TWEETS),
)
_WHY: Final = (
    pl.when(pl.col("text").is_not_null())
    .then(pl.lit("a tweet without an id"))
    .when(pl.col("id").is_not_null())
    .then(pl.lit("a tweet without a text"))
    .otherwise(pl.lit("no answer of X API v2 that is known"))
)


_NO_OTHERS: Final = judged(
    _one_shape(_READER.read(pl.Series("raw", [], pl.Binary))), _WHY, _CLASSES
)


def _events(found: pl.DataFrame) -> pl.DataFrame:
    """Compliance: lines of batch jobs, and events of streams."""
    told = of_class(found, "deletes", "control")
    if not told.height:
        return told
    some = told.filter(_LINE | _NOTICED)
    if not some.height:
        return some
    lines = some.filter(_LINE)
    user = _OF_A_USER.fill_null(value=False)
    parts = [
        lines.select(
            "row",
            kind=pl.when(pl.col("class") == "deletes")
            .then(pl.lit("delete"))
            .when(user & pl.col("because").is_in(["deleted"]))
            .then(pl.lit("author_delete"))
            .otherwise(pl.lit("hide")),
            id=pl.when(~user).then("id"),
            author_id=pl.when(user).then("id"),
            version=pl.lit(None, pl.Int64),
            at=iso(lines["redacted_at"]),
        )
    ]
    for name, kind in _NOTICES.items():
        told = some.filter(pl.col(name).is_not_null()).select("row", name)
        notice = opened(opened(told, name), f"{name}.tweet", f"{name}.user")
        parts.append(
            notice.select(
                "row",
                kind=pl.lit(kind),
                id=f"{name}.tweet.id",
                author_id=pl.coalesce(f"{name}.tweet.author_id", f"{name}.user.id"),
                version=pl.col(f"{name}.up_to_tweet_id").cast(pl.Int64, strict=False),
                at=iso(notice[f"{name}.event_at"]),
            )
        )
    return pl.concat(parts).sort("row")
