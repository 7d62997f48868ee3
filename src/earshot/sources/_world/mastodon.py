"""Mastodon: statuses as the streaming API of an instance sends them."""

from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import ids
from earshot.sources._world.noise import I64
from earshot.sources._world.people import MASTODON, People
from earshot.sources._world.plot import DELETE, EDIT, QUOTE, REPLY, REPOST
from earshot.sources._world.stage import Stage, grown, iso, joined, refer, template

FORMAT: Final = "mastodon"
_HOST: Final = "https://town.example"
_ACCOUNT: Final = (
    '{"id":"$number$","username":"$handle$","acct":"$handle$","display_name":"$name$",'
    '"locked":false,"bot":false,"discoverable":true,"indexable":true,"group":false,'
    '"created_at":"2022-11-06T00:00:00.000Z","note":"<p>$bio$</p>",'
    f'"url":"{_HOST}/@$handle$","uri":"{_HOST}/users/$handle$",'
    f'"avatar":"{_HOST}/avatars/$number$.png","avatar_static":"{_HOST}/avatars/$number$.png",'
    f'"header":"{_HOST}/headers/$number$.png","header_static":"{_HOST}/headers/$number$.png",'
    '"followers_count":$followers$,"following_count":$friends$,"statuses_count":$statuses$,'
    '"last_status_at":"2025-06-01","hide_collections":null,"noindex":false,"emojis":[],'
    '"roles":[],"fields":[{"name":"home","value":"$city$","verified_at":null}]}'
)
_STATUS: Final = (
    '{"id":"$id$","created_at":"$iso$","in_reply_to_id":$to_id_or$,'
    '"in_reply_to_account_id":$to_account$,"sensitive":false,"spoiler_text":"",'
    '"visibility":"$visibility$","language":"$lang$",'
    f'"uri":"{_HOST}/users/$handle$/statuses/$id$","url":"{_HOST}/@$handle$/$id$",'
    '"replies_count":$n_replies$,"reblogs_count":$n_reposts$,"favourites_count":$n_likes$,'
    '"quotes_count":$n_quotes$,"edited_at":$edited$,"content":"$content$","filtered":[],'
    '"reblog":$reblog$,"application":{"name":"Lantern","website":null},"account":$account$,'
    '"media_attachments":[$media$],"mentions":[$mentions$],"tags":[$tags$],"emojis":[],'
    '"card":null,"poll":null,"quote":$quote$}'
)
_DELETE: Final = '{"event":"delete","payload":"$to_id$"}'
_MEDIA: Final = (
    f'{{"id":"$id$","type":"image","url":"{_HOST}/media/$id$.jpg",'
    f'"preview_url":"{_HOST}/media/$id$_small.jpg","remote_url":null,'
    '"meta":{"original":{"width":1200,"height":800}},"description":"$city$","blurhash":null}'
)
_TAG: Final = f'{{"name":"$NAME$","url":"{_HOST}/tags/$NAME$"}}'
_MENTION: Final = (
    '{"id":"$WHO_number$","username":"$WHO_handle$",'
    f'"url":"{_HOST}/@$WHO_handle$","acct":"$WHO_handle$"}}'
)
_HTML_TAG: Final = (
    f' <a href=\\"{_HOST}/tags/$NAME$\\" class=\\"mention hashtag\\" rel=\\"tag\\">'
    "#<span>$NAME$</span></a>"
)
_HTML_LINK: Final = (
    ' <a href=\\"$url$\\" rel=\\"nofollow noopener\\" target=\\"_blank\\">'
    '<span class=\\"invisible\\">https://</span><span>$bare$</span></a>'
)
_HTML_MENTION: Final = (
    f'<span class=\\"h-card\\"><a href=\\"{_HOST}/@$WHO_handle$\\" class=\\"u-url mention\\">'
    "@<span>$WHO_handle$</span></a></span>"
)


@lru_cache(maxsize=4)
def _accounts(people: People) -> pl.Series:
    """Each person as the instance shows them."""
    followers = pl.col("followers")
    frame = people.text.with_columns(friends=followers // 2 + 20, statuses=followers * 3 + 80)
    return frame.select(template(_ACCOUNT).alias("account"))["account"]


def render(stage: Stage) -> pl.DataFrame:
    """The step's items of Mastodon: row (of the step), format, raw (String)."""
    scene = stage.scene
    rows = np.flatnonzero(scene.people.network[stage.now.person] == MASTODON)
    kind, target = stage.now.kind[rows], scene.target[rows]
    shows = np.isin(kind, (QUOTE, REPOST)) & (target >= 0)
    now = scene.rows.at[scene.first + rows]
    frame = _written(stage, scene.first + rows, np.where(shows, -1, target), now)
    frame = frame.with_columns(row=pl.Series(rows), kind=pl.Series(kind))
    shown = _written(stage, target[shows], np.full(int(shows.sum()), -1), now[shows])
    null = pl.lit("null")
    plain = shown.with_columns(kind=pl.lit(0), reblog=null, quote=null, edited=null)
    at = pl.Series(np.where(shows, np.cumsum(shows) - 1, -1)).replace(-1, None)
    inner = _statuses(plain).alias("inner").gather(at)
    frame = frame.with_columns(inner)
    is_kind = pl.col("kind")
    frame = frame.with_columns(
        reblog=pl.when(is_kind == REPOST).then("inner").fill_null("null"),
        quote=pl.when(is_kind == QUOTE)
        .then(template('{"state":"accepted","quoted_status":$inner$}'))
        .fill_null("null"),
        edited=pl.when(is_kind == EDIT).then(template('"$iso$"')).otherwise(null),
        content=pl.when(is_kind == REPOST).then(pl.lit("")).otherwise("content"),
        id=pl.when(is_kind == EDIT).then("to_id").otherwise("id"),
        iso=pl.when(is_kind == EDIT).then("to_iso").otherwise("iso"),
    )
    status = pl.Series("status", _statuses(frame))
    frame = frame.with_columns(status)
    raw = (
        pl.when(is_kind == DELETE)
        .then(template(_DELETE))
        .when(is_kind == EDIT)
        .then(template('{"event":"status.update","payload":$status$}'))
        .otherwise("status")
    )
    return frame.select("row", format=pl.lit(FORMAT), raw=raw)


def _written(stage: Stage, rows: I64, target: I64, now: I64) -> pl.DataFrame:
    """With ids, content, counters and accounts."""
    frame = pl.concat(
        [stage.frame(rows), refer(stage, target, "to_"), pl.DataFrame({"now": now})],
        how="horizontal",
    )
    to_at, to_seq = (frame[c].fill_null(0).to_numpy() for c in ("to_at", "to_seq"))
    answers = pl.Series(stage.scene.rows.kind[rows] == REPLY) & frame["to_at"].is_not_null()
    age = (pl.col("now") - pl.col("at")) / 1e6
    frame = frame.with_columns(
        id=ids.status(frame["at"].to_numpy(), frame["seq"].to_numpy()),
        to_id=ids.status(to_at, to_seq),
        answers=answers,
        iso=iso("at"),
        to_iso=iso("to_at"),
        visibility=pl.when(pl.col("chance") < 0.9)
        .then(pl.lit("public"))
        .otherwise(pl.lit("unlisted")),
        n_likes=grown(0.6, age),
        n_reposts=grown(0.3, age),
        n_replies=grown(0.2, age),
        n_quotes=grown(0.02, age),
        bare=pl.col("url").str.strip_prefix("https://"),
        account=_accounts(stage.scene.people).gather(frame["person"]),
    )
    whom = pl.when("answers").then("to_handle")
    frame = frame.with_columns(
        to_id_or=pl.when("answers").then(template('"$to_id$"')).otherwise(pl.lit("null")),
        to_account=pl.when("answers").then(template('"$to_number$"')).otherwise(pl.lit("null")),
        to_handle=whom,
    )
    return frame.with_columns(
        media=pl.when(pl.col("chance") > 0.85).then(template(_MEDIA)).otherwise(pl.lit("")),
        tags=joined(_TAG.replace("NAME", "tag1"), _TAG.replace("NAME", "tag2")),
        mentions=joined(_MENTION.replace("WHO", "to"), _MENTION.replace("WHO", "cc")),
        content=_content(),
    )


def _content() -> pl.Expr:
    """The text as HTML."""
    parts = (
        _HTML_MENTION.replace("WHO", "to") + " ",
        "$body$",
        _HTML_TAG.replace("NAME", "tag1"),
        _HTML_TAG.replace("NAME", "tag2"),
        _HTML_LINK,
        " " + _HTML_MENTION.replace("WHO", "cc"),
    )
    inside = pl.concat_str([template(p) for p in parts], ignore_nulls=True)
    return pl.concat_str(pl.lit("<p>"), inside, pl.lit("</p>"))


def _statuses(frame: pl.DataFrame) -> pl.Series:
    """Statuses; needs `reblog`, `quote` and `edited`."""
    return frame.select(template(_STATUS).alias("raw"))["raw"]
