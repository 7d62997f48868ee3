"""Every payload at hand, found, cut and decoded, against a plain count of its own.

The count knows nothing of the formats' code: it reads with `json.loads` and asks for keys.
"""

# ruff: noqa: A001, A002, E501 - `format` is the word; one case a line

import json
from collections import Counter

import polars as pl
import pytest
from format_samples import records

from earshot import formats

FILES = {
    "x_v1_stream/stream.jsonl": "x_v1",
    "x_v1_threads/tweets.jsonl": "x_v1",
    "x_v2/tweepy_v11_statuses.jsonl": "x_v1",
    **{
        f"x_v2/{name}.jsonl": "x_v2"
        for name in (
            *("2sets", "brexit", "cashtags", "cotweet", "counts", "edited", "edited_after"),
            *("edited_before", "entities_test", "flat", "geo_tweets", "lists", "many_urls"),
            *("media_policy_violation_off", "media_policy_violation_on", "media_tweet"),
            *("mentions_tweet", "noflat", "tweets_compliance", "two_tweets", "users"),
            *("users_compliance", "verified_type"),
        )
    },
    "reddit/comments.jsonl": "reddit",
    "reddit/submissions.jsonl": "reddit",
    "reddit/more.jsonl": "reddit",
    "mastodon/statuses.jsonl": "mastodon",
    "mastodon/accounts.jsonl": "mastodon",
    "mastodon/endpoint_examples.jsonl": "mastodon",
    "mastodon/streaming_0.sse": "mastodon",
    "mastodon/streaming_2.sse": "mastodon",
    "mastodon/streaming_3.sse": "mastodon",
    "bluesky/expected_v1.jsonl": "jetstream",
    "meetup/rsvps.jsonl": "meetup",
}
NO_PAYLOADS = [
    *(f"{d}/README.md" for d in ("bluesky", "mastodon", "meetup", "reddit", "x_v1_stream", "x_v2")),
    "bluesky/manifest.json",
    "bluesky/did_docs.json.zst",
    "bluesky/frames.bin.zst",
    "x_v2/empty.json",
    "x_v2/openapi/x_api_v2_openapi.json",
]


def content(shared_data, name):
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{name} is not on this machine")
    return path.read_bytes()


def items_of(data, name, format):
    """As the archive cuts them: a file of events at once, all others line by line."""
    split = formats.get(format).split
    if name.endswith(".sse"):
        return list(split(data))
    return [item for line in data.splitlines() if line.strip() for item in split(line)]


def lines(data):
    return [json.loads(line) for line in data.splitlines() if line.strip()]


@pytest.mark.parametrize(("name", "format"), FILES.items(), ids=FILES)
def test_a_file_is_found_and_nothing_in_it_is_quarantined(shared_data, name, format):
    data = content(shared_data, name)

    assert formats.detect(data) == format
    items = items_of(data, name, format)
    decoded = formats.decode(records(*items, format=format))

    assert decoded.outcome.height == len(items) > 0
    assert decoded.outcome.filter(pl.col("class") == "quarantined").is_empty()
    assert decoded.posts.select("text", "id", "event_time").null_count().row(0) == (0, 0, 0)
    if not name.endswith(".sse"):
        found = {formats.detect(line) for line in data.splitlines()[:200] if line.strip()}
        assert found == {format}


@pytest.mark.parametrize("name", NO_PAYLOADS)
def test_files_without_payloads_have_no_format(shared_data, name):
    data = content(shared_data, name)

    assert formats.detect(data) is None
    assert formats.detect(data[: 1 << 20]) is None


def decode(shared_data, name):
    data, format = content(shared_data, name), FILES[name]
    return data, formats.decode(records(*items_of(data, name, format), format=format))


def classes(decoded):
    return Counter(decoded.outcome["class"])


def test_x_v1_stream(shared_data):
    data, decoded = decode(shared_data, "x_v1_stream/stream.jsonl")
    said = lines(data)
    tweets = [t for t in said if "text" in t]
    reposts = {
        t["id_str"]: t["retweeted_status"]["id_str"] for t in tweets if "retweeted_status" in t
    }
    embedded = {
        (t["id_str"], o["id_str"])
        for t in tweets
        for carrier in (t, t.get("retweeted_status") or {})
        for o in (carrier.get("retweeted_status"), carrier.get("quoted_status"))
        if o
    }

    assert classes(decoded) == {"create": len(tweets), "deletes": len(said) - len(tweets)}
    own = decoded.posts.filter(role="create")
    assert own["id"].to_list() == [t["id_str"] for t in tweets]
    assert dict(own.drop_nulls("repost_of").select("id", "repost_of").rows()) == reposts
    carried = decoded.posts.filter(role="embedded").select("record", "id")
    carriers = own.select("record", carrier="id")
    assert set(carried.join(carriers, on="record").select("carrier", "id").rows()) == embedded
    assert own["author_id"].n_unique() == len({t["user"]["id_str"] for t in tweets})
    assert Counter(own["lang"]) == Counter({"in": "id", "iw": "he"}.get(t["lang"], t["lang"]) for t in tweets)  # fmt: skip
    tags = Counter(h["text"] for t in tweets for h in t["entities"]["hashtags"])
    assert Counter(own["hashtags"].explode().drop_nulls()) == tags
    links = [u["expanded_url"] for t in tweets for u in t["entities"]["urls"]]
    assert own["links"].explode().drop_nulls().struct.field("expanded").to_list() == links
    plain = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
    for text, tweet in zip(own["text"], tweets, strict=True):
        if "&amp;" not in tweet["text"]:
            for escaped, sign in plain.items():
                tweet["text"] = tweet["text"].replace(escaped, sign)
            assert text == tweet["text"]
    deletes = [t["delete"]["status"]["id_str"] for t in said if "delete" in t]
    assert decoded.events["id"].to_list() == deletes


def test_x_v1_threads(shared_data):
    data, decoded = decode(shared_data, "x_v1_threads/tweets.jsonl")
    tweets = [line["tweet"] for line in lines(data)]

    assert classes(decoded) == {"create": len(tweets)}
    own = decoded.posts.filter(role="create")
    assert own["id"].to_list() == [t["id_str"] for t in tweets]
    assert own["reply_to"].to_list() == [t["in_reply_to_status_id_str"] for t in tweets]


@pytest.mark.parametrize("name", [n for n, f in FILES.items() if f == "x_v2"])
def test_x_v2(shared_data, name):
    data, decoded = decode(shared_data, name)
    members = [
        m
        for line in lines(data)
        for m in (line["data"] if isinstance(line.get("data"), list) else [line.get("data", line)])
    ]
    tweets = [m for m in members if "text" in m]
    edits = [t for t in tweets if t.get("edit_history_tweet_ids", [t["id"]])[0] != t["id"]]
    lifted = [m for m in members if m.get("action") == "delete" and m["created_at"].endswith("Z")]

    found = classes(decoded)
    assert found["create"] == len(tweets) - len(edits)
    assert found["updates"] == len(edits)
    assert found["deletes"] == len(lifted)
    assert found["control"] == len(members) - len(tweets) - len(lifted)
    own = decoded.posts.filter(pl.col("role") != "embedded")
    keys = [t.get("edit_history_tweet_ids", [t["id"]])[0] for t in tweets]
    assert own["id"].to_list() == keys
    refs = [len(t.get("referenced_tweets", ())) for t in tweets]
    told = own.select(pl.sum_horizontal(pl.col("reply_to", "quote_of", "repost_of").is_not_null()))
    assert told.to_series().sum() == sum(refs)
    assert own["author_id"].to_list() == [t["author_id"] for t in tweets]
    assert own["author_handle"].null_count() == 0


def test_flat_and_paged_answers_say_the_same(shared_data):
    _, flat = decode(shared_data, "x_v2/flat.jsonl")
    _, paged = decode(shared_data, "x_v2/noflat.jsonl")
    own = ("id", "kind", "text", "author_handle", "repost_of", "hashtags", "likes", "created_at")

    both = [d.posts.filter(role="create").select(own) for d in (flat, paged)]
    assert both[0].equals(both[1])


def test_reddit(shared_data):
    for name in ("comments", "submissions"):
        data, decoded = decode(shared_data, f"reddit/{name}.jsonl")
        things = [line["data"] for line in lines(data)]

        own = decoded.posts.filter(role="create")
        assert classes(decoded) == {"create": len(things)}
        assert own["id"].to_list() == [t["name"] for t in things]
        assert own["channel"].to_list() == [t["subreddit"] for t in things]
        assert own["score"].to_list() == [t.get("score") for t in things]
        assert own["edited_at"].is_not_null().sum() == sum(
            isinstance(t.get("edited"), float) for t in things
        )  # true alone: edited, at a time nobody noted
        gone = sum(
            (t.get("body") or t.get("selftext")) in ("[deleted]", "[removed]") for t in things
        )
        assert decoded.events.height == gone
    data, decoded = decode(shared_data, "reddit/more.jsonl")
    assert classes(decoded) == {"control": len(lines(data))}


def test_mastodon(shared_data):
    data, decoded = decode(shared_data, "mastodon/statuses.jsonl")
    statuses = [line["status"] for line in lines(data)]
    shown = [s for s in statuses if s["visibility"] in ("public", "unlisted")]

    own = decoded.posts.filter(role="create")
    assert classes(decoded) == {"create": len(shown), "control": len(statuses) - len(shown)}
    assert own["id"].to_list() == [s["id"] for s in shown]
    assert not own["text"].str.contains(r"</?(?:p|a|span|br)\b").any()
    assert own.filter(pl.col("version") > 0).height == sum(bool(s.get("edited_at")) for s in shown)
    assert own["hashtags"].to_list() == [[t["name"] for t in s["tags"]] for s in shown]

    data, decoded = decode(shared_data, "mastodon/endpoint_examples.jsonl")
    bodies = [line["body"] for line in lines(data)]
    alone = [b for b in bodies if isinstance(b, dict)]
    listed = [m for b in bodies if isinstance(b, list) for m in b if isinstance(m, dict)]
    looks = {"content", "visibility", "account"}
    public = [
        b
        for b in (*alone, *listed)
        if looks <= b.keys() and b["visibility"] in ("public", "unlisted")
    ]
    assert classes(decoded)["create"] == len(public)
    assert sorted(decoded.posts.filter(role="create")["id"]) == sorted(b["id"] for b in public)


def test_mastodon_streams(shared_data):
    data, decoded = decode(shared_data, "mastodon/streaming_3.sse")
    assert classes(decoded) == {"create": 1, "updates": 1, "deletes": 1, "control": 3}
    assert data.count(b"\nevent: ") == decoded.outcome.height


def test_bluesky(shared_data):
    data, decoded = decode(shared_data, "bluesky/expected_v1.jsonl")
    events = lines(data)
    commits = [(e["did"], e["commit"]) for e in events if e["kind"] == "commit"]
    posts = [(d, c) for d, c in commits if c["collection"] == "app.bsky.feed.post"]
    created = [(d, c) for d, c in posts if c["operation"] == "create"]
    kinds = {"app.bsky.feed.like", "app.bsky.feed.repost", "app.bsky.graph.follow"}
    done = [(d, c) for d, c in commits if c["collection"] in kinds]

    found = classes(decoded)
    assert found["create"] == len(created)
    assert found["deletes"] == len(posts) - len(created)
    assert found["interactions"] == len(done)
    assert found["control"] == len(events) - len(posts) - len(done)
    uris = [f"at://{d}/app.bsky.feed.post/{c['rkey']}" for d, c in created]
    assert decoded.posts["id"].to_list() == uris
    assert decoded.posts["text"].to_list() == [c["record"]["text"] for _, c in created]
    removed = [c["operation"] == "delete" for _, c in done]
    assert decoded.interactions["removed"].to_list() == removed
    assert decoded.interactions["object"].is_null().to_list() == removed
    revs = [c["rev"] for _, c in created]
    order = sorted(range(len(revs)), key=revs.__getitem__)
    assert decoded.posts["version"].arg_sort().to_list() == order


def test_meetup(shared_data):
    data, decoded = decode(shared_data, "meetup/rsvps.jsonl")
    answers = lines(data)

    posts = decoded.posts
    assert classes(decoded) == {"create": len(answers)}
    assert posts["id"].to_list() == [str(a["rsvp_id"]) for a in answers]
    assert posts["version"].to_list() == [a["mtime"] * 1000 for a in answers]
    topics = [t["urlkey"] for a in answers for t in a["group"]["group_topics"]]
    assert posts["hashtags"].explode().drop_nulls().to_list() == topics
    assert posts.filter(place_from="venue").height >= sum("venue" in a for a in answers)
    assert posts["country"].to_list() == [a["group"]["group_country"].upper() for a in answers]


def test_a_damaged_copy_of_a_file_loses_only_the_damaged_lines(shared_data):
    whole = content(shared_data, "x_v1_stream/stream.jsonl").splitlines()[:300]
    broken = [line if i % 10 else line[: len(line) // 2] for i, line in enumerate(whole)]

    good = formats.decode(records(*whole, format="x_v1"))
    bad = formats.decode(records(*broken, format="x_v1"))

    assert classes(bad)["quarantined"] == 30
    kept = good.posts.filter(pl.col("record") % 10 != 0)
    assert bad.posts.equals(kept)
