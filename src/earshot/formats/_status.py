"""Mastodon statuses in columns of POST, each with the ones it boosts or quotes."""

from typing import Final

import polars as pl

from earshot.formats._frames import flat, nested, opened
from earshot.formats._json import Fields
from earshot.formats._links import links
from earshot.formats._text import language, nonempty, plain, unescape
from earshot.formats._times import iso
from earshot.model.schema import MEDIA

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
    return times.select("row", "role", *_plain(), *_author(), *_lists(times))


def _with_embedded(statuses: pl.DataFrame) -> pl.DataFrame:
    """All statuses as equal rows: `row`, `role`, `repost_of`, `quote_of`, STATUS."""
    boosted = _inside(statuses, "reblog")
    edit = pl.col("class") == "updates"
    role = pl.when(edit).then(pl.lit("update")).otherwise(pl.lit("create"))
    own = statuses.with_columns(role=role, repost_of=statuses["reblog"].struct.unnest()["id"])
    parts = [_row(own), _row(boosted)]
    for part in (own, boosted):
        if part.height:
            quote = part.select("row", "quote").filter(pl.col("quote").is_not_null())
            parts.append(_row(_inside(quote.unnest("quote"), "quoted_status")))
    return pl.concat([part for part in parts if part.height])


def _inside(statuses: pl.DataFrame, column: str) -> pl.DataFrame:
    """The statuses that a column holds, as embedded ones; not those that few may see."""
    some = statuses.select("row", column).filter(pl.col(column).is_not_null()).unnest(column)
    shown = pl.col("visibility").is_in(["public", "unlisted"])
    whole = pl.all_horizontal(pl.col(n).is_not_null() for n in ("id", "content", "account"))
    return some.filter(shown & whole).with_columns(
        role=pl.lit("embedded"), repost_of=pl.lit(None, pl.String)
    )


def _row(statuses: pl.DataFrame) -> pl.DataFrame:
    """`row`, `role`, `repost_of`, `quote_of`, STATUS; a boost quotes nothing itself."""
    quote = pl.lit(None, pl.String)
    if "quote" in statuses.columns:
        said = statuses["quote"].struct.unnest()
        status = said["quoted_status"].struct.unnest()["id"].alias("inside")
        ids = said.select("quoted_status_id").with_columns(status)
        statuses = pl.concat([statuses, ids], how="horizontal")
        quote = pl.coalesce("quoted_status_id", "inside")
    return statuses.select(
        "row",
        "role",
        "repost_of",
        *STATUS,
        quote_of=pl.when(pl.col("repost_of").is_null()).then(quote),
    )


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


def _lists(statuses: pl.DataFrame) -> list[pl.Series]:
    """hashtags, mentions, the handle answered, links, media."""
    size = statuses.height
    tags = flat(statuses["tags"]).select("at", hashtags="name").drop_nulls()
    people = flat(statuses["mentions"]).select("at", mentions="acct").drop_nulls()
    return [
        nested(tags["at"], tags["hashtags"], size),
        nested(people["at"], people["mentions"], size),
        _answered(statuses),
        _links(statuses),
        _media(statuses),
    ]


def _answered(statuses: pl.DataFrame) -> pl.Series:
    """The handle of who is answered: the mention with that account's id."""
    wanted = statuses.select(id="in_reply_to_account_id").with_row_index("at").drop_nulls()
    named = flat(statuses["mentions"]).join(wanted, on=["at", "id"], how="semi").unique("at")
    handles = pl.repeat(None, statuses.height, dtype=pl.String, eager=True)
    return handles.scatter(named["at"], named["acct"]).alias("reply_to_handle")


def _links(statuses: pl.DataFrame) -> pl.Series:
    """Addresses of the text that are neither people nor tags, then the card's, none twice."""
    anchors = (
        statuses.select(url=pl.col("content").str.extract_all(r"<a\b[^>]*>"))
        .with_row_index("at")
        .explode("url")
        .filter(~pl.col("url").str.contains(r"class=.[^\"']*\b(?:mention|hashtag)\b"))
        .with_columns(unescape(pl.col("url").str.extract(r"""\bhref=["']([^"']+)""")))
    )
    card = statuses.select(url="card.url").with_row_index("at")
    both = pl.concat([anchors, card]).drop_nulls().unique(maintain_order=True)
    whole = both.sort("at", maintain_order=True)
    return nested(whole["at"], links(whole["url"]), statuses.height)


def _media(statuses: pl.DataFrame) -> pl.Series:
    """Attachments, with what they show in words."""
    media = flat(statuses["media_attachments"]).select(
        "at",
        media=pl.struct(
            kind=pl.col("type").replace_strict(_MEDIA_KINDS, default="other"),
            url="url",
            alt=nonempty(pl.col("description")),
        ).cast(MEDIA),
    )
    return nested(media["at"], media["media"], statuses.height)
