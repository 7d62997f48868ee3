"""A Jetstream on 127.0.0.1: v2 and v1 on one port, `getZstdDictionary` and `getProfiles` beside.

In a test it runs in a thread of its own:

    with JetstreamSimulator() as sim:
        sim.publish(100)
        connect(f"bluesky:?host={sim.url}", clock=SystemClock())

For people and for other processes: `python -m tests.simulators.jetstream --port 6008 --rate 50`
prints one line of JSON with its address and then publishes until it is interrupted.

Source: Jetstream's docs §5 and lexicons. Faults are a script, `sim.faults`, one a connection.
A consumer is too slow, and closed, where one frame takes longer than `slow_after` s to get rid of,
where the look-back passed it, or where more than `slow_behind` events wait for it while it is live.
"""

import argparse
import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.simulators.jetstream_filter import DID, BadRequestError, Filter
from tests.simulators.jetstream_log import (
    METHOD,
    CursorTooOldError,
    Packer,
    Witnessed,
    WitnessLog,
    error_frame,
    packer,
)
from tests.simulators.jetstream_script import Connect, Fault, dead_url, error, refused, reply
from tests.simulators.jetstream_world import Happening, People
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = ["Connect", "Fault", "JetstreamSimulator", "dead_url", "main", "refused"]

SUBPROTOCOL = "xrpc.v1.json"
DICTIONARY_V1, DICTIONARY_V2 = 1612007021, 7


@dataclass
class _Subscription:
    filter: Filter
    place: int
    notice: bytes | None
    packer: Packer | None
    fault: Fault | None
    hello: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    live: bool = False
    """Whether it has caught up once: who still replays the past is not slow."""


class JetstreamSimulator:
    """One instance: its own numbers, its own clock, its own faults."""

    def __init__(
        self,
        *,
        people: People | None = None,
        first_seq: int = 1,
        speaks: tuple[int, ...] = (2, 1),
        port: int = 0,
        slow_after: float = 10.0,
        slow_behind: int | None = None,
    ) -> None:
        self.people = people or People()
        self.log = WitnessLog(next_seq=first_seq)
        self.speaks, self.slow_after, self.slow_behind = speaks, slow_after, slow_behind
        self.faults: deque[Fault] = deque()
        self.connects: list[Connect] = []
        self.profile_calls: list[tuple[float, list[str]]] = []
        """When, and whose; `wrong` are actors that make the service answer 400."""
        self.profile_faults: deque[Response] = deque()
        self.wrong: set[str] = set()
        self.dictionary_status = 200
        self.delivered, self.slow = 0, threading.Event()
        self.open, self.emptied = 0, threading.Event()
        self._dictionary_id = DICTIONARY_V2
        self._port, self._lock, self._ready = port, threading.Lock(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop, self._news = asyncio.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    # ── from the test's thread ──

    def __enter__(self) -> "JetstreamSimulator":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Host for WebSockets."""
        return f"ws://127.0.0.1:{self._port}"

    @property
    def http(self) -> str:
        """The same for plain calls."""
        return f"http://127.0.0.1:{self._port}"

    def publish(self, n: int, *, us: int | None = None, step_us: int = 1000) -> list[Witnessed]:
        """Let `n` things happen and witness them, the newest at `us` (default: now)."""
        last = time.time_ns() // 1000 if us is None else us
        return self.witness(islice(self.people, n), us=last - (n - 1) * step_us, step_us=step_us)

    def witness(
        self, what: Iterable[Happening], *, us: int, step_us: int = 1000
    ) -> list[Witnessed]:
        """Witness these things, the first at `us`."""
        with self._lock:
            seen = [self.log.append(h, us + n * step_us) for n, h in enumerate(what)]
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ring)
        return seen

    def keep(self, newest: int) -> None:
        """Let the look-back hold so many events."""
        with self._lock:
            self.log.keep(newest)

    def rotate_dictionary(self) -> None:
        """Retire the v2 dictionary; a new one takes its place."""
        self._dictionary_id += 1

    def packer(self, version: int) -> Packer:
        """The dictionary in use, trained when first asked for."""
        return packer(self._dictionary_id if version == 2 else DICTIONARY_V1, version)

    # ── in the server's thread ──

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        async with serve(
            self._serve,
            "127.0.0.1",
            self._port,
            process_request=self._answer,
            select_subprotocol=lambda _, offered: SUBPROTOCOL if SUBPROTOCOL in offered else None,
            ping_interval=None,
            close_timeout=0.2,
        ) as server:
            self._port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            for connection in server.connections:
                connection.transport.abort()

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _answer(self, ws: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        query = parse_qs(parts.query)
        if parts.path == "/xrpc/app.bsky.actor.getProfiles":
            return self._profiles(query.get("actors", []))
        if parts.path == "/xrpc/network.bsky.jetstream.getZstdDictionary":
            status = self.dictionary_status if 2 in self.speaks else 404
            return reply(status, self.packer(2).blob, "application/octet-stream")
        version = {f"/xrpc/{METHOD}": 2, "/subscribe": 1}.get(parts.path)
        answer = self._open(ws, request, query, version)
        status = answer.status_code if answer else 101
        headers = {k.lower(): v for k, v in request.headers.raw_items()}
        self.connects.append(Connect(time.monotonic(), parts.path, query, headers, status))
        return answer

    def _open(
        self,
        ws: ServerConnection,
        request: Request,
        query: dict[str, list[str]],
        version: int | None,
    ) -> Response | None:
        if version not in self.speaks:
            return reply(404, b"404 page not found\n", "text/plain")
        fault = self.faults.popleft() if self.faults else None
        if fault and fault.kind == "refuse":
            return reply(fault.status, b"refused\n", "text/plain", fault.headers)
        try:
            wishes = Filter.parse(query, version)
            packer = self._packing(request, query, version)
            raw = query.get("cursor", [""])[0]
            if raw and not raw.isdecimal():
                raise BadRequestError(f"invalid cursor: {raw!r}")
            with self._lock:
                start = self.log.start(int(raw) if raw else None, version=version)
        except CursorTooOldError as e:
            return error("CursorTooOld", str(e), version)
        except BadRequestError as e:
            return error(e.name, str(e), version)
        ws.wishes = _Subscription(wishes, start.place, start.notice, packer, fault, live=not raw)
        if query.get("requireHello", ["false"])[0] != "true":
            ws.wishes.hello.set()
        if (version == 2 or packer) and "Sec-WebSocket-Extensions" in request.headers:
            del request.headers["Sec-WebSocket-Extensions"]  # declines permessage-deflate
        return None

    def _packing(
        self, request: Request, query: dict[str, list[str]], version: int
    ) -> Packer | None:
        if version == 1:
            zstd = "zstd" in request.headers.get("Socket-Encoding", "")
            zstd |= query.get("compress") == ["true"]
            if zstd and "deflate" in request.headers.get("Sec-WebSocket-Extensions", ""):
                raise BadRequestError("choose one compression scheme")
            return self.packer(1) if zstd else None
        raw = query.get("zstdDictionary", [""])[0]
        if not raw:
            return None
        if not raw.isdecimal() or int(raw) == 0:
            raise BadRequestError("zstdDictionary must be a positive integer")
        if int(raw) != self._dictionary_id:
            message = f"unknown zstd dictionary id {raw}; current is {self._dictionary_id}"
            raise BadRequestError(message, "UnknownZstdDictionary")
        return self.packer(2)

    def _profiles(self, actors: list[str]) -> Response:
        self.profile_calls.append((time.monotonic(), actors))
        if self.profile_faults:
            return self.profile_faults.popleft()
        if not 0 < len(actors) <= 25 or not all(
            DID.fullmatch(a) and a not in self.wrong for a in actors
        ):
            return error("InvalidRequest", "actors must be 1 to 25 valid identifiers", 2)
        known = [self.profile(a) for a in actors if a in self.people.dids]
        body = json.dumps({"profiles": known}, ensure_ascii=False).encode()
        return reply(200, body, "application/json")

    def profile(self, did: str) -> dict[str, Any]:
        """The profile of one of the people, as the service words it."""
        n = self.people.dids.index(did)
        return {
            "did": did,
            "handle": self.people.handle(did),
            "displayName": f"Neighbour {n}",
            "description": "lives by the canal",
            "followersCount": n * 11,
            "followsCount": 3,
            "postsCount": 1,
            "verification": {"verifiedStatus": "valid" if n % 2 else "none"},
        }

    async def _serve(self, ws: ServerConnection) -> None:
        sub: _Subscription = ws.wishes
        self.open += 1
        self.emptied.clear()
        listener = asyncio.create_task(self._listen(ws, sub))
        try:
            with contextlib.suppress(ConnectionClosed):
                await sub.hello.wait()
                if sub.notice:
                    await self._send(ws, sub, sub.notice)
                await self._tail(ws, sub)
        finally:
            self.open -= 1
            if not self.open:
                self.emptied.set()
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, ws: ServerConnection, sub: _Subscription) -> None:
        """v1's options_update; v2 is server-push only."""
        async for message in ws:
            if sub.filter.version == 1:
                payload = json.loads(message).get("payload", {})
                collections, dids = payload.get("wantedCollections"), payload.get("wantedDids")
                size = payload.get("maxMessageSizeBytes", 0)
                sub.filter = Filter.of(1, collections or (), dids or (), (), size)
                sub.hello.set()

    async def _tail(self, ws: ServerConnection, sub: _Subscription) -> None:
        closed = asyncio.create_task(ws.wait_closed())
        try:
            while not closed.done():
                news = self._news
                with self._lock:
                    entries = self.log.since(sub.place, 256)
                for entry in entries:
                    sub.place += 1
                    if frame := sub.filter.frame(entry):
                        await self._deliver(ws, sub, frame)
                    self._check_pace(sub)
                if not entries:
                    sub.live = True
                    await self._quiet(ws, sub)
                    fresh = asyncio.create_task(news.wait())
                    await asyncio.wait({closed, fresh}, return_when=asyncio.FIRST_COMPLETED)
                    fresh.cancel()
        except LookupError:
            await self._too_slow(ws, sub)
        finally:
            closed.cancel()

    def _check_pace(self, sub: _Subscription) -> None:
        """What waits for a live subscriber is bounded, as the server's buffer for each is.

        Raises:
            LookupError: More than `slow_behind` events wait for it.
        """
        with self._lock:
            waiting = self.log.tip - sub.place
        if sub.live and self.slow_behind is not None and waiting > self.slow_behind:
            raise LookupError(waiting)

    async def _deliver(self, ws: ServerConnection, sub: _Subscription, frame: bytes) -> None:
        await self._quiet(ws, sub)
        await self._send(ws, sub, frame)
        sub.sent += 1
        self.delivered += 1
        if sub.fault and sub.fault.kind == "duplicate" and sub.sent > sub.fault.after:
            await self._send(ws, sub, frame)

    async def _quiet(self, ws: ServerConnection, sub: _Subscription) -> None:
        """Let the fault happen, if its place has come."""
        fault = sub.fault
        if not fault or sub.sent < fault.after or fault.kind in {"duplicate", "done"}:
            return
        sub.fault = replace(fault, kind="done")
        match fault.kind:
            case "drop":
                ws.transport.abort()
            case "close":
                await ws.close(1001)
            case "stall":
                await ws.wait_closed()
            case "half_open":
                ws.transport.pause_reading()
                await self._stop.wait()
            case "garbage":
                await self._send(ws, sub, b'{"$type":"message","payl')
            case "corrupt":
                await ws.send(b"\x28\xb5\x2f\xfd broken")
            case "too_slow":
                await self._too_slow(ws, sub)
        await asyncio.sleep(0)

    async def _send(self, ws: ServerConnection, sub: _Subscription, frame: bytes) -> None:
        try:
            async with asyncio.timeout(self.slow_after):
                if sub.packer:
                    await ws.send(sub.packer.pack(frame))
                else:
                    await ws.send(frame, text=True)
        except TimeoutError:
            await self._too_slow(ws, sub)

    async def _too_slow(self, ws: ServerConnection, sub: _Subscription) -> None:
        """Say so behind all that is on its way, and end it; v1 only ends it."""
        self.slow.set()
        frame = error_frame("ConsumerTooSlow", "the consumer fell too far behind")
        if sub.filter.version == 2:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    if sub.packer:
                        await ws.send(sub.packer.pack(frame))
                    else:
                        await ws.send(frame, text=True)
        ws.transport.close()
        await ws.wait_closed()
        raise ConnectionClosed(None, None)


def main(arguments: list[str] | None = None) -> None:
    """Run until interrupted; see the module."""
    parser = argparse.ArgumentParser(description="A Jetstream (v2 and v1) with made-up people.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--rate", type=float, default=50, help="events a second")
    parser.add_argument("--backlog", type=int, default=1000, help="events before the start")
    parser.add_argument("--keep", type=int, default=200_000, help="events of the look-back")
    parser.add_argument("--total", type=int, default=0, help="stop publishing after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drop-every", type=int, default=0, help="cut after so many frames")
    given = parser.parse_args(arguments)
    with JetstreamSimulator(people=People(seed=given.seed), port=given.port) as sim:
        sim.publish(given.backlog)
        print(json.dumps({"url": sim.url, "profiles": sim.http}), flush=True)
        began, made = time.monotonic(), 0
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.05)
                due = int((time.monotonic() - began) * given.rate)
                due = min(due, given.total) if given.total else due
                sim.publish(max(0, due - made), step_us=1)
                made = max(made, due)
                sim.keep(given.keep)
                if given.drop_every and not sim.faults:
                    sim.faults.append(Fault("drop", after=given.drop_every))


if __name__ == "__main__":
    main()
