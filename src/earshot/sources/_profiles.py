"""Who wrote it: handles, names and followers of Bluesky's authors, which its stream leaves out.

The engine offers the authors of matched posts; what is found comes as `author_update` records, to
be logged like any other. Unknown stays unknown: nothing waits for an answer.

Source: app.bsky.actor.getProfiles (lexicon): at most 25 actors a call, no key; those that do not
exist are left out of the answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec

from earshot.clock import Clock
from earshot.errors import ConfigError, RetryableError
from earshot.sources import Capabilities, Chunk, Item
from earshot.sources._backoff import Backoff
from earshot.sources._jetstream import AGENT, DID, loopback

_METHOD: Final = "/xrpc/app.bsky.actor.getProfiles"
_LIMIT: Final = 25


@dataclass(frozen=True, slots=True)
class Manners:
    """How much is asked and remembered; the public service allows 3,000 calls in 5 minutes."""

    calls_per_second: float = 2.0
    ttl: float = 6 * 3600.0
    """Seconds after which a profile is asked for again."""
    known: int = 200_000
    """Authors remembered as asked; the longest unused are forgotten first."""
    pending: int = 20_000
    """Authors waiting to be asked for; more are not taken (they come again with a later post)."""
    linger: float = 0.5
    """Seconds to wait for more authors when a call would not be full."""
    patience: float = 15.0
    base: float = 2.0
    cap: float = 300.0
    """Waits after refusals start at `base` and end at `cap` seconds."""


class _Verification(msgspec.Struct):
    status: str = msgspec.field(name="verifiedStatus", default="none")


class _Profile(msgspec.Struct):
    did: str
    handle: str = ""
    name: str | None = msgspec.field(name="displayName", default=None)
    bio: str | None = msgspec.field(name="description", default=None)
    followers: int | None = msgspec.field(name="followersCount", default=None)
    verification: _Verification | None = None


class _Answer(msgspec.Struct):
    profiles: list[_Profile]


class _BusyError(RetryableError):
    """The service wants to be left alone, or is not there; `wait` is what it said, in seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(message)


class ProfileResolver:
    """A source of author updates for the DIDs it is offered; keeps the `Source` protocol.

    Args:
        service: Where profiles are asked, e.g. `https://public.api.bsky.app`.
        clock: Measures age and pace.
        manners: How much is asked and remembered.
        sleep: Waits; a test's may not.
        rng: Jitter of the waits.

    Raises:
        ConfigError: `service` is neither https nor on this machine.
    """

    name = "earshot"
    capabilities = Capabilities(live=True, resumable=False)

    def __init__(
        self,
        service: str,
        *,
        clock: Clock,
        manners: Manners | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
    ) -> None:
        if urlsplit(service).scheme != "https" and not loopback(service):
            message = f"profiles: {service!r} is neither https nor on this machine"
            raise ConfigError(message, hint="set bluesky.profiles to an https address, or to ''")
        self._url, self._clock, self._sleep = service.rstrip("/") + _METHOD, clock, sleep
        self._manners = manners or Manners()
        self._backoff = Backoff(self._manners.base, self._manners.cap, rng or Random())  # noqa: S311 - jitter is no secret
        self._known: OrderedDict[str, float] = OrderedDict()
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._offered = asyncio.Event()
        self._next_call = 0.0

    def offer(self, dids: Iterable[str]) -> int:
        """Note authors to be asked for and return how many were taken; never waits.

        Not taken: what is no DID, what is known and young, what waits already, and what finds the
        queue full. Call it in the loop's own thread.
        """
        now, before = self._clock.monotonic(), len(self._pending)
        for did in dids:
            if len(self._pending) >= self._manners.pending:
                break
            if did in self._pending or not DID.fullmatch(did):
                continue
            if self._known.get(did, now) > now:
                self._known.move_to_end(did)
                continue
            self._pending[did] = None
        if self._pending:
            self._offered.set()
        return len(self._pending) - before

    @property
    def waiting(self) -> int:
        """How many authors are still to be asked for."""
        return len(self._pending)

    async def stream(self, cursor: str | None = None) -> AsyncGenerator[Chunk, None]:
        """Author updates as they are found, for ever; `cursor` has no meaning here."""
        del cursor
        trust = not loopback(self._url)
        yield Chunk(state="live")
        async with httpx2.AsyncClient(
            timeout=self._manners.patience, trust_env=trust, headers={"User-Agent": AGENT}
        ) as client:
            while True:
                dids = await self._take()
                try:
                    found = await self._ask(client, dids)
                except (_BusyError, httpx2.HTTPError, msgspec.DecodeError) as e:
                    self._put_back(dids)
                    wait = self._backoff.next(e.wait if isinstance(e, _BusyError) else 0.0)
                    why = str(e) or type(e).__name__
                    yield Chunk(state="waiting", detail=f"profiles: {why}; {wait:.0f} s")
                    await self._sleep(wait)
                    continue
                state = "live" if self._backoff.tries else ""
                self._backoff.reset()
                self._remember(dids)
                if found or state:
                    yield Chunk(items=tuple(_item(p) for p in found), state=state)

    async def _take(self) -> list[str]:
        """Up to a call's worth of authors, once there are any and the pace allows a call."""
        await self._offered.wait()
        if len(self._pending) < _LIMIT:
            await self._sleep(self._manners.linger)
        dids = list(islice(self._pending, _LIMIT))
        for did in dids:
            del self._pending[did]
        if not self._pending:
            self._offered.clear()
        return dids

    def _put_back(self, dids: Iterable[str]) -> None:
        for did in dids:
            self._pending[did] = None
            self._pending.move_to_end(did, last=False)
        self._offered.set()

    def _remember(self, dids: Iterable[str]) -> None:
        """Count all that were asked for as known, also those that the service left out."""
        until = self._clock.monotonic() + self._manners.ttl
        for did in dids:
            self._known[did] = until
            self._known.move_to_end(did)
        while len(self._known) > self._manners.known:
            self._known.popitem(last=False)

    async def _ask(self, client: httpx2.AsyncClient, dids: list[str]) -> list[_Profile]:
        """Profiles of `dids`; a call refused for one bad DID is halved until that one stands alone.

        Raises:
            _BusyError: 429, a server's fault, or no permission.
        """
        now = self._clock.monotonic()
        if self._next_call > now:
            await self._sleep(self._next_call - now)
        self._next_call = self._clock.monotonic() + 1 / self._manners.calls_per_second
        answer = await client.get(self._url, params=[("actors", did) for did in dids])
        if answer.status_code == 400 and len(dids) > 1:
            half = len(dids) // 2
            return await self._ask(client, dids[:half]) + await self._ask(client, dids[half:])
        if answer.status_code == 400:
            return []
        if answer.status_code != 200:
            message = f"HTTP {answer.status_code}"
            raise _BusyError(message, self._asked_to_wait(answer.headers))
        return msgspec.json.decode(answer.content, type=_Answer).profiles

    def _asked_to_wait(self, headers: httpx2.Headers) -> float:
        """Seconds by `Retry-After`, or until `RateLimit-Reset` (unix seconds); bounded."""
        after, reset = headers.get("retry-after", ""), headers.get("ratelimit-reset", "")
        if after.isdecimal():
            return min(float(after), self._manners.cap)
        if reset.isdecimal():
            left = float(reset) - self._clock.now().timestamp()
            return min(max(left, 0.0), self._manners.cap)
        return 0.0


def _item(profile: _Profile) -> Item:
    """One control record; a null says nothing about what is known already."""
    verified = profile.verification and profile.verification.status == "valid"
    update = {
        "kind": "author_update",
        "source": "bluesky",
        "author_id": profile.did,
        "profile": {
            "handle": None if profile.handle == "handle.invalid" else profile.handle or None,
            "name": profile.name,
            "bio": profile.bio,
            "location": None,
            "followers": profile.followers,
            "verified": verified,
        },
    }
    return Item("earshot", "earshot", msgspec.json.encode(update), profile.did)
