"""Earshot as people run it, `earshot up`, under a steady load: memory, and received → seen.

The client that listens is no part of what is measured: memory is that of `earshot up` and all
processes it started.
"""

import asyncio
import contextlib
import datetime as dt
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
import polars as pl
import psutil

from earshot.clock import Clock, SystemClock
from earshot.control import Control
from earshot.engine.bench.child import child, memory_of
from earshot.engine.bench.pipeline import add_rules
from earshot.engine.bench.profile import write
from earshot.engine.bench.world import RULES, SAMPLE, prepared
from earshot.engine.home import engine_runs, log_of, open_rooms, store_of
from earshot.errors import EarshotError
from earshot.settings import Settings
from earshot.sources import open_source
from earshot.sources.demo import Cursor, Demo

EVERY_S: Final = 2.0
"""Between two looks at the memory."""
WARM_S: Final = 10.0
"""What is received so soon after the start is not judged: kernels are still being loaded."""
STARTS_S: Final = 180.0
RIGHTS: Final = (
    "posts:read",
    "stats:read",
    "stream:read",
    "rules:read",
    "sources:read",
    "system:read",
)


class _Post(msgspec.Struct):
    received_at: dt.datetime


class _Posts(msgspec.Struct):
    items: list[_Post]


def measure_serving(
    rate: float, minutes: float, rules: int, *, seed: int = 7, profile: Path | None = None
) -> dict[str, Any]:
    """Run `earshot up` on a demo world of `rate` records a second for so many minutes.

    Returns:
        `memory` (MB by seconds since the start, peak, end) and `seen` (seconds from received to
        read by a client of the live stream: p50, p99, max, of `posts` posts).
    """
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as name:
        folder = Path(name)
        child("make", folder, posts=SAMPLE, seed=seed)
        drawn = child("rules", folder, rules=rules, seed=seed)
        samples = profile / "serve.raw" if profile else None
        figures = child(
            "serve", folder, rate=rate, seconds=60 * minutes, seed=seed, samples=samples
        )
        figures["hits_per_post"] = drawn["hits_per_post"]
        if profile and samples:
            write(samples, profile / "serve.txt")
            figures["profile"] = str(profile / "serve.txt")
    return figures


def run(folder: Path, *, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """Start it, load it, listen to it; runs in the process of the client."""
    settings, clock = Settings(home=folder / "home"), SystemClock()
    with open_rooms(settings, clock, writable=False) as rooms:
        add_rules(rooms, folder / RULES)
        token = token_of(rooms.control)
    asked = rate * rate / asyncio.run(_rate_now(rate, seed, clock))
    url = f"demo:?seed={seed}&rate={asked:.3f}&backfill=0"
    with serving(settings, ["--source", url]) as (process, port), log_of(settings) as log:
        listener = _Listener(port, token, clock)
        began, first, before = clock.monotonic(), log.head(), _creates(settings)
        memory: list[tuple[float, float]] = []
        pause = threading.Event()
        while (passed := clock.monotonic() - began) < seconds:
            memory.append((round(passed, 1), round(memory_of(process) / 1e6, 1)))
            pause.wait(min(EVERY_S, max(0.05, seconds - passed)))
        listener.stop()
        records, took = log.head() - first, clock.monotonic() - began
        creates = _creates(settings) - before
        with store_of(settings) as store:
            lag = log.head() - store.offset()
    return {
        "asked_per_second": rate,
        "posts_per_second": round(creates / took, 1),
        "records_per_second": round(records / took, 1),
        "records": records,
        "seconds": round(took, 1),
        "lag_records": lag,
        "rss_mb": max(mb for _, mb in memory),
        "memory": {"end_mb": memory[-1][1], "by_seconds": _thinned(memory)},
        "seen": listener.figures(),
    }


def _creates(settings: Settings) -> int:
    """Posts consumed until now."""
    with store_of(settings) as store:
        counts = store.counts()
    creates = (pl.col("rule") == 0) & pl.col("name").is_in(["unique", "duplicate"])
    return int(counts.filter(creates)["n"].sum())


def _thinned(memory: list[tuple[float, float]], most: int = 120) -> list[tuple[float, float]]:
    return memory[:: max(1, len(memory) // most)]


async def _rate_now(rate: float, seed: int, clock: Clock) -> float:
    """Posts a second of the demo world at this time of its day, if `rate` is asked for."""
    start = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    url = f"demo:?seed={seed}&rate={rate}&start={start}&limit={max(20_000, round(60 * rate))}"
    source = cast("Demo", open_source(url, clock=clock))
    frames: dict[int, list[pl.DataFrame]] = {}
    async for chunk in source.stream(None):
        if chunk.frame is not None and chunk.cursor:
            step = msgspec.json.decode(chunk.cursor, type=Cursor).step
            frames.setdefault(step, []).append(chunk.records("bench", clock.now()))
    whole = [f for step in sorted(frames)[:-1] for f in frames[step]]  # the last one was cut
    posts = prepared(pl.concat(whole)).decoded.posts if whole else None
    if posts is None:
        return rate
    seconds = (len(frames) - 1) * source.law.step / 1e6
    return posts.filter(pl.col("role") == "create").height / seconds


def token_of(control: Control) -> str:
    """A token that may read everything; its owner is made if there is nobody yet."""
    people = control.people()
    owner = people[0] if people else control.add_person(
        "bench", role="admin", password=None, actor="bench"
    )  # fmt: skip
    return control.new_token(owner.id, name="bench", scopes=list(RIGHTS), expires=None)


@contextlib.contextmanager
def serving(
    settings: Settings, options: list[str], environment: Mapping[str, str] | None = None
) -> Iterator[tuple[psutil.Process, int]]:
    """`earshot up` on a home, listening; yields its process and port.

    Raises:
        EarshotError: It ended, or did not listen in time.
    """
    port = _free_port()
    command = [sys.executable, "-m", "earshot.cli", "--home", str(settings.home), "up"]
    command += ["--port", str(port), *options]
    environment = {**os.environ, **(environment or {})}
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as up:
        try:
            _started(settings, up, port)
            yield psutil.Process(up.pid), port
        finally:
            up.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _started(settings: Settings, up: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until it listens and its engine runs."""
    clock, pause = SystemClock(), threading.Event()
    late = clock.monotonic() + STARTS_S
    while up.poll() is None and clock.monotonic() < late:
        try:
            status, _ = get(port, "/readyz")
        except OSError:
            status = 0
        if status and engine_runs(settings):
            return
        pause.wait(0.1)
    msg = "`earshot up` did not start"
    raise EarshotError(msg, hint="try it by hand: earshot up")


def get(port: int, path: str, token: str = "") -> tuple[int, bytes]:
    """Ask the API; returns status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


class _Listener:
    """A client of the live stream, on a thread of its own."""

    def __init__(self, port: int, token: str, clock: Clock) -> None:
        self._clock, self._delays = clock, list[float]()
        self._from = clock.now() + dt.timedelta(seconds=WARM_S)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {token}"}
        self._connection.request("GET", "/api/v1/stream?topics=posts:all,windows", headers=headers)
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            msg = f"the live stream answers {self._answer.status}"
            raise EarshotError(msg)
        self._stopped = False
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        event = b""
        decoder = msgspec.json.Decoder(_Posts)
        while not self._stopped:
            try:
                line = self._answer.readline()
            except (OSError, ValueError):
                return
            if not line:
                return
            if line.startswith(b"event: "):
                event = line[7:].strip()
            elif line.startswith(b"data: ") and event == b"posts":
                now = self._clock.now()
                received = (p.received_at for p in decoder.decode(line[6:]).items)
                self._delays += [(now - r).total_seconds() for r in received if r >= self._from]

    def stop(self) -> None:
        """Leave."""
        self._stopped = True
        self._thread.join(15)
        self._connection.close()

    def figures(self) -> dict[str, Any]:
        """Seconds from received to seen."""
        if not self._delays:
            return {"posts": 0, "p50": None, "p99": None, "max": None}
        p50, p99, most = np.quantile(self._delays, [0.5, 0.99, 1.0])
        named = {"p50": p50, "p99": p99, "max": most}
        return {"posts": len(self._delays), **{k: round(float(v), 3) for k, v in named.items()}}
