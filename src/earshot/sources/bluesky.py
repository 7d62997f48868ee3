"""Bluesky: Jetstream v2, else v1, on the first host that answers; at least once, nothing missed.

    bluesky:                                   posts, likes, reposts, follows of everybody
    bluesky:?interactions=no                   posts only
    bluesky:?did=did:plc:…&did=did:plc:…       of these authors only
    bluesky:?host=ws://127.0.0.1:6008          another Jetstream

A position is exact (`seq`) on the instance that numbered it and a time on every other, so a resume
on the same instance repeats nothing, and one by time goes back `Timing.rewind` seconds; what
comes twice has the same key and is counted once. A gap is reported only where a server could not
go back as far as was asked.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx2
from websockets.exceptions import InvalidStatus, WebSocketException

from earshot.clock import Clock, micros
from earshot.errors import ConfigError
from earshot.sources import Capabilities, Chunk, GapReport, Item
from earshot.sources._backoff import Backoff
from earshot.sources._jetstream import (
    AGENT,
    DID,
    MAX_DIDS,
    Batch,
    Dictionary,
    Line,
    LineError,
    Position,
    Version,
    Wanted,
    loopback,
    opening,
    read,
    refusal,
)
from earshot.sources._profiles import Manners, ProfileResolver
from earshot.sources._route import InexactError, Options, Route, Timing

__all__ = [
    "Bluesky",
    "Manners",
    "Options",
    "ProfileResolver",
    "Timing",
    "can_reach",
    "connect",
    "reachable",
]

_DICTIONARY: Final = "/xrpc/network.bsky.jetstream.getZstdDictionary"
_VERSIONS: Final[tuple[Version, ...]] = (2, 1)
_SEVERAL: Final = {"host": "hosts", "did": "dids"}
_SWITCHES: Final = frozenset({"interactions", "compress"})
_YES_NO: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_BROKEN: Final = (OSError, WebSocketException, LineError)
"""What ends a connection and is answered by the next one (`TimeoutError` is an `OSError`)."""


class Bluesky:
    """The whole network, or some authors of it; see the module."""

    name = "bluesky"
    capabilities = Capabilities(live=True, resumable=True, push_down=frozenset({"from"}))

    def __init__(self, clock: Clock, options: Options) -> None:
        self._clock, self._options = clock, options

    async def stream(self, cursor: str | None) -> AsyncGenerator[Chunk, None]:
        """See `Source.stream`; never ends by itself.

        Raises:
            UsageError: `cursor` is not one of this source.
        """
        timing = self._options.timing
        backoff = Backoff(timing.base, timing.cap, self._options.rng)
        route = Route(self._options, backoff, Position.parse(cursor) if cursor else None)
        route.go_back()
        start = Position(us=micros(self._clock.now()))
        while True:
            try:
                yield Chunk(state="connecting", detail=route.host)
                async with self._line(route) as line, aclosing(self._follow(line, route)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except InexactError:
                route.by_seq = False
            except _BROKEN as e:
                why = f"{route.host}: {_told(e)}"
                wait = route.failed(e, self._clock.monotonic())
                yield Chunk(state="waiting", detail=f"{why}; tries again in {wait:.1f} s")
                await self._options.sleep(wait)
            # Even if nothing has come yet: what is said from the start on is not missed.
            route.position = route.position or start

    @asynccontextmanager
    async def _line(self, route: Route) -> AsyncIterator[Line]:
        """A connection to the host whose turn it is, in the best way it offers."""
        while True:
            version = route.versions.get(route.host, 2)
            dictionary = await self._dictionary(route, version)
            packed = dictionary.id if dictionary else None
            url = self._options.wanted.url(route.host, version, route.resume(version), packed)
            try:
                async with opening(url, version, dictionary, self._options.timing.patience) as ws:
                    route.since = self._clock.monotonic()
                    yield Line(ws, route.host, version, dictionary)
                    return
            except InvalidStatus as e:
                route.adapt(refusal(e), version)

    async def _dictionary(self, route: Route, version: Version) -> Dictionary | None:
        """What frames of this host are packed with; None: they come plain."""
        options = self._options
        if not options.compress:
            return None
        if version == 1:
            return Dictionary(options.v1_dictionary) if options.v1_dictionary else None
        if route.host not in route.dictionaries:
            url = f"http{route.host.removeprefix('ws').rstrip('/')}{_DICTIONARY}"
            answer = await _get(url, min(10.0, options.timing.patience))
            if answer is None:
                return None
            try:
                good = Dictionary(answer.content) if answer.status_code == 200 else None
            except ValueError:
                good = None
            route.dictionaries[route.host] = good
        return route.dictionaries[route.host]

    async def _follow(self, line: Line, route: Route) -> AsyncGenerator[Chunk, None]:
        """Chunks of one connection, until it breaks."""
        packed = ", compressed" if line.dictionary else ""
        where = f"{line.host} (v{line.version}{packed})"
        route.state = "catching_up" if route.asked else "live"
        yield Chunk(state=route.state, detail=where)
        while True:
            batch = read(await self._frames(line), line.version)
            if route.exact and "FutureCursor" in batch.notices:
                message = "seq lies beyond this instance's newest event"
                raise InexactError(message)
            route.clamped |= "OutdatedCursor" in batch.notices
            gaps = route.first(batch, line.version) if batch.events and not route.got else ()
            if batch.events:
                last = batch.events[-1]
                route.position = Position(last.us, line.host, last.seq, last.did)
            yield self._chunk(batch, gaps, route, where)
            if batch.fault:
                raise batch.fault

    def _chunk(self, batch: Batch, gaps: tuple[GapReport, ...], route: Route, where: str) -> Chunk:
        at = route.position
        behind = (micros(self._clock.now()) - at.us) / 1e6 if at and batch.events else 0.0
        state = "live" if behind <= self._options.timing.fresh else "catching_up"
        changed = state != route.state
        route.state = state
        late = f", {behind:.0f} s behind" if state != "live" else ""
        return Chunk(
            items=tuple(Item("bluesky", "jetstream", e.raw, e.did) for e in batch.events),
            cursor=at.cursor() if at and batch.events else None,
            gaps=gaps,
            quarantine=tuple((Item("bluesky", "jetstream", raw), why) for raw, why in batch.bad),
            state=state if changed else "",
            detail=where + late if changed else "",
        )

    async def _frames(self, line: Line) -> list[bytes]:
        """The next frames; a silent connection is dead, unless few authors are asked for."""
        timing = self._options.timing
        while True:
            try:
                return await line.frames(
                    size=timing.chunk, linger=timing.linger, patience=timing.patience
                )
            except TimeoutError as e:
                if not (self._options.wanted.dids and await line.alive(timing.patience)):
                    message = f"nothing came for {timing.patience:g} s"
                    raise LineError(message, name="Silent") from e


async def _get(url: str, seconds: float) -> httpx2.Response | None:
    """One answer; None: there is nobody."""
    try:
        async with httpx2.AsyncClient(
            timeout=seconds, trust_env=not loopback(url), headers={"User-Agent": AGENT}
        ) as client:
            return await client.get(url)
    except (httpx2.RequestError, httpx2.InvalidURL):
        return None


def _told(error: BaseException) -> str:
    """One line for people."""
    return str(error).strip() or type(error).__name__


def connect(url: str, *, clock: Clock, **options: Any) -> Bluesky:  # noqa: ANN401 - fields of Options
    """Open Bluesky; see the module for the URL. What the URL says goes before `options`.

    Args:
        url: `bluesky:?host=…&did=…&interactions=no&compress=no`, all of it optional.
        clock: Tells when a stream began and how far behind it is.
        **options: Fields of `Options`, and `dids` and `interactions` of `Wanted`.

    Raises:
        ConfigError: An unknown option, a host that is no ws:// or wss:// address, a bad DID.
    """
    given = {**options, **_from_url(url)}
    wanted = Wanted(given.pop("interactions", True), tuple(given.pop("dids", ())))
    if unknown := set(given) - set(Options.__dataclass_fields__):
        message = f"bluesky: unknown option '{min(unknown)}'"
        raise ConfigError(message)
    made = Options(wanted=wanted, **given)
    _check(made)
    return Bluesky(clock, made)


def _from_url(url: str) -> dict[str, Any]:
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    given: dict[str, Any] = {}
    for name, value in query:
        if name in _SEVERAL:
            given[_SEVERAL[name]] = (*given.get(_SEVERAL[name], ()), *value.split(","))
        elif name in _SWITCHES and value.lower() in _YES_NO:
            given[name] = _YES_NO[value.lower()]
        else:
            known = ", ".join(sorted([*_SEVERAL, *(f"{s}=yes|no" for s in _SWITCHES)]))
            message = f"bluesky: unknown option '{name}={value}' (known: {known})"
            raise ConfigError(message)
    return given


def _check(options: Options) -> None:
    hosts, dids = options.hosts, options.wanted.dids
    wrong = [h for h in hosts if not re.match(r"wss?://[^/]", h)]
    if wrong or not hosts:
        message = f"bluesky: {wrong[0]!r} is no Jetstream host" if wrong else "bluesky: no host"
        raise ConfigError(message, hint="write hosts as wss://name or ws://name:port")
    if len(dids) > MAX_DIDS:
        message = f"bluesky: {len(dids)} authors are too many (at most {MAX_DIDS})"
        raise ConfigError(message, hint="leave them out and filter by rules instead")
    if strange := [d for d in dids if not DID.fullmatch(d)]:
        message = f"bluesky: {strange[0]!r} is no DID"
        raise ConfigError(message, hint="a DID looks like did:plc:… ; handles are not asked for")


async def can_reach(hosts: Iterable[str], seconds: float = 3.0) -> bool:
    """Whether any of `hosts` opens a Jetstream within `seconds`; all are asked at once."""

    async def knock(host: str) -> bool:
        wanted = Wanted(interactions=False)
        for version in _VERSIONS:
            try:
                async with opening(wanted.url(host, version, None, None), version, None, seconds):
                    return True
            except InvalidStatus:
                continue
            except (OSError, WebSocketException):
                return False
        return False

    tasks = [asyncio.create_task(knock(host)) for host in hosts]
    try:
        for done in asyncio.as_completed(tasks, timeout=seconds):
            if await done:
                return True
    except TimeoutError:
        return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return False


def reachable(hosts: Iterable[str], timeout: float = 3.0) -> bool:
    """Whether any of `hosts` opens a Jetstream within `timeout` s; not for use inside a loop."""
    return asyncio.run(can_reach(hosts, timeout))
