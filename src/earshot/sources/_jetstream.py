"""Jetstream's two wires, v2 (`subscribeEvents`) and v1 (`/subscribe`): frames in, events out.

Nothing here is retried or remembered; `bluesky.py` decides what a refusal or a fault means.

Source: network.bsky.jetstream.subscribeEvents (lexicon), Jetstream's docs §5, atproto proposal 15.
"""

import asyncio
import datetime as dt
import re
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal
from urllib.parse import urlencode, urlsplit

import msgspec
import zstandard
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from earshot.clock import from_micros, micros
from earshot.errors import RetryableError, UsageError

Version = Literal[1, 2]

METHOD: Final = "network.bsky.jetstream.subscribeEvents"
SUBPROTOCOL: Final = Subprotocol("xrpc.v1.json")
POSTS: Final = "app.bsky.feed.post"
INTERACTIONS: Final = ("app.bsky.feed.like", "app.bsky.feed.repost", "app.bsky.graph.follow")
DID: Final = re.compile(r"did:(plc:[a-z2-7]{24}|web:[A-Za-z0-9.:%-]+)")
AGENT: Final = "earshot (self-hosted social listening)"
MAX_DIDS: Final = 10_000
MAX_FRAME: Final = 32 * 1024 * 1024
GRASP: Final = 16 * 1024 * 1024
"""Frames are no longer collected into a chunk once they hold more bytes than this."""
QUEUE: Final = (256, 64)
"""Frames kept unread before the socket is left alone, and at which it is read again."""
TIME_CURSOR: Final = 10**15
"""Cursors from here on are unix microseconds, below it sequence numbers of one instance."""


Micros = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]
"""Unix microseconds up to the year 9999: later ones are no times."""
Seq = Annotated[int, msgspec.Meta(ge=0, lt=TIME_CURSOR)]


class LineError(RetryableError):
    """The connection is of no more use; the next one goes on from the last position.

    Attributes:
        name: The server's word for it, e.g. `ConsumerTooSlow`, or "" where it is ours.
        retry_after: Seconds the server asked to be left alone.
    """

    def __init__(self, message: str, *, name: str = "", retry_after: float = 0.0) -> None:
        self.name, self.retry_after = name, retry_after
        super().__init__(message)


class RefusedError(LineError):
    """The server answered the opening request with something else than an upgrade."""

    def __init__(self, status: int, name: str, message: str, retry_after: float = 0.0) -> None:
        self.status = status
        super().__init__(f"HTTP {status} {name} {message}".strip(), name=name)
        self.retry_after = retry_after

    @property
    def no_such_wire(self) -> bool:
        """Whether this host does not speak the version it was asked for."""
        return self.status in {404, 405, 410, 426, 501} or (self.status == 400 and not self.name)


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to go on: exactly on the instance that numbered the event, by time on any other."""

    us: Micros
    """When the event was witnessed, unix microseconds."""
    host: str = ""
    seq: Seq | None = None
    did: str = ""
    """Whose event it was: an inclusive resume must bring the very same event first."""

    def cursor(self) -> str:
        """The opaque text that the log keeps."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def parse(cursor: str) -> "Position":
        """Read what `cursor` wrote.

        Raises:
            UsageError: It is not a cursor of this source.
        """
        try:
            return msgspec.json.decode(cursor, type=Position)
        except (msgspec.DecodeError, UnicodeError) as e:
            message = f"bluesky: the cursor {cursor[:80]!r} is not one of this source ({e})"
            raise UsageError(message, hint="start without a cursor") from e


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; the same for both versions."""

    interactions: bool = True
    dids: tuple[str, ...] = ()

    @property
    def collections(self) -> tuple[str, ...]:
        """Collections of records; account, identity and sync events come in any case."""
        return (POSTS, *INTERACTIONS) if self.interactions else (POSTS,)

    def url(self, host: str, version: Version, cursor: int | None, dictionary: int | None) -> str:
        """Address of the stream on `host`; `dictionary` is the id that frames are packed with."""
        path, one, two = (
            (f"/xrpc/{METHOD}", "collections", "dids")
            if version == 2
            else ("/subscribe", "wantedCollections", "wantedDids")
        )
        query: list[tuple[str, object]] = [(one, c) for c in self.collections]
        query += [(two, d) for d in self.dids]
        if cursor is not None:
            query.append(("cursor", cursor))
        if dictionary is not None:
            query.append(("zstdDictionary", dictionary) if version == 2 else ("compress", "true"))
        return f"{host.rstrip('/')}{path}?{urlencode(query)}"


class Dictionary:
    """A zstd dictionary and the one decompressor that uses it.

    Raises:
        ValueError: The bytes are no zstd dictionary.
    """

    _MAGIC = 0xEC30A437

    def __init__(self, blob: bytes) -> None:
        if len(blob) < 8 or struct.unpack_from("<I", blob)[0] != self._MAGIC:
            message = "not a zstd dictionary"
            raise ValueError(message)
        self.id: int = struct.unpack_from("<I", blob, 4)[0]
        self._zstd = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(blob))

    def unpack(self, frame: bytes) -> bytes:
        """One frame as it was before it was packed; one that is not packed stays as it is."""
        if not frame.startswith(b"\x28\xb5\x2f\xfd"):
            return frame
        try:
            return self._zstd.decompress(frame, max_output_size=MAX_FRAME)
        except zstandard.ZstdError as e:
            message = f"a frame does not fit dictionary {self.id} ({e})"
            raise LineError(message, name="Undecodable") from e


class Event(msgspec.Struct, gc=False):
    """One event: its bytes as sent, and what is needed to go on after it."""

    raw: bytes
    did: str
    moment: dt.datetime | int
    seq: int | None = None

    @property
    def us(self) -> int:
        """When it was witnessed, unix microseconds."""
        return self.moment if isinstance(self.moment, int) else micros(self.moment)

    @property
    def at(self) -> dt.datetime:
        """When it was witnessed."""
        return from_micros(self.moment) if isinstance(self.moment, int) else self.moment


@dataclass(slots=True)
class Batch:
    """What some frames held, in order."""

    events: list[Event] = field(default_factory=list)
    bad: list[tuple[bytes, str]] = field(default_factory=list)
    """Frames that are no events, each with the reason."""
    notices: list[str] = field(default_factory=list)
    """Names of `#info` messages."""
    fault: LineError | None = None
    """The terminal error that ended the connection, after all of the above."""


class _Frame(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="$type")
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    error: str = ""
    message: str = ""


class _Payload(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="$type")
    seq: Seq | None = None
    did: str = ""
    witnessed: dt.datetime | None = msgspec.field(name="witnessedAt", default=None)
    time: dt.datetime | None = None
    name: str = ""


class _Legacy(msgspec.Struct, gc=False):
    did: str
    time_us: Micros


class _Envelope(msgspec.Struct):
    error: str = ""
    message: str = ""


_FRAME = msgspec.json.Decoder(_Frame)
_PAYLOAD = msgspec.json.Decoder(_Payload)
_LEGACY = msgspec.json.Decoder(_Legacy)


def _read_v2(frame: bytes, batch: Batch) -> None:
    head = _FRAME.decode(frame)
    if head.type == "error":
        batch.fault = LineError(f"{head.error}: {head.message}".strip(": "), name=head.error)
        return
    if head.type != "message":
        message = f"unknown frame type {head.type!r}"
        raise msgspec.ValidationError(message)
    payload = _PAYLOAD.decode(head.payload)
    if payload.type.endswith("#info"):
        batch.notices.append(payload.name)
        return
    moment = payload.witnessed or payload.time
    if moment is None or moment.tzinfo is None or payload.seq is None:
        message = "an event without seq or time"
        raise msgspec.ValidationError(message)
    batch.events.append(Event(bytes(head.payload), payload.did, moment, payload.seq))


def _read_v1(frame: bytes, batch: Batch) -> None:
    head = _LEGACY.decode(frame)
    batch.events.append(Event(frame, head.did, head.time_us))


def read(frames: Iterable[bytes], version: Version) -> Batch:
    """Sort frames into events, notices and what is neither; stops at a terminal error."""
    batch, one = Batch(), _read_v2 if version == 2 else _read_v1
    for frame in frames:
        try:
            one(frame, batch)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            batch.bad.append((frame, f"no Jetstream v{version} frame: {e}"))
        if batch.fault:
            break
    return batch


@dataclass(slots=True)
class Line:
    """One open connection."""

    socket: ClientConnection
    host: str
    version: Version
    dictionary: Dictionary | None

    async def frames(self, *, size: int, linger: float, patience: float) -> list[bytes]:
        """At most `size` frames: the first within `patience` s, the others within `linger` s.

        Fewer where they are huge: what one chunk holds is bounded in bytes as well.

        Not calling this leaves the socket unread, once `QUEUE` frames wait: the network is held.

        Raises:
            TimeoutError: Nothing came within `patience`.
            ConnectionClosed: The connection ended and all that came before was returned.
        """
        async with asyncio.timeout(patience):
            got = [await self.socket.recv(decode=False)]
        held = len(got[0])
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(linger):
                while len(got) < size and held <= GRASP:
                    got.append(await self.socket.recv(decode=False))
                    held += len(got[-1])
        unpack = self.dictionary.unpack if self.dictionary else bytes
        return [unpack(frame) for frame in got]

    async def alive(self, patience: float) -> bool:
        """Whether the other side answers a ping: a narrow filter may be silent for hours."""
        try:
            async with asyncio.timeout(patience):
                await (await self.socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True


def loopback(url: str) -> bool:
    """Whether `url` points at this machine."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


def opening(url: str, version: Version, dictionary: Dictionary | None, patience: float) -> dial:
    """A connection to be entered; v1 without a dictionary may be deflated, v2 never is."""
    packed_v1 = version == 1 and dictionary is not None
    return dial(
        url,
        subprotocols=[SUBPROTOCOL] if version == 2 else None,
        additional_headers={"Socket-Encoding": "zstd"} if packed_v1 else None,
        compression="deflate" if version == 1 and dictionary is None else None,
        user_agent_header=AGENT,
        proxy=None if loopback(url) else True,
        open_timeout=patience,
        # While the log holds us, an answer would lie unread behind the frames before it. Silence is
        # noticed by who reads: `Line.frames` and `Line.alive`.
        ping_interval=None,
        close_timeout=0.5,
        max_size=MAX_FRAME,
        max_queue=QUEUE,
    )


def refusal(answer: InvalidStatus) -> RefusedError:
    """What a server meant by not upgrading."""
    response = answer.response
    try:
        envelope = msgspec.json.decode(response.body or b"", type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        envelope = _Envelope()
    after = response.headers.get("Retry-After", "")
    seconds = float(after) if after.isdecimal() else 0.0
    return RefusedError(
        response.status_code, envelope.error, envelope.message[:200], min(seconds, 600)
    )
