"""X: statuses as API v1.1 streams them, and as the filtered stream of v2 does.

Its people use either program, so a network's ids and threads run through both formats.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import ids
from earshot.sources._world.noise import I64
from earshot.sources._world.people import People, X
from earshot.sources._world.plot import DELETE, EDIT, QUOTE, REPLY, REPOST
from earshot.sources._world.stage import Stage, grown, if_any, iso, joined, lay_out, refer, template

V1: Final = "x_v1"
V2: Final = "x_v2"
_V2_SHARE: Final = 0.27

_USER_V1: Final = (
    '{"id":$number$,"id_str":"$number$","name":"$name$","screen_name":"$handle$",'
    '"location":"$city$","url":"https://$handle$.example/","description":"$bio$",'
    '"translator_type":"none","protected":false,"verified":$verified$,'
    '"followers_count":$followers$,"friends_count":$friends$,"listed_count":$listed$,'
    '"favourites_count":$favourites$,"statuses_count":$statuses$,'
    '"created_at":"Tue Mar 26 23:22:14 +0000 2013","utc_offset":null,"time_zone":null,'
    '"geo_enabled":true,"lang":null,"contributors_enabled":false,"is_translator":false,'
    '"profile_background_color":"C0DEED","profile_background_image_url":'
    '"http://img.pond.example/themes/theme1/bg.png","profile_background_image_url_https":'
    '"https://img.pond.example/themes/theme1/bg.png","profile_background_tile":false,'
    '"profile_link_color":"1B95E0","profile_sidebar_border_color":"FFFFFF",'
    '"profile_sidebar_fill_color":"DDEEF6","profile_text_color":"333333",'
    '"profile_use_background_image":true,"profile_image_url":'
    '"http://img.pond.example/profile/$number$/face_normal.jpg","profile_image_url_https":'
    '"https://img.pond.example/profile/$number$/face_normal.jpg","profile_banner_url":'
    '"https://img.pond.example/banners/$number$/1433459409","default_profile":false,'
    '"default_profile_image":false,"following":null,"follow_request_sent":null,'
    '"notifications":null}'
)
_USER_V2: Final = (
    '{"created_at":"2013-03-26T23:22:14.000Z","description":"$bio$","id":"$number$",'
    '"location":"$city$","name":"$name$","profile_image_url":'
    '"https://img.pond.example/profile/$number$/face_normal.jpg","protected":false,'
    '"public_metrics":{"followers_count":$followers$,"following_count":$friends$,'
    '"listed_count":$listed$,"tweet_count":$statuses$},"url":"https://$handle$.example/",'
    '"username":"$handle$","verified":$verified$}'
)
_PLACE_V1: Final = (
    '{"id":"01a9a39529b27f36","url":"https://api.pond.example/1.1/geo/id/01a9a39529b27f36.json",'
    '"place_type":"city","name":"$city$","full_name":"$city$, $country$","country_code":'
    '"$country$","country":"$country$","bounding_box":{"type":"Polygon","coordinates":'
    "[[[$west$,$south$],[$west$,$north$],[$east$,$north$],[$east$,$south$]]]},"
    '"attributes":{}}'
)
_STATUS_V1: Final = (
    '{"created_at":"$created$","id":$id$,"id_str":"$id$","text":"$whole$",'
    '"source":"<a href=\\"https://app.pond.example\\" rel=\\"nofollow\\">$client$</a>",'
    '"truncated":false,$answers$"user":$user$,"geo":null,"coordinates":null,"place":$place$,'
    '"contributors":null,$embedded$"is_quote_status":$quotes$,"quote_count":$n_quotes$,'
    '"reply_count":$n_replies$,"retweet_count":$n_reposts$,"favorite_count":$n_likes$,'
    '"entities":{"hashtags":[$hashtags$],"urls":[$urls$],"user_mentions":[$mentions$],'
    '"symbols":[]},"favorited":false,"retweeted":false,"possibly_sensitive":false,'
    '"filter_level":"low","lang":"$lang$","timestamp_ms":"$ms$"}'
)
_NO_ANSWER_V1: Final = (
    '"in_reply_to_status_id":null,"in_reply_to_status_id_str":null,"in_reply_to_user_id":null,'
    '"in_reply_to_user_id_str":null,"in_reply_to_screen_name":null,'
)
_ANSWER_V1: Final = (
    '"in_reply_to_status_id":$to_id$,"in_reply_to_status_id_str":"$to_id$",'
    '"in_reply_to_user_id":$to_number$,"in_reply_to_user_id_str":"$to_number$",'
    '"in_reply_to_screen_name":"$to_handle$",'
)
_DELETE_V1: Final = (
    '{"delete":{"status":{"id":$to_id$,"id_str":"$to_id$","user_id":$to_number$,'
    '"user_id_str":"$to_number$"},"timestamp_ms":"$ms$"}}'
)
_TAG_V1: Final = '{"text":"$NAME$","indices":[$NAME_from$,$NAME_to$]}'
_URL_V1: Final = (
    '{"url":"$short$","expanded_url":"$url$","display_url":"$site$/…",'
    '"indices":[$link_from$,$link_to$]}'
)
_MENTION_V1: Final = (
    '{"screen_name":"$WHO_handle$","name":"$WHO_name$","id":$WHO_number$,'
    '"id_str":"$WHO_number$","indices":[$WHO_from$,$WHO_to$]}'
)
_TAG_V2: Final = '{"end":$NAME_to$,"start":$NAME_from$,"tag":"$NAME$"}'
_URL_V2: Final = (
    '{"display_url":"$site$/…","end":$link_to$,"expanded_url":"$url$","start":$link_from$,'
    '"status":200,"title":"$site$","unwound_url":"$url$","url":"$short$"}'
)
_MENTION_V2: Final = (
    '{"end":$WHO_to$,"id":"$WHO_number$","start":$WHO_from$,"username":"$WHO_handle$"}'
)
_DATA_V2: Final = (
    '{"author_id":"$number$","context_annotations":[{"domain":{"description":"Things that people '
    'talk of in this made-up world","id":"131","name":"Unified Topic"},"entity":{"id":'
    '"10000$seq$","name":"$city$"}}],"conversation_id":"$conversation$","created_at":"$iso$",'
    '"edit_controls":{"editable_until":"$iso$","edits_remaining":5,"is_edit_eligible":true},'
    '"edit_history_tweet_ids":[$history$],"entities":{"hashtags":[$hashtags$],'
    '"mentions":[$mentions$],"urls":[$urls$]},"id":"$id$",$asked$"lang":"$lang$",'
    '"possibly_sensitive":false,"public_metrics":{"impression_count":$views$,'
    '"like_count":$n_likes$,"quote_count":$n_quotes$,"reply_count":$n_replies$,'
    '"retweet_count":$n_reposts$},$referenced$"reply_settings":"everyone","text":"$whole$"}'
)
_ITEM_V2: Final = (
    '{"data":$data$,"includes":{"users":[$users$]$tweets$},'
    '"matching_rules":[{"id":"1780000000000000001","tag":"demo"}]}'
)
_CLIENTS: Final = ("Pond for Phones", "Pond Web App", "Pond for Tablets", "Ripple Deck")


@lru_cache(maxsize=4)
def _users(people: People) -> pl.DataFrame:
    """Each person as v1 and as v2 shows them."""
    number = pl.col("followers")
    frame = people.text.with_columns(
        verified=pl.when(number > 8000).then(pl.lit("true")).otherwise(pl.lit("false")),
        friends=number // 3 + 41,
        listed=number // 90,
        favourites=number * 2 + 17,
        statuses=number * 5 + 130,
    )
    return frame.select(user_v1=template(_USER_V1), user_v2=template(_USER_V2))


def render(stage: Stage) -> pl.DataFrame:
    """The step's items of X: row (of the step), format, raw (String)."""
    scene = stage.scene
    rows = np.flatnonzero(scene.people.network[stage.now.person] == X)
    kind = stage.now.kind[rows]
    target = scene.target[rows]
    shows = np.isin(kind, (QUOTE, REPOST)) & (target >= 0)
    frame = pl.concat(
        [
            stage.frame(scene.first + rows),
            refer(stage, np.where(kind == QUOTE, -1, target), "to_"),
            refer(stage, scene.root[rows], "root_"),
            pl.DataFrame(
                {
                    "kind": kind,
                    "target": np.where(shows, target, -1),
                    "now": scene.rows.at[scene.first + rows],
                }
            ),
        ],
        how="horizontal",
    ).with_columns(row=pl.Series(rows))
    frame = _written(scene.people, frame)
    shown = _shown(stage, target[shows], frame["now"].to_numpy()[shows])
    second = (pl.col("chance") < _V2_SHARE) & (pl.col("kind") != DELETE) | (pl.col("kind") == EDIT)
    is_v2 = frame.select(second.alias("v2"))["v2"]
    at = pl.Series(np.where(shows, np.cumsum(shows) - 1, -1)).replace(-1, None)
    v1 = _v1(frame.filter(~is_v2), shown, at.filter(~is_v2))
    v2 = _v2(frame.filter(is_v2), shown, at.filter(is_v2))
    return pl.concat([v1, v2])


def _shown(stage: Stage, rows: I64, now: I64) -> pl.DataFrame:
    """Posts that are shown inside others, as they are at that moment."""
    nobody = np.full(len(rows), -1)
    frame = pl.concat(
        [
            stage.frame(rows),
            refer(stage, nobody, "to_"),
            refer(stage, nobody, "root_"),
            pl.DataFrame(
                {"kind": stage.scene.rows.kind[rows], "now": now},
                schema_overrides={"kind": pl.Int64},
            ),
        ],
        how="horizontal",
    )
    frame = _written(stage.scene.people, frame)
    none = pl.lit("")
    return frame.with_columns(
        v1=_status(frame.with_columns(embedded=none, answers=pl.lit(_NO_ANSWER_V1))),
        v2=_data(frame.with_columns(referenced=none, asked=none)),
    )


def _written(people: People, frame: pl.DataFrame) -> pl.DataFrame:
    """With ids, whole text, entities' places, counters and users."""
    at, seq = frame["at"].to_numpy(), frame["seq"].to_numpy()
    to_at, to_seq = (frame[c].fill_null(0).to_numpy() for c in ("to_at", "to_seq"))
    root_at, root_seq = (frame[c].fill_null(0).to_numpy() for c in ("root_at", "root_seq"))
    uid = frame["uid"].to_numpy()
    age = (pl.col("now") - pl.col("at")) / 1e6
    frame = frame.with_columns(
        id=ids.snowflake(at, seq),
        to_id=ids.snowflake(to_at, to_seq),
        root_id=ids.snowflake(root_at, root_seq),
        short=pl.when(pl.col("url").is_not_null()).then(
            "https://s.example/" + ids.base32(uid, 130, 10)
        ),
        ms=pl.col("at") // 1000,
        iso=iso("at"),
        created=pl.from_epoch("at", time_unit="us").dt.strftime("%a %b %d %H:%M:%S +0000 %Y"),
        client=pl.Series(_CLIENTS).gather(frame["person"].to_numpy() % len(_CLIENTS)),
        n_likes=grown(0.9, age),
        n_reposts=grown(0.35, age),
        n_replies=grown(0.2, age),
        n_quotes=grown(0.06, age),
        views=grown(40.0, age),
        prefix=pl.when(pl.col("kind") == REPLY).then(template("@$to_handle$ ")).fill_null(""),
    )
    users = _users(people)[frame["person"].to_numpy()]
    frame = pl.concat(
        [lay_out(frame, "cc_handle", "short", in_bytes=False), users], how="horizontal"
    )
    return frame.with_columns(
        to_from=pl.when(pl.col("prefix") != "").then(0),
        to_to=pl.when(pl.col("prefix") != "").then(pl.col("prefix").str.len_chars() - 1),
    )


def _entities(tag: str, url: str, mention: str) -> dict[str, pl.Expr]:
    """The lists of entities."""
    return {
        "hashtags": joined(tag.replace("NAME", "tag1"), tag.replace("NAME", "tag2")),
        "urls": joined(url),
        "mentions": joined(mention.replace("WHO", "to"), mention.replace("WHO", "cc")),
    }


def _status(frame: pl.DataFrame) -> pl.Series:
    """Statuses of v1.1; needs `embedded` and `answers`."""
    located = pl.col("chance") > 0.93
    quotes = pl.when(pl.col("embedded").str.starts_with('"quoted')).then(pl.lit("true"))
    frame = frame.with_columns(
        west=pl.col("lon") - 0.1,
        east=pl.col("lon") + 0.1,
        south=pl.col("lat") - 0.1,
        north=pl.col("lat") + 0.1,
        user=pl.col("user_v1"),
        quotes=quotes.otherwise(pl.lit("false")),
        **_entities(_TAG_V1, _URL_V1, _MENTION_V1),
    ).with_columns(place=pl.when(located).then(template(_PLACE_V1)).otherwise(pl.lit("null")))
    return frame.select(template(_STATUS_V1).alias("raw"))["raw"]


def _v1(frame: pl.DataFrame, shown: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    """Items of the v1.1 stream; `at` says which of `shown` is shown in which."""
    inner = shown.select(inner="v1", inner_id="id", inner_text="whole", inner_handle="handle")
    frame = pl.concat([frame, inner.select(pl.all().gather(at))], how="horizontal")
    reposts = pl.col("kind") == REPOST
    embedded = (
        pl.when(reposts)
        .then(template('"retweeted_status":$inner$,'))
        .otherwise(
            template(
                '"quoted_status_id":$inner_id$,"quoted_status_id_str":"$inner_id$","quoted_status":$inner$,'
            )
        )
        .fill_null("")
    )
    nothing = pl.when(~reposts)
    frame = frame.with_columns(
        embedded=embedded,
        answers=pl.when(pl.col("kind") == REPLY)
        .then(template(_ANSWER_V1))
        .fill_null(_NO_ANSWER_V1),
        whole=pl.when(reposts)
        .then(template("RT @$inner_handle$: $inner_text$"))
        .otherwise("whole"),
        **{c: nothing.then(c) for c in ("tag1", "tag2", "url", "cc_handle")},
    )
    gone = pl.col("kind") == DELETE
    raw = pl.when(gone).then(template(_DELETE_V1)).otherwise(pl.Series("raw", _status(frame)))
    return frame.select("row", format=pl.lit(V1), raw=raw)


def _data(frame: pl.DataFrame) -> pl.Series:
    """Posts of v2; needs `referenced` and `asked`."""
    edits = pl.col("kind") == EDIT
    frame = frame.with_columns(
        history=pl.when(edits).then(template('"$to_id$","$id$"')).otherwise(template('"$id$"')),
        conversation=pl.when(pl.col("root_at").is_null()).then("id").otherwise("root_id"),
        **_entities(_TAG_V2, _URL_V2, _MENTION_V2),
    )
    return frame.select(template(_DATA_V2).alias("raw"))["raw"]


def _v2(frame: pl.DataFrame, shown: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    """Items of the filtered stream, each with what it refers to."""
    inner = shown.select(
        inner="v2",
        inner_id="id",
        inner_text="whole",
        inner_handle="handle",
        inner_user="user_v2",
        inner_number="number",
    )
    frame = pl.concat([frame, inner.select(pl.all().gather(at))], how="horizontal")
    kind = pl.col("kind")
    referenced = (
        pl.when(kind == REPOST)
        .then(template('"referenced_tweets":[{"type":"retweeted","id":"$inner_id$"}],'))
        .when(kind == QUOTE)
        .then(template('"referenced_tweets":[{"type":"quoted","id":"$inner_id$"}],'))
        .when(kind == REPLY)
        .then(template('"referenced_tweets":[{"type":"replied_to","id":"$to_id$"}],'))
        .fill_null("")
    )
    other = (pl.col("inner_number") != pl.col("number")).fill_null(value=True)
    frame = frame.with_columns(
        referenced=referenced,
        asked=pl.when(kind == REPLY)
        .then(template('"in_reply_to_user_id":"$to_number$",'))
        .fill_null(""),
        whole=pl.when(kind == REPOST)
        .then(template("RT @$inner_handle$: $inner_text$"))
        .otherwise("whole"),
        **{c: pl.when(kind != REPOST).then(c) for c in ("tag1", "tag2", "url", "cc_handle")},
        tweets=if_any(',"tweets":[$inner$]'),
        users=pl.concat_str(
            "user_v2", pl.when(other).then(template(",$inner_user$")).fill_null("")
        ),
    )
    frame = frame.with_columns(data=_data(frame))
    return frame.select("row", format=pl.lit(V2), raw=template(_ITEM_V2))
