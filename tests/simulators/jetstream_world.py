"""A few people on a small Bluesky, seeded: the events that a Jetstream would witness.

All words are ours. The same seed gives the same events, whoever witnesses them and when.
"""

import base64
import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
POST, LIKE, REPOST = "app.bsky.feed.post", "app.bsky.feed.like", "app.bsky.feed.repost"
FOLLOW = "app.bsky.graph.follow"

SENTENCES = {
    "en": (
        "the ferry is late again and nobody minds",
        "our night market opens at seven, bring a lantern",
        "counting swifts over the old brickworks",
        "does anyone have spare bicycle tubes near the canal?",
        "rehearsal went well, the choir finally found the low note",
    ),
    "de": (
        "die Werkstatt am Hafen hat wieder auf",
        "heute drei Hefezöpfe gebacken, zwei sind noch da",
        "wer kommt mit zum Sternegucken auf den Wasserturm?",
    ),
    "ja": ("港の朝市に行ってきた", "雨がやんだので散歩する"),
    "tr": ("çarşıda yağmur var ama simit sıcak", "bu akşam iskelede buluşalım"),  # noqa: RUF001 - Turkish
}
TAGS = ("nightmarket", "swifts", "choir", "Hafen", "朝市")
MIX = ((POST, 30), (LIKE, 40), (REPOST, 10), (FOLLOW, 10), ("update", 2), ("delete", 5))
MIX += (("identity", 1), ("account", 1), ("sync", 1))


def tid(us: int, clock: int = 7) -> str:
    """A timestamp identifier: 53 bits of microseconds and 10 of a clock id, sortable as text."""
    number = (us << 10) | clock
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(60, -1, -5))


@dataclass(frozen=True)
class Happening:
    """One thing that happened, before any Jetstream witnessed it."""

    kind: str
    did: str
    body: dict[str, Any]
    """Of a commit: rev, operation, collection, rkey, cid, record; else the upstream event."""

    @property
    def collection(self) -> str:
        return self.body.get("collection", "")

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it this one, on whichever wire it came."""
        fields = ("operation", "collection", "rkey", "rev", "seq")
        return (self.kind, self.did, *(str(self.body.get(f, "")) for f in fields))


@dataclass
class People:
    """Makes happenings, one after the other, for ever."""

    seed: int = 1
    crowd: int = 40
    began_us: int = 1_780_000_000_000_000
    step_us: int = 1_000
    _posts: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.dids = tuple(f"did:plc:{self._letters(24)}" for _ in range(self.crowd))
        self._us, self._upstream = self.began_us, 9_000_000

    def __iter__(self) -> Iterator[Happening]:
        return self

    def __next__(self) -> Happening:
        self._us += self.step_us
        kinds, weights = zip(*MIX, strict=True)
        kind = self._rng.choices(kinds, weights)[0]
        did = self._rng.choice(self.dids)
        if kind in {"identity", "account", "sync"}:
            return self._marker(kind, did)
        if kind in {"update", "delete"} and self._posts:
            return self._change(kind)
        return self._create(kind if kind in {LIKE, REPOST, FOLLOW} else POST, did)

    def handle(self, did: str) -> str:
        """The handle of one of the people."""
        return f"neighbour{self.dids.index(did)}.example"

    def _letters(self, n: int) -> str:
        return "".join(self._rng.choices(BASE32, k=n))

    def _cid(self) -> str:
        return "bafyrei" + self._letters(52)

    def _when(self) -> str:
        at = dt.datetime.fromtimestamp(self._us / 1e6, dt.UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _create(self, collection: str, did: str) -> Happening:
        rkey = tid(self._us)
        record = self._record(collection)
        if collection == POST:
            self._posts.append((did, rkey, cid := self._cid()))
            del self._posts[:-500]
        else:
            cid = self._cid()
        return self._commit(did, "create", collection, rkey, {"cid": cid, "record": record})

    def _commit(
        self, did: str, operation: str, collection: str, rkey: str, more: dict[str, Any]
    ) -> Happening:
        body = {"rev": tid(self._us, 21), "operation": operation, "collection": collection}
        return Happening("commit", did, {**body, "rkey": rkey, **more})

    def _change(self, operation: str) -> Happening:
        did, rkey, _ = self._posts.pop(self._rng.randrange(len(self._posts)))
        more = {} if operation == "delete" else {"cid": self._cid(), "record": self._record(POST)}
        return self._commit(did, operation, POST, rkey, more)

    def _record(self, collection: str) -> dict[str, Any]:
        record: dict[str, Any] = {"$type": collection, "createdAt": self._when()}
        if collection == FOLLOW:
            return {**record, "subject": self._rng.choice(self.dids)}
        target = self._reference()
        if collection in {LIKE, REPOST}:
            return {**record, "subject": target or {"cid": self._cid(), "uri": self._elsewhere()}}
        lang = self._rng.choice(tuple(SENTENCES))
        text, tag = self._rng.choice(SENTENCES[lang]), self._rng.choice(TAGS)
        start = len(f"{text} ".encode())
        facet = {
            "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": tag}],
            "index": {"byteStart": start, "byteEnd": start + len(f"#{tag}".encode())},
        }
        record |= {"langs": [lang], "text": f"{text} #{tag}", "facets": [facet]}
        if target and self._rng.random() < 0.3:
            record["reply"] = {"root": target, "parent": target}
        return record

    def _elsewhere(self) -> str:
        return f"at://{self._rng.choice(self.dids)}/{POST}/{tid(self._us - 10**9)}"

    def _reference(self) -> dict[str, str] | None:
        if not self._posts:
            return None
        did, rkey, cid = self._rng.choice(self._posts)
        return {"cid": cid, "uri": f"at://{did}/{POST}/{rkey}"}

    def _marker(self, kind: str, did: str) -> Happening:
        self._upstream += 1
        body: dict[str, Any] = {"did": did, "seq": self._upstream, "time": self._when()}
        if kind == "identity":
            body["handle"] = self.handle(did)
        elif kind == "account":
            active = self._rng.random() < 0.5
            body |= {"active": active} if active else {"active": False, "status": "deactivated"}
        else:
            blocks = base64.b64encode(self._rng.randbytes(60)).decode().rstrip("=")
            body |= {"rev": tid(self._us, 21), "blocks": {"$bytes": blocks}}
        return Happening(kind, did, body)
