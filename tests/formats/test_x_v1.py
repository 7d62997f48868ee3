# ruff: noqa: E501 - one case a line
import json

from format_samples import records, tweet_v1

from earshot.formats import x_v1


def decode(*raws):
    return x_v1.decode(records(*raws, format="x_v1"))


def post(*raws):
    return decode(*raws).posts.row(0, named=True)


def test_a_tweet_in_all_its_parts():
    found = post(
        tweet_v1(
            text="a &amp;lt; b",
            timestamp_ms="1767268798123",
            in_reply_to_status_id_str="5",
            in_reply_to_user_id_str="6",
            in_reply_to_screen_name="bob",
            coordinates={"type": "Point", "coordinates": [13.4, 52.5]},
            place={"full_name": "Berlin", "country_code": "de"},
            possibly_sensitive=True,
            entities={
                "hashtags": [{"text": "One"}, {"text": "Two"}],
                "symbols": [{"text": "ABC"}],
                "user_mentions": [{"screen_name": "bob"}],
                "urls": [{"url": "https://t.test/1", "expanded_url": "https://WWW.Example.org/?fbclid=1"}],
            },
            extended_entities={
                "media": [{"type": "photo", "media_url_https": "https://i.test/a", "ext_alt_text": "a cat"}]
            },
        )
    )  # fmt: skip

    assert found["text"] == "a &lt; b"
    assert found["created_at"].microsecond == 123000
    assert (found["id"], found["kind"], found["source"]) == ("1000", "reply", "x")
    assert found["permalink"] == "https://x.com/ada/status/1000"
    assert (found["reply_to"], found["reply_to_author"], found["reply_to_handle"]) == (
        "5",
        "6",
        "bob",
    )
    assert (found["author_id"], found["author_handle"], found["author_followers"]) == (
        "9",
        "ada",
        12,
    )
    assert (found["author_bio"], found["author_location"]) == ("likes <b>", None)
    assert (found["lang"], found["client"], found["sensitive"]) == ("id", "X & Co", True)
    assert (found["place"], found["country"], found["place_from"]) == ("Berlin", "DE", "post")
    assert (found["latitude"], found["longitude"]) == (52.5, 13.4)
    assert (found["hashtags"], found["cashtags"], found["mentions"]) == (
        ["One", "Two"],
        ["ABC"],
        ["bob"],
    )
    assert found["links"][0]["canonical"] == "https://www.example.org/"
    assert found["links"][0]["domain"] == "example.org"
    assert found["media"] == [{"kind": "image", "url": "https://i.test/a", "alt": "a cat"}]
    assert (found["likes"], found["reposts"], found["replies"]) == (4, 3, None)
    assert (found["root"], found["conversation"]) == (None, None)


def test_the_whole_text_wins_over_the_one_that_is_cut_off():
    cut = tweet_v1(
        text="cut…",
        extended_tweet={"full_text": "the whole", "entities": {"hashtags": [{"text": "end"}]}},
    )
    full = tweet_v1()
    full["full_text"] = full.pop("text")

    posts = decode(cut, full).posts

    assert posts["text"].to_list() == ["the whole", "plain"]
    assert posts["hashtags"].to_list() == [["end"], []]


def test_originals_become_posts_of_their_own_each_once():
    quoted = tweet_v1("800")
    original = tweet_v1("900", quoted_status=quoted, quoted_status_id_str="800")
    repost = tweet_v1(
        "1001", "RT", retweeted_status=original, quoted_status=quoted, quoted_status_id_str="800"
    )

    posts = decode(repost, tweet_v1("1002", quoted_status=quoted)).posts

    assert posts.select("record", "role", "id", "kind", "repost_of", "quote_of").rows() == [
        (0, "create", "1001", "repost", "900", None),
        (1, "create", "1002", "quote", None, "800"),
        (0, "embedded", "900", "quote", None, "800"),
        (0, "embedded", "800", "post", None, None),
        (1, "embedded", "800", "post", None, None),
    ]  # fmt: skip
    assert posts["likes"].to_list() == [None, 4, 4, 4, 4]  # a repost mirrors the original's


def test_notices_are_deletes_or_control():
    found = decode(
        {"delete": {"status": {"id": 7, "user_id": 9}, "timestamp_ms": "1767268798000"}},
        {"scrub_geo": {"user_id": 9, "up_to_status_id_str": "1000"}},
        {"status_withheld": {"id": 7, "user_id": 9}},
        {"user_withheld": {"id": 9}},
        {"limit": {"track": 3}},
        {"friends": [1, 2]},
        {"id_str": "9", "screen_name": "ada"},
        {"delete": {"status": {}}},
        {},
    )

    assert found.outcome["class"].to_list() == ["deletes"] + ["control"] * 6 + ["quarantined"] * 2
    assert found.events.select("record", "kind", "id", "author_id", "version").rows() == [
        (0, "delete", "7", "9", None),
        (1, "geo_scrub", None, "9", 1000),
        (2, "hide", "7", "9", None),
        (3, "hide", None, "9", None),
    ]
    assert found.events["at"][0] is not None


def test_one_wrapper_is_taken_off():
    posts = decode({"_x": 1, "tweet": tweet_v1("1")}, {"status": tweet_v1("2")}).posts

    assert posts["id"].to_list() == ["1", "2"]


def test_fields_of_another_type_do_not_lose_a_tweet():
    odd = tweet_v1(place="Berlin", entities=[], retweet_count="12", possibly_sensitive="no")

    found = post(odd)

    assert (found["place"], found["hashtags"], found["reposts"]) == (None, [], 12)


def test_reasons_are_for_people():
    nobody, nameless = tweet_v1(), tweet_v1()
    del nobody["user"], nameless["id"], nameless["id_str"]

    assert decode(nobody, nameless).outcome["reason"].to_list() == [
        "a tweet without its user",
        "a tweet without an id",
    ]


def test_search_answers_and_arrays_are_cut():
    page = {"search_metadata": {}, "statuses": [tweet_v1("1"), tweet_v1("2")]}

    assert x_v1.detect(json.dumps(page).encode()) == 1.0
    for text in (json.dumps(page), json.dumps(page["statuses"]), json.dumps(page, indent=1)):
        assert [json.loads(i)["id_str"] for i in x_v1.split(text.encode())] == ["1", "2"]
