"""X (Twitter) API v1.1: tweets and stream messages, with the originals embedded in them.

What becomes what: tweets, also inside one `tweet` or `status`, are `create`. `delete` is
`deletes`. `scrub_geo`, `status_withheld`, `user_withheld` are events of class control; `limit`,
`warning`, `disconnect`, `friends`, user-stream events, users, lists, search metadata and error
answers are control without an event. A repost keeps its own text and entities as X wrote them; its
counters mirror the original's and are left out, so that nothing scores twice. Dates are of the
second; `timestamp_ms` is preferred where X gives it.

Source: X API v1.1, "Tweet object", "Streaming message types".
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, first_of, judged
from earshot.formats._json import Fields, Reader, Unwrap, picked
from earshot.formats._times import millis
from earshot.formats._tweet_v1 import EMBEDDED, TWEET, posts

NAME: Final = "x_v1"
SOURCE: Final = "x"

_S: Final = pl.String
_ANY: Final = pl.Struct({})
_NOTICE: Final = pl.Struct({"id": _S, "id_str": _S, "user_id": _S, "user_id_str": _S})
_NOT_TWEETS: Final[Fields] = {
    "limit": _ANY,
    "warning": _ANY,
    "disconnect": _ANY,
    "friends": pl.List(_S),
    "friends_str": pl.List(_S),
    "event": _S(),
    "direct_message": _ANY,
    "errors": pl.List(_ANY),
    "error": _S(),
    "screen_name": _S(),  # a user
    "member_count": _S(),  # a list
    "search_metadata": _ANY,
}
_FIELDS: Final[Fields] = {
    **TWEET,
    **EMBEDDED,
    **_NOT_TWEETS,
    "delete": pl.Struct({"status": _NOTICE, "timestamp_ms": _S}),
    "scrub_geo": pl.Struct({"user_id": _S, "user_id_str": _S, "up_to_status_id_str": pl.Int64}),
    "status_withheld": _NOTICE,
    "user_withheld": _NOTICE,
}
_UNWRAP: Final = Unwrap("id_str", ("tweet", "status"))
_READER: Final = Reader({**TWEET, **EMBEDDED}, _UNWRAP, rare=tuple(EMBEDDED))
_NOTICE_READER: Final = Reader(_FIELDS, _UNWRAP)
_PAGES: Final = ("statuses", "tweets")
PAGE_MARKS: Final = (b'"statuses"', b'"tweets"')


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    page = next((item[p] for p in _PAGES if isinstance(item.get(p), list)), None)
    if page is not None:
        item = next((v for v in page if isinstance(v, dict)), {})
    item = next((item[w] for w in ("tweet", "status") if isinstance(item.get(w), dict)), item)
    if "id_str" in item and isinstance(item.get("user"), dict) and "created_at" in item:
        return 1.0
    if "id_str" in item and "screen_name" in item and "followers_count" in item:
        return 0.8
    notice = item.get("delete")
    if isinstance(notice, dict) and isinstance(notice.get("status"), dict):
        return 1.0
    sole = {"scrub_geo", "status_withheld", "user_withheld", "limit", "disconnect", "warning"}
    return (
        0.8
        if len(item) == 1 and isinstance(item.get(next(iter(item))), dict) and set(item) <= sole
        else 0.0
    )


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: a message a line; search answers and arrays are cut into tweets."""
    for document in _cut.documents(data):
        head = document[:4096]
        found = None
        if any(b'"%s"' % p.encode() in head for p in _PAGES):
            page = _cut.fields(document) or {}
            inside = next((page[p] for p in _PAGES if p in page and "id_str" not in page), None)
            found = _cut.members(inside) if inside is not None else None
        yield from found or [document]


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    read = _READER.read(records["raw"])
    tweet = read.select(_IS_TWEET).to_series()
    tweets = picked(read, tweet)
    others = _others(records["raw"], read["row"].filter(~tweet))
    outcome = tweets.select(_TWEETS)
    if others.height:
        outcome = pl.concat([outcome, others["row", "class", "reason"]]).sort("row")
    return decoded(
        records,
        SOURCE,
        outcome,
        posts=posts(tweets),
        events=_events(others),
    )


def _others(raw: pl.Series, rows: pl.Series) -> pl.DataFrame:
    """What is no tweet, read again for what it may be: few records, and many fields."""
    if not len(rows):
        return _NO_OTHERS
    found = _NOTICE_READER.read(raw.gather(rows))
    return judged(found.replace_column(0, rows), _WHY, _CLASSES)


_ID: Final = pl.coalesce("id_str", "id")
_TEXT: Final = pl.coalesce("text", "full_text")
_DELETED: Final = pl.col("delete").struct["status"].struct
_EVENTS: Final = ("scrub_geo", "status_withheld", "user_withheld")
_IS_TWEET: Final = (
    pl.col("fault").is_null()
    & _ID.is_not_null()
    & _TEXT.is_not_null()
    & pl.col("user").is_not_null()
)
_TWEETS: Final = [
    pl.col("row"),
    pl.repeat("create", pl.len()).alias("class"),
    pl.lit(None, pl.String).alias("reason"),
]
_CLASSES: Final = first_of(
    deletes=pl.coalesce(_DELETED["id_str"], _DELETED["id"]).is_not_null(),
    control=pl.any_horizontal(pl.col(n).is_not_null() for n in (*_NOT_TWEETS, *_EVENTS)),
)
_WHY: Final = (
    pl.when(pl.col("delete").is_not_null())
    .then(pl.lit("a delete notice without the id of a tweet"))
    .when(_TEXT.is_not_null() & _ID.is_null())
    .then(pl.lit("a tweet without an id"))
    .when(_TEXT.is_not_null())
    .then(pl.lit("a tweet without its user"))
    .when(_ID.is_not_null())
    .then(pl.lit("a tweet without a text"))
    .otherwise(pl.lit("no message of X API v1.1 that is known"))
)
_NO_OTHERS: Final = judged(_NOTICE_READER.read(pl.Series("raw", [], pl.Binary)), _WHY, _CLASSES)


def _events(found: pl.DataFrame) -> pl.DataFrame:
    """Deletes, withheld tweets and users, places to forget."""
    if not found.height:
        return found
    withheld = pl.any_horizontal(pl.col(n).is_not_null() for n in _EVENTS)
    told = found.select("row", "class", "delete", *_EVENTS).filter(
        (pl.col("class") == "deletes") | ((pl.col("class") == "control") & withheld)
    )
    if not told.height:
        return told
    status, user = pl.col("status_withheld").struct, pl.col("user_withheld").struct
    scrub = pl.col("scrub_geo").struct
    return told.select(
        "row",
        kind=pl.when(pl.col("class") == "deletes")
        .then(pl.lit("delete"))
        .when(pl.col("scrub_geo").is_not_null())
        .then(pl.lit("geo_scrub"))
        .otherwise(pl.lit("hide")),
        id=pl.coalesce(_DELETED["id_str"], _DELETED["id"], status["id_str"], status["id"]),
        author_id=pl.coalesce(
            *(s[n] for s in (_DELETED, status, scrub) for n in ("user_id_str", "user_id")),
            user["id_str"],
            user["id"],
        ),
        version=scrub["up_to_status_id_str"],
        at=millis(pl.col("delete").struct["timestamp_ms"]),
    )
