"""Bluesky: events as Jetstream v1 writes them."""

from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import ids, noise
from earshot.sources._world.people import BLUESKY
from earshot.sources._world.plot import (
    ACCOUNT,
    DELETE,
    EDIT,
    FOLLOW,
    IDENTITY,
    LIKE,
    POST,
    QUOTE,
    REPLY,
    REPOST,
    UNLIKE,
)
from earshot.sources._world.stage import Stage, iso, joined, lay_out, refer, template

FORMAT: Final = "jetstream"
_COMMIT: Final = '{"did":"$did$","time_us":$at$,"kind":"commit","commit":{"rev":"$rev$",'
_RECORD: Final = (
    _COMMIT + '"operation":"$operation$","collection":"app.bsky.feed.post","rkey":"$rkey$",'
    '"record":{"$type":"app.bsky.feed.post","createdAt":"$created$",$embed$$facets$'
    '"langs":["$lang$"],$reply$"text":"$whole$"},"cid":"$cid$"}}'
)
_TAG: Final = (
    '{"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"$NAME$"}],'
    '"index":{"byteEnd":$NAME_to$,"byteStart":$NAME_from$}}'
)
_LINK: Final = (
    '{"features":[{"$type":"app.bsky.richtext.facet#link","uri":"$url$"}],'
    '"index":{"byteEnd":$link_to$,"byteStart":$link_from$}}'
)
_MENTION: Final = (
    '{"$type":"app.bsky.richtext.facet","features":[{"$type":"app.bsky.richtext.facet#mention",'
    '"did":"$cc_did$"}],"index":{"byteEnd":$cc_to$,"byteStart":$cc_from$}}'
)
_EXTERNAL: Final = (
    '"embed":{"$type":"app.bsky.embed.external","external":{"description":"$body$",'
    '"thumb":{"$type":"blob","ref":{"$link":"$cid$"},"mimeType":"image/jpeg","size":48211},'
    '"title":"$site$","uri":"$url$"}},'
)
_IMAGES: Final = (
    '"embed":{"$type":"app.bsky.embed.images","images":[{"alt":"$city$, $lang$","aspectRatio":'
    '{"height":1024,"width":768},"image":{"$type":"blob","ref":{"$link":"$cid$"},'
    '"mimeType":"image/jpeg","size":301877}}]},'
)
_QUOTED: Final = (
    '"embed":{"$type":"app.bsky.embed.record","record":{"cid":"$to_cid$","uri":"$to_uri$"}},'
)
_REPLY: Final = (
    '"reply":{"parent":{"cid":"$to_cid$","uri":"$to_uri$"},'
    '"root":{"cid":"$root_cid$","uri":"$root_uri$"}},'
)
_SUBJECT: Final = (
    _COMMIT + '"operation":"create","collection":"$collection$","rkey":"$rkey$","record":'
    '{"$type":"$collection$","createdAt":"$created$","subject":$subject$},"cid":"$cid$"}}'
)
_GONE: Final = _COMMIT + '"operation":"delete","collection":"$collection$","rkey":"$to_rkey$"}}'
_IDENTITY: Final = (
    '{"did":"$did$","time_us":$at$,"kind":"identity","identity":{"did":"$did$",'
    '"handle":"$handle$.demo.example","seq":$at$,"time":"$time$"}}'
)
_ACCOUNT: Final = (
    '{"did":"$did$","time_us":$at$,"kind":"account","account":{"active":$active$,"did":"$did$",'
    '"seq":$at$,$status$"time":"$time$"}}'
)
_COLLECTION: Final = {
    LIKE: "app.bsky.feed.like",
    REPOST: "app.bsky.feed.repost",
    FOLLOW: "app.bsky.graph.follow",
}


def render(stage: Stage) -> pl.DataFrame:
    """The step's Jetstream events: row (of the step), format, raw (String)."""
    scene = stage.scene
    rows = np.flatnonzero(scene.people.network[stage.now.person] == BLUESKY)
    whom = np.where(scene.whom[rows] >= 0, scene.whom[rows], 0)
    frame = pl.concat(
        [
            stage.frame(scene.first + rows),
            refer(stage, scene.target[rows], "to_"),
            refer(stage, scene.root[rows], "root_"),
            scene.people.text[whom].select(whom_did="did"),
            pl.DataFrame({"kind": stage.now.kind[rows]}),
        ],
        how="horizontal",
    ).with_columns(row=pl.Series(rows))
    frame = _identified(frame).with_columns(time=iso("at", micros=True))
    kind = pl.col("kind")
    writes = kind.is_in([POST, REPLY, QUOTE, EDIT])
    parts = [
        _posts(frame.filter(writes)),
        _subjects(frame.filter(kind.is_in([LIKE, REPOST, FOLLOW]))),
        _removals(frame.filter(kind.is_in([DELETE, UNLIKE]))),
        _accounts(frame.filter(kind.is_in([IDENTITY, ACCOUNT]))),
    ]
    return pl.concat(parts).with_columns(format=pl.lit(FORMAT))


def _identified(frame: pl.DataFrame) -> pl.DataFrame:
    """With keys, content ids and uris of the rows and of what they refer to."""
    kind, uid = frame["kind"].to_numpy(), frame["uid"].to_numpy()
    own = {"rkey": ids.tid(frame["at"].to_numpy(), uid), "cid": ids.cid(uid)}
    for who in ("to", "root"):
        at = frame[f"{who}_at"].fill_null(0).to_numpy()
        key = frame[f"{who}_uid"].fill_null(0).to_numpy()
        own[f"{who}_rkey"], own[f"{who}_cid"] = ids.tid(at, key), ids.cid(key)
    uri = "at://$WHO_did$/app.bsky.feed.post/$WHO_rkey$"
    edits = pl.Series(kind == EDIT)
    later = noise.mix(uid, 121)
    return frame.with_columns(**own, edits=edits).with_columns(
        *(template(uri.replace("WHO", w)).alias(f"{w}_uri") for w in ("to", "root")),
        rkey=pl.when("edits").then("to_rkey").otherwise("rkey"),
        rev=ids.tid(frame["at"].to_numpy() + 1000, later),
        written=pl.when("edits").then("to_at").otherwise("at")
        - 1_000_000 * (0.2 + 2.5 * pl.col("chance")),
    )


def _posts(frame: pl.DataFrame) -> pl.DataFrame:
    """Posts, replies, quotes and edits."""
    mention = (pl.col("cc_handle") + ".demo.example").alias("cc_name")
    frame = lay_out(frame.with_columns(mention, prefix=pl.lit("")), "cc_name", "url", in_bytes=True)
    facets = joined(_TAG.replace("NAME", "tag1"), _TAG.replace("NAME", "tag2"), _LINK, _MENTION)
    kind = pl.col("kind")
    embed = (
        pl.when(kind == QUOTE)
        .then(template(_QUOTED))
        .when(pl.col("url").is_not_null() & (pl.col("chance") < 0.7))
        .then(template(_EXTERNAL))
        .when(pl.col("chance") > 0.9)
        .then(template(_IMAGES))
        .otherwise(pl.lit(""))
    )
    frame = frame.with_columns(
        facets=facets,
        embed=embed,
        reply=pl.when(kind == REPLY).then(template(_REPLY)).otherwise(pl.lit("")),
        operation=pl.when("edits").then(pl.lit("update")).otherwise(pl.lit("create")),
        created=_created(),
    ).with_columns(
        facets=pl.when(pl.col("facets") == "")
        .then(pl.lit(""))
        .otherwise(template('"facets":[$facets$],'))
    )
    return frame.select("row", raw=template(_RECORD))


def _created() -> pl.Expr:
    """When the author's program says it was written: a little before it came by."""
    return iso("written")


def _subjects(frame: pl.DataFrame) -> pl.DataFrame:
    """Likes, reposts, follows."""
    subject = (
        pl.when(pl.col("kind") == FOLLOW)
        .then(template('"$whom_did$"'))
        .otherwise(template('{"cid":"$to_cid$","uri":"$to_uri$"}'))
    )
    named = pl.col("kind").replace_strict(_COLLECTION, default=None, return_dtype=pl.String)
    frame = frame.with_columns(subject=subject, collection=named, created=_created())
    return frame.select("row", raw=template(_SUBJECT))


def _removals(frame: pl.DataFrame) -> pl.DataFrame:
    """Deleted posts and likes taken back."""
    collection = (
        pl.when(pl.col("kind") == UNLIKE)
        .then(pl.lit("app.bsky.feed.like"))
        .otherwise(pl.lit("app.bsky.feed.post"))
    )
    return frame.with_columns(collection=collection).select("row", raw=template(_GONE))


def _accounts(frame: pl.DataFrame) -> pl.DataFrame:
    """Handles that changed, accounts taken down and restored."""
    active = pl.col("chance") < 0.5
    frame = frame.with_columns(
        active=pl.when(active).then(pl.lit("true")).otherwise(pl.lit("false")),
        status=pl.when(active).then(pl.lit("")).otherwise(pl.lit('"status":"takendown",')),
    )
    raw = (
        pl.when(pl.col("kind") == IDENTITY).then(template(_IDENTITY)).otherwise(template(_ACCOUNT))
    )
    return frame.select("row", raw=raw)
