"""Made-up records of every format, one of each thing that networks send."""

# ruff: noqa: A002, E501 - fields keep the networks' names; one record a line

import datetime as dt
import json

import polars as pl

from earshot.model.schema import RECORD

RECEIVED = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def records(*raws, format="jetstream", source="", headers="", received_at=RECEIVED):
    """RECORD rows; a raw may be bytes or anything that JSON can hold."""
    raw = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in raws]
    rows = {
        "offset": range(100, 100 + len(raw)),
        "source": source,
        "connection": "c",
        "format": format,
        "received_at": received_at,
        "key": "",
        "headers": headers,
        "raw": pl.Series(raw, dtype=pl.Binary),
    }
    return pl.DataFrame(rows, schema=RECORD)


DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
REV = "3mptbypcq372f"


def commit(collection="app.bsky.feed.post", operation="create", rkey="3mptbyoeyc22k", record=None):
    inner = {"rev": REV, "operation": operation, "collection": collection, "rkey": rkey}
    if record is not None:
        inner |= {"record": {"$type": collection, "createdAt": "2026-01-01T11:59:58Z", **record}}
    return {"did": DID, "time_us": 1767268799000000, "kind": "commit", "commit": inner}


def second_wire(event):
    """A v1 event as v2 writes it, in its frame."""
    kind = event["kind"]
    payload = {
        "$type": f"network.bsky.jetstream.subscribeEvents#{kind}",
        "seq": 7,
        "did": event["did"],
        "time": "2026-01-01T11:59:59.000000Z",
        **(event["commit"] if kind == "commit" else {kind: event[kind]}),
    }
    return {"$type": "message", "payload": payload}


def account(**said):
    return {"did": DID, "time_us": 1767268799000000, "kind": "account", "account": said}


BLUESKY_POST = commit(
    record={
        "text": "Hello #World, see example.org 😀",
        "langs": ["en-GB", "de"],
        "tags": ["aside"],
        "facets": [
            {"features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "World"}]},
            {"features": [{"uri": "https://Example.org/a?utm_source=x&b=1#top"}]},
            {"features": [{"did": "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"}]},
        ],
        "embed": {
            "$type": "app.bsky.embed.recordWithMedia",
            "record": {"record": {"uri": "at://did:plc:c/app.bsky.feed.post/q", "cid": "x"}},
            "media": {
                "images": [
                    {"alt": "a cat", "image": {"ref": {"$link": "bafy"}, "mimeType": "image/jpeg"}}
                ]
            },
        },
        "labels": {"values": [{"val": "porn"}]},
        "reply": {
            "root": {"uri": "at://did:plc:r/app.bsky.feed.post/1"},
            "parent": {"uri": "at://did:plc:p/app.bsky.feed.post/2"},
        },
    }
)


def tweet_v1(id="1000", text="plain", **more):
    return {
        "created_at": "Thu Jan 01 11:59:58 +0000 2026",
        "id": int(id),
        "id_str": id,
        "text": text,
        "source": '<a href="https://x.test" rel="nofollow">X &amp; Co</a>',
        "lang": "in",
        "user": {
            "id_str": "9",
            "screen_name": "ada",
            "name": "Ada",
            "description": "likes &lt;b&gt;",
            "location": "",
            "followers_count": 12,
            "verified": True,
        },
        "place": None,
        "retweet_count": 3,
        "favorite_count": 4,
        "entities": {"hashtags": [], "symbols": [], "urls": [], "user_mentions": []},
        **more,
    }


def tweet_v2(id="2000", text="plain", **more):
    return {
        "id": id,
        "text": text,
        "created_at": "2026-01-01T11:59:58.000Z",
        "author_id": "9",
        "conversation_id": id,
        "lang": "en",
        "public_metrics": {
            "retweet_count": 1,
            "reply_count": 2,
            "like_count": 3,
            "quote_count": 4,
            "impression_count": 5,
        },
        **more,
    }


def status(id="30", content="<p>Hi<br>you</p><p>there &amp; then</p>", **more):
    return {
        "id": id,
        "created_at": "2026-01-01T11:59:58.000Z",
        "edited_at": None,
        "visibility": "public",
        "language": "de",
        "uri": f"https://one.test/users/ada/statuses/{id}",
        "url": f"https://one.test/@ada/{id}",
        "content": content,
        "spoiler_text": "",
        "replies_count": 1,
        "reblogs_count": 2,
        "favourites_count": 3,
        "account": {
            "id": "9",
            "acct": "ada",
            "display_name": "Ada",
            "note": "<p>me</p>",
            "followers_count": 5,
            "bot": False,
        },
        "media_attachments": [{"type": "gifv", "url": "https://one.test/g.mp4", "description": ""}],
        "mentions": [],
        "tags": [{"name": "tag"}],
        "reblog": None,
        "quote": None,
        **more,
    }


def comment(**more):
    data = {
        "id": "c1",
        "name": "t1_c1",
        "author": "ada",
        "subreddit": "pics",
        "body": "I &amp; you https://Example.org/x.",
        "link_id": "t3_s1",
        "parent_id": "t1_c0",
        "created_utc": 1767268798.5,
        "edited": 1767268799.0,
        "score": 3,
        **more,
    }
    return {"kind": "t1", "data": data}


def submission(**more):
    data = {
        "id": "s1",
        "name": "t3_s1",
        "author": "ada",
        "subreddit": "pics",
        "title": "Look",
        "selftext": "",
        "is_self": False,
        "url": "https://i.redd.it/a.gif",
        "permalink": "/r/pics/comments/s1/look/",
        "created_utc": 1767268798.0,
        "edited": False,
        "score": 10,
        "num_comments": 4,
        "over_18": False,
        **more,
    }
    return {"kind": "t3", "data": data}


def rsvp(**more):
    return {
        "rsvp_id": 50,
        "mtime": 1767268798000,
        "visibility": "public",
        "response": "yes",
        "guests": 2,
        "member": {"member_id": 9, "member_name": "Ada"},
        "event": {
            "event_id": "e1",
            "event_name": "Knitting",
            "event_url": "https://www.meetup.test/Knitters/events/e1/",
        },
        "venue": {"venue_name": "Hall", "lat": 52.5, "lon": 13.4},
        "group": {
            "group_urlname": "Knitters",
            "group_name": "The Knitters",
            "group_city": "Berlin",
            "group_country": "de",
            "group_lat": 52.0,
            "group_lon": 13.0,
            "group_topics": [{"urlkey": "knitting", "topic_name": "Knitting"}],
        },
        **more,
    }


ITEMS = {
    "jetstream": [
        BLUESKY_POST,
        commit(record={"text": "plain"}),
        commit(operation="update", record={"text": "edited"}),
        commit(operation="delete"),
        commit("app.bsky.feed.like", record={"subject": {"uri": "at://did:plc:p/app.bsky.feed.post/2"}}),
        commit("app.bsky.feed.repost", record={"subject": {"uri": "at://x/app.bsky.feed.post/2"}}),
        commit("app.bsky.graph.follow", record={"subject": "did:plc:z"}),
        commit("app.bsky.graph.follow", "delete"),
        commit("app.bsky.graph.block", record={"subject": "did:plc:z"}),
        commit("app.bsky.actor.profile", record={"displayName": "Ada", "description": "me"}),
        commit("org.example.thing", record={"text": {"odd": [1]}, "embed": 5}),
        account(active=False, status="deleted"),
        account(active=False, status="suspended"),
        account(active=True),
        {"did": DID, "time_us": 1, "kind": "identity", "identity": {"handle": "ada.test"}},
        second_wire({"did": DID, "kind": "sync", "sync": {"rev": REV}}),
        second_wire(commit(record={"text": "v2"})),
        second_wire(commit(record={"text": "v2"}))["payload"],
        {"$type": "message", "payload": {"$type": "n.b.j.subscribeEvents#info", "name": "x"}},
    ],
    "x_v1": [
        tweet_v1(),
        tweet_v1("1001", "RT @b: hi", retweeted_status=tweet_v1("900", quoted_status=tweet_v1("800"))),
        tweet_v1("1002", quoted_status=tweet_v1("801"), quoted_status_id_str="801"),
        {"tweet": tweet_v1("1003", in_reply_to_status_id_str="1000")},
        {"delete": {"status": {"id": 7, "id_str": "7", "user_id_str": "9"}, "timestamp_ms": "1"}},
        {"scrub_geo": {"user_id_str": "9", "up_to_status_id_str": "1000"}},
        {"limit": {"track": 5}},
        {"status_withheld": {"id": 7, "user_id": 9, "withheld_in_countries": ["DE"]}},
        {"user_withheld": {"id": 9, "withheld_in_countries": ["DE"]}},
        {"warning": {"code": "FALLING_BEHIND"}},
        {"disconnect": {"code": 4}},
        {"friends": [1, 2]},
        {"id_str": "9", "screen_name": "ada", "followers_count": 1},
    ],
    "x_v2": [
        tweet_v2(),
        {
            "data": tweet_v2(
                "2001",
                referenced_tweets=[{"type": "quoted", "id": "1900"}],
                attachments={"media_keys": ["m"]},
                geo={"place_id": "p"},
            ),
            "includes": {
                "users": [{"id": "9", "username": "ada", "name": "Ada", "verified": False}],
                "tweets": [tweet_v2("1900"), tweet_v2("1800")],
                "media": [{"media_key": "m", "type": "photo", "url": "https://i.test", "alt_text": "x"}],
                "places": [{"id": "p", "full_name": "Berlin", "country_code": "de"}],
            },
        },
        tweet_v2("2003", edit_history_tweet_ids=["2002", "2003"]),
        {"id": "1170025343920402432", "action": "delete", "created_at": "2019-09-06T17:25:54.667Z", "reason": "deleted"},
        {"id": "1482680858", "action": "delete", "created_at": "2013-06-04T16:25:04+00:00", "reason": "protected"},
        {"data": {"delete": {"tweet": {"id": "7", "author_id": "9"}, "event_at": "2026-01-01T00:00:00Z"}}},
        {"data": {"user_unsuspend": {"user": {"id": "9"}, "event_at": "2026-01-01T00:00:00Z"}}},
        {"data": {"scrub_geo": {"user": {"id": "9"}, "up_to_tweet_id": "55", "event_at": "x"}}},
        {"id": "9", "username": "ada", "name": "Ada"},
        {"start": "a", "end": "b", "tweet_count": 3},
        {"errors": [{"title": "operational-disconnect"}]},
    ],
    "mastodon": [
        status(),
        {"status": status("31", visibility="private")},
        {"status": status("32", edited_at="2026-01-01T11:59:59.000Z")},
        status("33", "", reblog=status("20")),
        status("34", quote={"state": "accepted", "quoted_status": status("21")}),
        {"event": "update", "payload": status("35")},
        {"event": "status.update", "payload": json.dumps(status("36"))},
        {"event": "delete", "payload": "37"},
        {"event": "notification", "payload": {"id": "1", "type": "mention", "status": status("38")}},
        {"id": "1", "type": "mention", "account": {}, "status": status("39")},
        {"method": "GET", "path": "/x", "body": []},
        {},
    ],
    "reddit": [
        comment(),
        submission(),
        submission(id="s2", name="t3_s2", crosspost_parent="t3_s1", crosspost_parent_list=[submission()["data"]]),
        comment(author="[deleted]", body="[deleted]"),
        {"kind": "more", "data": {"id": "_", "children": []}},
        {"kind": "t5", "data": {"id": "x", "title": "sub"}},
        {"kind": "t4", "data": {"id": "m", "name": "t4_m", "author": "a", "body": "hi"}},
    ],
    "meetup": [rsvp(), rsvp(response="no"), rsvp(visibility="members"), rsvp(venue=None)],
    "csv": [
        {"id": "1", "text": "hi #a @b https://x.test/", "Created At": "2026-01-01 11:59:58", "user": "@ada"},
        {"Tweet ID": "2", "Full Text": "x", "likes": "1,000", "date": "1767268798", "lang": "pt-BR"},
        {"earshot_fault": "3 cells in a table of 6 columns", "cells": []},
        {"id": "3"},
    ],
    "earshot": [
        {"kind": "delete", "source": "x", "id": "7"},
        {"kind": "author_update", "source": "bluesky", "author_id": DID, "profile": {"handle": "a", "followers": 4}},
        {"kind": "seal"},
        {"kind": "hide"},
    ],
}  # fmt: skip
"""Format → valid items, one of each kind."""
