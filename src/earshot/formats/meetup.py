"""Meetup's RSVP stream: who says they come to which event.

A line is a post of kind `rsvp` (`create`): title and text are the event's name, `client` is
`rsvp:yes`, `rsvp:no` or `rsvp:waitlist`, the version is `mtime` in µs (a changed answer keeps its
id). The event is root and conversation, the group the channel, its topics are the hashtags. The
counter `score` is how many people an answer brings: 1 and the guests for yes, else 0. The place is
the venue's, else the group's. Answers that are not public are control.

Source: stream.meetup.com/2/rsvps as recorded in 2017.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, first_of, flat, judged, nested, of_class, opened
from earshot.formats._json import Fields, Reader
from earshot.formats._links import links
from earshot.formats._text import country, latitude, longitude, nonempty
from earshot.formats._times import millis

NAME: Final = "meetup"
SOURCE: Final = "meetup"
LINES: Final = True

_S: Final = pl.String
_FIELDS: Final[Fields] = {
    "rsvp_id": pl.String(),
    "mtime": pl.Int64(),
    "visibility": pl.String(),
    "response": pl.String(),
    "guests": pl.Int64(),
    "member": pl.Struct({"member_id": _S, "member_name": _S}),
    "event": pl.Struct({"event_id": _S, "event_name": _S, "event_url": _S}),
    "venue": pl.Struct({"venue_name": _S, "lat": pl.Float64, "lon": pl.Float64}),
    "group": pl.Struct(
        {
            "group_urlname": _S,
            "group_name": _S,
            "group_city": _S,
            "group_country": _S,
            "group_lat": pl.Float64,
            "group_lon": pl.Float64,
            "group_topics": pl.List(pl.Struct({"urlkey": _S})),
        }
    ),
}
_READER: Final = Reader(_FIELDS)


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    return 1.0 if "rsvp_id" in item and isinstance(item.get("event"), dict) else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: an answer a line."""
    return _cut.documents(data)


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    found = judged(_READER.read(records["raw"]), _WHY, _CLASSES)
    return decoded(records, SOURCE, found, posts=_posts(of_class(found, "create")))


_PUBLIC: Final = pl.col("visibility").fill_null("public") == "public"
_KNOWN: Final = pl.col("rsvp_id").is_not_null() & pl.col("event").is_not_null()
_CLASSES: Final = first_of(create=_KNOWN & _PUBLIC, control=_KNOWN & ~_PUBLIC)
_WHY: Final = (
    pl.when(pl.col("rsvp_id").is_null())
    .then(pl.lit("no RSVP: it has no rsvp_id"))
    .otherwise(pl.lit("an RSVP without its event"))
)


def _posts(found: pl.DataFrame) -> pl.DataFrame:
    """Columns of POST, and `row`, `role`."""
    if not found.height:
        return found
    whole = opened(found, "member", "event", "venue", "group")
    moment = millis(pl.col("mtime"))
    lat, lon = latitude(pl.col("venue.lat")), longitude(pl.col("venue.lon"))
    there = (lat.is_not_null() & lon.is_not_null() & ((lat != 0) | (lon != 0))).fill_null(
        value=False
    )  # 0, 0 stands for an unknown place
    named = nonempty(pl.col("venue.venue_name"))
    topics = flat(whole["group.group_topics"]).drop_nulls()
    urls = whole["event.event_url"].alias("url").to_frame().with_row_index("at").drop_nulls()
    comes = pl.col("response") == "yes"
    return whole.select(
        "row",
        nested(topics["at"], topics["urlkey"].alias("hashtags"), whole.height),
        nested(urls["at"], links(urls["url"]), whole.height),
        role=pl.lit("create"),
        id="rsvp_id",
        kind=pl.lit("rsvp"),
        title="event.event_name",
        text=pl.col("event.event_name").fill_null(""),
        created_at=moment,
        version=moment.to_physical(),
        author_id="member.member_id",
        author_name="member.member_name",
        root="event.event_id",
        conversation="event.event_id",
        channel="group.group_urlname",
        permalink="event.event_url",
        place=pl.coalesce(named, nonempty(pl.col("group.group_city"))),
        country=country(pl.col("group.group_country")),
        latitude=pl.when(there).then(lat).otherwise(latitude(pl.col("group.group_lat"))),
        longitude=pl.when(there).then(lon).otherwise(longitude(pl.col("group.group_lon"))),
        place_from=pl.when(there | named.is_not_null())
        .then(pl.lit("venue"))
        .otherwise(pl.lit("group")),
        score=pl.when(comes).then(1 + pl.col("guests").fill_null(0).clip(0)).otherwise(0),
        visibility=pl.lit("public"),
        client=pl.concat_str(pl.lit("rsvp:"), "response"),
    )
