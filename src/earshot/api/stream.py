"""Server-sent events: the change feed as one reader sees it, with heartbeat, bounds and an end.

A stream ends when the client leaves, when it takes nothing for 30 seconds, or when its session,
token or right is gone (looked at each second).
"""

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import msgspec
import polars as pl
from fastapi import Response
from starlette.types import Receive, Scope, Send

import earshot
from earshot.api import health, present
from earshot.api.auth import Auth
from earshot.api.deps import Actor, Rooms
from earshot.api.problems import ProblemError
from earshot.api.schemas import stream as shapes
from earshot.api.schemas.common import Gap, Shape
from earshot.live import Pushed
from earshot.model.changes import KEY
from earshot.model.schema import GAP, TIME
from earshot.pipeline.window import MINUTE

HEARTBEAT_S: Final = 10
LOOK_AGAIN_S: Final = 1.0
"""How often a stream asks whether its session still holds."""
STANDSTILL_S: Final = 30.0
TOPIC: Final = re.compile(
    r"posts:all|posts:rule:[1-9]\d{0,17}|windows|gaps|corrections|jobs|system"
)
MOST_TOPICS: Final = 100
MOST_WINDOWS: Final = 200


def read_topics(text: str) -> frozenset[str]:
    """The topics of a comma-separated list.

    Raises:
        ProblemError: `invalid-input` for one that is not known.
    """
    topics = frozenset(filter(None, (t.strip() for t in text.split(","))))
    if bad := sorted(t for t in topics if not TOPIC.fullmatch(t)):
        known = "posts:all, posts:rule:<id>, windows, gaps, corrections, jobs, system"
        raise ProblemError("invalid-input", f"No topic {bad[0]!r}; there are {known}.")
    if not 1 <= len(topics) <= MOST_TOPICS:
        raise ProblemError("invalid-input", f"`topics` names 1 to {MOST_TOPICS} topics.")
    return topics


class EventStream(Response):
    """One reader's stream."""

    media_type = "text/event-stream"

    def __init__(
        self, rooms: Rooms, auth: Auth, actor: Actor, topics: frozenset[str], after: str | None
    ) -> None:
        self._rooms, self._auth, self._actor = rooms, auth, actor
        self._topics, self._after = topics, after
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until somebody has had enough."""
        del scope
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        pump = asyncio.ensure_future(self._pump(send))
        others = [asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(self._revoked())]
        try:
            await asyncio.wait([pump, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, *others):
                task.cancel()
            results = await asyncio.gather(pump, *others, return_exceptions=True)
        broken = next((r for r in results if isinstance(r, Exception)), None)
        if broken is not None and not isinstance(broken, TimeoutError | OSError):
            raise broken
        with contextlib.suppress(OSError, TimeoutError):
            await _sent(send, b"", more=False)

    async def _pump(self, send: Send) -> None:
        """Everything that happens, and a tick where nothing does."""
        head, tick = await asyncio.to_thread(self._first)
        await _sent(send, head)
        await _sent(send, tick)
        events = self._rooms.live.listen(self._topics, self._after)
        waiting: asyncio.Future[Pushed] = asyncio.ensure_future(_next(events))
        loop = asyncio.get_running_loop()
        due = loop.time() + HEARTBEAT_S
        try:
            while True:
                await asyncio.wait([waiting], timeout=max(0.0, due - loop.time()))
                if loop.time() >= due:
                    await _sent(send, await asyncio.to_thread(self._tick))
                    due = loop.time() + HEARTBEAT_S
                if waiting.done():
                    await _sent(send, await asyncio.to_thread(self._render, waiting.result()))
                    waiting = asyncio.ensure_future(_next(events))
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await cast("Any", events).aclose()

    async def _revoked(self) -> None:
        """Ends when the actor may not listen any more."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            now = await asyncio.to_thread(self._auth.again, self._actor)
            if now is None or "stream:read" not in now.rights:
                return

    def _first(self) -> tuple[bytes, bytes]:
        live = self._rooms.live
        # the id is where the reader stands: a reconnect right after this misses nothing
        place = self._after or live.head()
        hello = shapes.StreamHello(
            server_time=self._rooms.clock.now(),
            build=earshot.__version__,
            heartbeat_s=HEARTBEAT_S,
            oldest=live.oldest(),
            head=live.head(),
        )
        self._after = place
        return _event("hello", place, _json(hello)), self._tick()

    def _tick(self) -> bytes:
        engine = health.engine(self._rooms)
        tick = shapes.StreamTick(
            server_time=self._rooms.clock.now(),
            event_age_seconds=engine.event_lag_seconds,
            posts_per_second=engine.posts_per_second,
            lag_records=engine.lag_records,
            engine=engine.running,
        )
        return _event("tick", None, _json(tick))

    def _render(self, pushed: Pushed) -> bytes:
        """An event of the feed with the contents that it names, as they are now."""
        data = msgspec.json.decode(pushed.data, type=dict[str, Any])
        match pushed.kind:
            case "posts":
                shape = self._posts(data)
            case "correction":
                shape = _correction(data)
            case "windows":
                shape = self._windows(data)
            case "gap":
                gaps = [{k: g[k] for k in GAP.names()} for g in data["items"]]
                shape = shapes.StreamGap(items=[Gap.model_validate(g) for g in gaps])
            case _:
                return _event(pushed.kind, pushed.id, pushed.data)
        return _event(pushed.kind, pushed.id, _json(shape))

    def _posts(self, data: dict[str, Any]) -> Shape:
        keys = pl.DataFrame(data["keys"], schema=KEY, orient="row")
        order = {(s, i): n for n, (s, i) in enumerate(keys.iter_rows())}
        rows = self._rooms.store.get(keys).filter(~pl.col("hidden"))
        seen = present.visible(self._rooms, self._actor)
        posts = present.posts(self._rooms.store, rows, seen)
        posts.sort(key=lambda p: order[p.source, p.id])
        return shapes.StreamPosts(items=posts, more=data["more"])

    def _windows(self, data: dict[str, Any]) -> Shape:
        rules = [0, *(r for r in data["rules"] if f"posts:rule:{r}" in self._topics)]
        by_width: dict[int, list[dt.datetime]] = {}
        for window in data["windows"]:
            start = dt.datetime.fromisoformat(window["start"])
            by_width.setdefault(window["width"], []).append(start)
        items = [
            window
            for width, starts in by_width.items()
            for rule in rules
            for window in self._totals(width, sorted(starts)[-MOST_WINDOWS:], rule)
        ]
        return shapes.StreamWindows(items=items)

    def _totals(
        self, width: int, starts: list[dt.datetime], rule: int
    ) -> list[shapes.StreamWindow]:
        """Totals of these windows: by source, and all together (`*`)."""
        rows = self._rooms.store.series(
            width=width,
            since=starts[0],
            until=starts[-1] + dt.timedelta(seconds=width),
            source=None,
            rule=rule,
        ).filter(pl.col("start").is_in(starts))
        # authors of several networks are different people
        whole = rows.group_by("start").agg(pl.col("posts", "authors", "score").sum())
        if width == MINUTE:  # wider ones are made later: none there does not mean nothing in it
            empty = pl.DataFrame({"start": starts}, schema={"start": TIME})
            whole = empty.join(whole, on="start", how="left").fill_null(0)
        both = pl.concat([rows, whole.with_columns(source=pl.lit("*"))], how="diagonal")
        return [
            shapes.StreamWindow(step=width, rule=rule, **row)
            for row in both.sort("start", "source")
            .select("source", "posts", "authors", "score", t=pl.col("start").dt.epoch("s"))
            .iter_rows(named=True)
        ]


def _correction(data: dict[str, Any]) -> shapes.StreamCorrection:
    return shapes.StreamCorrection(
        removed=[shapes.StreamKey(source=s, id=i) for s, i in data["removed"]],
        changed=[shapes.StreamKey(source=s, id=i) for s, i in data["changed"]],
    )


def _event(kind: str, id_: str | None, data: bytes) -> bytes:
    """One event as bytes. JSON holds no line breaks, so that one `data:` line is enough."""
    place = b"" if id_ is None else b"id: " + id_.encode() + b"\n"
    return b"event: " + kind.encode() + b"\n" + place + b"data: " + data + b"\n\n"


def _json(shape: Shape) -> bytes:
    return shape.model_dump_json(by_alias=True).encode()


async def _sent(send: Send, data: bytes, *, more: bool = True) -> None:
    """Send, but wait no longer than a reader may stand still. Raises TimeoutError."""
    message = {"type": "http.response.body", "body": data, "more_body": more}
    await asyncio.wait_for(send(message), STANDSTILL_S)


async def _next(events: AsyncIterator[Pushed]) -> Pushed:
    return await anext(events)


async def _gone(receive: Receive) -> None:
    """Ends when the client left."""
    while (await receive())["type"] != "http.disconnect":
        pass
