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
from earshot.formats._frames import decoded, first_of, inside, judged, of_class
from earshot.formats._json import Fields, Reader, Unwrap
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
_PARTS: Final = ("account", "identity", "sync")
_COMMIT: Final[Fields] = {"rev": _S, "operation": _S, "collection": _S, "rkey": _S}
_V1: Final[Fields] = {"did": _S, "time_us": pl.Int64(), "kind": _S}
_V2: Final[Fields] = {"did": _S, "time": _S, "$type": _S}
_UNWRAP: Final = Unwrap("did", ("payload",))


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    payload = item.get("payload")
    if item.get("$type") == "message" and isinstance(payload, dict):
        item = payload
    if not _cut.text(item, "did").startswith("did:"):
        return 0.9 if _cut.text(item, "$type").endswith("subscribeEvents#info") else 0.0
    known = _cut.text(item, "kind") in {"commit", *_PARTS} or "#" in _cut.text(item, "$type")
    return 1.0 if known else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: an event a line."""
    return _cut.documents(data)


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    seen, written = _read(records["raw"])
    found = judged(seen, _WHY, _CLASSES)
    commits = of_class(found, "create", "updates")
    return decoded(
        records,
        SOURCE,
        found,
        posts=posts(commits, _of_rows(written, commits["row"])),
        events=_events(found, records["raw"]),
        interactions=_interactions(of_class(found, "interactions"), records["raw"]),
    )


_BEGIN: Final = 280
"""Within so many bytes Jetstream names the collection; further on a like names the liked post."""


def _read(raw: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events, one row each, and the records of posts.

    How a record is read is first guessed by its bytes, and put right where the guess was wrong: a
    guess can cost time, but change nothing. Records of other collections than posts may have
    anything in fields that are named alike, so those are not read.

    Returns:
        `row fault did kind rev operation collection rkey at text`; `row` and `record` (RECORD), of
        some rows, of every post among them.
    """
    begin = raw.bin.head(_BEGIN)
    likely = begin.bin.contains(_POST.encode())
    second = begin.bin.head(120).bin.contains(b"$type")
    found, written = _guessed(raw, likely, second)
    wrong = (found["collection"] == _POST).fill_null(value=False) & ~likely
    if not found["kind"].null_count() and not wrong.any():
        return found, written
    other = found["kind"].is_null() & found["fault"].is_null()
    if not (wrong | other).any():
        return found, written
    return _guessed(raw, likely | wrong, second ^ other)


def _guessed(
    raw: pl.Series, likely: pl.Series, second: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read all: as posts where it is likely that they are, as v2 where that is `second`."""
    rows = pl.int_range(0, len(raw), eager=True, dtype=pl.UInt32)
    parts: list[pl.DataFrame] = []
    written: list[pl.DataFrame] = []
    for v2 in (False, True):
        for post in (True, False):
            where = (second if v2 else ~second) & (likely if post else ~likely)
            if where.any() or not (v2 or parts):  # one part at least, for the columns
                own = rows.filter(where).alias("row")
                part = (_read_v2 if v2 else _read_v1)(raw.filter(where), post=post)
                part.replace_column(0, own)
                if post:
                    written.append(pl.DataFrame([own, part.drop_in_place("record")]))
                parts.append(part)
    whole = parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal").sort("row")
    return whole, written[0] if len(written) == 1 else pl.concat(written or [_NONE]).sort("row")


def _of_rows(written: pl.DataFrame, rows: pl.Series) -> pl.Series:
    """The records of these rows: nearly always all, and then nothing is copied."""
    if written["row"].equals(rows):
        return written["record"]
    return written["record"].gather(written["row"].search_sorted(rows))


_WITH_POST: Final[Fields] = {"record": pl.Struct(RECORD)}
_NONE: Final = pl.DataFrame(schema={"row": pl.UInt32(), **_WITH_POST})
_V1_READERS: Final = [
    Reader({**_V1, "commit": pl.Struct({**_COMMIT, **record})}) for record in ({}, _WITH_POST)
]
_V2_READERS: Final = [Reader({**_V2, **_COMMIT, **record}, _UNWRAP) for record in ({}, _WITH_POST)]
_SEEN_V1: Final = micros(pl.col("time_us")).alias("at")


def _read_v1(raw: pl.Series, *, post: bool) -> pl.DataFrame:
    """`{did, time_us, kind, commit: {rev, operation, …}}`."""
    found = _V1_READERS[post].read(raw)
    told = found["row", "fault", "did", "kind"].hstack(found["commit"].struct.unnest())
    return _seen(told, found.select(_SEEN_V1).to_series())


_KIND_V2: Final = pl.col("$type").str.extract(r"(?:^|#)([a-z]+)$").alias("kind")


def _read_v2(raw: pl.Series, *, post: bool) -> pl.DataFrame:
    """`{$type, did, time, rev, operation, …}`, also in the `payload` of a frame."""
    found = _V2_READERS[post].read(raw)
    told = found["row", "fault", "did"].hstack(found.select(_KIND_V2)).hstack(found[*_COMMIT])
    return _seen(told if not post else told.hstack(found["record",]), iso(found["time"]))


def _seen(found: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    """Say when the event was seen, and what a post says."""
    if "record" in found.columns:
        text = inside(found["record"], "text")
    else:
        text = _NO_TEXT.new_from_index(0, found.height)
    return found.hstack([at.alias("at"), text])


_NO_TEXT: Final = pl.Series("text", [None], pl.String)
_KNOWN: Final = pl.col("did").is_not_null() & (pl.col("kind") == "commit")
_WRITTEN: Final = pl.col("operation").is_in(["create", "update"])
_COMPLETE: Final = pl.col("rkey").is_not_null() & pl.col("collection").is_not_null()
_OF_POST: Final = _KNOWN & _COMPLETE & (pl.col("collection") == _POST)
_CLASSES: Final = first_of(
    create=_OF_POST & (pl.col("operation") == "create") & pl.col("text").is_not_null(),
    updates=_OF_POST & (pl.col("operation") == "update") & pl.col("text").is_not_null(),
    deletes=_OF_POST & (pl.col("operation") == "delete"),
    interactions=_KNOWN
    & _COMPLETE
    & pl.col("collection").is_in(list(_KINDS))
    & pl.col("operation").is_in(["create", "update", "delete"]),
    control=(_KNOWN & _COMPLETE & (pl.col("collection") != _POST))
    | (pl.col("did").is_not_null() & pl.col("kind").is_in(list(_PARTS)))
    | pl.col("kind").is_in(["info", "error"]),
)
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
_URI: Final = pl.concat_str(pl.lit("at://"), "did", pl.lit("/"), "collection", pl.lit("/"), "rkey")


def _events(found: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """Deletes of posts; what happened to accounts."""
    deletes = of_class(found, "deletes")
    control = of_class(found, "control")
    if not deletes.height + control.height:
        return deletes
    some = [deletes.select(_DELETE).hstack([rev(deletes["rev"]).alias("version")])]
    if control.height:
        some.append(_accounts(control.filter(_OF_ACCOUNT), raw))
        some.append(_profiles(control.filter(_OF_PROFILE), raw))
    return pl.concat([part for part in some if part.height] or [deletes], how="diagonal").sort(
        "row"
    )


_DELETE: Final = [
    pl.col("row"),
    pl.col("at"),
    pl.lit("delete").alias("kind"),
    _URI.alias("id"),
    pl.col("did").alias("author_id"),
]
_OF_ACCOUNT: Final = pl.col("did").is_not_null() & pl.col("kind").is_in(list(_PARTS))
_OF_PROFILE: Final = pl.col("did").is_not_null() & (pl.col("collection") == _PROFILE) & _WRITTEN
_ACCOUNT_READER: Final = Reader({"did": _S, **dict.fromkeys(_PARTS, _ACTOR)}, _UNWRAP)


def _accounts(some: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """Accounts that went, came back, were renamed or rebuilt; read again for what they say."""
    if not some.height:
        return some
    told = _ACCOUNT_READER.read(raw[some["row"]]).select(*_PARTS)
    account = pl.col("account").struct
    fate = (
        pl.when(account["status"] == "deleted")
        .then(pl.lit("author_delete"))
        .when(account["active"])
        .then(pl.lit("show"))
        .otherwise(pl.lit("hide"))
    )
    kinds = {"identity": pl.lit("author_update"), "sync": pl.lit("sync"), "account": fate}
    newest = rev(told["sync"].struct.field("rev"))
    return (
        some.hstack(told)
        .hstack([newest.alias("version")])
        .select(
            "row",
            "at",
            kind=pl.coalesce(
                pl.when(pl.col("kind") == part).then(kind) for part, kind in kinds.items()
            ),
            author_id="did",
            version="version",
            profile=_profile(handle=_handle(pl.col("identity").struct["handle"])),
        )
    )


def _handle(handle: pl.Expr) -> pl.Expr:
    """A handle that resolves; null for the placeholder of those that do not."""
    return pl.when(handle != "handle.invalid").then(handle)


def _profile(**said: pl.Expr) -> pl.Expr:
    """The struct of an author_update; what is not said is null, which changes nothing."""
    text = dict.fromkeys(("handle", "name", "bio", "location"), pl.lit(None, pl.String))
    rest = {"followers": pl.lit(None, pl.Int64), "verified": pl.lit(None, pl.Boolean)}
    fields = {**text, **said, **rest}
    return pl.struct(*(value.alias(name) for name, value in fields.items()))


def _profiles(some: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """What people say about themselves: commits of profile records."""
    if not some.height:
        return some
    record = _record(some, raw, _PROFILE_READER).struct
    name, bio = record.field("displayName"), record.field("description")
    return some.with_columns(name=name, bio=bio).select(
        "row",
        "at",
        kind=pl.lit("author_update"),
        author_id="did",
        profile=_profile(name=pl.col("name"), bio=pl.col("bio")),
    )


def _reader_of(**shape: pl.DataType) -> Reader:
    """Reads fields of records, in v1 and in v2."""
    inside: Fields = {"record": pl.Struct(shape)}
    return Reader({"did": _S, **inside, "commit": pl.Struct(inside)}, _UNWRAP)


_PROFILE_READER: Final = _reader_of(displayName=_S, description=_S)
_FOLLOW_READER: Final = _reader_of(createdAt=_S, subject=_S)
_ACT_READER: Final = _reader_of(createdAt=_S, subject=pl.Struct({"uri": pl.String}))


def _record(some: pl.DataFrame, raw: pl.Series, reader: Reader) -> pl.Series:
    """Fields of the records of these commits, read again for them."""
    found = reader.read(raw[some["row"]])
    inside = found["commit"].struct.unnest()["record"]
    if not found["record"].null_count() < found.height:
        return inside
    return inside.zip_with(inside.is_not_null(), found["record"])


def _interactions(some: pl.DataFrame, raw: pl.Series) -> pl.DataFrame:
    """Likes, reposts, follows, and their removal."""
    if not some.height:
        return some
    parts = []
    for follows in (False, True):
        part = some.filter((some["collection"] == "app.bsky.graph.follow") == follows)
        if not part.height:
            continue
        record = _record(part, raw, _FOLLOW_READER if follows else _ACT_READER).struct.unnest()
        thing = record["subject"] if follows else record["subject"].struct.unnest()["uri"]
        parts.append(
            part.hstack([thing.alias("object"), iso(record["createdAt"]).alias("claimed")])
        )
    return pl.concat(parts).sort("row").select(_ACT)


_REMOVED: Final = pl.col("operation") == "delete"
_ACT: Final = [
    pl.col("row"),
    _URI.alias("key"),
    pl.col("collection").replace_strict(_KINDS).alias("kind"),
    pl.col("did").alias("actor"),
    pl.when(~_REMOVED).then("object").alias("object"),
    _REMOVED.alias("removed"),
    pl.when(pl.col("claimed") <= pl.col("at") + pl.duration(minutes=2))
    .then("claimed")
    .otherwise("at")
    .alias("at"),
]
