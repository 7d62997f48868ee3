import asyncio

import msgspec
import polars as pl
import pytest

from earshot.engine.profiles import SPARE, offer_authors
from earshot.errors import RetryableError


class Feed:
    def __init__(self):
        self.rows, self.failures = [], []

    def add(self, *posts, kind="posts"):
        self.rows.append((len(self.rows) + 1, kind, msgspec.json.encode({"posts": posts}).decode()))

    def feed(self):
        return "e", 1, len(self.rows)

    def changes(self, after, *, limit=1000):
        if self.failures:
            raise self.failures.pop()
        return pl.DataFrame(
            [r for r in self.rows if r[0] > after],
            schema={"seq": pl.Int64, "kind": pl.String, "payload": pl.String},
            orient="row",
        )


class Resolver:
    def __init__(self, waiting=0):
        self.waiting, self.offered = waiting, []

    def offer(self, dids):
        dids = list(dids)
        self.offered += dids
        self.waiting += len(dids)
        return len(dids)


def post(did, *, rules=(), source="bluesky", handle=None):
    return {"source": source, "author_id": did, "author_handle": handle, "rules": list(rules)}


def follow(feed, resolver, *turns):
    """Run it for as many looks as there are turns; each turn happens before the next look."""
    left = list(turns)

    def every():
        if not left:
            raise asyncio.CancelledError
        left.pop(0)()
        return 0

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(offer_authors(feed, resolver, every=every))


def test_authors_of_matched_posts_come_first_and_others_while_there_is_room():
    feed, resolver = Feed(), Resolver(waiting=SPARE - 2)
    feed.add(post("old"))

    def news():
        feed.add(post("a"), post("b"), post("c", rules=[1]))

    follow(feed, resolver, news)
    assert resolver.offered == ["c", "b"]


def test_who_has_a_name_and_other_networks_are_not_asked_for():
    feed, resolver = Feed(), Resolver()

    def news():
        feed.add(post("a", handle="ada"), post("7", source="x"))
        feed.add(post("w"), kind="windows")

    follow(feed, resolver, news)
    assert resolver.offered == []


def test_a_store_that_is_busy_for_a_while_is_read_again():
    feed, resolver = Feed(), Resolver()

    def news():
        feed.add(post("a", rules=[1]))
        feed.failures = [RetryableError("busy")]

    follow(feed, resolver, news, lambda: None)
    assert resolver.offered == ["a"]
