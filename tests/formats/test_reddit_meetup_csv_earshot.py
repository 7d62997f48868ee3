# ruff: noqa: E501 - one case a line
import json

import pytest
from format_samples import RECEIVED, comment, records, rsvp, submission

from earshot import formats
from earshot.errors import FormatError
from earshot.formats import csv, earshot, meetup, reddit


def decode(module, *raws):
    return module.decode(records(*raws, format=module.NAME))


def posts(module, *raws):
    return decode(module, *raws).posts.rows(named=True)


# -- reddit -----------------------------------------------------------------------------------
def test_a_comment():
    (post,) = posts(reddit, comment())

    assert (post["id"], post["kind"], post["text"]) == (
        "t1_c1",
        "comment",
        "I & you https://Example.org/x.",
    )
    assert (post["reply_to"], post["root"], post["conversation"]) == ("t1_c0", "t3_s1", "t3_s1")
    assert (post["channel"], post["author_id"], post["score"]) == ("pics", "ada", 3)
    assert post["version"] == 1767268799000000
    assert post["created_at"].microsecond == 500000
    assert post["links"][0]["canonical"] == "https://example.org/x"
    assert post["permalink"] == "https://www.reddit.com/comments/s1/_/c1/"


def test_a_submission():
    (post,) = posts(reddit, submission())

    assert (post["id"], post["kind"], post["title"], post["text"]) == (
        "t3_s1",
        "submission",
        "Look",
        "",
    )
    assert (post["replies"], post["score"], post["version"]) == (4, 10, 0)
    assert post["media"] == [{"kind": "gif", "url": "https://i.redd.it/a.gif", "alt": None}]
    assert post["links"][0]["domain"] == "i.redd.it"
    assert (post["root"], post["reply_to"]) == ("t3_s1", None)


def test_bare_things_say_the_same():
    wrapped = [comment(), submission()]
    bare = [w["data"] for w in wrapped]
    nameless = [{k: v for k, v in b.items() if k != "name"} for b in bare]

    first = decode(reddit, *wrapped).posts
    assert first.equals(decode(reddit, *bare).posts)
    assert first.equals(decode(reddit, *nameless).posts)


def test_content_that_is_gone_is_empty_and_hidden():
    found = decode(
        reddit,
        comment(author="[deleted]", body="[deleted]"),
        comment(author="ada", body="[removed]"),
        submission(author="[deleted]", selftext="still here"),
    )

    assert found.outcome["class"].to_list() == ["create"] * 3
    assert found.posts["text"].to_list() == ["", "", "still here"]
    assert found.posts["author_id"].to_list() == [None, "ada", None]
    assert found.events.select("record", "kind", "id").rows() == [
        (0, "hide", "t1_c1"),
        (1, "hide", "t1_c1"),
    ]


def test_comments_of_an_inbox_are_comments():
    data = comment(context="/r/pics/comments/s9/look/c1?context=3", was_comment=True)["data"]
    del data["link_id"]

    (post,) = posts(reddit, {"kind": "t1", "data": data})

    assert post["root"] == "t3_s9"


def test_other_kinds_are_control():
    kinds = ("more", "t2", "t4", "t5", "UserList")
    others = [{"kind": k, "data": {"id": "x", "author": None, "body": "hi"}} for k in kinds]
    half = comment()
    del half["data"]["author"]

    assert decode(reddit, *others, half).outcome["class"].to_list() == ["control"] * 6
    assert decode(reddit, {"id": "x"}, {}).outcome["class"].to_list() == ["quarantined"] * 2


def test_crossposts_embed_their_original():
    original = submission()["data"]
    crossed = submission(
        id="s2", name="t3_s2", crosspost_parent="t3_s1", crosspost_parent_list=[original]
    )

    own, embedded = posts(reddit, crossed)

    assert (own["quote_of"], own["kind"]) == ("t3_s1", "submission")
    assert (embedded["id"], embedded["role"], embedded["score"]) == ("t3_s1", "embedded", 10)


def test_listings_and_the_replies_in_them_are_cut():
    def listing(*children):
        return {"kind": "Listing", "data": {"children": list(children)}}

    deep = comment(id="c2", name="t1_c2", replies=listing(comment(id="c3", name="t1_c3")))
    page = json.dumps([listing(submission()), listing(comment(replies=""), deep)]).encode()

    items = [json.loads(i)["data"]["name"] for i in reddit.split(page)]

    assert sorted(items) == ["t1_c1", "t1_c2", "t1_c3", "t3_s1"]
    assert formats.detect(page) == "reddit"


# -- meetup -----------------------------------------------------------------------------------
def test_an_rsvp():
    (post,) = posts(meetup, rsvp())

    assert (post["id"], post["kind"], post["title"], post["text"]) == (
        "50",
        "rsvp",
        "Knitting",
        "Knitting",
    )
    assert (post["version"], post["client"], post["score"]) == (1767268798000000, "rsvp:yes", 3)
    assert (post["channel"], post["hashtags"], post["conversation"]) == (
        "Knitters",
        ["knitting"],
        "e1",
    )
    assert (post["place"], post["country"], post["place_from"]) == ("Hall", "DE", "venue")
    assert (post["latitude"], post["author_id"], post["author_name"]) == (52.5, "9", "Ada")
    assert post["permalink"] == post["links"][0]["url"]


def test_without_a_venue_the_group_says_where():
    nowhere = rsvp(venue={"venue_name": "", "lat": 0, "lon": 0}, response="no")

    for post in posts(meetup, rsvp(venue=None, response="no"), nowhere):
        assert (post["place"], post["latitude"], post["place_from"]) == ("Berlin", 52.0, "group")
        assert post["score"] == 0


# -- csv --------------------------------------------------------------------------------------
TABLE = (
    b"Tweet ID;Created At;Screen Name;Full Text;Likes;Lang\r\n"
    b'1;2026-01-01 11:00:00;@ada;"Hi; #One @bob $ABC https://x.test/a?utm_source=b.";"1,234";en-GB\r\n'
    b'2;1767268798;bob;"two\nlines";;\r\n'
    b"3;too;few\r\n"
    b"4;;bob;;;\r\n"
)


def test_rows_become_objects_with_the_names_of_the_header():
    items = list(csv.split(TABLE))

    assert json.loads(items[0])["Created At"] == "2026-01-01 11:00:00"
    found = decode(csv, *items)
    assert found.outcome["class"].to_list() == ["create", "create", "quarantined", "quarantined"]
    assert found.outcome["reason"][2] == "3 cells in a table of 6 columns"
    one, two = found.posts.rows(named=True)
    assert (one["id"], one["author_handle"], one["likes"], one["lang"]) == ("1", "ada", 1234, "en")
    assert (one["hashtags"], one["mentions"], one["cashtags"]) == (["One"], ["bob"], ["ABC"])
    assert one["links"][0]["canonical"] == "https://x.test/a"
    assert two["text"] == "two\nlines"
    assert one["created_at"].hour == two["created_at"].hour == 11


def test_rows_without_ids_get_one_from_what_they_say():
    table = b"text,date\nhi,2026-01-01\nhi,2026-01-01\nho,2026-01-01\n"

    first, again, other = (p["id"] for p in posts(csv, *csv.split(table)))

    assert first == again != other


def test_a_key_is_found_however_it_is_escaped():
    plain = b'{"id": "1", "text": "a"}'
    escaped = b'{"\\u0069d": "2", "t\\u0065xt": "b"}'

    assert [p["id"] for p in posts(csv, plain, escaped)] == ["1", "2"]
    assert [p["id"] for p in posts(csv, escaped)] == ["2"]


@pytest.mark.parametrize("text", [b"", b"just words", b"{}", b"a,a\n1,2\n"])
def test_without_a_header_there_are_no_rows(text):
    with pytest.raises(FormatError):
        list(csv.split(text))


def test_an_open_quote_is_no_table():
    with pytest.raises(FormatError, match="line 3"):
        list(csv.split(b'id,text\n1,a\n2,"b\n'))


def test_bytes_that_are_no_utf8_stay_in_their_row():
    items = list(csv.split(b"id,text\n1,ok\n2,\xff\n3,ok\n"))

    classes = decode(csv, *items).outcome["class"].to_list()

    assert classes == ["create", "quarantined", "create"]


# -- earshot ----------------------------------------------------------------------------------
def test_control_records_are_events_of_the_network_they_mean():
    found = decode(
        earshot,
        {"kind": "delete", "source": "x", "id": "7"},
        {"kind": "author_update", "source": "bluesky", "author_id": "did:a", "profile": {"name": "A"}},
        {"kind": "seal"},
        {"kind": "hide", "source": "x"},
        {"source": "x"},
    )  # fmt: skip

    assert found.outcome["class"].to_list() == ["control"] * 4 + ["quarantined"]
    assert found.events.select("source", "kind", "id", "author_id", "at").rows() == [
        ("x", "delete", "7", None, RECEIVED),
        ("bluesky", "author_update", None, "did:a", RECEIVED),
    ]
    assert found.events["profile"][1]["name"] == "A"


def test_a_reason_that_a_csv_record_brings_itself_is_cut():
    record = records({"earshot_fault": "x" * 3000, "cells": []}, format="csv")

    assert formats.decode(record).outcome["reason"].to_list() == ["x" * 200]


def test_a_csv_record_that_brings_an_empty_reason_gets_one():
    record = records({"earshot_fault": "", "cells": []}, format="csv")

    outcome = formats.decode(record).outcome
    assert outcome["class"].to_list() == ["quarantined"]
    assert outcome["reason"].str.len_chars().to_list() > [0]
