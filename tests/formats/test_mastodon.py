import json

import pytest
from format_samples import records, status

from earshot.formats import mastodon


def decode(*raws):
    return mastodon.decode(records(*raws, format="mastodon"))


def test_a_status_in_all_its_parts():
    content = (
        '<p>Hi <a href="https://two.test/@bob" class="u-url mention">@<span>bob</span></a><br>'
        'see <a href="https://Example.org/?a=1&amp;utm_medium=x"><span class="invisible">https://'
        '</span>example.org</a></p><p><a href="/tags/t" class="mention hashtag">#t</a> &lt;3</p>'
    )
    post = decode(
        status(
            content=content,
            spoiler_text="CW",
            edited_at="2026-01-01T11:59:59.000Z",
            in_reply_to_id="1",
            in_reply_to_account_id="8",
            mentions=[{"id": "7", "acct": "eve"}, {"id": "8", "acct": "bob@two.test"}],
            card={"url": "https://card.test/"},
            application={"name": "Tusky"},
            sensitive=True,
            visibility="unlisted",
        )
    ).posts.row(0, named=True)

    assert post["text"] == "Hi @bob\nsee https://example.org\n#t <3"
    assert (post["title"], post["kind"], post["lang"]) == ("CW", "reply", "de")
    assert (post["version"], post["visibility"], post["sensitive"]) == (
        1767268799000000,
        "unlisted",
        True,
    )
    assert (post["reply_to"], post["reply_to_author"], post["reply_to_handle"]) == (
        "1",
        "8",
        "bob@two.test",
    )
    assert (post["hashtags"], post["mentions"]) == (["tag"], ["eve", "bob@two.test"])
    assert [link["canonical"] for link in post["links"]] == [
        "https://example.org/?a=1",
        "https://card.test/",
    ]
    assert post["media"] == [{"kind": "gif", "url": "https://one.test/g.mp4", "alt": None}]
    assert (post["author_bio"], post["author_handle"], post["author_bot"]) == ("me", "ada", False)
    assert (post["channel"], post["permalink"]) == ("one.test", "https://one.test/@ada/30")
    assert (post["likes"], post["reposts"], post["replies"], post["client"]) == (3, 2, 1, "Tusky")


def test_boosts_and_quotes_embed_what_they_carry():
    inner = status("20", quote={"state": "accepted", "quoted_status": status("19")})
    found = decode(
        status("33", "", reblog=inner),
        status("34", quote={"state": "accepted", "quoted_status": status("21")}),
        status("35", reblog=status("22", visibility="private")),
    )

    assert found.posts.select("record", "role", "id", "kind", "repost_of", "quote_of").rows() == [
        (0, "create", "33", "repost", "20", None),
        (1, "create", "34", "quote", None, "21"),
        (2, "create", "35", "repost", "22", None),
        (0, "embedded", "20", "quote", None, "19"),
        (1, "embedded", "21", "post", None, None),
        (0, "embedded", "19", "post", None, None),
    ]
    assert found.posts["likes"].to_list() == [None, 3, None, 3, 3, 3]


def test_what_few_may_see_and_what_is_no_status_is_control():
    assert (
        decode(
            status(visibility="private"),
            status(visibility="direct"),
            {"id": "1", "type": "mention", "status": status(), "account": {}},
            {"id": "5", "unread": True, "last_status": status()},
            {"id": "9", "acct": "ada", "username": "ada", "note": ""},
            {"body": {}, "method": "GET", "path": "/"},
            {"body": ["one.test"], "method": "GET", "path": "/"},
            {"id": "a", "content": "<p>news</p>", "starts_at": None, "statuses": []},
            {"error": "gone"},
        )
        .outcome["class"]
        .to_list()
        == ["control"] * 9
    )


def test_a_status_that_is_broken_is_quarantined():
    nameless, nobody = status(), status()
    del nameless["id"], nobody["account"]

    outcome = decode(
        nameless, nobody, {"event": "update", "payload": {}}, {"event": "delete"}
    ).outcome

    assert outcome["class"].to_list() == ["quarantined"] * 4
    assert outcome["reason"][0] == "a status without an id"


@pytest.mark.parametrize("wrap", [lambda s: s, json.dumps], ids=["event stream", "web socket"])
def test_streams_say_create_update_delete(wrap):
    found = decode(
        {"event": "update", "payload": wrap(status("1"))},
        {"event": "status.update", "payload": wrap(status("2"))},
        {"stream": ["public"], "event": "delete", "payload": "3"},
        {"event": "notification", "payload": wrap({"id": "1", "status": status("4")})},
        {"event": "conversation", "payload": wrap({"id": "1"})},
        {"event": "filters_changed"},
        {"event" : "update", "payload" : wrap(status("5"))},
    )  # fmt: skip

    classes = ["create", "updates", "deletes", "control", "control", "control", "create"]
    assert found.outcome["class"].to_list() == classes
    assert found.posts.select("role", "id").rows() == [
        ("create", "1"),
        ("update", "2"),
        ("create", "5"),
    ]
    assert found.events.select("kind", "id").rows() == [("delete", "3")]


def test_server_sent_events_are_cut_into_records():
    text = (
        b":)\nevent: update\ndata: " + json.dumps(status("1")).encode() + b"\n\n:thump\n\n"
        b"event: delete\r\ndata: 2\r\n\r\nevent: status.update\ndata: {\"id\":\ndata:  \"3\"}\n\n"
        b"event: update\ndata: {\"id\": \"4\", \"cont"
    )  # fmt: skip
    items = list(mastodon.split(text))

    assert mastodon.detect(text) >= 0.5
    assert len(items) == 4
    events = [json.loads(i)["event"] for i in items[:3]]
    assert events == ["update", "delete", "status.update"]
    classes = decode(*items).outcome["class"].to_list()
    assert classes == ["create", "deletes", "quarantined", "quarantined"]


def test_a_line_of_heartbeats_holds_nothing():
    assert list(mastodon.split(b":thump\n\n:thump\n")) == []


def test_lists_of_statuses_are_cut_and_other_lists_are_one_record():
    page = {"method": "GET", "path": "/x", "body": [status("1"), status("2")]}
    other = {"method": "GET", "path": "/x", "body": [{"id": "9", "acct": "ada"}]}

    assert [json.loads(i)["id"] for i in mastodon.split(json.dumps(page).encode())] == ["1", "2"]
    assert len(list(mastodon.split(json.dumps(other).encode()))) == 1
