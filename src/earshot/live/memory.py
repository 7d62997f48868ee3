"""Push in this process: one poll of the change feed for all, merged for each listener.

What a listener has not taken yet is merged, so that it is bounded and never out of date: of posts
the newest stay, of a window or key the last word stays. Merged events go out together, at most four
times a second. All but the last of them carry the id of the place before them all: who reconnects
with it gets them again, and no hole is possible.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import polars as pl
import structlog

from earshot.errors import EarshotError
from earshot.live import Feed, Pushed

say = structlog.get_logger(__name__)

POLL_S: Final = 0.1
TROUBLE_S: Final = 1.0
"""Pause after the feed could not be read."""
EVERY_S: Final = 0.25
"""Least time between two deliveries to a listener."""
SLOW_S: Final = 2.0
"""A listener that takes longer than this between two deliveries is told what it missed."""
PAGE: Final = 500
MOST_POSTS: Final = 50
MOST_KEYS: Final = 5_000
"""Corrections that wait for one listener; one that lets more pile up has to start anew."""
MOST_WINDOWS: Final = 1_000
MOST_GAPS: Final = 200
TOPIC_OF: Final = {
    "correction": "corrections",
    "windows": "windows",
    "gap": "gaps",
    "rules": "system",
    "system": "system",
}

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Change:
    """One row of the feed, decoded once for all listeners."""

    seq: int
    kind: str
    topics: frozenset[str]
    rules: list[int]
    payload: dict[str, Any]


@dataclass(slots=True)
class _Pending:
    """What waits for one listener: the merge of all changes it has not taken yet."""

    topics: frozenset[str]
    before: int
    """The place before all of this."""
    seq: int
    """The last change merged."""
    posts: dict[tuple[str, str], None] = field(default_factory=dict)
    """Keys, the newest last."""
    more: int = 0
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    """Key → removed | changed: the last word."""
    windows: dict[tuple[str, int], None] = field(default_factory=dict)
    window_rules: set[int] = field(default_factory=set)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    reset: str = ""
    """Why the listener has to start anew; "": it need not."""
    oldest: str = ""
    """Then: the oldest place that can be gone on after."""

    def merge(self, change: _Change) -> None:
        """Take one more change in; bounded, whatever comes."""
        if change.seq <= self.seq:
            return
        self.seq = change.seq
        if not change.topics & self.topics:
            return
        payload = change.payload
        match change.kind:
            case "posts":
                self._posts(payload)
            case "correction":
                self._correct(payload)
            case "windows":
                self._windows(payload, change.rules)
            case "gap":
                self.gaps = [*self.gaps, payload][-MOST_GAPS:]
            case _:
                self.others[change.kind] = payload

    def _posts(self, payload: dict[str, Any]) -> None:
        posts = payload["posts"]
        wanted = [p for p in posts if self._wants(p)]
        for post in reversed(wanted):  # the feed has the newest first
            key = (post["source"], post["id"])
            self.posts.pop(key, None)
            self.keys.pop(key, None)
            self.posts[key] = None
        if "posts:all" in self.topics:
            self.more += max(0, payload["n"] - len(posts))
        while len(self.posts) > MOST_POSTS:
            del self.posts[next(iter(self.posts))]
            self.more += 1

    def _wants(self, post: dict[str, Any]) -> bool:
        if "posts:all" in self.topics:
            return True
        return any(f"posts:rule:{rule}" in self.topics for rule in post.get("rules") or ())

    def _correct(self, payload: dict[str, Any]) -> None:
        for word in ("removed", "changed"):
            for source, id_ in payload[word]:
                key = (source, id_)
                if word == "removed":
                    self.posts.pop(key, None)
                self.keys.pop(key, None)
                self.keys[key] = word
        if len(self.keys) > MOST_KEYS:
            self.reset = "too-many"
            self.keys.clear()

    def _windows(self, payload: dict[str, Any], rules: list[int]) -> None:
        for window in payload["windows"]:
            self.windows[window["start"], window["width"]] = None
        while len(self.windows) > MOST_WINDOWS:
            del self.windows[next(iter(self.windows))]
        self.window_rules.update(rules)

    def takes(self, change: _Change) -> bool:
        """Whether a change can be merged without a post being left out."""
        return (
            change.kind != "posts" or len(self.posts) + len(change.payload["posts"]) <= MOST_POSTS
        )

    def events(
        self, since: str, until: str, *, slow: bool = False
    ) -> list[tuple[str, dict[str, Any]]]:
        """All that waited, as (kind, data)."""
        found: list[tuple[str, dict[str, Any]]] = []
        if self.reset:
            found.append(("reset", {"reason": self.reset, "oldest": self.oldest or until}))
        if slow and self.more:
            found.append(("lagged", {"skipped": self.more, "since": since, "until": until}))
            self.more = 0
        if self.posts or self.more:
            found.append(("posts", {"keys": [*reversed(self.posts)], "more": self.more}))
        if self.keys:
            found.append(("correction", {w: self._corrected(w) for w in ("removed", "changed")}))
        if self.windows:
            named = [{"start": s, "width": w} for s, w in self.windows]
            found.append(("windows", {"windows": named, "rules": sorted(self.window_rules)}))
        if self.gaps:
            found.append(("gap", {"items": self.gaps}))
        return [*found, *self.others.items()]

    def _corrected(self, word: str) -> list[tuple[str, str]]:
        return [key for key, said in self.keys.items() if said == word]


class _Listener:
    """One who listens: what waits for it, and a bell."""

    def __init__(self, topics: frozenset[str], epoch: str, seq: int) -> None:
        self.epoch = epoch
        self.pending = _Pending(topics, seq, seq)
        self.bell = asyncio.Event()

    def take(self) -> _Pending:
        """All that waits; nothing waits any more."""
        taken, seq = self.pending, self.pending.seq
        self.pending = _Pending(taken.topics, seq, seq)
        self.bell.clear()
        return taken

    def merge(self, change: _Change) -> None:
        """Take a change in; ring if it is of any interest."""
        self.pending.merge(change)
        if change.topics & self.pending.topics:
            self.bell.set()

    def reset(self, reason: str, epoch: str, seq: int, oldest: int) -> None:
        """Tell it to start anew from a place."""
        self.epoch = epoch
        self.pending = _Pending(
            self.pending.topics, seq, seq, reset=reason, oldest=_id(epoch, oldest - 1)
        )
        self.bell.set()


class MemoryLive:
    """See `earshot.live.Live`."""

    def __init__(self, feed: Feed, *, poll_s: float = POLL_S, every_s: float = EVERY_S) -> None:
        self._feed, self._poll_s, self._every_s = feed, poll_s, every_s
        self._epoch, _, self._seq = feed.feed()
        self._listeners: set[_Listener] = set()

    def head(self) -> str:
        """See `Live.head`; read from the feed itself, so that it is never behind a query."""
        epoch, _, newest = self._feed.feed()
        return f"{epoch}.{newest}"

    def oldest(self) -> str:
        """See `Live.oldest`."""
        epoch, oldest, _ = self._feed.feed()
        return f"{epoch}.{oldest - 1}"

    async def run(self) -> None:
        """See `Live.run`."""
        while True:
            if not await self._step():
                await asyncio.sleep(self._poll_s)

    async def _step(self) -> bool:
        """Read what is new and hand it to all; whether there may be more at once."""
        epoch, oldest, newest = await _asked(self._feed.feed)
        if not self._listeners:
            self._epoch, self._seq = epoch, newest  # nobody looks: keep the place, read nothing
            return False
        if epoch != self._epoch or self._seq < oldest - 1:
            self._start_anew(epoch, oldest - 1)
        changes = await self._read(self._seq)
        for change in changes:
            self._seq = change.seq
            for listener in self._listeners:
                listener.merge(change)
        return len(changes) == PAGE

    def _start_anew(self, epoch: str, seq: int) -> None:
        """Go on from a place that does not follow the one before; tell whom it concerns."""
        for listener in self._listeners:
            if listener.epoch != epoch:
                listener.reset("new-store", epoch, seq, seq + 1)
            elif listener.pending.seq < seq:
                listener.reset("too-old", epoch, seq, seq + 1)
        self._epoch, self._seq = epoch, seq

    async def _read(self, after: int) -> list[_Change]:
        return _changes(await _asked(partial(self._feed.changes, after, limit=PAGE)))

    async def listen(self, topics: frozenset[str], after: str | None) -> AsyncIterator[Pushed]:
        """See `Live.listen`."""
        epoch, oldest, newest = await _asked(self._feed.feed)
        reason, seq = _place(after, epoch, oldest, newest)
        listener = _Listener(topics, epoch, seq)
        if reason:
            listener.reset(reason, epoch, newest, oldest)
        try:
            async for event in self._catch_up(listener):
                yield event
            async for event in self._follow(listener):
                yield event
        finally:
            self._listeners.discard(listener)

    async def _catch_up(self, listener: _Listener) -> AsyncIterator[Pushed]:
        """Replay in order, as many posts an event as fit; then the listener is one of all."""
        while True:
            epoch, oldest, newest = await _asked(self._feed.feed)
            reason, _ = _place(_id(listener.epoch, listener.pending.seq), epoch, oldest, newest)
            if reason:  # it was slow, and what it stood at is gone meanwhile
                listener.reset(reason, epoch, newest, oldest)
            for change in await self._read(listener.pending.seq):
                if not listener.pending.takes(change):
                    for event in self._events(listener):
                        yield event
                listener.merge(change)
            for event in self._events(listener):
                yield event
            # no await between the look and the joining, so that nothing can come in between
            if listener.epoch != self._epoch or listener.pending.seq >= self._seq:
                self._listeners.add(listener)
                return

    async def _follow(self, listener: _Listener) -> AsyncIterator[Pushed]:
        clock = asyncio.get_running_loop().time
        slow = False
        while True:
            await listener.bell.wait()
            began = clock()
            for event in self._events(listener, slow=slow):
                yield event
            slow = clock() - began > SLOW_S
            await asyncio.sleep(max(0.0, self._every_s - (clock() - began)))

    def _events(self, listener: _Listener, *, slow: bool = False) -> list[Pushed]:
        """What waits for a listener, ready to be sent; only the last carries the new place.

        An earlier one that was the last to arrive makes a reconnect repeat them all.
        """
        taken = listener.take()
        before, now = _id(listener.epoch, taken.before), _id(listener.epoch, taken.seq)
        found = taken.events(before, now, slow=slow)
        last = len(found) - 1
        return [
            Pushed(now if i == last else before, kind, _encode(data))
            for i, (kind, data) in enumerate(found)
        ]


async def _asked(question: Callable[[], T]) -> T:
    """The feed's answer; a feed that cannot be read is asked again, the error is said once."""
    said = False
    while True:
        try:
            return await asyncio.to_thread(question)
        except EarshotError as e:
            if not said:
                say.warning("change feed cannot be read", why=str(e))
            said = True
            await asyncio.sleep(TROUBLE_S)


def _id(epoch: str, seq: int) -> str:
    return f"{epoch}.{seq}"


def _place(after: str | None, epoch: str, oldest: int, newest: int) -> tuple[str, int]:
    """Where to go on, and why that is not where `after` says ("": it is)."""
    if after is None:
        return "", newest
    its_epoch, _, text = after.rpartition(".")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return "unreadable", newest
    if its_epoch != epoch or int(text) > newest:
        return "new-store", newest
    if int(text) < oldest - 1:
        return "too-old", newest
    return "", int(text)


def _changes(rows: pl.DataFrame) -> list[_Change]:
    return [
        _Change(seq, kind, _topics(kind, rules), rules, msgspec.json.decode(payload))
        for seq, kind, rules, payload in rows.select("seq", "kind", "rules", "payload").iter_rows()
    ]


def _topics(kind: str, rules: list[int] | None) -> frozenset[str]:
    if kind == "posts":
        return frozenset({"posts:all", *(f"posts:rule:{r}" for r in rules or ())})
    return frozenset({TOPIC_OF.get(kind, kind)})


def connect(url: str, *, feed: Feed) -> MemoryLive:
    """Open `memory:`."""
    del url
    return MemoryLive(feed)
