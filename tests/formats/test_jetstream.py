import datetime as dt

import pytest
from format_samples import BLUESKY_POST, DID, RECEIVED, account, commit, records, second_wire

from earshot.formats import jetstream
from earshot.formats._tid import rev

REV = 1825972108507780107
URI = f"at://{DID}/app.bsky.feed.post/3mptbyoeyc22k"


def decode(*raws, **how):
    return jetstream.decode(records(*raws, **how))


def classes(*raws):
    return decode(*raws).outcome["class"].to_list()


def test_a_post_in_all_its_parts():
    post = decode(BLUESKY_POST).posts.row(0, named=True)

    assert post["id"] == URI
    assert post["permalink"] == f"https://bsky.app/profile/{DID}/post/3mptbyoeyc22k"
    assert (post["kind"], post["role"], post["version"]) == ("reply", "create", REV)
    assert post["lang"] == "en"
    assert post["hashtags"] == ["World", "aside"]
    assert post["mentions"] == ["did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"]
    assert post["links"] == [
        {
            "url": "https://Example.org/a?utm_source=x&b=1#top",
            "expanded": "https://Example.org/a?utm_source=x&b=1#top",
            "canonical": "https://example.org/a?b=1",
            "domain": "example.org",
        }
    ]
    assert [(m["kind"], m["alt"]) for m in post["media"]] == [("image", "a cat")]
    assert post["quote_of"] == "at://did:plc:c/app.bsky.feed.post/q"
    assert post["reply_to"] == "at://did:plc:p/app.bsky.feed.post/2"
    assert post["reply_to_author"] == "did:plc:p"
    assert post["root"] == post["conversation"] == "at://did:plc:r/app.bsky.feed.post/1"
    assert post["sensitive"] is True


def test_a_post_that_answers_nothing_is_its_own_root():
    post = decode(commit(record={"text": "hi"})).posts.row(0, named=True)

    assert (post["kind"], post["root"], post["sensitive"]) == ("post", URI, False)
    assert (post["hashtags"], post["links"], post["media"]) == ([], [], [])


def test_both_wires_and_bare_payloads_say_the_same():
    events = [BLUESKY_POST, commit(operation="delete"), account(active=True)]
    framed = [second_wire(e) for e in events]

    first = decode(*events)
    for other in (decode(*framed), decode(*(f["payload"] for f in framed))):
        assert first.outcome.equals(other.outcome)
        assert first.posts.equals(other.posts)
        assert first.events.equals(other.events)


def test_an_edit_is_an_update_with_its_time():
    found = decode(commit(operation="update", record={"text": "new"}))

    assert found.outcome["class"].to_list() == ["updates"]
    assert found.posts["role"].to_list() == ["update"]
    assert found.posts["edited_at"][0] == dt.datetime(2026, 1, 1, 11, 59, 59, tzinfo=dt.UTC)


def test_a_delete_names_the_post_and_its_version():
    event = decode(commit(operation="delete")).events.row(0, named=True)

    assert (event["kind"], event["id"], event["author_id"]) == ("delete", URI, DID)
    assert event["version"] == REV


def test_likes_reposts_and_follows_are_interactions_and_so_is_their_end():
    liked = {"subject": {"uri": "at://x/app.bsky.feed.post/2", "cid": "c"}}
    found = decode(
        commit("app.bsky.feed.like", record=liked),
        commit("app.bsky.feed.repost", record=liked),
        commit("app.bsky.graph.follow", record={"subject": "did:plc:z"}),
        commit("app.bsky.feed.like", "delete"),
    )

    assert found.outcome["class"].to_list() == ["interactions"] * 4
    assert found.interactions.select("kind", "object", "removed").rows() == [
        ("like", "at://x/app.bsky.feed.post/2", False),
        ("repost", "at://x/app.bsky.feed.post/2", False),
        ("follow", "did:plc:z", False),
        ("like", None, True),
    ]
    assert found.interactions["key"][0] == f"at://{DID}/app.bsky.feed.like/3mptbyoeyc22k"
    assert found.interactions["at"].null_count() == 0


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"active": True}, "show"),
        ({"active": False, "status": "deleted"}, "author_delete"),
        ({"active": False, "status": "deactivated"}, "hide"),
        ({"active": False, "status": "takendown"}, "hide"),
        ({"active": False}, "hide"),
    ],
)
def test_what_becomes_of_an_account(said, kind):
    found = decode(account(**said))

    assert found.outcome["class"].to_list() == ["control"]
    assert found.events.select("kind", "author_id", "id").rows() == [(kind, DID, None)]


def test_identity_profile_and_sync_are_events_of_class_control():
    identity = {"did": DID, "time_us": 1, "kind": "identity", "identity": {"handle": "ada.test"}}
    profile = commit("app.bsky.actor.profile", record={"displayName": "Ada", "description": "me"})
    sync = second_wire({"did": DID, "kind": "sync", "sync": {"rev": "3mptbypcq372f"}})

    found = decode(identity, profile, sync)

    assert found.outcome["class"].to_list() == ["control"] * 3
    assert found.events["kind"].to_list() == ["author_update", "author_update", "sync"]
    assert found.events["version"].to_list() == [None, None, REV]
    handles = [p and (p["handle"], p["name"], p["bio"]) for p in found.events["profile"]]
    assert handles[:2] == [("ada.test", None, None), (None, "Ada", "me")]


def test_other_collections_are_control_whatever_they_hold():
    odd = commit("org.example.thing", record={"text": {"a": 1}, "langs": 7, "embed": "x"})
    about_posts = commit("app.bsky.feed.threadgate", record={"post": "app.bsky.feed.post"})

    assert classes(odd, about_posts, commit("app.bsky.graph.block", "delete")) == ["control"] * 3


def test_the_guess_by_bytes_changes_nothing():
    escaped = b'{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"rev":"","operation":'
    escaped += (
        b'"create","collection":"app.bsky.feed\\u002epost","rkey":"r","record":{"text":"x"}}}'
    )
    shuffled = b'{"kind":"commit","note":"$type subscribeEvents#","did":"did:plc:a","time_us":1,'
    shuffled += b'"commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"r",'
    shuffled += b'"record":{"text":"y"}}}'

    late = (
        b'{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"record":{"text":"z","tags":["'
    )
    late += b"long" * 99
    late += b'"]},"operation":"create","rkey":"r","collection":"app.bsky.feed.post"}}'

    found = decode(escaped, shuffled, late)

    assert found.posts["text"].to_list() == ["x", "y", "z"]
    assert found.posts["hashtags"].to_list() == [[], [], ["long" * 99]]


def test_a_post_without_a_text_says_why_it_is_set_aside():
    outcome = decode(commit(record={}), {"kind": "commit"}, {"did": DID}).outcome

    assert outcome["class"].to_list() == ["quarantined"] * 3
    assert outcome["reason"][0] == "a post without a text"
    assert outcome["reason"][1] == "an event without a did"


def test_event_time_is_the_claim_unless_that_is_impossible_or_absent():
    future = commit(record={"text": "x", "createdAt": "2026-01-01T12:02:01Z"})
    nearly = commit(record={"text": "x", "createdAt": "2026-01-01T12:01:59+00:00"})
    none = commit(record={"text": "x", "createdAt": "yesterday"})

    posts = decode(future, nearly, none).posts

    claimed = dt.datetime(2026, 1, 1, 12, 1, 59, tzinfo=dt.UTC)
    assert posts["event_time"].to_list() == [RECEIVED, claimed, RECEIVED]
    assert posts["created_at"].null_count() == 1


def test_a_shifted_replay_moves_event_time_only():
    hour = 3_600_000_000
    said = commit(record={"text": "x"})

    post = decode(said, headers=f'{{"archive":true,"shift_us":-{hour}}}').posts.row(0, named=True)

    assert post["created_at"] - post["event_time"] == dt.timedelta(hours=1)


def test_revisions_keep_their_order_as_integers():
    import polars as pl

    tids = pl.Series(["2222222222222", "2222222222223", "3mptbypcq372f", "bad", None, "z" * 13])

    assert rev(tids).to_list() == [0, 1, REV, None, None, None]
