"""Bluesky as Jetstream writes it: v1 events, v2 frames, and v2 payloads without their frame.

What becomes what: posts are posts (`create`, operation update: `updates`, delete: `deletes`).
Likes, reposts and follows are interactions, their deletes removals. Account deleted is
`author_delete`; deactivated, suspended, taken down `hide`; active `show`; identity and profile
records `author_update`; `#sync` is `sync`: all of class control. So are all other collections and
`#info` and error frames. The id is the at:// URI, the version the rev (a TID) as an integer.

Source: docs.bsky.app (app.bsky.feed.post, richtext.facet, embed.*), lexicon
network.bsky.jetstream.subscribeEvents; atproto.com/specs/tid.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._bluesky import RECORD, posts
from earshot.formats._frames import decoded, judged
from earshot.formats._json import Fields, Unwrap, read
from earshot.formats._tid import rev
from earshot.formats._times import iso, micros

NAME: Final = "jetstream"
SOURCE: Final = "bluesky"
LINES: Final = True

_POST: Final = "app.bsky.feed.post"
_PROFILE: Final = "app.bsky.actor.profile"
_KINDS: Final = {
    "app.bsky.feed.like": "like",
    "app.bsky.feed.repost": "repost",
    "app.bsky.graph.follow": "follow",
}
_S: Final = pl.String()
_ACTOR: Final = pl.Struct(
    {"active": pl.Boolean, "status": pl.String, "handle": pl.String, "rev": pl.String}
)
_COMMIT: Final[Fields] = {"rev": _S, "operation": _S, "collection": _S, "rkey": _S}
_EVENT: Final[Fields] = {
    "did": _S,
    "time_us": pl.Int64(),
    "time": _S,
    "kind": _S,
    "$type": _S,
    "account": _ACTOR,
    "identity": _ACTOR,
    "sync": _ACTOR,
}
_UNWRAP: Final = Unwrap("did", ("payload",))
_PARTS: Final = ("account", "identity", "sync")


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    payload = item.get("payload")
    if item.get("$type") == "message" and isinstance(payload, dict):
        item = payload
    if not str(item.get("did", "")).startswith("did:"):
        return 0.9 if str(item.get("$type", "")).endswith("subscribeEvents#info") else 0.0
    known = item.get("kind") in {"commit", *_PARTS} or "#" in str(item.get("$type", ""))
    return 1.0 if known else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: an event a line."""
    return _cut.documents(data)


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    found = judged(_read(records["raw"]), _WHY, **_CLASSES)
    return decoded(
        records,
        SOURCE,
        found,
        posts=posts(found.filter(pl.col("class").is_in(["create", "updates"]))),
        events=_events(found, records["raw"]),
        interactions=_interactions(
            found.filter(pl.col("class") == "interactions"), records["raw"]
        ),
    )


def _read(raw: pl.Series) -> pl.DataFrame:
    """Events, one row each, with `post`: the record, where it is a post.

    The records of other collections may have anything in fields that are named alike, and are not
    read. Which are read as posts is guessed by their bytes, and put right where the guess was
    wrong: it can cost time, but change nothing.
    """
    likely = raw.bin.contains(_POST.encode())
    found = _guessed(raw, likely)
    missed = (found["collection"] == _POST).fill_null(value=False) & ~likely
    return found if not missed.any() else _guessed(raw, likely | missed)


def _guessed(raw: pl.Series, likely: pl.Series) -> pl.DataFrame:
    """Read all; as posts where it is likely that they are."""
    if likely.all():
        return _events_with(raw, {"record": pl.Struct(RECORD)})
    rows = pl.int_range(0, len(raw), eager=True, dtype=pl.UInt32)
    parts = [
        _events_with(raw.filter(where), shape).with_columns(row=rows.filter(where))
        for where, shape in ((likely, {"record": pl.Struct(RECORD)}), (~likely, {}))
    ]
    return pl.concat(parts, how="diagonal").sort("row")


def _events_with(raw: pl.Series, record: Fields) -> pl.DataFrame:
    """v1 and v2 alike, with these fields of the record as `post`."""
    commit: Fields = {**_COMMIT, **record}
    shape: Fields = {**_EVENT, **commit, "commit": pl.Struct(commit)}
    found = read(raw, shape, _UNWRAP)
    inner = pl.col("commit").struct
    second = found["time"].is_not_null().any()  # v2 says `time`, where v1 says `time_us`
    outer = {n: pl.coalesce(inner[n], n) if second else inner[n] for n in commit}
    kind = pl.coalesce("kind", pl.col("$type").str.extract(r"(?:^|#)([a-z]+)$"))
    return found.select(
        "row",
        "reason",
        "did",
        *_PARTS,
        **{"post" if n == "record" else n: e for n, e in outer.items()},
        kind=kind,
        at=pl.coalesce(micros(pl.col("time_us")), iso(found["time"])),
    )


_KNOWN: Final = pl.col("did").is_not_null() & (pl.col("kind") == "commit")
_WRITTEN: Final = pl.col("operation").is_in(["create", "update"])
_COMPLETE: Final = pl.col("rkey").is_not_null() & pl.col("collection").is_not_null()
_OF_POST: Final = _KNOWN & _COMPLETE & (pl.col("collection") == _POST)
_CLASSES: Final = {
    "create": _OF_POST
    & (pl.col("operation") == "create")
    & pl.col("post").struct["text"].is_not_null(),
    "updates": _OF_POST
    & (pl.col("operation") == "update")
    & pl.col("post").struct["text"].is_not_null(),
    "deletes": _OF_POST & (pl.col("operation") == "delete"),
    "interactions": _KNOWN
    & _COMPLETE
    & pl.col("collection").is_in(list(_KINDS))
    & pl.col("operation").is_in(["create", "update", "delete"]),
    "control": (_KNOWN & _COMPLETE & (pl.col("collection") != _POST))
    | (pl.col("did").is_not_null() & pl.col("kind").is_in(_PARTS))
    | pl.col("kind").is_in(["info", "error"]),
}
_WHY: Final = (
    pl.when(pl.col("kind").is_null())
    .then(pl.lit("no Jetstream event: neither kind nor $type"))
    .when(pl.col("did").is_null())
    .then(pl.lit("an event without a did"))
    .when(_OF_POST & _WRITTEN)
    .then(pl.lit("a post without a text"))
    .when(_KNOWN & ~_COMPLETE)
    .then(pl.lit("a commit without collection or rkey"))
    .otherwise(pl.lit("an event of an unknown kind or operation"))
)
_URI: Final = pl.concat_str(
    pl.lit("at://"), "did", pl.lit("/"), "collection", pl.lit("/"), "rkey"
)


def _events(found: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """Deletes of posts; what happened to accounts."""
    some = found.filter(
        (pl.col("class") == "deletes")
        | ((pl.col("class") == "control") & pl.col("did").is_not_null())
    )
    if not some.height:
        return some
    account = pl.col("account").struct
    shown = account["active"].fill_null(value=True) & account["status"].is_null()
    deleted = account["status"] == "deleted"
    kind = (
        pl.when(pl.col("class") == "deletes")
        .then(pl.lit("delete"))
        .when(pl.col("kind") == "account")
        .then(
            pl.when(deleted)
            .then(pl.lit("author_delete"))
            .when(shown | account["active"])
            .then(pl.lit("show"))
            .otherwise(pl.lit("hide"))
        )
        .when(pl.col("kind") == "identity")
        .then(pl.lit("author_update"))
        .when(pl.col("kind") == "sync")
        .then(pl.lit("sync"))
    )
    told = some.with_columns(
        event=kind,
        version=pl.coalesce(
            rev(some["rev"]), rev(some["sync"].struct.field("rev").alias("version"))
        ),
    )
    plain = told.filter(pl.col("event").is_not_null()).select(
        "row",
        "at",
        kind="event",
        id=pl.when(pl.col("event") == "delete").then(_URI),
        author_id="did",
        version=pl.when(pl.col("event").is_in(["delete", "sync"])).then("version"),
        profile=_profile(handle=_handle(pl.col("identity").struct["handle"])),
    )
    return pl.concat([plain, _profiles(told, raw)]).sort("row")


def _handle(handle: pl.Expr) -> pl.Expr:
    """A handle that resolves; null for the placeholder of those that do not."""
    return pl.when(handle != "handle.invalid").then(handle)


def _profile(**said: pl.Expr) -> pl.Expr:
    """The struct of an author_update; what is not said is null, which changes nothing."""
    text = dict.fromkeys(("handle", "name", "bio", "location"), pl.lit(None, pl.String))
    rest = {"followers": pl.lit(None, pl.Int64), "verified": pl.lit(None, pl.Boolean)}
    return pl.struct(**{**text, **said, **rest})


def _profiles(told: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """What people say about themselves: commits of profile records."""
    some = told.filter((pl.col("collection") == _PROFILE) & _WRITTEN)
    record = _record(some, raw, {"displayName": _S, "description": _S})
    return some.select(
        "row",
        "at",
        kind=pl.lit("author_update"),
        id=pl.lit(None, pl.String),
        author_id="did",
        version=pl.lit(None, pl.Int64),
        profile=_profile(
            name=pl.lit(record.struct.field("displayName")),
            bio=pl.lit(record.struct.field("description")),
        ),
    )


def _record(some: pl.DataFrame, raw: pl.Series, shape: Fields) -> pl.Series:
    """Fields of the records of these commits, read again for them."""
    inside: Fields = {"record": pl.Struct(shape)}
    fields: Fields = {"did": _S, **inside, "commit": pl.Struct(inside)}
    found = read(raw.gather(some["row"]), fields, Unwrap("did", ("payload",)))
    return found.select(pl.coalesce(pl.col("commit").struct["record"], "record")).to_series()


def _interactions(some: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """Likes, reposts, follows, and their removal."""
    if not some.height:
        return some
    parts = []
    for follows in (False, True):
        part = some.filter((pl.col("collection") == "app.bsky.graph.follow") == follows)
        subject = pl.String() if follows else pl.Struct({"uri": pl.String})
        record = _record(part, raw, {"createdAt": _S, "subject": subject}).struct
        thing = record.field("subject")
        parts.append(
            part.with_columns(
                object=thing if follows else thing.struct.field("uri"),
                claimed=iso(record.field("createdAt")),
            )
        )
    removed = pl.col("operation") == "delete"
    return (
        pl.concat(parts)
        .sort("row")
        .select(
            "row",
            key=_URI,
            kind=pl.col("collection").replace_strict(_KINDS),
            actor="did",
            object=pl.when(~removed).then("object"),
            removed=removed,
            at=pl.when(pl.col("claimed") <= pl.col("at") + pl.duration(minutes=2))
            .then("claimed")
            .otherwise("at"),
        )
    )
