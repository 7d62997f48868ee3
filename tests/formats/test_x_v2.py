# ruff: noqa: E501 - one case a line
import json

import pytest
from format_samples import records, tweet_v2

from earshot.formats import x_v2

USERS = [
    {"id": "9", "username": "ada", "name": "Ada", "public_metrics": {"followers_count": 3}},
    {"id": "8", "username": "bob", "name": "Bob"},
    {"id": "7", "username": "eve", "name": "Eve"},
]


def decode(*raws):
    return x_v2.decode(records(*raws, format="x_v2"))


def split(value):
    return [json.loads(i) for i in x_v2.split(json.dumps(value).encode())]


def page():
    repost = tweet_v2("3", referenced_tweets=[{"type": "retweeted", "id": "2"}])
    original = tweet_v2("2", author_id="8", referenced_tweets=[{"type": "quoted", "id": "1"}])
    return {
        "data": [repost, tweet_v2("4", attachments={"media_keys": ["m"]}, geo={"place_id": "p"})],
        "includes": {
            "users": USERS,
            "tweets": [tweet_v2("1", author_id="7"), original, tweet_v2("5")],
            "media": [{"media_key": "m", "type": "animated_gif", "preview_image_url": "https://i.test"}],
            "places": [{"id": "p", "full_name": "Berlin", "country_code": "DE"}],
        },
        "meta": {"result_count": 2},
    }  # fmt: skip


def test_a_page_is_cut_into_tweets_that_keep_what_they_refer_to():
    first, second = split(page())

    assert [t["id"] for t in first["includes"]["tweets"]] == ["2", "1"]
    assert {u["id"] for u in first["includes"]["users"]} == {"9", "8", "7"}
    assert set(first["includes"]) == {"users", "tweets"}
    assert {u["id"] for u in second["includes"]["users"]} == {"9"}
    assert set(second["includes"]) == {"users", "media", "places"}


def test_cut_tweets_are_read_with_all_that_came_along():
    found = decode(*split(page()))

    posts = found.posts
    assert posts.select("record", "role", "id", "kind", "author_handle").rows() == [
        (0, "create", "3", "repost", "ada"),
        (1, "create", "4", "post", "ada"),
        (0, "embedded", "2", "quote", "bob"),
        (0, "embedded", "1", "post", "eve"),
    ]
    second = posts.row(1, named=True)
    assert second["media"] == [{"kind": "gif", "url": "https://i.test", "alt": None}]
    assert (second["place"], second["country"], second["author_followers"]) == ("Berlin", "DE", 3)
    assert (second["likes"], second["views"], posts["likes"][0]) == (3, 5, None)


def test_a_flat_line_says_the_same_as_its_page():
    original = {**tweet_v2("2", author_id="8"), "type": "retweeted", "author": USERS[1]}
    flat = tweet_v2("3", referenced_tweets=[original], author=USERS[0])
    flat["attachments"] = {"media": [{"media_key": "m", "type": "photo", "url": "u"}]}
    wrapped = {
        "data": tweet_v2("3", referenced_tweets=[{"type": "retweeted", "id": "2"}], attachments={"media_keys": ["m"]}),
        "includes": {
            "users": USERS,
            "tweets": [tweet_v2("2", author_id="8")],
            "media": [{"media_key": "m", "type": "photo", "url": "u"}],
        },
    }  # fmt: skip

    assert decode(flat).posts.equals(decode(wrapped).posts)


def test_an_edit_has_the_first_id_and_its_place_in_the_history():
    history = ["10", "11", "12"]
    edits = [tweet_v2(i, edit_history_tweet_ids=history, conversation_id=i) for i in history]

    found = decode(*edits)

    assert found.outcome["class"].to_list() == ["create", "updates", "updates"]
    assert found.posts["role"].to_list() == ["create", "update", "update"]
    assert found.posts.select("id", "version", "conversation").rows() == [
        ("10", 0, "10"),
        ("10", 1, "10"),
        ("10", 2, "10"),
    ]
    assert set(found.posts["permalink"]) == {"https://x.com/i/status/12"}
    assert found.posts["edited_at"].is_null().to_list() == [True, False, False]


def test_a_quote_of_an_edited_tweet_points_at_its_key():
    quote = {
        "data": tweet_v2("20", referenced_tweets=[{"type": "quoted", "id": "11"}]),
        "includes": {"tweets": [tweet_v2("11", edit_history_tweet_ids=["10", "11"])]},
    }

    posts = decode(quote).posts

    assert posts.select("id", "quote_of").rows() == [("20", "10"), ("10", None)]


def test_long_texts_entities_and_answers():
    post = decode(
        tweet_v2(
            text="cut",
            note_tweet={"text": "long &amp; whole", "entities": {"hashtags": [{"tag": "end"}]}},
            in_reply_to_user_id="8",
            referenced_tweets=[{"type": "replied_to", "id": "1"}, {"type": "quoted", "id": "2"}],
            entities={
                "cashtags": [{"tag": "ABC"}],
                "mentions": [{"username": "bob"}],
                "urls": [
                    {"url": "https://t.test/1", "expanded_url": "https://a.test", "unwound_url": "https://b.test/"},
                    {"url": "https://t.test/2", "expanded_url": "https://x.test/photo/1", "media_key": "m"},
                ],
            },
        )
    ).posts.row(0, named=True)  # fmt: skip

    assert (post["text"], post["hashtags"]) == ("long & whole", ["end"])
    assert (post["cashtags"], post["mentions"]) == (["ABC"], ["bob"])
    assert [link["canonical"] for link in post["links"]] == ["https://b.test/"]
    assert (post["kind"], post["reply_to"], post["quote_of"]) == ("reply", "1", "2")
    assert post["reply_to_author"] == "8"


@pytest.mark.parametrize(
    ("line", "cls", "event"),
    [
        (("1170025343920402432", "2019-09-06T17:25:54.667Z", "protected"), "deletes", "delete"),
        (("20", "2006-03-21T20:50:14.000Z", "deleted"), "deletes", "delete"),
        (("1482680858", "2013-06-04T16:25:04+00:00", "protected"), "control", "hide"),
        (("1482680858", "2013-06-04T16:25:04.000Z", "suspended"), "control", "hide"),
        (("1482680858", "2013-06-04T16:25:04.000Z", "deleted"), "control", "author_delete"),
    ],
)
def test_compliance_lines_are_of_tweets_or_of_users(line, cls, event):
    id_, created, reason = line
    found = decode({"id": id_, "action": "delete", "created_at": created, "reason": reason})

    assert found.outcome["class"].to_list() == [cls]
    row = found.events.row(0, named=True)
    assert row["kind"] == event
    assert (row["id"] or row["author_id"]) == id_
    assert (row["id"] is None) == (cls == "control")


def test_compliance_events_of_streams():
    when = "2026-01-01T00:00:00.000Z"
    tweet, user = {"tweet": {"id": "7", "author_id": "9"}}, {"user": {"id": "9"}}
    found = decode(
        {"data": {"delete": {**tweet, "event_at": when}}},
        {"data": {"withheld": {**tweet, "event_at": when}}},
        {"data": {"undrop": {**tweet, "event_at": when}}},
        {"data": {"user_delete": {**user, "event_at": when}}},
        {"data": {"user_unprotect": {**user, "event_at": when}}},
        {"data": {"scrub_geo": {**user, "up_to_tweet_id": "55", "event_at": when}}},
        {"data": {"user_profile_modification": user}},
    )

    assert found.outcome["class"].to_list() == ["deletes"] + ["control"] * 6
    assert found.events.select("kind", "id", "author_id", "version").rows() == [
        ("delete", "7", "9", None),
        ("hide", "7", "9", None),
        ("show", "7", "9", None),
        ("author_delete", None, "9", None),
        ("show", None, "9", None),
        ("geo_scrub", None, "9", 55),
    ]
    assert found.events["at"].null_count() == 0


def test_users_lists_counts_and_errors_are_control():
    pages = [
        {"data": USERS, "meta": {}},
        {"data": [{"id": "1", "name": "L", "owner_id": "9"}], "meta": {}},
        {"data": [{"start": "a", "end": "b", "tweet_count": 1}], "meta": {}},
        {"meta": {"result_count": 0}},
        {"errors": [{"title": "x"}]},
        {"title": "Unauthorized", "status": 401},
    ]
    items = [json.dumps(i).encode() for p in pages for i in split(p)]

    assert decode(*items).outcome["class"].to_list() == ["control"] * 8
    assert decode({"id": "1"}, {"text": "x"}).outcome["class"].to_list() == ["quarantined"] * 2
