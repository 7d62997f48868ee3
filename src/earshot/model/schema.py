"""Columns of every frame that flows through Earshot, one declared schema each.

Times are `Datetime("us", "UTC")`. Ids are text, as the network writes them. A null is "the network
did not say"; an empty list is "none". Integers that decide an order are exact, never floats.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

TIME: Final = pl.Datetime("us", "UTC")
Column = pl.DataType | type[pl.DataType]


def _schema(columns: Mapping[str, Column]) -> pl.Schema:
    """The schema of these columns, in this order."""
    return pl.Schema(columns)


RECORD: Final = _schema(
    {
        "offset": pl.Int64,  # place in the log; the first record of a log has 0
        "source": pl.String,  # network: x, bluesky, mastodon, reddit, meetup, csv, earshot
        "connection": pl.String,  # which configured collector or archive took it in
        "format": pl.String,  # module of `earshot.formats` that can read `raw`
        "received_at": TIME,  # stamped once, when taken in; the only "now" of the pure rooms
        "key": pl.String,  # partition key or "file:line" of an archive; may be ""
        "headers": pl.String,  # JSON object, "" when there are none; {"archive":true,"shift_us":n}
        "raw": pl.Binary,  # one item, as the network wrote it
    }
)
"""What the log holds: one item of a network, untouched."""

LINK: Final = pl.Struct(
    {
        "url": pl.String,  # as written
        "expanded": pl.String,  # as the network expands it, else `url`
        "canonical": pl.String,  # no fragment, no tracking parameters, host in lower case
        "domain": pl.String,  # host of `canonical` without "www."
    }
)
MEDIA: Final = pl.Struct(
    {
        "kind": pl.String,  # image | video | gif | audio | other
        "url": pl.String,  # where it is
        "alt": pl.String,  # description for those who cannot see it
    }
)

COUNTERS: Final = ("likes", "reposts", "replies", "quotes", "views", "score")
"""Counters of a post, as last seen; `score` is Reddit's, `replies` is also its comments."""

POST: Final = _schema(
    {
        "source": pl.String,  # network: x, bluesky, mastodon, reddit, meetup, csv, earshot
        "id": pl.String,  # as the network writes it; at-URI for bluesky, full name for reddit
        "kind": pl.String,  # post reply repost quote comment submission event rsvp
        "title": pl.String,  # submissions and events
        "text": pl.String,  # plain text (HTML stripped), NUL and lone surrogates as U+FFFD
        "event_time": TIME,  # `created_at`, or `received_at` where the claim is absent/impossible
        "created_at": TIME,  # the source's claim
        "received_at": TIME,  # ours
        "edited_at": TIME,  # of the last edit; null: never edited, as far as is known
        "version": pl.Int64,  # edit number (x) | rev as integer (bluesky) | edit time in µs | 0
        "author_id": pl.String,  # the network's own (bluesky: the DID)
        "author_handle": pl.String,  # without @
        "author_name": pl.String,  # shown name
        "author_bio": pl.String,  # what they say of themselves
        "author_location": pl.String,  # where they say they are
        "author_followers": pl.Int64,  # at post time
        "author_verified": pl.Boolean,  # as the network marks it
        "author_bot": pl.Boolean,  # as the network or its owner marks it
        "lang": pl.String,  # as the network says it, BCP 47 primary tag in lower case
        "lang_detected": pl.String,  # as we find it; null before *Understanding text*
        "reply_to": pl.String,  # id of the post this answers
        "reply_to_author": pl.String,  # id of its author
        "reply_to_handle": pl.String,  # their handle, without @
        "quote_of": pl.String,  # id of the post this quotes
        "repost_of": pl.String,  # id of the post this repeats
        "root": pl.String,  # id of the first post of the thread
        "conversation": pl.String,  # the network's conversation id, else `root`
        "channel": pl.String,  # subreddit, Meetup group, Mastodon instance
        "permalink": pl.String,  # address of the post on the web
        "hashtags": pl.List(pl.String),  # without #, as the network lists them, case kept
        "mentions": pl.List(pl.String),  # handles without @ (bluesky: DIDs)
        "cashtags": pl.List(pl.String),  # without $
        "links": pl.List(LINK),  # see LINK
        "media": pl.List(MEDIA),  # see MEDIA
        "place": pl.String,  # name
        "country": pl.String,  # ISO 3166-1 alpha-2, upper case
        "latitude": pl.Float64,  # degrees north
        "longitude": pl.Float64,  # degrees east
        "place_from": pl.String,  # provenance: post | venue | group | profile
        "likes": pl.Int64,  # as last seen
        "reposts": pl.Int64,  # as last seen
        "replies": pl.Int64,  # as last seen; Reddit's comments too
        "quotes": pl.Int64,  # as last seen
        "views": pl.Int64,  # as last seen
        "score": pl.Int64,  # Reddit's points, or the people an RSVP of Meetup brings, as last seen
        "counters_at": TIME,  # when the counters were seen
        "visibility": pl.String,  # public | unlisted
        "sensitive": pl.Boolean,  # marked so by its author or the network
        "client": pl.String,  # program it was written with
        "offset": pl.Int64,  # raw reference: place of the record in the log
    }
)
"""Anything a person published. Key: (`source`, `id`)."""

AUTHOR: Final = _schema(
    {
        "source": pl.String,
        "id": pl.String,
        "handle": pl.String,
        "name": pl.String,
        "bio": pl.String,
        "location": pl.String,
        "followers": pl.Int64,
        "verified": pl.Boolean,
        "seen_at": TIME,
    }
)
"""A profile, as last seen. Key: (`source`, `id`)."""

EVENT_KINDS: Final = (
    "delete",
    "hide",
    "show",
    "author_update",
    "author_delete",
    "geo_scrub",
    "sync",
)
"""What a source may say beside creates and updates (those are rows of `posts`)."""

EVENT: Final = _schema(
    {
        "source": pl.String,  # network that is meant
        "kind": pl.String,  # one of EVENT_KINDS
        "id": pl.String,  # the post, or null when the whole author is meant
        "author_id": pl.String,  # who wrote it, or who is meant
        "version": pl.Int64,  # of a post; of `sync` the new rev, of geo_scrub the last status id
        "at": TIME,  # the source's claim of when
        "profile": pl.Struct(
            {
                "handle": pl.String,
                "name": pl.String,
                "bio": pl.String,
                "location": pl.String,
                "followers": pl.Int64,
                "verified": pl.Boolean,
            }
        ),  # of author_update; null fields are not changed
    }
)

INTERACTION: Final = _schema(
    {
        "source": pl.String,  # network
        "key": pl.String,  # identity, e.g. at://did/app.bsky.feed.like/rkey
        "kind": pl.String,  # like | repost | follow | quote | other
        "actor": pl.String,  # id of who did it
        "object": pl.String,  # id of post (like, repost) or author (follow); null: removal
        "removed": pl.Boolean,  # an unlike, unfollow, undone repost
        "at": TIME,  # the source's claim of when
    }
)
"""What a person did to a post or person without writing one. A set by (`source`, `key`)."""

OBSERVATION: Final = _schema(
    {
        "source": pl.String,
        "id": pl.String,
        "minute": TIME,  # minute in which the counters were seen (of `received_at`)
        "seen_at": TIME,  # the newest of a minute wins; the newest of all is the post's counters
        "base": pl.Boolean,  # first sight of an embedded post: sets the base, scores nothing
        **dict.fromkeys(COUNTERS, pl.Int64),
    }
)
"""Counters with the time seen; within a minute the newest wins. Key: source, id, minute."""

TOMBSTONE: Final = _schema(
    {"source": pl.String, "id": pl.String, "version": pl.Int64, "received_at": TIME}
)
"""A deleted key: it never comes back. Holds no content."""

OUTCOME_CLASSES: Final = (
    "create",
    "updates",
    "deletes",
    "interactions",
    "control",
    "quarantined",
)
FLOW_CLASSES: Final = (
    "unique",
    "duplicate",
    "updates",
    "deletes",
    "interactions",
    "control",
    "quarantined",
)
"""A consumed record is exactly one of these; they add up to `consumed`."""
MARKS: Final = ("matched", "stored", "copies", "reposts", "late")
"""What may be true of a unique post, any number of them."""

OUTCOME: Final = _schema({"record": pl.UInt32, "class": pl.String, "reason": pl.String})
"""One row for each record of a batch, in order; `reason` says why it was quarantined."""

COUNT: Final = _schema(
    {
        "minute": TIME,  # of `received_at`
        "source": pl.String,  # network
        "rule": pl.Int64,  # 0: the flow itself
        "name": pl.String,  # a flow class, a mark, embedded_new, embedded_seen, expired
        "n": pl.Int64,  # how many
    }
)
"""Flow counters, to be added to what is there."""

HIT: Final = _schema(
    {"source": pl.String, "id": pl.String, "rule": pl.Int64, "rule_version": pl.Int64}
)

QUARANTINE: Final = _schema({**RECORD, "reason": pl.String})

GAP: Final = _schema(
    {
        "source": pl.String,  # network
        "connection": pl.String,  # which configured collector
        "rule": pl.Int64,  # 0: the whole source
        "since": TIME,  # when it began
        "until": TIME,  # when it ended
        "reason": pl.String,  # disconnect rate_limit clamped_cursor crash quarantine log_full slow
        "detail": pl.String,  # one sentence for people
    }
)
"""A span in which a source may have lost posts."""

FACETS: Final = (
    "hashtag",
    "mention",
    "word",
    "phrase",
    "entity",
    "domain",
    "language",
    "country",
    "sentiment",
    "emotion",
    "author",
    "channel",
    "total",
)
"""Facets of a window; `total` has the one value "" and counts the posts themselves."""

VARIANTS: Final = ("all", "once", "clean")

WINDOW: Final = _schema(
    {
        "start": TIME,  # start of the window, in event time
        "width": pl.Int64,  # seconds: 60, 300, 3600, 86400
        "source": pl.String,  # "*": all sources
        "rule": pl.Int64,  # 0: no rule
        "variant": pl.String,  # one of VARIANTS
        "facet": pl.String,  # one of FACETS
        "value": pl.String,  # the facet's value
        "posts": pl.Int64,  # posts with the value
        "authors": pl.Int64,  # distinct
        "score": pl.Int64,  # thousandths
        "negative": pl.Int64,  # posts of this sentiment, of those analysed
        "neutral": pl.Int64,  # the same
        "positive": pl.Int64,  # the same
        "analysed": pl.Int64,  # posts whose sentiment is known
    }
)
"""Absolute values. Order everywhere: posts, then authors (both falling), then the value's bytes."""

STORED: Final = _schema(
    {
        **POST,
        "consumed": pl.Boolean,  # False: known only as embedded in another, or by an edit
        "hidden": pl.Boolean,  # withheld, deactivated, repository rebuilt: kept, never shown
        "copy": pl.Boolean,  # an earlier post has the same normalised text (reposts are no copies)
        "late": pl.Boolean,  # received over 10 minutes after `event_time`; never for archives
        "text_hash": pl.UInt64,  # of the normalised text; 0: no tokens
    }
)
"""A post as the store keeps it. Windows count rows with `consumed` and without `hidden`."""

STATE: Final = _schema(
    {
        "source": pl.String,
        "id": pl.String,
        "tombstone": pl.Boolean,  # deleted: never comes back; all other fields may be null
        "consumed": pl.Boolean,
        "hidden": pl.Boolean,
        "version": pl.Int64,  # of the content that is stored, with the next two for ties
        "received_at": TIME,
        "offset": pl.Int64,
        "event_time": TIME,
        "author_id": pl.String,
        **dict.fromkeys(COUNTERS, pl.Int64),
        "counters_at": TIME,
        "copy": pl.Boolean,
        "late": pl.Boolean,
        "text_hash": pl.UInt64,
    }
)
"""What dedupe needs to know of a key that is known already (stored, or remembered by its key)."""

REMEMBERED_FIELDS: Final = (
    "source",
    "id",
    "consumed",
    "version",
    "received_at",
    "offset",
    "copy",
    "late",
    "text_hash",
)
"""What of STATE is remembered of a post that is not kept."""

CHANGE: Final = _schema(
    {
        "seq": pl.Int64,
        "at": TIME,
        "kind": pl.String,  # posts | correction | windows | gap | rules | system
        "rules": pl.List(pl.Int64),  # rules it concerns; empty: none
        "payload": pl.String,  # JSON
    }
)
"""The change feed that the live push follows."""


def empty(schema: pl.Schema, *more: tuple[str, pl.DataType]) -> pl.DataFrame:
    """A frame of no rows in `schema`, with `more` columns behind."""
    return pl.DataFrame(schema={**schema, **dict(more)})
