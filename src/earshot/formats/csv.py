"""Rows of a table: exports of other tools, and whatever has a header with a text in it.

`split` makes each row an object with the header's names. Columns are found by the names that
exports commonly use, however they are spelled (`Created At`, `created_at`, `createdAt`): see
`COLUMNS`; the first that is there and not empty counts. Every row is a `create` of kind post (or
reply, quote, repost, where it names the other). A row without an id of its own gets one from its
cells, so that the same row twice is the same post. Rows that do not fit their header, or have
neither text nor title, are quarantined. Tags, names and links are read out of the text.

The separator is the `,`, `;`, tab or `|` that the header has most of; quotes as in RFC 4180.
"""

import csv
import hashlib
import re
from collections.abc import Iterator
from typing import Final

import msgspec
import polars as pl

from earshot.errors import FormatError
from earshot.formats import Decoded
from earshot.formats._frames import decoded, first_of, judged, nested
from earshot.formats._json import Fields, read
from earshot.formats._links import links
from earshot.formats._text import country, language, latitude, longitude, nonempty
from earshot.formats._times import iso, millis, seconds, tweet_time

NAME: Final = "csv"
SOURCE: Final = "csv"

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "id_str", "post_id", "tweet_id", "status_id", "comment_id", "message_id", "uri"),
    "text": ("text", "full_text", "body", "content", "message", "tweet", "post", "comment",
             "caption"),
    "title": ("title", "headline", "subject"),
    "time": ("created_at", "created", "date", "datetime", "timestamp", "time", "published_at",
             "published", "created_utc", "post_date", "date_time", "posted_at"),
    "author_id": ("author_id", "user_id", "user_id_str", "from_user_id"),
    "author_handle": ("author_handle", "screen_name", "username", "user_name", "handle", "author",
                      "user", "from_user", "account"),
    "author_name": ("author_name", "display_name", "name", "full_name"),
    "author_bio": ("author_bio", "bio", "user_description", "author_description"),
    "author_location": ("author_location", "user_location", "location"),
    "author_followers": ("followers", "followers_count", "author_followers", "user_followers"),
    "lang": ("lang", "language"),
    "permalink": ("permalink", "url", "link", "post_url", "tweet_url"),
    "reply_to": ("reply_to", "in_reply_to_status_id", "in_reply_to_id", "in_reply_to", "parent_id"),
    "quote_of": ("quote_of", "quoted_status_id", "quoted_id"),
    "repost_of": ("repost_of", "retweeted_status_id", "retweet_id", "retweeted_id"),
    "conversation": ("conversation", "conversation_id", "thread_id"),
    "channel": ("channel", "subreddit", "group", "community"),
    "place": ("place", "place_name", "city"),
    "country": ("country_code", "country"),
    "latitude": ("latitude", "lat", "geo_lat"),
    "longitude": ("longitude", "lon", "lng", "long", "geo_lon"),
    "likes": ("likes", "like_count", "likes_count", "favorite_count", "favorites",
              "favourites_count"),
    "reposts": ("reposts", "repost_count", "retweets", "retweet_count", "shares", "reblogs_count"),
    "replies": ("replies", "reply_count", "replies_count", "comments", "num_comments"),
    "quotes": ("quotes", "quote_count", "quotes_count"),
    "views": ("views", "view_count", "impressions", "impression_count"),
    "score": ("score", "points"),
    "client": ("source", "client", "app"),
}  # fmt: skip
"""Field → the names of columns that may hold it, in order of preference."""

_OURS: Final = {"id": "earshot_id", "fault": "earshot_fault"}
"""Keys that `split` adds: an id where the row has none, and what is wrong with a row."""
_KEY: Final = re.compile(rb'"((?:[^"\\\n]|\\.){1,200})"\s*:')
_NUMBERS: Final = ("author_followers", "likes", "reposts", "replies", "quotes", "views", "score")
_SEPARATORS: Final = ",;\t|"
_KNOWN: Final = {name: field for field, names in COLUMNS.items() for name in names}


def _plain(name: str) -> str:
    """A header's name in small letters and underscores."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _spellings(name: str) -> list[str]:
    """How headers write a name."""
    words = name.split("_")
    camel = words[0] + "".join(w.title() for w in words[1:])
    titled = " ".join(w.title() for w in words)
    forms = [name, titled, camel, name.upper(), name.replace("_", " "), titled.replace(" ", "")]
    more = [
        titled.replace("Id", "ID"),
        titled.replace("Url", "URL"),
        titled.replace(" ", "_"),
        titled.capitalize(),
        name.replace("_", "-"),
    ]
    return list(dict.fromkeys([*forms, *more]))


_FORMS: Final = {
    field: [form for name in names for form in _spellings(name)] for field, names in COLUMNS.items()
}
_FIELDS: Final[Fields] = {
    form: pl.String() for forms in (*_FORMS.values(), _OURS.values()) for form in forms
}


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    try:
        names = _header(sample.decode("utf-8-sig"))
    except (UnicodeDecodeError, FormatError):
        return 0.0
    found = {_KNOWN.get(_plain(n)) for n in names} - {None}
    if not {"text", "title"} & found or len(found) < 2:
        return 0.0
    return 0.8 if {"id", "time", "author_handle", "author_id"} & found else 0.6


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: a row each. Raises FormatError where there is no header."""
    text = data.decode("utf-8-sig", errors="surrogateescape")
    names = _header(text)
    own_id = any(_KNOWN.get(_plain(n)) == "id" for n in names)
    rows = csv.reader(_lines(text), delimiter=_separator(text), strict=True)
    try:
        for number, row in enumerate(rows):
            if number and row:
                yield _item(names, row, own_id=own_id)
    except csv.Error as e:
        message = f"line {rows.line_num} of the table: {e}"
        raise FormatError(message, hint="check the quotes up to there") from e


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one, whatever Unicode says."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _item(names: list[str], row: list[str], *, own_id: bool) -> bytes:
    """One row as an object; a row that does not fit says so."""
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return "\x1f".join(row).encode(errors="surrogateescape")  # for the reader to refuse
    if len(row) != len(names):
        fault = f"{len(row)} cells in a table of {len(names)} columns"
        return msgspec.json.encode({_OURS["fault"]: fault, "cells": row})
    cells = dict(zip(names, row, strict=True))
    if not own_id:
        digest = hashlib.blake2b(msgspec.json.encode(cells), digest_size=16)
        cells[_OURS["id"]] = digest.hexdigest()
    return msgspec.json.encode(cells)


def _separator(text: str) -> str:
    """The separator that the first line has most of."""
    first = text.lstrip().partition("\n")[0]
    return max(_SEPARATORS, key=first.count)


def _header(text: str) -> list[str]:
    """The names of the columns. Raises FormatError where the first line is no header."""
    first = text.lstrip().partition("\n")[0].rstrip("\r")
    problem = "the first line names no columns"
    if not first or first.startswith(("{", "[", "<")):
        raise FormatError(problem)
    try:
        names = next(csv.reader([first], delimiter=_separator(text), strict=True))
    except csv.Error as e:
        raise FormatError(problem) from e
    distinct = len(set(names)) == len(names)
    if len(names) < 2 or not distinct or not all(0 < len(n.strip()) <= 64 for n in names):
        raise FormatError(problem, hint="a table needs a header with a name for each column")
    return [n.strip() for n in names]


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    there = _there(records["raw"])
    cells = read(records["raw"], there)
    rows = cells.select(
        "row",
        pl.coalesce("fault", pl.col(_OURS["fault"]).str.head(200).replace("", None)).alias("fault"),
        *(_cell([form for form in forms if form in there], f) for f, forms in _FORMS.items()),
        own_id=_OURS["id"],
    ).with_columns(pl.coalesce("id", "own_id"))
    content = pl.col("text").is_not_null() | pl.col("title").is_not_null()
    found = judged(rows, _WHY, first_of(create=content & pl.col("id").is_not_null()))
    return decoded(records, SOURCE, found, posts=_posts(found.filter(pl.col("class") == "create")))


def _there(raw: pl.Series) -> Fields:
    """The fields that any of these records has: few of all that might be.

    A record is read alike with any others: its own keys are among them, and where a key is
    written with an escape, all fields are asked for.
    """
    keys = set(_KEY.findall(b"\n".join(raw.to_list())))
    if any(b"\\" in key for key in keys):
        return _FIELDS
    ours = _OURS.values()
    return {n: kind for n, kind in _FIELDS.items() if n in ours or n.encode() in keys}


def _cell(forms: list[str], field: str) -> pl.Expr:
    """The first of these columns that is not empty."""
    cells = (nonempty(pl.col(form).str.strip_chars()) for form in forms)
    return pl.coalesce(*cells, pl.lit(None, pl.String)).alias(field)


_WHY: Final = (
    pl.when(pl.col("text").is_null() & pl.col("title").is_null())
    .then(pl.lit("a row without a text or title"))
    .otherwise(pl.lit("a row without an id"))
)


def _posts(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`."""
    if not rows.height:
        return rows
    kinds = {"repost_of": "repost", "reply_to": "reply", "quote_of": "quote"}
    kind = pl.coalesce(pl.when(pl.col(c).is_not_null()).then(pl.lit(k)) for c, k in kinds.items())
    lat, lon = (pl.col(n).cast(pl.Float64, strict=False) for n in ("latitude", "longitude"))
    numbers = {
        n: pl.col(n)
        .str.replace_all(",", "")
        .cast(pl.Float64, strict=False)
        .cast(pl.Int64, strict=False)
        for n in _NUMBERS
    }
    handle = pl.col("author_handle").str.strip_prefix("@")
    return rows.with_columns(text=pl.col("text").fill_null("")).select(
        "row",
        "id",
        "text",
        "title",
        "author_name",
        "author_bio",
        "author_location",
        "reply_to",
        "quote_of",
        "repost_of",
        "channel",
        "client",
        "conversation",
        *_lists(rows),
        role=pl.lit("create"),
        kind=kind.fill_null("post"),
        created_at=_times(rows["time"]),
        author_id=pl.coalesce("author_id", handle),
        author_handle=handle,
        lang=language(pl.col("lang")),
        permalink=pl.when(pl.col("permalink").str.contains(r"^https?://")).then("permalink"),
        place="place",
        country=country(pl.col("country")),
        latitude=latitude(lat),
        longitude=longitude(lon),
        place_from=pl.when(pl.col("place").is_not_null() | lat.is_not_null()).then(pl.lit("post")),
        visibility=pl.lit("public"),
        **numbers,
    )


def _times(text: pl.Series) -> pl.Series:
    """Dates in any of the usual ways; numbers are seconds, milli- or microseconds by size."""
    written = iso(text)
    digits = pl.col("time").str.extract(r"^(\d+)(?:\.\d+)?$").str.len_chars()
    others = pl.coalesce(
        "written",
        tweet_time(pl.col("time")),
        pl.col("time").str.to_datetime(
            "%a, %d %b %Y %H:%M:%S %z", time_unit="us", time_zone="UTC", strict=False
        ),
        pl.when(digits <= 11).then(seconds(pl.col("time"))),
        pl.when(digits <= 14).then(millis(pl.col("time"))),
        pl.when(digits == 16).then(millis(pl.col("time").str.slice(0, 13))),
    )
    return pl.DataFrame({"time": text, "written": written}).select(others).to_series()


def _lists(rows: pl.DataFrame) -> list[pl.Series]:
    """hashtags, mentions, cashtags, links, as they stand in the text."""
    text = rows["text"].fill_null("")
    size = rows.height
    written = text.str.extract_all(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]")
    urls = written.alias("url").to_frame().with_row_index("at").explode("url").drop_nulls()
    return [
        _marked(text, r"(?:^|[^\w&/])#(\w*\p{L}\w*)").alias("hashtags"),
        _marked(text, r"(?:^|[^\w/])@(\w[\w.-]*)").alias("mentions"),
        _marked(text, r"(?:^|\s)\$([A-Za-z]{1,6})\b").alias("cashtags"),
        nested(urls["at"], links(urls["url"]), size),
    ]


def _marked(text: pl.Series, pattern: str) -> pl.Series:
    """The group of each match, without the sign in front."""
    found = text.str.extract_all(pattern)
    return (
        found.to_frame("m")
        .select(pl.col("m").list.eval(pl.element().str.extract(r"[#@$](.*)$")))
        .to_series()
    )
