"""What one Jetstream instance has witnessed: numbers, times, look-back, wires, dictionaries."""

import bisect
import datetime as dt
import functools
import json
from dataclasses import dataclass, field

import zstandard
from tests.simulators.jetstream_world import Happening, People

METHOD = "network.bsky.jetstream.subscribeEvents"
TIME_CURSOR = 10**15


@dataclass(frozen=True)
class Witnessed:
    """A happening with the number and time that this instance gave it, in both wires."""

    seq: int
    us: int
    happening: Happening
    v2: bytes
    v1: bytes | None
    """None: v1 does not know the kind (`#sync`)."""


def rfc3339(us: int) -> str:
    """Microseconds as the lexicon writes them: six digits, UTC."""
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def v2_frame(seq: int, us: int, what: Happening) -> bytes:
    """The `xrpc.v1.json` message frame of an event."""
    payload = {"$type": f"{METHOD}#{what.kind}", "seq": seq, "did": what.did}
    payload |= {"time": rfc3339(us), "witnessedAt": rfc3339(us)}
    payload |= what.body if what.kind == "commit" else {what.kind: what.body}
    return _dump({"$type": "message", "payload": payload})


def v1_frame(us: int, what: Happening) -> bytes | None:
    """The legacy JSON of an event."""
    if what.kind == "sync":
        return None
    body = dict(what.body)
    return _dump({"did": what.did, "time_us": us, "kind": what.kind, what.kind: body})


def info_frame(name: str, message: str) -> bytes:
    """A seq-less advisory."""
    payload = {"$type": f"{METHOD}#info", "name": name, "message": message}
    return _dump({"$type": "message", "payload": payload})


def error_frame(error: str, message: str) -> bytes:
    """A terminal error."""
    return _dump({"$type": "error", "error": error, "message": message})


class CursorTooOldError(Exception):
    """A seq cursor below the look-back floor."""


@dataclass(frozen=True)
class Start:
    """Where a subscription begins, and what has to be said about that first."""

    place: int
    notice: bytes | None = None


@dataclass
class WitnessLog:
    """Append-only; times only grow. What the look-back no longer holds is forgotten."""

    next_seq: int = 1
    entries: list[Witnessed] = field(default_factory=list)
    forgotten: int = 0
    """How many entries were forgotten; places in the log count them."""

    @property
    def tip(self) -> int:
        """Place of the next entry."""
        return self.forgotten + len(self.entries)

    def append(self, what: Happening, us: int) -> Witnessed:
        """Witness one happening."""
        us = max(us, self.entries[-1].us + 1 if self.entries else 0)
        frames = v2_frame(self.next_seq, us, what), v1_frame(us, what)
        entry = Witnessed(self.next_seq, us, what, *frames)
        self.entries.append(entry)
        self.next_seq += 1
        return entry

    def since(self, place: int, limit: int) -> list[Witnessed]:
        """At most `limit` entries from `place` on.

        Raises:
            LookupError: The look-back has passed the place.
        """
        if place < self.forgotten:
            raise LookupError(place)
        return self.entries[place - self.forgotten : place - self.forgotten + limit]

    def keep(self, newest: int) -> None:
        """Let the look-back hold so many entries."""
        gone = max(0, len(self.entries) - newest)
        del self.entries[:gone]
        self.forgotten += gone

    def start(self, cursor: int | None, *, version: int) -> Start:
        """Resolve a cursor as the server does.

        Raises:
            CursorTooOldError: v2 only; v1 clamps and says nothing.
        """
        if cursor is None:
            return Start(self.tip)
        oldest = self.entries[0] if self.entries else None
        first_seq = oldest.seq if oldest else self.next_seq
        if cursor >= TIME_CURSOR:
            at = self.forgotten + bisect.bisect_left(self.entries, cursor, key=lambda e: e.us)
            clamped = version == 2 and oldest is not None and cursor < oldest.us
            told = info_frame("OutdatedCursor", f"resumed from seq {first_seq}")
            return Start(at, told if clamped else None)
        if cursor >= self.next_seq:
            told = info_frame("FutureCursor", f"starting at the tip, seq {self.next_seq}")
            return Start(self.tip, told if version == 2 and cursor > self.next_seq else None)
        if cursor < first_seq and version == 2:
            message = f"cursor {cursor} is below the floor {first_seq}"
            raise CursorTooOldError(message)
        return Start(self.forgotten + bisect.bisect_left(self.entries, cursor, key=lambda e: e.seq))


class Packer:
    """A dictionary trained on frames of the world, and the compressor that uses it."""

    def __init__(self, dictionary_id: int, *, version: int, seed: int = 99) -> None:
        people = People(seed=seed)
        frames = [(n, next(people)) for n in range(1, 1500)]
        samples = [
            v2_frame(n, people.began_us + n, what)
            if version == 2
            else v1_frame(people.began_us + n, what) or b""
            for n, what in frames
        ]
        self.blob = zstandard.train_dictionary(8192, samples, dict_id=dictionary_id).as_bytes()
        self.id = dictionary_id
        self._zstd = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(self.blob))

    def pack(self, frame: bytes) -> bytes:
        """One frame, packed by itself."""
        return self._zstd.compress(frame)


@functools.cache
def packer(dictionary_id: int, version: int) -> Packer:
    """The packer of that id, trained once a process: training takes a second."""
    return Packer(dictionary_id, version=version, seed=dictionary_id)
