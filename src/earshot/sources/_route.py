"""Which host is asked, from where on, and what its refusals and first events mean."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from earshot.clock import from_micros
from earshot.settings import Bluesky as Settings
from earshot.sources import GapReport
from earshot.sources._backoff import Backoff
from earshot.sources._jetstream import (
    TIME_CURSOR,
    Batch,
    Dictionary,
    LineError,
    Position,
    RefusedError,
    Version,
    Wanted,
)

TOO_SLOW: Final = "ConsumerTooSlow"
"""The server's word where more waits for a consumer than it keeps for one."""
_A_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, and the size of a chunk; the defaults suit the public hosts."""

    patience: float = 25.0
    """Without any frame this long the connection counts as dead (v2 pings every 30 s)."""
    linger: float = 0.05
    """How long a chunk waits for more events after its first."""
    chunk: int = 1000
    """The most events a chunk holds."""
    rewind: float = 5.0
    """How far a resume by time goes back: clocks of two instances differ, and v1's is coarse."""
    jump: float = 60.0
    """A first event this much later than the cursor means that the server skipped a span."""
    settled: float = 30.0
    """A connection that lived this long was good: the next failure is the first one again."""
    base: float = 0.5
    cap: float = 60.0
    """Waits between tries start at `base` and end at `cap`."""
    fresh: float = 10.0
    """A stream that is no further behind counts as live."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the source behaves; `sleep` and `rng` are there for tests."""

    hosts: tuple[str, ...] = Settings().hosts
    wanted: Wanted = field(default_factory=Wanted)
    compress: bool = True
    v1_dictionary: bytes | None = None
    """v1 packs with a dictionary that no server hands out; without it v1 is deflated or plain."""
    timing: Timing = field(default_factory=Timing)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)


class InexactError(LineError):
    """The instance numbers its events differently from the one that gave the position."""


@dataclass(slots=True)
class Route:
    """Where one `stream` call is, which hosts it tried, and what they could do."""

    options: Options
    backoff: Backoff
    position: Position | None
    by_seq: bool = True
    """Whether `seq` may be asked for, where the host is the one that gave it."""
    asked: Position | None = None
    """The position this connection was asked to go on from."""
    exact: bool = False
    """Whether it was asked for by `seq`."""
    turn: int = 0
    """Index of the host whose turn it is."""
    versions: dict[str, Version] = field(default_factory=dict)
    dictionaries: dict[str, Dictionary | None] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    """Hosts that did not know the dictionary they gave out."""
    clamped: bool = False
    """The server said that it starts later than it was asked to."""
    since: float | None = None
    """Monotonic seconds at which the connection was made; None: it was not."""
    got: bool = False
    """Whether this connection has brought an event."""
    slow: bool = False
    """The server ended it because too much waited for us, and nothing has come since."""
    state: str = ""

    @property
    def host(self) -> str:
        """The host whose turn it is."""
        return self.options.hosts[self.turn]

    def go_back(self) -> None:
        """Start at the host that gave the position: only it can go on exactly."""
        if self.position and self.position.host in self.options.hosts:
            self.turn = self.options.hosts.index(self.position.host)

    def resume(self, version: Version) -> int | None:
        """The cursor to ask this host for; notes what was asked."""
        self.asked, at = self.position, self.position
        self.exact = bool(
            at and at.seq is not None and self.by_seq and version == 2 and at.host == self.host
        )
        self.clamped = self.got = False
        if at is None or self.exact:
            return at.seq if at else None
        return max(at.us - round(self.options.timing.rewind * 1e6), TIME_CURSOR)

    def adapt(self, no: RefusedError, version: Version) -> None:
        """Ask for less next time, or give this host up for now by raising `no`.

        Each refusal that is answered here takes something off the list, so that this ends.
        """
        if no.no_such_wire and version == 2:
            self.versions[self.host] = 1
        elif no.name == "UnknownZstdDictionary" and self.dictionaries.get(self.host):
            if self.host in self.rejected:
                self.dictionaries[self.host] = None
            else:
                del self.dictionaries[self.host]
            self.rejected.add(self.host)
        elif no.name == "CursorTooOld" and self.exact:
            self.by_seq = False
        else:
            self.versions.pop(self.host, None)
            raise no

    def failed(self, error: BaseException, now: float) -> float:
        """Note that the connection broke or was not made; seconds to wait before the next try.

        A host that has just delivered gets one more try, since only it can go on exactly.
        """
        if isinstance(error, LineError) and error.name == "Undecodable":
            self.dictionaries[self.host] = None
        self.slow |= isinstance(error, LineError) and error.name == TOO_SLOW
        if self.since is not None and now - self.since >= self.options.timing.settled:
            self.backoff.reset()
        if not (self.got and self.backoff.tries == 0):
            self.turn = (self.turn + 1) % len(self.options.hosts)
        self.since, self.got, self.state = None, False, "waiting"
        return self.backoff.next(error.retry_after if isinstance(error, LineError) else 0.0)

    def first(self, batch: Batch, version: Version) -> tuple[GapReport, ...]:
        """Check the first events of a connection against what was asked; the gap, if there is one.

        Raises:
            InexactError: The inclusive resume did not bring the very event it started from.
        """
        event, asked = batch.events[0], self.asked
        self.got, self.by_seq = True, True
        slow, self.slow = self.slow, False
        self.rejected.discard(self.host)
        if asked is None:
            return ()
        if self.exact:
            if (event.seq, event.did) != (asked.seq, asked.did):
                message = f"seq {asked.seq} is another event here"
                raise InexactError(message)
            del batch.events[0]
            return ()
        late = (event.us - asked.us) / 1e6
        # A few authors may be silent for a day; the whole network never is.
        quiet = _A_DAY if self.options.wanted.dids else self.options.timing.jump
        if late <= (0 if self.clamped else quiet):
            return ()
        reason = "clamped_cursor" if self.clamped or version == 1 else "disconnect"
        reason = "slow" if slow else reason
        detail = f"{self.host} could go back no further; {late:.0f} s may be missing"
        return (GapReport(from_micros(asked.us), event.at, reason, detail),)
