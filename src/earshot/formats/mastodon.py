"""Mastodon: statuses, as the API and its streams write them.

What becomes what: public and unlisted statuses are `create`, bare, or inside one `status` or
`body`, or in an `update` event; `status.update` is `updates`; `delete` is `deletes`. Statuses of
any other visibility are control, and so is every other thing that Mastodon's API answers with
(accounts, notifications, conversations, relationships, lists, {}, …): whatever is an object and
looks like no status. A boost is a repost that embeds its original; a quote embeds what it quotes.
The version is `edited_at` in µs. The id is the instance's own; `channel` the author's instance.

A server-sent event becomes the record `{"event": …, "payload": …}`, the payload being what stands
behind `data:` (a delete's is the bare id). Frames of the WebSocket have it as a text; both are
read.

Source: docs.joinmastodon.org/entities/Status, /methods/streaming.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, first_of, judged, of_class
from earshot.formats._json import Fields, Reader, Unwrap
from earshot.formats._status import EMBEDDED, STATUS, posts

NAME: Final = "mastodon"
SOURCE: Final = "mastodon"
PAGE_MARKS: Final = (b'"body"',)

_S: Final = pl.String()
_FIELDS: Final[Fields] = {**STATUS, **EMBEDDED, "event": _S}
_READER: Final = Reader(_FIELDS, Unwrap("id", ("status", "body", "payload"), outer=("event",)))
_EVENT_READER: Final = Reader({"event": _S, "payload": _S})
_EVENTS: Final = {"update", "status.update", "delete", "notification", "conversation"}


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    if _is_sse(sample):
        return 0.9 if any(f"event: {e}".encode() in sample for e in _EVENTS) else 0.0
    item = _cut.first_object(sample)
    if _cut.text(item, "event") in _EVENTS and "payload" in item:
        return 1.0
    if {"method", "path", "body"} <= item.keys():
        return 0.7
    named = next((item[w] for w in ("status", "account") if isinstance(item.get(w), dict)), item)
    inner = item.get("status") if isinstance(item.get("status"), dict) else item
    if isinstance(inner, dict) and {"content", "account", "visibility"} <= inner.keys():
        return 1.0
    return 0.8 if {"acct", "username", "display_name"} <= named.keys() else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: a status or answer a line, server-sent events; lists are cut."""
    if _is_sse(data):
        yield from _events_of(data)
        return
    for document in _cut.documents(data):
        outer = _cut.fields(document) if b'"body"' in document else None
        inside = outer.get("body") if outer and "id" not in outer else None
        found = _cut.members(inside) if inside is not None else None
        statuses = found and all(b'"visibility"' in m and b'"content"' in m for m in found)
        yield from found if found and statuses else [document]


def _is_sse(data: bytes) -> bool:
    """Whether a text is of server-sent events."""
    head = data[:4096].lstrip()
    return not head.startswith((b"{", b"[")) and (
        head.startswith((b":", b"event:", b"data:", b"id:", b"retry:"))
        and (b"\nevent:" in b"\n" + head or b"\ndata:" in b"\n" + head or head.startswith(b":"))
    )


def _events_of(data: bytes) -> Iterator[bytes]:
    """Each event with data as one record; heartbeats are none."""
    event, payload = "", b""
    for line in [*data.splitlines(), b""]:
        name, _, rest = line.partition(b":")
        said = rest.removeprefix(b" ")
        if not line and payload:
            yield _record(event or "message", payload)
        if not line:
            event, payload = "", b""
        elif name == b"event":
            event = said.decode(errors="replace")
        elif name == b"data":
            payload = payload + b"\n" + said if payload else said


def _record(event: str, payload: bytes) -> bytes:
    """`{"event": …, "payload": …}`; what is no JSON object is kept as a text, not mended."""
    whole = payload.startswith(b"{")
    text: Any = payload.decode(errors="replace")
    kept = payload if whole else msgspec.json.encode(text)
    return b'{"event":' + msgspec.json.encode(event) + b',"payload":' + kept + b"}"


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    found = judged(_read(records["raw"]), _WHY, _CLASSES)
    return decoded(
        records,
        SOURCE,
        found,
        posts=posts(of_class(found, "create", "updates")),
        events=of_class(found, "deletes").select(_DELETION),
    )


_DELETION: Final = [pl.col("row"), pl.col("id"), pl.lit("delete").alias("kind")]


_STATUS: Final = (
    pl.col("id").is_not_null()
    & pl.col("content").is_not_null()
    & pl.col("visibility").is_not_null()
    & pl.col("account").is_not_null()
)
_SHOWN: Final = pl.col("visibility").is_in(["public", "unlisted"])
_UPDATE: Final = pl.col("event").fill_null("update") == "update"
_EDIT: Final = pl.col("event") == "status.update"
_DELETE: Final = pl.col("event") == "delete"
_BROKEN: Final = pl.col("content").is_not_null() & pl.col("visibility").is_not_null()
_CLASSES: Final = first_of(
    create=_STATUS & _SHOWN & _UPDATE,
    updates=_STATUS & _SHOWN & _EDIT,
    deletes=_DELETE & pl.col("id").is_not_null(),
    control=(_STATUS & (_UPDATE | _EDIT))
    | (pl.col("event").is_null() & ~_BROKEN)
    | ~pl.col("event").is_in(["update", "status.update", "delete"]),
)
_WHY: Final = (
    pl.when(_DELETE)
    .then(pl.lit("a deletion without the id of a status"))
    .when(_BROKEN & pl.col("id").is_null())
    .then(pl.lit("a status without an id"))
    .when(_BROKEN)
    .then(pl.lit("a status without an account"))
    .otherwise(pl.lit("an event that should bring a status, and does not"))
)


def _read(raw: pl.Series) -> pl.DataFrame:
    """Statuses and whatever else, one row each; of a deletion `event` and `id`."""
    texts = _texts(raw)
    if not texts.height:
        return _READER.read(raw)
    found = _READER.read(raw.clone().scatter(texts["row"], texts["raw"]))
    told = texts.select("row", told="event", named="id")
    return (
        found.join(told, on="row", how="left", maintain_order="left")
        .with_columns(id=pl.coalesce("id", "named"), event=pl.coalesce("told", "event"))
        .drop("told", "named")
    )


_NO_TEXTS: Final = pl.DataFrame(schema={"row": pl.UInt32})


def _texts(raw: pl.Series) -> pl.DataFrame:
    """Records whose payload is a text: `row`, `event`, `raw` (the payload), `id` (a deletion's).

    Which they are is guessed by their bytes; where the guess is wrong the text is null, and the
    record is read like all others.
    """
    likely = raw.bin.contains(b'"payload"').arg_true()
    if not len(likely):
        return _NO_TEXTS
    said = raw.gather(likely)
    object_ = said.bin.contains(b'"payload":{') | said.bin.contains(b'"payload": {')
    likely = likely.filter(~object_)
    if not len(likely):
        return _NO_TEXTS
    found = _EVENT_READER.read(raw.gather(likely))
    deletion = pl.col("event") == "delete"
    return (
        found.with_columns(row=likely)
        .filter(pl.col("event").is_not_null() & pl.col("payload").is_not_null())
        .select(
            "row",
            "event",
            raw=pl.when(deletion).then(pl.lit("{}")).otherwise("payload").cast(pl.Binary),
            id=pl.when(deletion).then("payload"),
        )
    )
