"""Mastodon statuses in columns of POST, each with the ones it boosts or quotes."""

from typing import Final

import polars as pl

from earshot.formats._frames import either, flat, inside, items, nested, opened, places, texts
from earshot.formats._json import Fields, picked
from earshot.formats._links import links
from earshot.formats._text import language, nonempty, plain, unescape
from earshot.formats._times import iso
from earshot.model.schema import LINK, MEDIA

_S: Final = pl.String

STATUS: Final[Fields] = {
    "id": pl.String(),
    "created_at": pl.String(),
    "edited_at": pl.String(),
    "in_reply_to_id": pl.String(),
    "in_reply_to_account_id": pl.String(),
    "sensitive": pl.Boolean(),
    "spoiler_text": pl.String(),
    "visibility": pl.String(),
    "language": pl.String(),
    "uri": pl.String(),
    "url": pl.String(),
    "content": pl.String(),
    "replies_count": pl.Int64(),
    "reblogs_count": pl.Int64(),
    "favourites_count": pl.Int64(),
    "quotes_count": pl.Int64(),
    "application": pl.Struct({"name": _S}),
    "account": pl.Struct(
        {
            "id": _S,
            "acct": _S,
            "display_name": _S,
            "note": _S,
            "followers_count": pl.Int64,
            "bot": pl.Boolean,
        }
    ),
    "media_attachments": pl.List(pl.Struct({"type": _S, "url": _S, "description": _S})),
    "mentions": pl.List(pl.Struct({"id": _S, "acct": _S})),
    "tags": pl.List(pl.Struct({"name": _S})),
    "card": pl.Struct({"url": _S}),
}
"""The fields of a status that are read."""

_QUOTE: Final = pl.Struct({"quoted_status_id": _S, "quoted_status": pl.Struct(STATUS)})
EMBEDDED: Final[Fields] = {"reblog": pl.Struct({**STATUS, "quote": _QUOTE}), "quote": _QUOTE}
"""The statuses in a status."""

_MEDIA_KINDS: Final = {"image": "image", "video": "video", "gifv": "gif", "audio": "audio"}


def posts(statuses: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`: the statuses themselves, then the ones in them.

    Args:
        statuses: `row`, `class` (create | updates), STATUS and EMBEDDED.
    """
    if not statuses.height:
        return statuses
    whole = opened(_with_embedded(statuses), "account", "application", "card")
    created, edited = iso(whole["created_at"]), iso(whole["edited_at"])
    times = whole.with_columns(created_at=created, edited_at=edited)
    return times.select("row", "role", *_COLUMNS, *_lists(times))


_ROLE: Final = (
    pl.when(pl.col("class") == "updates")
    .then(pl.lit("update"))
    .otherwise(pl.lit("create"))
    .alias("role")
)


def _with_embedded(statuses: pl.DataFrame) -> pl.DataFrame:
    """All statuses as equal rows: `row`, `role`, `repost_of`, `quote_of`, STATUS."""
    boosted = _inside(statuses, "reblog")
    original = inside(statuses["reblog"], "id").alias("repost_of")
    own = statuses.with_columns(_ROLE, original)
    parts = [own, *([boosted] if boosted.height else [])]
    quotes = [part["row", "quote"] for part in parts if _says(part, "quote")]
    quoted = [
        _inside(picked(q, q["quote"].is_not_null()).unnest("quote"), "quoted_status")
        for q in quotes
    ]
    return pl.concat([_row(part) for part in (*parts, *quoted) if part.height])


def _says(frame: pl.DataFrame, column: str) -> bool:
    """Whether any row has a value in that column."""
    return frame[column].null_count() < frame.height


def _inside(statuses: pl.DataFrame, column: str) -> pl.DataFrame:
    """The statuses that a column holds, as embedded ones; not those that few may see."""
    held = statuses["row", column]
    if not _says(held, column):
        return _NOBODY
    some = picked(held, held[column].is_not_null()).unnest(column)
    return picked(some, some.select(_SHOWN).to_series()).with_columns(_EMBEDDED)


_NOBODY: Final = pl.DataFrame()
_SHOWN: Final = pl.col("visibility").is_in(["public", "unlisted"]) & pl.all_horizontal(
    pl.col(n).is_not_null() for n in ("id", "content", "account")
)
_EMBEDDED: Final = [pl.lit("embedded").alias("role"), pl.lit(None, pl.String).alias("repost_of")]


def _row(statuses: pl.DataFrame) -> pl.DataFrame:
    """`row`, `role`, `repost_of`, `quote_of`, STATUS; a boost quotes nothing itself."""
    if "quote" not in statuses.columns or not _says(statuses, "quote"):
        return statuses[_KEPT].hstack([_NO_QUOTE.new_from_index(0, statuses.height)])
    said = statuses["quote"].struct.unnest()
    quote = either(said["quoted_status_id"], inside(said["quoted_status"], "id"))
    return statuses[_KEPT].hstack([quote.alias("quote_of")]).with_columns(_QUOTE_OF)


_KEPT: Final = ["row", "role", "repost_of", *STATUS]
_NO_QUOTE: Final = pl.Series("quote_of", [None], pl.String)
_QUOTE_OF: Final = pl.when(pl.col("repost_of").is_null()).then("quote_of").alias("quote_of")


def _plain() -> list[pl.Expr]:
    """What takes no list."""
    repost, reply = pl.col("repost_of").is_not_null(), pl.col("in_reply_to_id")
    first = pl.when(reply.is_null() & ~repost).then("id")
    counters = {
        "likes": "favourites_count",
        "reposts": "reblogs_count",
        "replies": "replies_count",
        "quotes": "quotes_count",
    }
    return [
        pl.col("id"),
        pl.when(repost)
        .then(pl.lit("repost"))
        .when(reply.is_not_null())
        .then(pl.lit("reply"))
        .when(pl.col("quote_of").is_not_null())
        .then(pl.lit("quote"))
        .otherwise(pl.lit("post"))
        .alias("kind"),
        nonempty(pl.col("spoiler_text")).alias("title"),
        plain(pl.col("content")).alias("text"),
        pl.col("created_at"),
        pl.col("edited_at"),
        pl.col("edited_at").to_physical().alias("version"),
        language(pl.col("language")).alias("lang"),
        reply.alias("reply_to"),
        pl.col("in_reply_to_account_id").alias("reply_to_author"),
        pl.col("quote_of"),
        pl.col("repost_of"),
        first.alias("root"),
        first.alias("conversation"),
        pl.col("uri").str.extract(r"^[a-z]+://([^/]+)").str.to_lowercase().alias("channel"),
        pl.coalesce("url", "uri").alias("permalink"),
        *(pl.when(~repost).then(theirs).alias(name) for name, theirs in counters.items()),
        pl.col("visibility"),
        pl.col("sensitive"),
        nonempty(pl.col("application.name")).alias("client"),
    ]


def _author() -> list[pl.Expr]:
    """Who wrote it, as they were then."""
    return [
        pl.col("account.id").alias("author_id"),
        pl.col("account.acct").alias("author_handle"),
        nonempty(pl.col("account.display_name")).alias("author_name"),
        nonempty(plain(pl.col("account.note"))).alias("author_bio"),
        pl.col("account.followers_count").alias("author_followers"),
        pl.col("account.bot").alias("author_bot"),
    ]


_COLUMNS: Final = [*_plain(), *_author()]
"""Made once: to make them takes longer than to ask them of a small batch."""


def _lists(statuses: pl.DataFrame) -> list[pl.Series]:
    """hashtags, mentions, the handle answered, links, media."""
    return [
        texts(statuses["tags"], "name", "hashtags"),
        texts(statuses["mentions"], "acct", "mentions"),
        _answered(statuses),
        _links(statuses["content"], statuses["card.url"]),
        _media(statuses["media_attachments"]),
    ]


def _answered(statuses: pl.DataFrame) -> pl.Series:
    """The handle of who is answered: the mention with that account's id."""
    handles = _NO_HANDLE.new_from_index(0, statuses.height)
    if not _says(statuses, "in_reply_to_account_id"):
        return handles
    wanted = statuses.select(id="in_reply_to_account_id").with_row_index("at").drop_nulls()
    named = flat(statuses["mentions"]).join(wanted, on=["at", "id"], how="semi").unique("at")
    return handles.scatter(named["at"], named["acct"])


_NO_HANDLE: Final = pl.Series("reply_to_handle", [None], pl.String)


def _links(content: pl.Series, card: pl.Series) -> pl.Series:
    """Addresses of the text that are neither people nor tags, then the card's, none twice."""
    tags = content.str.extract_all(r"<a\b[^>]*>")
    anchors = pl.DataFrame([places(tags), items(tags).alias("url")]).filter(_OUTWARD)
    both = anchors.with_columns(_ADDRESS)
    if card.null_count() < len(card):
        both = pl.concat([both, card.alias("url").to_frame().with_row_index("at")])
    if not both.height:
        return _NO_LINKS.new_from_index(0, len(content))
    whole = both.drop_nulls().unique(maintain_order=True).sort("at", maintain_order=True)
    return nested(whole["at"], links(whole["url"]), len(content))


_NO_LINKS: Final = pl.Series("links", [[]], pl.List(LINK))
_OUTWARD: Final = ~pl.col("url").str.contains(r"class=.[^\"']*\b(?:mention|hashtag)\b")
_ADDRESS: Final = unescape(pl.col("url").str.extract(r"""\bhref=["']([^"']+)"""))


def _media(attachments: pl.Series) -> pl.Series:
    """Attachments, with what they show in words."""
    held = flat(attachments)
    if not held.height:
        return _NO_MEDIA.new_from_index(0, len(attachments))
    media = held.select(_MEDIUM)
    return nested(media["at"], media["media"], len(attachments))


_NO_MEDIA: Final = pl.Series("media", [[]], pl.List(MEDIA))
_MEDIUM: Final = [
    pl.col("at"),
    pl.struct(
        kind=pl.col("type").replace_strict(_MEDIA_KINDS, default="other"),
        url="url",
        alt=nonempty(pl.col("description")),
    )
    .cast(MEDIA)
    .alias("media"),
]
